//! Trains a model: `cargo run --release --bin train -- model.contrastive_type=pcd`.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use nanoebm::Error;
use nanoebm::config::{Config, Job, Program, quote};
use nanoebm::processes::Processes;
use nanoebm::program::{self, Call};
use nanoebm::train::{Outcome, train};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

const PROGRAM: Program = Program { name: "train", about: "Train an energy-based language model on a text", flags: &[] };

fn main() -> ExitCode {
    let mut signals = None;
    program::run(&PROGRAM, |job: &Job<Config>, call| {
        let stop = match &signals {
            Some(stop) => stop,
            None => signals.insert(stop_on_signals().context("cannot listen for Ctrl-C")?),
        };
        let processes = meet(job, call)?;
        if call.jobs > 1 {
            program::say(&format!("Run {} of {}: {}", call.number, call.jobs, job.overrides.join(" ")));
        }
        if processes.is_first() {
            job.notices.iter().for_each(|notice| program::say(notice));
        }
        let outcome = train(&job.config, &job.overrides, call.multirun, job.dir.as_deref(), stop, &processes);
        match outcome.inspect_err(|error| tell_the_others(&processes, error))? {
            Outcome::Finished(_) => Ok(0),
            Outcome::Interrupted(checkpoint) => {
                if processes.is_first() {
                    program::say(&format!("To go on: {}", resume_command(job, &checkpoint.display().to_string())));
                }
                Ok(128 + stop.load(Ordering::Relaxed) as u8)
            }
        }
    })
}

/// The processes that torchrun has started, where it has.
fn meet(job: &Job<Config>, call: &Call) -> anyhow::Result<Processes> {
    let processes = Processes::meet(Duration::from_secs(job.config.train.timeout.unsigned_abs()))?;
    if call.multirun && processes.size() > 1 {
        bail!(
            "-m starts several trainings one after another, and torchrun starts one; give torchrun one of them at a time"
        );
    }
    Ok(processes)
}

/// Why this process ends; unless it ends because another one did.
fn tell_the_others(processes: &Processes, error: &Error) {
    if !matches!(error, Error::Processes(_)) {
        processes.fail(&error.to_string());
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
