//! A trained model from a checkpoint, for the programs that use one.

use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor, no_grad};

use crate::checkpoint::provenance::short;
use crate::checkpoint::{Checkpoint, CheckpointFault, find};
use crate::config::{FastWeightsConfig, FromConfig, ModelConfig, ModelOverrides};
use crate::data::addition::Addition;
use crate::data::{Corpus, Vocab};
use crate::ebm::Ebm;
use crate::error::Error;
use crate::fast_weights::FastWeights;
use crate::nn::pass::Pass;
use crate::run::ram;

/// A model with its file.
#[derive(Debug)]
pub struct Loaded {
    /// The file
    pub checkpoint: Checkpoint,
    /// The model, with the overrides applied
    pub ebm: Ebm,
    /// What was decided on the user's behalf, in words
    pub notes: Vec<String>,
}

/// Loads a checkpoint, or the newest under its `out_dir`. A file of the original behaves as the original (`model=upstream`), except
/// where `overrides` (`model.*` of the command line) say otherwise.
pub fn load(from: &FromConfig, overrides: &ModelOverrides, device: Device) -> Result<Loaded, Error> {
    let out_dir = from.out_dir.as_path();
    let mut notes = Vec::new();
    let path = match from.checkpoint.as_deref() {
        None => find::newest(out_dir).ok_or_else(|| Error::NoCheckpoint { out_dir: out_dir.to_owned() })?,
        Some(path) if path.exists() => path.to_owned(),
        Some(path) => find::in_newest_run(path).unwrap_or_else(|| path.to_owned()),
    };
    let checkpoint = Checkpoint::read_model(&path)?;
    if from.checkpoint.as_ref() != Some(&checkpoint.path) {
        notes.push(format!("Using checkpoint {}", checkpoint.path.display()));
    }
    if checkpoint.ours.is_none() {
        notes.push("A checkpoint of the original: it behaves as there (model=upstream)".to_owned());
    }
    let mut config = checkpoint.model.clone();
    config.apply(overrides)?;
    ram::check_weights(&config, device)?;
    let ebm = Ebm::new(&config, device);
    checkpoint.load_model(&ebm)?;
    check_outputs(&checkpoint, &ebm)?;
    // The file's alpha is a tensor; one given by name wins over it.
    if ModelConfig::names_alpha(overrides) {
        ebm.set_alpha(config.alpha_value);
    }
    let made_by = checkpoint.ours.as_ref().map(|extra| format!(", made by {}", extra.made_by));
    notes.push(format!("Loaded model from step {}{}", checkpoint.step, made_by.unwrap_or_default()));
    Ok(Loaded { checkpoint, ebm, notes })
}

/// An error where what the model says after one character is no number, as after a training that went wrong.
fn check_outputs(checkpoint: &Checkpoint, ebm: &Ebm) -> Result<(), Error> {
    let finite = no_grad(|| {
        let pass = Pass::eval(Kind::Float);
        let h = ebm.hidden_states(&Tensor::zeros([1, 1], (Kind::Int64, ebm.device())), pass); // (1, 1, C)
        ebm.energies(&h, pass).sum(Kind::Double).double_value(&[]).is_finite()
    });
    if finite { Ok(()) } else { Err(CheckpointFault::Overflow.of(&checkpoint.path).into()) }
}

impl Loaded {
    /// The text that was asked for, else the one that the checkpoint records, else Shakespeare.
    pub fn data_path(&self, asked: Option<&Path>) -> Result<PathBuf, Error> {
        match (asked, &self.checkpoint.data_path) {
            (None, Some(data)) if !data.is_file() => {
                Err(Error::NoData { checkpoint: self.checkpoint.path.clone(), data: data.clone() })
            }
            (asked, recorded) => Ok(asked.or(recorded.as_deref()).unwrap_or(Path::new("shakespeare.txt")).to_owned()),
        }
    }

    /// The problems that it was trained on, where those were no text.
    pub fn problems(&self) -> Option<Addition> {
        self.checkpoint.ours.as_ref().and_then(|extra| Addition::of(&extra.config.data))
    }

    /// What to measure on: the text that was asked for, else what the model was trained on.
    pub fn corpus(&self, asked: Option<&Path>) -> Result<Corpus, Error> {
        match (asked, self.problems()) {
            (None, Some(adder)) => Ok(Corpus::addition(adder)),
            _ => {
                let path = self.data_path(asked)?;
                Ok(Corpus::read_with(&path, &self.vocab(Some(&path))?)?)
            }
        }
    }

    /// The model with weights that follow the text. Its file is read again, for the optimizer's part.
    pub fn fast_weights(&self, settings: FastWeightsConfig, compute: Kind) -> Result<FastWeights<'_>, Error> {
        let checkpoint = Checkpoint::read(&self.checkpoint.path)?;
        Ok(FastWeights::new(&self.ebm, &checkpoint, settings, compute)?)
    }

    /// What to say where the text has changed since the training.
    pub fn doubts(&self, corpus: &Corpus) -> Option<String> {
        let recorded = self.checkpoint.ours.as_ref()?.made_by.data_sha256.as_deref()?;
        let trained_on_it = self.checkpoint.data_path.as_ref() == Some(&corpus.path);
        (trained_on_it && recorded != corpus.sha256).then(|| {
            let (data, recorded, found) = (corpus.path.display(), short(recorded), short(&corpus.sha256));
            format!("{data} is not what the model was trained on (SHA-256 {found}, then {recorded})")
        })
    }

    /// The vocabulary of the file, else that of the text at [`Loaded::data_path`], which must fit the model.
    pub fn vocab(&self, asked: Option<&Path>) -> Result<Vocab, Error> {
        let predicted = self.ebm.config.vocab_size as usize;
        if let Some(vocab) = self.checkpoint.vocab() {
            let characters = vocab.len();
            let damaged = CheckpointFault::OwnVocabulary { characters, predicted };
            return if characters == predicted { Ok(vocab) } else { Err(damaged.of(&self.checkpoint.path).into()) };
        }
        let data = self.data_path(asked)?;
        let vocab = Corpus::read(&data)?.vocab;
        if vocab.len() == predicted {
            return Ok(vocab);
        }
        let (checkpoint, expected) = (self.checkpoint.path.clone(), vocab.len());
        Err(Error::UnknownVocabulary { checkpoint, data, expected, found: predicted })
    }
}
