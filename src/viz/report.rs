//! One page that lets a person step through a generation and see the model think.
//!
//! [`trace`] writes a text by the rules of [`crate::sample`] (same seed, same text) and keeps what was thought of each of its
//! characters; [`html`] puts that into one file that needs no network. The front end is `assets/report`.

use serde::Serialize;
use tch::{Device, Kind, Tensor, no_grad};

use super::draw::Picture;
use super::numbers::numbers_of;
use super::studio::Studio;
use crate::config::SampleConfig;
use crate::data::Vocab;
use crate::ebm::Ebm;
use crate::energy;
use crate::error::Error;
use crate::sample::{Chooser, Generation, Thought};

const PAGE: &str = include_str!("../../assets/report/page.html");
const STYLE: &str = include_str!("../../assets/report/style.css");
const SCRIPT: &str = include_str!("../../assets/report/script.js");
/// Characters that a page takes: beyond, it is slow to open and nobody steps through it.
const MAX_CHARS: i64 = 4096;

/// What to write and how.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// How the page names the model, such as its file
    pub checkpoint: String,
    /// Ids of the given text, which must not be empty; from its second character on it is scored as the rest is
    pub prompt: &'a [i64],
    /// Characters to write after it; 0 only scores the given text
    pub max_new_tokens: i64,
    /// Steps of System 2; None is System 1
    pub think_steps: Option<i64>,
    /// How the page names the step size
    pub step_size: String,
    /// How a character is chosen
    pub chooser: Chooser,
    /// Seed of the draws
    pub seed: i64,
    /// Kind of the matrix products
    pub compute: Kind,
    /// Candidates kept of each character, by final probability; the character itself is always kept
    pub candidates: i64,
}

/// A text with what was thought of it. Numbers are rounded for the page's size: probabilities to 6 decimals, all others to 5.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// How the model is named
    pub checkpoint: String,
    /// Steps of System 2 asked for; None is System 1
    pub think_steps: Option<i64>,
    /// Step size α
    pub alpha: f64,
    /// The same in words
    pub step_size: String,
    /// How a character was chosen
    #[serde(flatten)]
    pub chooser: Chooser,
    /// Seed of the draws
    pub seed: i64,
    /// Means over the given text, where any of it was scored
    pub given: Option<Totals>,
    /// Means over the written text
    pub written: Option<Totals>,
    /// All characters of the model in the order of their ids
    pub vocab: Vec<char>,
    /// The text, the given part first
    pub text: Vec<Character>,
}

/// Means over a part of the text, in nats. Surprise is −ln p.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Totals {
    /// How many characters
    pub characters: usize,
    /// Surprise under System 1
    pub surprise_s1: f64,
    /// Surprise under System 2
    pub surprise_s2: f64,
    /// E₀: expected energy of System 1's prediction
    pub energy_initial: f64,
    /// E_K: expected energy of System 2's
    pub energy_final: f64,
    /// E₀ − E_K
    pub energy_gap: f64,
}

/// One character of the text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Character {
    /// Its id
    pub id: i64,
    /// Written by the model, or given
    pub written: bool,
    /// What was thought before it; None for the first, which nothing predicts
    pub thinking: Option<Thinking>,
}

/// The prediction of one character over S = K + 1 steps, System 1 first, and of C candidates. Fewer steps than were asked for mean
/// that refinement stopped early.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Thinking {
    /// Expected energy under the prediction (S)
    pub energy: Vec<f64>,
    /// Entropy of the prediction in nats (S)
    pub entropy: Vec<f64>,
    /// −ln p of the character in nats (S)
    pub surprise: Vec<f64>,
    /// Candidates, the likeliest after thinking first (C)
    pub ids: Vec<i64>,
    /// Their energies (C)
    pub energies: Vec<f64>,
    /// Their probabilities, softmax of the logits over the whole vocabulary (S, C)
    pub p: Vec<Vec<f64>>,
    /// Their logits, less the mean over the vocabulary as after a step of refinement (S, C)
    pub logits: Vec<Vec<f64>>,
    /// Their ranks in the whole vocabulary, from 1 (S, C)
    pub ranks: Vec<Vec<i64>>,
}

/// Writes a text, or scores a given one, and keeps what was thought of each character. Seeds libtorch with the request's seed.
pub fn trace(ebm: &Ebm, vocab: &Vocab, request: &Request) -> Result<Report, Error> {
    let [first, rest @ ..] = request.prompt else {
        return Err(Error::Request("the report needs a given text of at least one character".to_owned()));
    };
    let chars = request.prompt.len() as i64 + request.max_new_tokens;
    if chars > MAX_CHARS {
        return Err(Error::Request(format!(
            "a report of {chars} characters is too long to step through (at most {MAX_CHARS}); \
             use a shorter prompt or a smaller max_new_tokens"
        )));
    }
    tch::manual_seed(request.seed);
    let (steps, chooser) = (request.think_steps, request.chooser.clone());
    let mut generation = Generation::new(ebm, &[*first], 1, steps, chooser, request.compute);
    let mut text = vec![Character { id: *first, written: false, thinking: None }];
    for &id in rest {
        let thought = think(&mut generation)?;
        generation.append(id);
        text.push(Character { id, written: false, thinking: Some(thinking(&thought, id, request.candidates)) });
    }
    for _ in 0..request.max_new_tokens {
        let thought = think(&mut generation)?;
        for id in generation.write(&thought) {
            text.push(Character { id, written: true, thinking: Some(thinking(&thought, id, request.candidates)) });
        }
    }
    Ok(Report {
        checkpoint: request.checkpoint.clone(),
        think_steps: request.think_steps,
        alpha: round(ebm.alpha.double_value(&[]), 6), // read from the device: it is shown
        step_size: request.step_size.clone(),
        chooser: request.chooser.clone(),
        seed: request.seed,
        given: totals(text.iter().filter(|c| !c.written)),
        written: totals(text.iter().filter(|c| c.written)),
        vocab: vocab.chars().to_vec(),
        text,
    })
}

/// What the model thinks of the next character; a prediction that is not finite can be neither drawn from nor shown.
fn think(generation: &mut Generation) -> Result<Thought, Error> {
    let thought = generation.think();
    if thought.trajectory.isfinite().all().int64_value(&[]) == 0 {
        return Err(Error::Request(
            "the prediction is not finite, so there is nothing to show: use another checkpoint or a smaller think_lr"
                .to_owned(),
        ));
    }
    Ok(thought)
}

/// What was thought of the character `id` (one text, N = 1).
fn thinking(thought: &Thought, id: i64, candidates: i64) -> Thinking {
    no_grad(|| {
        // Read from the device once: not every device has doubles.
        let x = thought.trajectory.to_device(Device::Cpu).to_kind(Kind::Double); // (1, S, V)
        let energies = thought.energies.to_device(Device::Cpu).to_kind(Kind::Double).unsqueeze(1); // (1, 1, V)
        let v = x.size()[2];
        let (_, best) = x.select(1, -1).topk(candidates.clamp(1, v), -1, true, true); // (1, C)
        let mut ids = numbers_of::<i64>(&best);
        if !ids.contains(&id) {
            ids.push(id);
        }
        let index = Tensor::from_slice(&ids); // (C)
        let log_p = x.log_softmax(-1, None); // (1, S, V)
        let chosen = x.index_select(2, &index); // (1, S, C)
        // (1, S, 1, V) > (1, S, C, 1): how many tokens are likelier
        let better =
            x.unsqueeze(2).greater_tensor(&chosen.unsqueeze(3)).sum_dim_intlist([3i64].as_slice(), false, Kind::Int64);
        let mean = x.mean_dim([-1i64].as_slice(), true, None::<Kind>); // (1, S, 1)
        let surprise = -log_p.select(2, id); // (1, S)
        Thinking {
            energy: rounded(&energy::expected_energy(&x, &energies), 5),
            entropy: rounded(&energy::entropy(&x), 5),
            surprise: rounded(&surprise, 5),
            energies: rounded(&energies.index_select(2, &index), 5),
            p: rows(&rounded(&log_p.index_select(2, &index).exp(), 6), ids.len()),
            logits: rows(&rounded(&(chosen - mean), 5), ids.len()),
            ranks: rows(&numbers_of::<i64>(&(better + 1)), ids.len()),
            ids,
        }
    })
}

fn totals<'a>(characters: impl Iterator<Item = &'a Character>) -> Option<Totals> {
    let all: Vec<&Thinking> = characters.filter_map(|c| c.thinking.as_ref()).collect();
    let mean = |of: &dyn Fn(&Thinking) -> Option<&f64>| {
        all.iter().filter_map(|thinking| of(thinking)).sum::<f64>() / all.len() as f64
    };
    let (initial, last) = (mean(&|t| t.energy.first()), mean(&|t| t.energy.last()));
    (!all.is_empty()).then(|| Totals {
        characters: all.len(),
        surprise_s1: round(mean(&|t| t.surprise.first()), 5),
        surprise_s2: round(mean(&|t| t.surprise.last()), 5),
        energy_initial: round(initial, 5),
        energy_final: round(last, 5),
        energy_gap: round(initial - last, 5),
    })
}

/// Traces the prompt of a configuration and what follows it.
pub fn picture(studio: &Studio) -> Result<Picture, Error> {
    let config = studio.config;
    let prompt = studio.prompt()?;
    let request = Request {
        checkpoint: studio.loaded.checkpoint.path.display().to_string(),
        prompt: &prompt.ids,
        max_new_tokens: config.max_new_tokens,
        think_steps: Some(config.think_steps),
        step_size: prompt.step_size.words(),
        chooser: Chooser::new(&SampleConfig::default()),
        seed: config.seed,
        compute: studio.pass.compute,
        candidates: config.topk,
    };
    let ebm = &studio.loaded.ebm;
    let report = prompt.step_size.during(ebm, || trace(ebm, &studio.vocab, &request))?;
    let reading =
        "Every character's surprise as colour; choose one and see its candidates move while the model thinks.";
    let page = Picture::new("report", "A text, step by step", reading);
    let json = serde_json::to_vec(&report).map_err(|e| Error::Picture(e.to_string()))?;
    Ok(page.file("html", html(&report)?.into_bytes()).file("json", json))
}

/// The page of a report: one file, its data inside.
pub fn html(report: &Report) -> Result<String, Error> {
    let json = serde_json::to_string(report).map_err(|e| Error::Request(format!("the report is not JSON: {e}")))?;
    // Nothing in the data can end its element or begin a comment there: JSON has `<` only within strings.
    let json = json.replace('<', "\\u003c");
    // The data come last, so that a text that looks like a placeholder stays a text.
    Ok(PAGE.replace("{{style}}", STYLE).replace("{{script}}", SCRIPT).replacen("{{data}}", &json, 1))
}

fn rounded(tensor: &Tensor, decimals: i32) -> Vec<f64> {
    numbers_of::<f64>(tensor).into_iter().map(|x| round(x, decimals)).collect()
}

fn round(x: f64, decimals: i32) -> f64 {
    let unit = 10f64.powi(decimals);
    (x * unit).round() / unit
}

/// (S · C) → S rows of C
fn rows<T: Clone>(flat: &[T], columns: usize) -> Vec<Vec<T>> {
    flat.chunks(columns).map(<[T]>::to_vec).collect()
}
