//! Training in forty lines: a loop of your own over the library's parts.
//!
//!     cargo run --release --example train -- 500
//!
//! The program `train` adds what a long run needs: evaluation, checkpoints, resuming, trackers.

use std::sync::Arc;

use nanoebm::config::Config;
use nanoebm::data::Corpus;
use nanoebm::data::batches::{Batches, Position};
use nanoebm::ebm::Ebm;
use nanoebm::nn::optim::{AdamW, learning_rate};
use nanoebm::nn::pass::Pass;
use nanoebm::sample::sample_text;
use tch::{Device, Kind};

fn main() -> anyhow::Result<()> {
    let steps: i64 = std::env::args().nth(1).map_or(Ok(500), |steps| steps.parse())?;

    let mut config = Config::default(); // what `train --cfg` prints
    (config.model.n_layer, config.model.n_head, config.model.n_embd) = (2, 2, 64);
    (config.data.batch_size, config.data.block_size, config.model.block_size) = (16, 64, 64);
    let corpus = Arc::new(Corpus::read(&config.data.data_path)?); // shakespeare.txt
    config.model.vocab_size = corpus.vocab.len() as i64;

    tch::manual_seed(config.train.seed);
    let ebm = Ebm::new(&config.model, Device::Cpu);
    let mut optimizer = AdamW::new(ebm.params(), &config.train, &config.model);
    let mut position = Position::default();
    let mut batches = Batches::new(&corpus, &config, position, Device::Cpu, &ebm.processes)?;
    for step in 0..steps {
        let (idx, targets) = batches.next(&mut position)?; // (B, T) each
        let output = ebm.forward(&idx, &targets, Some(config.model.refine_steps), Pass::train(Kind::Float));
        optimizer.backward(&output.loss);
        let norm = optimizer.grad_norm();
        optimizer.clip_grad_norm(&norm, config.train.grad_clip);
        optimizer.step(learning_rate(step, &config.train));
        if step % 50 == 0 {
            println!("step {step}: loss {:.3}", output.loss.double_value(&[]));
        }
    }
    println!("{}", sample_text(&ebm, &corpus.vocab, 200, Kind::Float));
    Ok(())
}
