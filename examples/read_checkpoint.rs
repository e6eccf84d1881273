//! A checkpoint that PyTorch wrote, read without Python: its weights, and what its model expects next.
//!
//!     cargo run --release --example read_checkpoint -- tests/fixtures/original/checkpoint.pt shakespeare.txt "ROMEO:"
//!
//! nanoebm's own checkpoints carry their characters; the original's do not, and take them from the text they were trained on.

use std::path::PathBuf;

use anyhow::Context;
use nanoebm::checkpoint::Checkpoint;
use nanoebm::data::Corpus;
use nanoebm::ebm::Ebm;
use nanoebm::nn::pass::Pass;
use tch::{Device, Kind, Tensor, no_grad};

fn main() -> anyhow::Result<()> {
    let [file, text, prompt]: [String; 3] = std::env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .ok()
        .context("give a CHECKPOINT, a TEXT and a PROMPT")?;

    let checkpoint = Checkpoint::read_model(&PathBuf::from(file))?;
    let ebm = Ebm::new(&checkpoint.model, Device::Cpu);
    checkpoint.load_model(&ebm)?; // every tensor must be there, fit, and belong
    for parameter in ebm.params().iter() {
        println!("{:<50} {:?}", parameter.name, parameter.tensor.size());
    }
    println!("{} parameters after {} steps of training", ebm.params().numel(), checkpoint.step);

    let vocab = match checkpoint.vocab() {
        Some(vocab) => vocab,
        None => Corpus::read(&PathBuf::from(text))?.vocab,
    };
    let (ids, _) = vocab.encode(&prompt);
    let idx = Tensor::from_slice(&ids).unsqueeze(0); // (1, T)
    let pass = Pass::eval(Kind::Float);
    let reading = no_grad(|| ebm.read(&idx, pass));
    let system1 = -&reading.energies; // (1, T, V): logit = −energy
    let system2 = no_grad(|| ebm.system2(&reading, 4, pass));
    for (name, logits) in [("System 1", system1), ("System 2, four steps", system2)] {
        let (p, id) = logits.select(1, -1).softmax(-1, None).max_dim(-1, false);
        let next = vocab.char(id.int64_value(&[0])).context("a character of the vocabulary")?;
        println!("{name}: after {prompt:?} comes {next:?}, p = {:.3}", p.double_value(&[0]));
    }
    Ok(())
}
