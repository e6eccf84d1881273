//! Reading on: the energy of a text falls while the weights follow it.

use serde::Serialize;
use tch::{Tensor, no_grad};

use super::draw::style::{COLOURS, short};
use super::draw::{Axis, Dash, DrawError, Picture, Sample, Sheet, Table, by_step, line, panel, range_of};
use super::studio::Studio;
use crate::config::{EvalConfig, FastWeightsConfig};
use crate::data::Split;
use crate::ebm::cross_entropy;
use crate::error::Error;
use crate::eval::windows::Windows;

/// The numbers of the picture: energies of text, which are NLLs in nats per character.
#[derive(Debug, Serialize)]
struct ReadingOn {
    /// Of the first chunk, after 0, 1, … steps down it
    steps: Vec<f64>,
    /// Characters read by the end of each chunk
    characters: Vec<i64>,
    /// Of everything read so far, by the trained weights
    frozen: Vec<f64>,
    /// The same by weights that follow the text: each chunk was scored before it was descended
    following: Vec<f64>,
}

/// Reads the first windows of the validation split, with `eval`'s settings for fast weights.
fn measure(studio: &Studio) -> Result<ReadingOn, Error> {
    let (corpus, config, ebm, pass) = (studio.corpus()?, studio.config, &studio.loaded.ebm, studio.pass);
    let settings = FastWeightsConfig { context_steps: 1, ..EvalConfig::default().fast };
    let mut windows = Windows::consecutive(&corpus, Split::Val, ebm.config.block_size)?;
    windows.offsets.truncate(config.max_windows as usize);
    let chunks: Vec<_> = windows.batches(settings.context_chunk, ebm.device()).collect();
    let mut fast = studio.loaded.fast_weights(settings, pass.compute)?;
    let steps = (0..=config.think_steps).map(|_| fast.score(&chunks[0].0, &chunks[0].1)).collect::<Result<_, _>>()?;
    fast.forget();
    // The trained weights first: later the model's are others.
    let steps_of_thinking = fast.thinking_steps();
    let frozen = |(idx, targets): &(Tensor, Tensor)| {
        no_grad(|| cross_entropy(&ebm.predict(&ebm.read_for(idx, targets, pass), steps_of_thinking, pass), targets))
    };
    let frozen: Vec<f64> = chunks.iter().map(|chunk| frozen(chunk).double_value(&[])).collect();
    let mut reading = ReadingOn { steps, characters: Vec::new(), frozen: Vec::new(), following: Vec::new() };
    let (mut read, mut by_frozen, mut by_following) = (0, 0.0, 0.0);
    for ((idx, targets), nll) in chunks.iter().zip(frozen) {
        let characters = idx.numel();
        read += characters;
        by_frozen += nll * characters as f64;
        by_following += fast.score(idx, targets)? * characters as f64;
        reading.characters.push(read as i64);
        reading.frozen.push(by_frozen / read as f64);
        reading.following.push(by_following / read as f64);
    }
    fast.forget();
    Ok(reading)
}

pub fn picture(studio: &Studio) -> Result<Picture, Error> {
    let numbers = measure(studio)?;
    let picture = Picture::new(
        "context",
        "Reading on",
        "First, the energy of one chunk of text falls with every step down it. Then, the mean NLL of all text read so far, \
         by the trained weights and by weights that took one step down each chunk after it was scored.",
    );
    let mut table = Table::new(&["characters", "frozen", "following"]);
    for ((n, frozen), following) in numbers.characters.iter().zip(&numbers.frozen).zip(&numbers.following) {
        table.row(&[n, frozen, following]);
    }
    let last = |values: &[f64]| short(values.last().copied().unwrap_or(f64::NAN));
    let summary = format!(
        "After {} characters: {} nats by the trained weights, {} by weights that follow the text.",
        numbers.characters.last().copied().unwrap_or_default(),
        last(&numbers.frozen),
        last(&numbers.following),
    );
    picture.draw(studio.config.format, &summary, |sheet| paint(sheet, &numbers))?.numbers(&numbers, table)
}

fn paint(sheet: &mut Sheet, numbers: &ReadingOn) -> Result<(), DrawError> {
    let lines = [
        ("trained weights", &numbers.frozen, COLOURS[1], Dash::Short),
        ("weights that follow", &numbers.following, COLOURS[0], Dash::Solid),
    ];
    sheet.legend(lines.map(|(name, _, colour, dash)| (name, Sample::Line(colour, dash))))?;
    let halves = sheet.panels(2, (2, 300.0), |_| 246.0);
    let steps = by_step(numbers.steps.iter().copied());
    let y = Axis::new("E, nats per character", range_of(numbers.steps.iter().copied()));
    let x = Axis { label: "steps of the weights", ..Axis::steps(steps.len() - 1) };
    let mut chart = panel(&halves[0], "the first chunk, descended", &x, &y)?;
    line(&mut chart, &steps, &COLOURS[0], (2.0, Dash::Solid))?;
    let x = Axis::new("characters read", 0.0..numbers.characters.last().map_or(1.0, |n| *n as f64));
    let y = Axis::new("mean NLL so far, nats", range_of(numbers.frozen.iter().chain(&numbers.following).copied()));
    let mut chart = panel(&halves[1], "each chunk scored, then descended", &x, &y)?;
    for (_, values, colour, dash) in lines {
        let points: Vec<(f64, f64)> = numbers.characters.iter().zip(values).map(|(n, nll)| (*n as f64, *nll)).collect();
        line(&mut chart, &points, &colour, (2.0, dash))?;
    }
    Ok(())
}
