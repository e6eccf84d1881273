//! Compares models on the same windows: `cargo run --release --bin compare -- a=FILE b=FILE b.refine_steps=0`.

use std::path::PathBuf;
use std::process::ExitCode;

use nanoebm::config::{Candidate, CompareConfig, FromConfig, Job, PictureFormat, Program};
use nanoebm::data::Corpus;
use nanoebm::device;
use nanoebm::eval::compare::{Comparison, Contender, compare, shared_block_size};
use nanoebm::eval::measure::Prediction;
use nanoebm::eval::table;
use nanoebm::eval::windows::{Windows, check_scored};
use nanoebm::fs::check_folder;
use nanoebm::nn::pass::kind;
use nanoebm::program::load::{Loaded, load};
use nanoebm::program::{self, Output};
use nanoebm::viz::compared::picture;
use nanoebm::viz::draw::output::write;

const PROGRAM: Program = Program {
    name: "compare",
    about: "Compare two or more checkpoints on the same windows of a text",
    flags: &[
        ("json", "Print one JSON object and nothing else"),
        ("csv", "Print a CSV table, a row for each checkpoint, and nothing else"),
    ],
};

fn main() -> ExitCode {
    program::run(&PROGRAM, |job: &Job<CompareConfig>, call| {
        let output = Output::of(&call.flags)?;
        if let Some(folder) = &job.config.out {
            check_folder(folder)?;
        }
        let comparison = measure(&job.config, output)?;
        let written = job.config.out.as_ref().map(|folder| {
            let picture = picture(&comparison, PictureFormat::Both)?;
            Ok::<_, anyhow::Error>(format!("{} in {}", write(folder, &picture)?, folder.display()))
        });
        let written = written.transpose()?;
        program::print(&match output {
            Output::Json => serde_json::to_string(&comparison)? + "\n",
            Output::Csv => table::csv(&comparison.measured.rows)?,
            Output::Text => comparison.tables(),
        })?;
        if output == Output::Text {
            written.iter().for_each(|files| program::say(files));
        }
        Ok(0)
    })
}

fn measure(config: &CompareConfig, output: Output) -> anyhow::Result<Comparison> {
    let candidates = config.candidates()?;
    let device = device::resolve(&config.compute.device)?;
    let mut loaded = Vec::new();
    for (_, candidate) in &candidates {
        // Each has a file of its own: there is no newest one to look for.
        let from = FromConfig { checkpoint: candidate.checkpoint.clone(), out_dir: PathBuf::new() };
        loaded.push(load(&from, &candidate.model, device)?);
    }
    let corpus = loaded[0].corpus(config.data_path.as_deref())?;
    let contenders = candidates.iter().zip(&loaded).map(|((name, candidate), loaded)| {
        Ok(Contender {
            name,
            checkpoint: &loaded.checkpoint,
            ebm: &loaded.ebm,
            vocab: loaded.vocab(Some(&corpus.path))?,
            refine_steps: candidate.refine_steps.unwrap_or(loaded.ebm.config.refine_steps),
            settings: settings(candidate),
        })
    });
    let contenders: Vec<Contender> = contenders.collect::<anyhow::Result<_>>()?;
    let block_size = shared_block_size(&contenders, config.block_size)?;
    check_problems(&loaded, &corpus, block_size)?;
    loaded.iter().filter_map(|loaded| loaded.doubts(&corpus)).for_each(|doubts| program::warn(&doubts));
    let mut windows = Windows::consecutive(&corpus, config.split, block_size)?;
    for contender in &contenders {
        check_scored(contender.ebm, &windows)?;
    }
    windows.offsets.truncate(config.max_windows.map_or(usize::MAX, |n| n as usize));
    if output == Output::Text {
        contenders.iter().for_each(introduce);
        program::say(&format!(
            "{}: {} windows of {block_size} characters",
            corpus.path.display(),
            windows.offsets.len()
        ));
    }
    let bar = program::progress_bar(contenders.len() * windows.offsets.len(), "windows");
    let work = (config.batch_size, kind(config.compute.dtype));
    let comparison = compare(&contenders, &windows, work, |n| bar.inc(n))?;
    bar.finish_and_clear();
    Ok(comparison)
}

/// Problems are compared by models of the same problems, whole.
fn check_problems(loaded: &[Loaded], corpus: &Corpus, block_size: i64) -> anyhow::Result<()> {
    let Some(adder) = corpus.problems() else { return Ok(()) };
    if let Some(other) = loaded.iter().find(|other| other.problems() != Some(adder)) {
        let (one, other) = (corpus.path.display(), other.checkpoint.path.display());
        anyhow::bail!("{other} was not trained on {one}: models that add are compared on their common problems");
    }
    if block_size != adder.block_size() {
        anyhow::bail!("block_size={block_size} cuts problems of {} characters; leave it out", adder.block_size());
    }
    Ok(())
}

/// What is changed in a candidate's model: `model.key=value` with spaces between.
fn settings(candidate: &Candidate) -> String {
    let setting = |(key, value)| format!("{key}={}", serde_yaml::to_string(value).unwrap_or_default().trim());
    candidate.model.iter().map(setting).collect::<Vec<_>>().join(" ")
}

/// Says who takes part, and how.
fn introduce(contender: &Contender) {
    let Contender { name, checkpoint, settings, refine_steps, .. } = contender;
    let (file, step) = (checkpoint.path.display(), checkpoint.step);
    let as_original = if checkpoint.ours.is_none() { ", as the original (model=upstream)" } else { "" };
    let comma = if settings.is_empty() { "" } else { ", " };
    let prediction = Prediction::Steps(*refine_steps);
    program::say(&format!("{name}: {file}, step {step}: {prediction}{as_original}{comma}{settings}"));
}
