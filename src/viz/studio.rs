//! What the pictures of one checkpoint are made from.

use super::draw::style::quoted;
use super::prompt::Prompt;
use crate::config::{VizConfig, VizMode};
use crate::data::shuffle::spread;
use crate::data::{Corpus, Split, Vocab};
use crate::error::Error;
use crate::eval::windows::Windows;
use crate::nn::pass::{Pass, kind};
use crate::program::load::Loaded;

/// A model, and what is asked about it.
pub struct Studio<'a> {
    pub config: &'a VizConfig,
    pub loaded: &'a Loaded,
    pub vocab: Vocab,
    /// Evaluation in the precision asked for
    pub pass: Pass,
    prompt: Option<Prompt<'a>>,
}

impl<'a> Studio<'a> {
    /// Thinks about the prompt at once, for the modes that look at one.
    pub fn new(config: &'a VizConfig, loaded: &'a Loaded) -> Result<Self, Error> {
        let vocab = loaded.vocab(config.data_path.as_deref())?;
        let pass = Pass::eval(kind(config.compute.dtype));
        let prompt = match config.mode {
            VizMode::Gap | VizMode::Negatives | VizMode::Context => None,
            _ => Some(Prompt::new(&loaded.ebm, &vocab, config, pass)?),
        };
        Ok(Self { config, loaded, vocab, pass, prompt })
    }

    pub fn prompt(&self) -> Result<&Prompt<'a>, Error> {
        let missing = || Error::Request(format!("mode={} has nothing to look at", self.config.mode));
        self.prompt.as_ref().ok_or_else(missing)
    }

    /// What was decided about the prompt on the user's behalf, in words.
    pub fn notes(&self) -> &[String] {
        self.prompt.as_ref().map_or(&[], |prompt| &prompt.notes)
    }

    /// The text that was asked for, else what the model was trained on.
    pub fn corpus(&self) -> Result<Corpus, Error> {
        self.loaded.corpus(self.config.data_path.as_deref())
    }

    /// Validation windows, spread evenly over the split.
    pub fn windows<'c>(&self, corpus: &'c Corpus) -> Result<Windows<'c>, Error> {
        let all = Windows::consecutive(corpus, Split::Val, self.loaded.ebm.config.block_size)?;
        let n = all.offsets.len().min(self.config.max_windows as usize);
        let offsets = spread(all.offsets.len(), n).into_iter().map(|i| all.offsets[i]).collect();
        Ok(Windows { offsets, ..all })
    }

    /// What the page of all pictures is about, in a line.
    pub fn subject(&self) -> String {
        let file = self.loaded.checkpoint.path.display();
        let prompt = quoted(&self.config.prompt, 60);
        let (step, steps) = (self.loaded.checkpoint.step, self.config.think_steps);
        format!("{file} (training step {step}), prompt {prompt}, {steps} steps of thinking")
    }
}
