//! Measures a model on a split: `cargo run --release --bin eval -- checkpoint=F split=val steps=0,1,2,4`.

use std::process::ExitCode;

use indicatif::ProgressBar;
use nanoebm::Error;
use nanoebm::config::{ConfigError, EvalConfig, FastWeightsConfig, Job, Program};
use nanoebm::data::Corpus;
use nanoebm::device;
use nanoebm::eval::evaluation::{Evaluation, evaluate, evaluate_by_steps};
use nanoebm::eval::exact::Exact;
use nanoebm::eval::scores::bits_per_char;
use nanoebm::eval::separation::{Auroc, SCORINGS, Separation, separation};
use nanoebm::eval::table;
use nanoebm::eval::temperature::training_windows;
use nanoebm::eval::windows::{Windows, check_scored};
use nanoebm::nn::pass::kind;
use nanoebm::processes::{Processes, TIMEOUT};
use nanoebm::program::load::load;
use nanoebm::program::{self, Output};
use nanoebm::run::together::{begin, digest};
use serde_json::json;

const PROGRAM: Program = Program {
    name: "eval",
    about: "Measure System 1 and System 2 on consecutive windows of a split",
    flags: &[
        ("json", "Print one JSON object and nothing else"),
        ("csv", "Print a CSV table, a row for each number of steps, and nothing else"),
    ],
};

fn main() -> ExitCode {
    program::run(&PROGRAM, |job: &Job<EvalConfig>, call| {
        let output = Output::of(&call.flags)?;
        let evaluation = program::together(call, TIMEOUT, |processes| measure(&job.config, output, processes))?;
        let Some(evaluation) = evaluation else { return Ok(0) };
        program::print(&match (output, &evaluation.by_steps) {
            (Output::Json, _) => serde_json::to_string(&evaluation)? + "\n",
            (Output::Csv, Some(by_steps)) => table::csv(&by_steps.measured.rows)?,
            (_, Some(by_steps)) => by_steps.tables() + &more_tables(&evaluation),
            (_, None) => table(&evaluation) + &more_tables(&evaluation),
        })
    })
}

/// The measures, for the process that tells them.
fn measure(config: &EvalConfig, output: Output, processes: &Processes) -> anyhow::Result<Option<Evaluation>> {
    if config.separation && output == Output::Csv {
        let problem = "separation=true has no place in --csv; use --json";
        return Err(ConfigError::Relation(problem.to_owned()).into());
    }
    let device = device::resolve_for(&config.compute.device, processes.local().0)?;
    let mut loaded = load(&config.from, &config.model, device)?;
    let corpus = loaded.corpus(config.data_path.as_deref())?;
    if processes.size() > 1 {
        let weights = format!("{:02x?}", digest(loaded.ebm.params().iter().map(|param| &param.tensor)));
        begin(processes, &corpus, device, json!({"the SHA-256 of its model": weights}))?;
    }
    loaded.ebm.processes = processes.clone();
    let ebm = &loaded.ebm;
    if let Some(doubts) = loaded.doubts(&corpus).filter(|_| processes.is_first()) {
        program::warn(&doubts);
    }
    let mut windows = windows(config, &corpus, ebm.config.block_size)?;
    check_scored(ebm, &windows)?;
    windows.offsets.truncate(config.max_windows.map_or(usize::MAX, |n| n as usize));
    if config.separation && !ebm.family.has_system1() {
        let problem = "separation=true tells texts apart by System 1's energies, which model.energy=ebt does not have";
        return Err(ConfigError::Relation(problem.to_owned()).into());
    }
    let count = windows.offsets.len();
    let compute = kind(config.compute.dtype);
    let mut fast = match config.fast.context_steps {
        0 => None,
        _ => Some(loaded.fast_weights(config.fast, compute)?),
    };
    if output == Output::Text && processes.is_first() {
        loaded.notes.iter().for_each(|note| program::say(note));
        let block_size = windows.block_size;
        program::say(&format!("{}: {} windows of {block_size} characters", corpus.path.display(), count));
        fast.iter().for_each(|fast| program::say(&followed(&fast.settings)));
    }
    let refine_steps = config.refine_steps.unwrap_or(ebm.config.refine_steps);
    // A table of rows is what CSV is: without `steps` it has the two systems and the control.
    let steps = config.steps.clone().or((output == Output::Csv).then(|| vec![refine_steps]));
    let work = (config.batch_size, compute);
    let bar = if processes.is_first() { program::progress_bar(count, "windows") } else { ProgressBar::hidden() };
    let mut evaluation = match steps {
        None => evaluate(ebm, &windows, refine_steps, work, fast.as_mut(), |n| bar.inc(n))?,
        Some(steps) => {
            let training = training_windows(&windows, ebm.config.vocab_size)?;
            bar.set_length((training.offsets.len() + count) as u64);
            evaluate_by_steps(ebm, (&windows, &training), &steps, work, fast.as_mut(), |n| bar.inc(n))?
        }
    };
    evaluation.context = fast.as_ref().map(|fast| fast.settings);
    if config.separation {
        bar.set_length(SCORINGS * count as u64);
        bar.reset();
        evaluation.separation = Some(separation(ebm, &windows, work, |n| bar.inc(n)));
    }
    bar.finish_and_clear();
    processes.barrier().map_err(Error::from)?;
    Ok(processes.is_first().then_some(evaluation))
}

/// The windows that are asked for. Following a text needs those that do not overlap: of others, it would have seen what is scored.
fn windows<'a>(config: &EvalConfig, corpus: &'a Corpus, block_size: i64) -> anyhow::Result<Windows<'a>> {
    let split = config.split;
    let Some(stride) = config.stride else { return Ok(Windows::consecutive(corpus, split, block_size)?) };
    let problem = match () {
        _ if corpus.problems().is_some() => "stride slides over a text, which problems are not",
        _ if config.fast.context_steps > 0 => {
            "stride and context_steps exclude one another: weights would follow text that is yet scored"
        }
        _ if config.separation => {
            "stride and separation exclude one another: whole windows are told from corrupted ones"
        }
        _ if stride > block_size => "stride is longer than a window: text would be left out",
        _ => return Ok(Windows::sliding(corpus, split, block_size, stride)?),
    };
    Err(ConfigError::Relation(problem.to_owned()).into())
}

fn followed(c: &FastWeightsConfig) -> String {
    let (steps, chunk, alpha, weights) =
        (c.context_steps, c.context_chunk, c.context_alpha.unwrap_or_default(), c.context_weights);
    format!("The weights ({weights}) follow the text; steps after every {chunk} windows: {steps}, α = {alpha}")
}

fn table(r: &Evaluation) -> String {
    let line = |name: &str, nll: f64, ppl: f64, energy: f64| {
        format!("{name:<10} {nll:>10.4} {ppl:>12.4} {:>10.4} {energy:>10.4}\n", bits_per_char(nll))
    };
    format!("{:<10} {:>10} {:>12} {:>10} {:>10}\n", "", "NLL (nats)", "perplexity", "bits/char", "E[energy]")
        + &line("System 1", r.nll_s1, r.ppl_s1, r.energy_initial)
        + &line("System 2", r.nll_s2, r.ppl_s2, r.energy_final)
        + &format!("{} steps of refinement, energy gap {:.4}, {} windows\n", r.refine_steps, r.energy_gap, r.windows)
}

fn more_tables(r: &Evaluation) -> String {
    let taken = r.mean_steps.map(|steps| format!("Steps taken by a position on average: {steps:.2}\n"));
    taken.unwrap_or_default() + &r.exact.as_ref().map(Exact::table).unwrap_or_default() + &separation_table(r)
}

fn separation_table(r: &Evaluation) -> String {
    let line = |name: &str, a: Auroc| format!("{name:<24} {:>10.4} {:>12.4}\n", a.energy, a.nll);
    let Some(Separation { one_character, shuffled_words, uniform_noise }) = r.separation else { return String::new() };
    format!("\n{:<24} {:>10} {:>12}\n", "AUROC of text against", "by energy", "by NLL")
        + &line("one character changed", one_character)
        + &line("words shuffled", shuffled_words)
        + &line("uniform noise", uniform_noise)
}
