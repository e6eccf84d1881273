//! Measures a model on a split: `cargo run --release --bin eval -- checkpoint=F split=val`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use nanoebm::config::{self, Action, EvalConfig, Program};
use nanoebm::data::{Corpus, Split};
use nanoebm::eval::{Report, evaluate, window_offsets};
use nanoebm::load::{Loaded, load};
use nanoebm::separation::{Auroc, SCORINGS, Separation, separation};
use nanoebm::{device, program, train};

const PROGRAM: Program = Program {
    name: "eval",
    about: "Measure System 1 and System 2 on consecutive windows of a split",
    flags: &[("json", "Print one JSON object and nothing else")],
};

fn main() -> ExitCode {
    program::run(run)
}

fn run() -> anyhow::Result<u8> {
    let (jobs, json) = match config::parse::<EvalConfig>(&PROGRAM, std::env::args_os().skip(1))? {
        Action::Print(text) => return program::print(&text),
        Action::Run { jobs, flags, .. } => (jobs, flags.has("json")),
    };
    for job in &jobs {
        let report = measure(&job.config, json)?;
        if json {
            program::print(&(serde_json::to_string(&report)? + "\n"))?;
        } else {
            program::print(&table(&report))?;
        }
    }
    Ok(0)
}

fn measure(config: &EvalConfig, json: bool) -> anyhow::Result<Report> {
    let device = device::resolve(&config.device)?;
    let loaded = load(config.checkpoint.as_deref(), &config.out_dir, &config.model, device)?;
    let path = data_path(config, &loaded);
    let corpus = Corpus::read_with(&path, &loaded.vocab(&path)?)?;
    let split = match config.split {
        config::Split::Train => Split::Train,
        config::Split::Val => Split::Val,
    };
    let mut offsets = window_offsets(&corpus, split, loaded.ebm.config.block_size)?;
    offsets.truncate(config.max_windows.map_or(usize::MAX, |n| n as usize));
    let refine_steps = config.refine_steps.unwrap_or(loaded.ebm.config.refine_steps);
    if !json {
        loaded.notes.iter().for_each(|note| program::say(note));
        let block_size = loaded.ebm.config.block_size;
        program::say(&format!("{}: {} windows of {block_size} characters", path.display(), offsets.len()));
    }
    let bar =
        if std::io::stderr().is_terminal() { ProgressBar::new(offsets.len() as u64) } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} windows, {eta} left").context("progress bar")?);
    let work = (refine_steps, config.batch_size);
    let compute = train::kind(config.dtype);
    let mut report = evaluate(&loaded.ebm, &corpus, (split, &offsets), work, compute, |n| bar.inc(n));
    if config.separation {
        bar.set_length(SCORINGS * offsets.len() as u64);
        bar.reset();
        let (ebm, batch_size) = (&loaded.ebm, config.batch_size);
        report.separation = Some(separation(ebm, &corpus, (split, &offsets), batch_size, compute, |n| bar.inc(n)));
    }
    bar.finish_and_clear();
    Ok(report)
}

/// The text that was asked for, else the one that the checkpoint records where it is still there, else Shakespeare.
fn data_path(config: &EvalConfig, loaded: &Loaded) -> PathBuf {
    let recorded = loaded.checkpoint.data_path.clone().filter(|path| path.is_file());
    config.data_path.clone().or(recorded).unwrap_or_else(|| Path::new("shakespeare.txt").to_owned())
}

fn table(r: &Report) -> String {
    let line = |name: &str, nll: f64, ppl: f64, energy: f64| {
        format!("{name:<10} {nll:>10.4} {ppl:>12.4} {:>10.4} {energy:>10.4}\n", Report::bits(nll))
    };
    let separated = r.separation.as_ref().map(separation_table).unwrap_or_default();
    format!("{:<10} {:>10} {:>12} {:>10} {:>10}\n", "", "NLL (nats)", "perplexity", "bits/char", "E[energy]")
        + &line("System 1", r.nll_s1, r.ppl_s1, r.energy_initial)
        + &line("System 2", r.nll_s2, r.ppl_s2, r.energy_final)
        + &format!("{} steps of refinement, energy gap {:.4}, {} windows\n", r.refine_steps, r.energy_gap, r.windows)
        + &separated
}

fn separation_table(s: &Separation) -> String {
    let line = |name: &str, a: Auroc| format!("{name:<24} {:>10.4} {:>12.4}\n", a.energy, a.nll);
    format!("\n{:<24} {:>10} {:>12}\n", "AUROC of text against", "by energy", "by NLL")
        + &line("one character changed", s.one_character)
        + &line("words shuffled", s.shuffled_words)
        + &line("uniform noise", s.uniform_noise)
}
