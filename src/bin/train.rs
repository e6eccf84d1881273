//! Trains a model: `cargo run --release --bin train -- model.contrastive_type=pcd`.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Context;
use nanoebm::config::{Config, Job, Program, quote};
use nanoebm::processes::Processes;
use nanoebm::program::{self, Call};
use nanoebm::train::{Outcome, train};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

const PROGRAM: Program = Program { name: "train", about: "Train an energy-based language model on a text", flags: &[] };

fn main() -> ExitCode {
    let mut signals = None;
    program::run(&PROGRAM, |job: &Job<Config>, call| {
        program::together(call, job.config.train.timeout, |processes| {
            // Until all have met there is nothing to save, and a signal ends the waiting.
            let stop = match &signals {
                Some(stop) => stop,
                None => signals.insert(stop_on_signals().context("cannot listen for Ctrl-C")?),
            };
            one(job, call, stop, processes)
        })
    })
}

/// One training, from its first sentence to its last.
fn one(job: &Job<Config>, call: &Call, stop: &AtomicUsize, processes: &Processes) -> anyhow::Result<u8> {
    let say = |sentence: &str| {
        if processes.is_first() {
            program::say(sentence);
        }
    };
    if call.jobs > 1 {
        say(&format!("Run {} of {}: {}", call.number, call.jobs, job.overrides.join(" ")));
    }
    job.notices.iter().for_each(|notice| say(notice));
    match train(&job.config, &job.overrides, call.multirun, job.dir.as_deref(), stop, processes)? {
        Outcome::Finished(_) => Ok(0),
        Outcome::Interrupted(checkpoint) => {
            say(&format!("To go on: {}", resume_command(job, &checkpoint.display().to_string())));
            Ok(128 + stop.load(Ordering::Relaxed) as u8)
        }
    }
}

/// SIGINT, SIGTERM and SIGHUP (the terminal was closed) ask the run to stop after the step; the same one again ends it at once.
/// Another one does not: schedulers send several. Under nohup, SIGHUP stays ignored.
fn stop_on_signals() -> std::io::Result<Arc<AtomicUsize>> {
    let stop = Arc::new(AtomicUsize::new(0));
    let ends = [SIGINT, SIGTERM].into_iter().chain((!is_ignored(SIGHUP)).then_some(SIGHUP));
    for signal in ends {
        let again = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register_conditional_default(signal, again.clone())?;
        signal_hook::flag::register(signal, again)?;
        signal_hook::flag::register_usize(signal, stop.clone(), signal as usize)?;
    }
    Ok(stop)
}

/// Whether whoever started this process had it ignore a signal.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask & (1 << (signal - 1)) != 0
}

fn resume_command(job: &Job<Config>, checkpoint: &str) -> String {
    let kept = job.overrides.iter().filter(|o| !o.trim_start_matches('+').starts_with("load_checkpoint="));
    let at = job.dir.iter().map(|dir| format!("hydra.run.dir={}", quote(&dir.display().to_string())));
    let words = kept.cloned().chain(at).chain([format!("load_checkpoint={}", quote(checkpoint))]);
    let words = words.map(|word| program::quoted(&word));
    format!("cargo run --release --bin train -- {}", words.collect::<Vec<_>>().join(" "))
}
