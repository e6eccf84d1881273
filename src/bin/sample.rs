//! Writes text with a trained model: `cargo run --bin sample -- think_steps=4 topk=64`.

use std::io::{Write, stdout};
use std::process::ExitCode;

use nanoebm::config::{ConfigError, Job, Mode, Program, SampleConfig};
use nanoebm::data::Vocab;
use nanoebm::data::addition::Addition;
use nanoebm::data::vocab::dropped_from;
use nanoebm::nn::pass::kind;
use nanoebm::program::load::{Loaded, load};
use nanoebm::sample::{Chooser, Generation, encode_prompt};
use nanoebm::{device, program};
use tch::Kind;

const PROGRAM: Program = Program {
    name: "sample",
    about: "Write text with a trained model, thinking before each character",
    flags: &[("quiet", "Print the text and nothing else")],
};
const RULE: &str = "================================================================================";

fn main() -> ExitCode {
    program::run(&PROGRAM, |job: &Job<SampleConfig>, call| {
        sample(&job.config, call.flags.has("quiet"))?;
        Ok(0)
    })
}

fn sample(config: &SampleConfig, quiet: bool) -> anyhow::Result<()> {
    let (prompt, context) = texts(config)?;
    let device = device::resolve(&config.compute.device)?;
    let loaded = load(&config.from, &config.model, device)?;
    if !loaded.ebm.family.has_system1() && (config.mode == Mode::Fast || config.think_steps == 0) {
        anyhow::bail!("model.energy=ebt predicts nothing without thinking: mode=think and think_steps of 1 or more");
    }
    if let Some(adder) = loaded.problems() {
        return add(&loaded, adder, config, &prompt, quiet);
    }
    let vocab = loaded.vocab(Some(&config.data_path))?;
    let (ids, dropped) = encode_prompt(&vocab, &prompt);
    if !dropped.is_empty() {
        program::warn(&dropped_from("the prompt", &dropped));
    }
    let think_steps = (config.mode == Mode::Think).then_some(config.think_steps);
    if !quiet {
        program::say(&format!("Using device: {device:?}"));
        loaded.notes.iter().for_each(|note| program::say(note));
        match think_steps {
            Some(steps) => program::say(&format!("System 2: {steps} steps of thinking for each character")),
            None => program::say("System 1: no thinking"),
        }
        if dropped.len() == prompt.len() {
            let start = ids.first().and_then(|&id| vocab.char(id)).unwrap_or_default();
            program::say(&format!("The prompt is empty: the text starts after {start:?}"));
        }
    }
    tch::manual_seed(config.seed);
    let chooser = Chooser::new(config);
    let compute = kind(config.compute.dtype);
    if config.fast.context_steps > 0 {
        follow(&loaded, config, &vocab, (context.as_deref(), &prompt), quiet)?;
    }
    loaded.ebm.keep_weights_in(compute);
    let mut generation = Generation::new(&loaded.ebm, &ids, config.num_samples, think_steps, chooser, compute)
        .with_context(config.context);
    let mut out = stdout().lock();
    let rule = |out: &mut dyn Write| if quiet { Ok(()) } else { writeln!(out, "{RULE}") };
    let start: String = ids.iter().filter_map(|&id| vocab.char(id)).collect();
    let start = if prompt.is_empty() { "" } else { start.as_str() };
    rule(&mut out)?;
    if config.num_samples == 1 {
        stream(&mut out, start, &vocab, &mut generation, config.max_new_tokens)?;
        return Ok(rule(&mut out)?);
    }
    // Several texts grow together; each is printed when all are done.
    let steps: Vec<Vec<i64>> = (0..config.max_new_tokens).map(|_| generation.next_tokens()).collect();
    for n in 0..config.num_samples as usize {
        write!(out, "{start}")?;
        write_chars(&mut out, &vocab, &steps.iter().map(|tokens| tokens[n]).collect::<Vec<_>>())?;
        writeln!(out)?;
        rule(&mut out)?;
    }
    Ok(())
}

/// The prompt, and the text to read before it, where one is given.
fn texts(config: &SampleConfig) -> anyhow::Result<(String, Option<String>)> {
    let context = config.context_text.as_deref();
    if (config.prompt.as_str(), context) == ("-", Some("-")) {
        let problem = "prompt=- and context_text=- cannot both be read from standard input; give one of them as @file";
        return Err(ConfigError::Usage(problem.to_owned()).into());
    }
    if context.is_some() && config.fast.context_steps == 0 {
        program::warn("context_text does nothing without context_steps=1");
    }
    let context = context.map(|text| program::read_text("context_text", text)).transpose()?;
    Ok((program::read_text("the prompt", &config.prompt)?, context))
}

/// Writes a text, each character as soon as it is known.
fn stream(
    out: &mut dyn Write,
    start: &str,
    vocab: &Vocab,
    generation: &mut Generation,
    max_new_tokens: i64,
) -> std::io::Result<()> {
    let _line = OpenLine;
    write!(out, "{start}")?;
    out.flush()?;
    for _ in 0..max_new_tokens {
        write_chars(out, vocab, &generation.next_tokens())?;
        out.flush()?;
    }
    writeln!(out)
}

/// Ends the line of a text that a panic of libtorch's cuts short: the error stands on a line of its own.
struct OpenLine;

impl Drop for OpenLine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(stdout());
        }
    }
}

/// The answer of a model that adds: `12+345=357`.
fn add(loaded: &Loaded, adder: Addition, config: &SampleConfig, prompt: &str, quiet: bool) -> anyhow::Result<()> {
    if config.fast.context_steps > 0 {
        anyhow::bail!("context_steps reads a text, and this model adds; leave it out");
    }
    let Some(problem) = adder.parse(prompt) else {
        let digits = adder.answer_len() - 1;
        anyhow::bail!("{prompt:?} is no sum; this model adds two numbers of up to {digits} digits: prompt=\"12+7\"");
    };
    if !quiet {
        loaded.notes.iter().for_each(|note| program::say(note));
        if adder.reverse {
            program::say("The model writes the last digit first; the answer is shown the usual way round");
        }
    }
    let vocab = Addition::vocab();
    let (ids, _) = encode_prompt(&vocab, &adder.question(problem));
    tch::manual_seed(config.seed);
    // A right answer is the likeliest one: draws are for those who ask.
    let chooser = Chooser { sample: config.sample.unwrap_or(false), ..Chooser::new(config) };
    let think_steps = (config.mode == Mode::Think).then_some(config.think_steps);
    let compute = kind(config.compute.dtype);
    let mut generation = Generation::new(&loaded.ebm, &ids, config.num_samples, think_steps, chooser, compute);
    let digits: Vec<Vec<i64>> = (0..adder.answer_len()).map(|_| generation.next_tokens()).collect();
    for n in 0..config.num_samples as usize {
        let answer: String = digits.iter().filter_map(|tokens| vocab.char(tokens[n])).collect();
        let answer = adder.read_answer(&answer).map_or(answer, |number| number.to_string());
        program::print(&format!("{}+{}={answer}\n", problem.a, problem.b))?;
    }
    Ok(())
}

/// Reads a text, and leaves the weights where descending its energy took them.
fn follow(
    loaded: &Loaded,
    config: &SampleConfig,
    vocab: &Vocab,
    (context, prompt): (Option<&str>, &str),
    quiet: bool,
) -> anyhow::Result<()> {
    let (ids, dropped) = vocab.encode(context.unwrap_or(prompt));
    if context.is_some() && !dropped.is_empty() {
        program::warn(&dropped_from("context_text", &dropped));
    }
    let mut fast = loaded.fast_weights(config.fast, Kind::Float)?;
    let bar = program::progress_bar(ids.len().saturating_sub(1), "characters");
    let energies = fast.read_text(&ids, |n| bar.inc(n))?;
    bar.finish_and_clear();
    if let (false, Some(first), Some(last)) = (quiet, energies.first(), energies.last()) {
        let read = ids.len();
        program::say(&format!(
            "Read {read} characters, in nats per character: {first:.3} the first chunk, {last:.3} the last"
        ));
    }
    Ok(())
}

fn write_chars(out: &mut dyn Write, vocab: &Vocab, ids: &[i64]) -> std::io::Result<()> {
    write!(out, "{}", ids.iter().filter_map(|&id| vocab.char(id)).collect::<String>())
}
