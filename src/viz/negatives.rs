//! Negatives: the energies that contrastive training pushes apart, as histograms.
//!
//! All are energies of single tokens in the contexts of validation windows: the text's own next character, one drawn from the
//! model's prediction after thinking, one drawn from a chain of contrastive divergence, and one drawn uniformly.

use plotters::prelude::Polygon;
use plotters::style::Color;
use serde::Serialize;
use tch::{Kind, Tensor, no_grad};

use super::draw::axes::{Axis, headed, panel};
use super::draw::curves::{Dash, line};
use super::draw::figure::Figure;
use super::draw::legend::{Sample, legend};
use super::draw::output::{Picture, Table};
use super::draw::style::{COLOURS, PAGE, short};
use super::pass;
use crate::config::{ContrastiveEnergy, ContrastiveType, VizConfig};
use crate::contrastive::Contrastive;
use crate::data::{Corpus, Split};
use crate::energy::token_energies;
use crate::error::Error;
use crate::program::load::Loaded;

/// Bars of a histogram.
const BINS: usize = 60;
/// Windows at a time.
const BATCH: usize = 16;

/// The energies of one kind of token.
#[derive(Debug, Serialize)]
pub struct Kindred {
    /// What they are
    pub name: String,
    /// Their mean, in nats
    pub mean: f64,
    /// Share of them in each bin
    pub shares: Vec<f64>,
}

/// The numbers of the picture.
#[derive(Debug, Serialize)]
pub struct Histograms {
    /// Tokens of each kind
    pub tokens: usize,
    /// Edges of the bins, in nats
    pub edges: Vec<f64>,
    /// One histogram for each kind
    pub kinds: Vec<Kindred>,
}

impl Histograms {
    /// Sorts energies by kind into bins that hold all of them.
    pub fn new(kinds: Vec<(String, Vec<f64>)>) -> Self {
        let all = kinds.iter().flat_map(|(_, values)| values).filter(|e| e.is_finite());
        let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &e| (l.min(e), h.max(e)));
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

/// Measures windows at `offsets` of the validation split; samples, chains and noise come from the seed.
pub fn histograms(
    loaded: &Loaded,
    corpus: &Corpus,
    offsets: &[usize],
    config: &VizConfig,
) -> Result<Histograms, Error> {
    let (ebm, pass) = (&loaded.ebm, pass(config));
    let mut chains = chains(loaded)?;
    tch::manual_seed(config.seed);
    let mut found: [Vec<f64>; 4] = Default::default();
    for batch in offsets.chunks(BATCH) {
        let (idx, targets) = corpus.batch(Split::Val, batch, ebm.config.block_size, ebm.device());
        no_grad(|| {
            // The energies that contrastive training sees.
            let read = match ebm.config.contrastive_energy {
                ContrastiveEnergy::NextToken => &idx,
                ContrastiveEnergy::SameToken => &targets,
            };
            let reading = ebm.read_for(read, &targets, pass);
            let thought = ebm.system2(&reading, config.think_steps, pass);
            let energies = reading.energies; // (B, T, V)
            let draw = chains.draw(batch.len() as i64);
            let negatives = chains.negatives(&energies, &draw);
            let noise = targets.randint_like(ebm.config.vocab_size);
            let pairs = [
                (&energies, targets),
                (&energies, drawn(&thought)),
                (&negatives.energies, drawn(&negatives.logits)),
                (&energies, noise),
            ];
            for (found, (energies, tokens)) in found.iter_mut().zip(pairs) {
                let own = token_energies(energies, &tokens).to_kind(Kind::Double).reshape([-1]); // (B·T)
                found.extend(Vec::<f64>::try_from(own).unwrap_or_default());
            }
        });
    }
    let [data, samples, chain, noise] = found;
    let c = &chains_name(loaded);
    let names = ["text, E+", "the model's samples", c, "uniform noise"].map(str::to_owned);
    Ok(Histograms::new(names.into_iter().zip([data, samples, chain, noise]).collect()))
}

/// The sampler of the checkpoint with its chains; that of a model trained without one is CD-k from its settings.
fn chains(loaded: &Loaded) -> Result<Contrastive, Error> {
    let mut config = loaded.ebm.config.clone();
    config.use_contrastive = true;
    let missing = || Error::Request("contrastive training is off".to_owned());
    let mut contrastive = Contrastive::new(&config).ok_or_else(missing)?;
    if let Some(ours) = &loaded.checkpoint.ours {
        let run = crate::config::Config { model: config, ..ours.config.clone() };
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

/// Measures and draws.
pub fn picture(loaded: &Loaded, corpus: &Corpus, offsets: &[usize], config: &VizConfig) -> Result<Picture, Error> {
    let numbers = histograms(loaded, corpus, offsets, config)?;
    let which = match loaded.ebm.config.contrastive_energy {
        ContrastiveEnergy::NextToken => "of the next token",
        ContrastiveEnergy::SameToken => "of the token just read, as this model was trained",
    };
    let trained = if loaded.ebm.config.use_contrastive { "" } else { " The model was trained without chains." };
    let (data, noise) = (numbers.kinds[0].mean, numbers.kinds[3].mean);
    let summary = format!(
        "Energy {which}, {} of each kind in {} validation windows; text lies {} nats below noise.{trained}",
        numbers.tokens,
        offsets.len(),
        short(noise - data)
    );
    let mut table = Table::new(&["kind", "from", "to", "share"]);
    for kind in &numbers.kinds {
        for (i, share) in kind.shares.iter().enumerate() {
            let (from, to) = (numbers.edges[i].to_string(), numbers.edges[i + 1].to_string());
            table.row(&[kind.name.clone(), from, to, share.to_string()]);
        }
    }
    let picture = Picture::new(
        "negatives",
        "Energies of text, samples, chains and noise",
        "Low energy is good: text and what the model draws itself lie to the left, noise to the right; where the curves of text \
         and chains coincide, contrastive training has nothing left to push apart. Vertical lines are means.",
    );
    picture.figure(&figure(&numbers, &summary)?, config.format)?.numbers(&numbers, table)
}

fn figure(numbers: &Histograms, summary: &str) -> Result<Figure, Error> {
    Figure::draw((PAGE, 324), |area| {
        let rest = headed(area, "Energies of text, samples, chains and noise", summary)?;
        let entries: Vec<(String, Sample)> = numbers
            .kinds
            .iter()
            .zip(COLOURS)
            .map(|(kind, colour)| (format!("{} (mean {})", kind.name, short(kind.mean)), Sample::Fill(colour.mix(0.5))))
            .collect();
        let rest = legend(&rest, &entries)?;
        let highest = numbers.kinds.iter().flat_map(|kind| &kind.shares).fold(0f64, |h, &s| h.max(s));
        let ends = numbers.edges[0]..numbers.edges[BINS];
        let x = Axis::new("energy of a token, nats", ends).with_ticks(8);
        let y = Axis::new("share of tokens, %", 0.0..105.0 * highest);
        let mut chart = panel(&rest, "", &x, &y)?;
        for (kind, colour) in numbers.kinds.iter().zip(COLOURS) {
            let outline = outline(&numbers.edges, &kind.shares);
            chart.plotting_area().draw(&Polygon::new(outline.clone(), colour.mix(0.16).filled()))?;
            line(&mut chart, &outline, &colour, (1.6, Dash::Solid))?;
        }
        for (kind, colour) in numbers.kinds.iter().zip(COLOURS) {
            line(&mut chart, &[(kind.mean, 0.0), (kind.mean, 105.0 * highest)], &colour, (1.0, Dash::Short))?;
        }
        Ok(())
    })
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
