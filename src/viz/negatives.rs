//! Negatives: the energies that contrastive training pushes apart, as histograms.
//!
//! All are energies of single tokens in the contexts of validation windows: the text's own next character, one drawn from the
//! model's prediction after thinking, one drawn from a chain of contrastive divergence, and one drawn uniformly.

use std::ops::Range;

use plotters::prelude::Polygon;
use plotters::style::Color;
use serde::Serialize;
use tch::{Tensor, no_grad};

use super::draw::style::{COLOURS, INK, SOFT, short};
use super::draw::{Axis, Dash, DrawError, Picture, Sheet, Table, bounds, line, panel};
use super::numbers::numbers_of;
use super::studio::Studio;
use crate::config::{Config, ContrastiveEnergy, ContrastiveType};
use crate::contrastive::Contrastive;
use crate::energy::token_energies;
use crate::error::Error;
use crate::eval::windows::Windows;
use crate::program::load::Loaded;

/// Bars of a histogram.
const BINS: usize = 60;
const BATCH: i64 = 16;

/// The energies of one kind of token.
#[derive(Debug, Serialize)]
struct Kindred {
    name: String,
    mean: f64,
    /// Share of them in each bin
    shares: Vec<f64>,
}

/// The numbers of the picture; energies in nats.
#[derive(Debug, Serialize)]
struct Histograms {
    /// Tokens of each kind
    tokens: usize,
    /// Edges of the bins
    edges: Vec<f64>,
    kinds: Vec<Kindred>,
}

impl Histograms {
    /// Sorts energies by kind into bins that hold all of them.
    fn new(kinds: Vec<(String, Vec<f64>)>) -> Self {
        let all = kinds.iter().flat_map(|(_, values)| values).copied().filter(|e| e.is_finite());
        let Range { start: low, end: high } = bounds(all);
        let wide = (high - low).max(1e-9) / BINS as f64;
        let bin = |e: f64| (((e - low) / wide) as usize).min(BINS - 1);
        Self {
            tokens: kinds.first().map_or(0, |(_, values)| values.len()),
            edges: (0..=BINS).map(|i| low + wide * i as f64).collect(),
            kinds: kinds
                .into_iter()
                .map(|(name, values)| {
                    let mut shares = vec![0.0; BINS];
                    values.iter().for_each(|&e| shares[bin(e)] += 1.0 / values.len() as f64);
                    Kindred { name, mean: values.iter().sum::<f64>() / values.len() as f64, shares }
                })
                .collect(),
        }
    }
}

/// Measures windows; samples, chains and noise come from the seed.
fn measure(studio: &Studio, windows: &Windows) -> Result<Histograms, Error> {
    let (loaded, config, pass) = (studio.loaded, studio.config, studio.pass);
    let ebm = &loaded.ebm;
    let mut chains = chains(loaded)?;
    tch::manual_seed(config.seed);
    let names = ["text, E+", "the model's samples", &chains_name(loaded), "uniform noise"];
    let mut kinds = names.map(|name| (name.to_owned(), Vec::new()));
    for (idx, targets) in windows.batches(BATCH, ebm.device()) {
        no_grad(|| {
            // The energies that contrastive training sees.
            let read = match ebm.config.contrastive_energy {
                ContrastiveEnergy::NextToken => &idx,
                ContrastiveEnergy::SameToken => &targets,
            };
            let reading = ebm.read_for(read, &targets, pass);
            let thought = ebm.system2(&reading, config.think_steps, pass);
            let energies = reading.energies; // (B, T, V)
            let draw = chains.draw(idx.size()[0]);
            let negatives = chains.negatives(&energies, &draw, &ebm.processes);
            let noise = targets.randint_like(ebm.config.vocab_size);
            let pairs = [
                (&energies, targets),
                (&energies, drawn(&thought)),
                (&negatives.energies, drawn(&negatives.logits)),
                (&energies, noise),
            ];
            for ((_, found), (energies, tokens)) in kinds.iter_mut().zip(pairs) {
                found.extend(numbers_of::<f64>(&token_energies(energies, &tokens))); // (B·T)
            }
        });
    }
    Ok(Histograms::new(kinds.into()))
}

/// The sampler of the checkpoint with its chains; that of a model trained without one is CD-k from its settings.
fn chains(loaded: &Loaded) -> Result<Contrastive, Error> {
    let mut config = loaded.ebm.config.clone();
    config.use_contrastive = true;
    let missing = || Error::Request("contrastive training is off".to_owned());
    let mut contrastive = Contrastive::new(&config).ok_or_else(missing)?;
    if let Some(ours) = &loaded.checkpoint.ours {
        let run = Config { model: config, ..ours.config.clone() };
        loaded.checkpoint.load_chains(&mut contrastive, &run, loaded.ebm.device())?;
    }
    Ok(contrastive)
}

/// What the chains are called in the legend.
fn chains_name(loaded: &Loaded) -> String {
    let c = &loaded.ebm.config;
    match c.contrastive_type {
        ContrastiveType::Cd => format!("CD-{} chains, E−", c.contrastive_k),
        ContrastiveType::Pcd => "PCD chains, E−".to_owned(),
        ContrastiveType::FastPcd => "Fast PCD chains, E−".to_owned(),
    }
}

/// One token from each prediction: (B, T, V) → (B, T)
fn drawn(logits: &Tensor) -> Tensor {
    let (b, t, v) = (logits.size()[0], logits.size()[1], logits.size()[2]);
    logits.softmax(-1, None).view([b * t, v]).multinomial(1, false).view([b, t])
}

pub fn picture(studio: &Studio) -> Result<Picture, Error> {
    let corpus = studio.corpus()?;
    let windows = studio.windows(&corpus)?;
    let numbers = measure(studio, &windows)?;
    let model = &studio.loaded.ebm.config;
    let which = match model.contrastive_energy {
        ContrastiveEnergy::NextToken => "of the next token",
        ContrastiveEnergy::SameToken => "of the token just read, as this model was trained",
    };
    let trained = if model.use_contrastive { "" } else { " The model was trained without chains." };
    let (data, noise) = (numbers.kinds[0].mean, numbers.kinds[3].mean);
    let summary = format!(
        "Energy {which}, {} of each kind in {} validation windows; text lies {} nats below noise.{trained}",
        numbers.tokens,
        windows.offsets.len(),
        short(noise - data)
    );
    let mut table = Table::new(&["kind", "from", "to", "share"]);
    for kind in &numbers.kinds {
        for (ends, share) in numbers.edges.windows(2).zip(&kind.shares) {
            table.row(&[&kind.name, &ends[0], &ends[1], share]);
        }
    }
    let picture = Picture::new(
        "negatives",
        "Energies of text, samples, chains and noise",
        "Low energy is good: text and what the model draws itself lie to the left, noise to the right. The dotted outline in each \
         strip is the text's: where the chains fill it, contrastive training has nothing left to push apart. Dashed lines are means.",
    );
    picture.draw(studio.config.format, &summary, |sheet| paint(sheet, &numbers))?.numbers(&numbers, table)
}

/// A strip for each kind, all on one scale, with the outline of the text's own energies in each.
fn paint(sheet: &mut Sheet, numbers: &Histograms) -> Result<(), DrawError> {
    let highest = numbers.kinds.iter().flat_map(|kind| &kind.shares).fold(0f64, |h, &s| h.max(s));
    let range = numbers.edges[0]..numbers.edges[BINS];
    let own = outline(&numbers.edges, &numbers.kinds[0].shares);
    for (i, (kind, colour)) in numbers.kinds.iter().zip(COLOURS).enumerate() {
        let last = i + 1 == numbers.kinds.len();
        let room = sheet.take(if last { 124.0 } else { 96.0 });
        let x = Axis::new(if last { "energy of a token, nats" } else { "" }, range.clone()).with_ticks(8);
        let x = Axis { names: (!last).then_some(&[]), ..x };
        let y = Axis::new("% of tokens", 0.0..105.0 * highest).with_ticks(3);
        let mut chart = panel(&room, &format!("{}: mean {}", kind.name, short(kind.mean)), &x, &y)?;
        let shares = outline(&numbers.edges, &kind.shares);
        chart.plotting_area().draw(&Polygon::new(shares.clone(), colour.mix(0.3).filled()))?;
        line(&mut chart, &shares, &colour, (1.4, Dash::Solid))?;
        if i > 0 {
            line(&mut chart, &own, &SOFT, (0.8, Dash::Dots))?;
        }
        line(&mut chart, &[(kind.mean, 0.0), (kind.mean, 105.0 * highest)], &INK, (1.0, Dash::Short))?;
    }
    Ok(())
}

/// The steps of a histogram in percent.
fn outline(edges: &[f64], shares: &[f64]) -> Vec<(f64, f64)> {
    let steps = shares.iter().enumerate().flat_map(|(i, s)| [(edges[i], 100.0 * s), (edges[i + 1], 100.0 * s)]);
    let ends = [(edges[0], 0.0), (edges[edges.len() - 1], 0.0)];
    ends[..1].iter().copied().chain(steps).chain(ends[1..].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_energy_is_in_a_bin() {
        let h = Histograms::new(vec![("a".into(), vec![0.0, 1.0, 6.0]), ("b".into(), vec![3.0, 3.0])]);
        assert_eq!((h.tokens, h.edges[0], h.edges.len()), (3, 0.0, BINS + 1));
        for kind in &h.kinds {
            assert!((kind.shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
        assert_eq!((h.kinds[0].mean, h.kinds[1].shares[BINS / 2]), (7.0 / 3.0, 1.0));
        assert_eq!(outline(&[0.0, 1.0], &[0.5]), [(0.0, 0.0), (0.0, 50.0), (1.0, 50.0), (1.0, 0.0)]);
    }
}
