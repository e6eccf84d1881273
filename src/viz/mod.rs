//! Pictures of thinking: the programs that show what System 2 does to a prediction.
//!
//! Each file computes the numbers of one picture and draws them, in functions of their own: [`landscape`], [`gap`],
//! [`trajectories`], [`bowl`], [`positions`], [`training`], [`negatives`]. [`figure`] turns a drawing into PNG, SVG and GIF,
//! [`style`] and [`axes`] hold what all pictures share, [`output`] writes a picture with its numbers, and [`index`] the page.

pub mod axes;
pub mod bowl;
pub mod compared;
pub mod context;
pub mod curves;
pub mod figure;
pub mod gap;
pub mod index;
pub mod landscape;
pub mod legend;
pub mod negatives;
pub mod output;
pub mod plane;
pub mod positions;
pub mod report;
pub mod style;
pub mod surface;
pub mod thought;
pub mod training;
pub mod trajectories;

use crate::batches::spread;
use crate::config::{SampleConfig, VizConfig, VizMode};
use crate::data::{Corpus, Split, Vocab};
use crate::device;
use crate::error::Error;
use crate::eval::window_offsets;
use crate::load::{Loaded, load};
use crate::sample::Chooser;
use crate::train;
use crate::transformer::Pass;
use output::Picture;
use thought::Thought;

/// The pictures of `mode=all`, in the order of the page.
const ALL: [VizMode; 8] = [
    VizMode::Landscape,
    VizMode::Bowl,
    VizMode::Gap,
    VizMode::Trajectories,
    VizMode::Positions,
    VizMode::Negatives,
    VizMode::Training,
    VizMode::Report,
];

/// What was drawn.
#[derive(Debug)]
pub struct Gallery {
    /// The pictures
    pub pictures: Vec<Picture>,
    /// What the user should know, in words
    pub notes: Vec<String>,
}

/// Draws what a configuration asks for; nothing is written yet ([`output::write`]).
pub fn draw(config: &VizConfig) -> Result<Gallery, Error> {
    if config.mode == VizMode::Training {
        let pictures = training::pictures(&training::run_dirs(config, None)?, config)?;
        return Ok(Gallery { pictures, notes: Vec::new() });
    }
    let device = device::resolve(&config.compute.device)?;
    let loaded = load(&config.from, &config.model, device)?;
    let studio = Studio::new(config, &loaded)?;
    let mut gallery = Gallery { pictures: Vec::new(), notes: loaded.notes.clone() };
    if config.mode != VizMode::All {
        gallery.pictures = studio.pictures(config.mode)?;
        gallery.notes.extend(studio.thought.iter().flat_map(|thought| thought.notes.clone()));
        return Ok(gallery);
    }
    gallery.notes.extend(studio.thought.iter().flat_map(|thought| thought.notes.clone()));
    for mode in ALL {
        match studio.pictures(mode) {
            Ok(pictures) => gallery.pictures.extend(pictures),
            // A checkpoint without its text or its run still has its other pictures.
            Err(error @ (Error::Data(_) | Error::NoRun { .. })) => gallery.notes.push(format!("no {mode}: {error}")),
            Err(error) => return Err(error),
        }
    }
    let page = index::page(&gallery, &studio.subject());
    gallery.pictures.push(page);
    Ok(gallery)
}

/// Everything that the pictures of one checkpoint are made from.
struct Studio<'a> {
    config: &'a VizConfig,
    loaded: &'a Loaded,
    vocab: Vocab,
    /// The thought about the prompt, for the modes that look at one
    thought: Option<Thought<'a>>,
}

impl<'a> Studio<'a> {
    fn new(config: &'a VizConfig, loaded: &'a Loaded) -> Result<Self, Error> {
        let vocab = loaded.vocab(config.data_path.as_deref())?;
        let thought = match config.mode {
            VizMode::Gap | VizMode::Negatives | VizMode::Context => None,
            _ => Some(Thought::new(&loaded.ebm, &vocab, config)?),
        };
        Ok(Self { config, loaded, vocab, thought })
    }

    fn pictures(&self, mode: VizMode) -> Result<Vec<Picture>, Error> {
        let format = self.config.format;
        match (mode, &self.thought) {
            (VizMode::Landscape, Some(thought)) => landscape::pictures(thought, self.config),
            (VizMode::Bowl, Some(thought)) => bowl::picture(thought, format).map(|p| vec![p]),
            (VizMode::Trajectories, Some(thought)) => {
                trajectories::picture(thought, self.config.topk, format).map(|p| vec![p])
            }
            (VizMode::Positions, Some(thought)) => positions::picture(thought, format).map(|p| vec![p]),
            (VizMode::Gap, _) => {
                let (corpus, offsets) = self.windows()?;
                gap::picture(&self.loaded.ebm, &corpus, &offsets, self.config).map(|p| vec![p])
            }
            (VizMode::Negatives, _) => {
                let (corpus, offsets) = self.windows()?;
                negatives::picture(self.loaded, &corpus, &offsets, self.config).map(|p| vec![p])
            }
            (VizMode::Context, _) => context::picture(self.loaded, &self.corpus()?, self.config).map(|p| vec![p]),
            (VizMode::Training, _) => {
                training::pictures(&training::run_dirs(self.config, self.loaded.checkpoint.path.parent())?, self.config)
            }
            (VizMode::Report, Some(thought)) => self.report(thought).map(|p| vec![p]),
            // The modes above that look at a thought always have one; `all` is not a picture.
            (mode, None) | (mode @ VizMode::All, _) => {
                Err(Error::Request(format!("mode={mode} has nothing to look at")))
            }
        }
    }

    /// The page that steps through a text.
    fn report(&self, thought: &Thought) -> Result<Picture, Error> {
        let (config, samples) = (self.config, SampleConfig::default());
        let request = report::Request {
            checkpoint: self.loaded.checkpoint.path.display().to_string(),
            prompt: &thought.ids,
            max_new_tokens: config.max_new_tokens,
            think_steps: Some(config.think_steps),
            chooser: Chooser::new(&samples),
            seed: config.seed,
            compute: train::kind(config.compute.dtype),
            candidates: config.topk,
        };
        let report = report::trace(&self.loaded.ebm, &self.vocab, &request)?;
        let reading =
            "Every character's surprise as colour; choose one and see its candidates move while the model thinks.";
        let page = Picture::new("report", "A text, step by step", reading);
        let json = serde_json::to_vec(&report).map_err(|e| Error::Picture(e.to_string()))?;
        Ok(page.file("html", report::html(&report)?.into_bytes()).file("json", json))
    }

    fn corpus(&self) -> Result<Corpus, Error> {
        self.loaded.corpus(self.config.data_path.as_deref())
    }

    /// Validation windows, spread evenly over the split.
    fn windows(&self) -> Result<(Corpus, Vec<usize>), Error> {
        let corpus = self.corpus()?;
        let all = window_offsets(&corpus, Split::Val, self.loaded.ebm.config.block_size)?;
        let n = all.len().min(self.config.max_windows as usize);
        let offsets = spread(all.len(), n).into_iter().map(|i| all[i]).collect();
        Ok((corpus, offsets))
    }

    /// What the page is about, in a line.
    fn subject(&self) -> String {
        let file = self.loaded.checkpoint.path.display();
        let prompt = style::quoted(&self.config.prompt, 60);
        let (step, steps) = (self.loaded.checkpoint.step, self.config.think_steps);
        format!("{file} (training step {step}), prompt {prompt}, {steps} steps of thinking")
    }
}

/// Evaluation in the precision asked for.
fn pass(config: &VizConfig) -> Pass {
    Pass::eval(train::kind(config.compute.dtype))
}
