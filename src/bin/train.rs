//! Trains a model: `cargo run --release --bin train -- model.contrastive_type=pcd`.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use nanoebm::config::{self, Action, Config, Job, Program};
use nanoebm::program;
use nanoebm::train::{Outcome, train};
use signal_hook::consts::{SIGINT, SIGTERM};

const PROGRAM: Program = Program { name: "train", about: "Train an energy-based language model on a text", flags: &[] };

fn main() -> ExitCode {
    program::run(run)
}

fn run() -> anyhow::Result<u8> {
    let (jobs, multirun) = match config::parse::<Config>(&PROGRAM, std::env::args_os().skip(1))? {
        Action::Print(text) => return program::print(&text),
        Action::Run { jobs, multirun, .. } => (jobs, multirun),
    };
    let stop = stop_on_signals().context("cannot listen for Ctrl-C")?;
    let several = jobs.len() > 1;
    for (i, job) in jobs.iter().enumerate() {
        if several {
            program::say(&format!("Run {} of {}: {}", i + 1, jobs.len(), job.overrides.join(" ")));
        }
        job.notices.iter().for_each(|notice| program::say(notice));
        if let Outcome::Interrupted(checkpoint) = train(&job.config, &job.overrides, multirun, &stop)? {
            program::say(&format!("To go on: {}", resume_command(job, &checkpoint.display().to_string())));
            return Ok(128 + stop.load(Ordering::Relaxed) as u8);
        }
    }
    Ok(0)
}

/// SIGINT and SIGTERM ask the run to stop after the step; a second one ends it at once.
fn stop_on_signals() -> std::io::Result<Arc<AtomicUsize>> {
    let stop = Arc::new(AtomicUsize::new(0));
    let again = Arc::new(std::sync::atomic::AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_default(signal, again.clone())?;
        signal_hook::flag::register(signal, again.clone())?;
        signal_hook::flag::register_usize(signal, stop.clone(), signal as usize)?;
    }
    Ok(stop)
}

fn resume_command(job: &Job<Config>, checkpoint: &str) -> String {
    let kept = job.overrides.iter().filter(|o| !o.trim_start_matches('+').starts_with("load_checkpoint="));
    let words = kept.map(|o| program::quoted(o)).chain([program::quoted(&format!("load_checkpoint={checkpoint}"))]);
    format!("cargo run --release --bin train -- {}", words.collect::<Vec<_>>().join(" "))
}
