//! Going on from a checkpoint: what must be as it was, what may differ if that is said, and what is told.

use std::path::PathBuf;

use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::checkpoint::find::FINAL;
use crate::checkpoint::provenance::short;
use crate::config::Config;
use crate::contrastive::Contrastive;
use crate::data::addition::Addition;
use crate::data::batches::Position;
use crate::data::{Corpus, Vocab};
use crate::ebm::Ebm;
use crate::error::Error;
use crate::nn::optim::AdamW;

/// Where a run stands when it begins.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Start {
    /// Steps done
    pub step: i64,
    /// Where it stands in its data
    pub position: Position,
    /// Best validation loss so far
    pub best_val_nll: Option<f64>,
    /// Steps so far that held NaN or infinity
    pub nonfinite: i64,
    /// The checkpoint
    pub checkpoint: Option<PathBuf>,
    /// Whether it is another run than the checkpoint's: of another text or shape
    pub apart: bool,
    /// Sentences for people
    pub notes: Vec<String>,
}

/// The text of a run, or its problems. With `train.allow_other_data` it is read in the characters that the checkpoint's model knows, unless
/// `train.allow_other_shape` gives the run a vocabulary of its own.
pub fn read_corpus(config: &Config, vocab: Option<Vocab>) -> Result<Corpus, Error> {
    if let Some(adder) = Addition::of(&config.data) {
        return Ok(Corpus::addition(adder));
    }
    let corpus = Corpus::read(&config.data.data_path)?;
    match vocab {
        Some(vocab) if vocab != corpus.vocab && config.train.allow_other_data && !config.train.allow_other_shape => {
            Ok(Corpus::read_with(&config.data.data_path, &vocab)?)
        }
        _ => Ok(corpus),
    }
}

/// Puts a checkpoint's weights, optimizer and chains into this run, after checking that they belong to it.
pub fn resume(
    checkpoint: &Checkpoint,
    config: &Config,
    corpus: &Corpus,
    (ebm, optimizer, contrastive): (&Ebm, &mut AdamW, Option<&mut Contrastive>),
) -> Result<Start, Error> {
    let (path, step, max_steps) = (checkpoint.path.clone(), checkpoint.step, config.train.max_steps);
    let same_characters = check_vocab(checkpoint, config, corpus)?;
    let other_data = check_data(checkpoint, config, corpus)?;
    let other_shape = match checkpoint.check_shapes(&config.model) {
        Err(error) if !config.train.allow_other_shape => return Err(error.into()),
        checked => checked.is_err() || !same_characters,
    };
    // A run that was killed after its last step has no final.pt yet.
    let finished = path.file_name().is_some_and(|name| name == FINAL);
    if step > max_steps || (step == max_steps && finished) {
        return Err(Error::AlreadyDone { path, step, max_steps });
    }
    let mut notes = announce(checkpoint, config);
    notes.extend(other_data.clone());
    if other_shape {
        let fresh = checkpoint.load_what_fits(ebm, same_characters)?;
        notes.push(format!("Another shape: the optimizer begins anew, and so do {}", fresh.join(", ")));
    } else {
        checkpoint.load_model(ebm)?;
        checkpoint.load_optimizer(optimizer)?;
        if let Some(contrastive) = contrastive {
            checkpoint.load_chains(contrastive, config, ebm.device())?;
        }
    }
    if !config.model.alpha_learnable {
        ebm.set_alpha(config.model.alpha_value); // a setting of this run, not something that was learnt
    }
    let ours = checkpoint.ours.as_ref();
    let apart = other_data.is_some() || other_shape;
    Ok(Start {
        step,
        position: ours.filter(|_| other_data.is_none()).map_or_else(Position::default, |extra| extra.position),
        best_val_nll: ours.filter(|_| !apart).and_then(|extra| extra.best_val_nll),
        nonfinite: ours.map_or(0, |extra| extra.nonfinite),
        checkpoint: Some(path),
        apart,
        notes,
    })
}

/// Whether the run's characters are the checkpoint's; an error where they are not, and that is not allowed.
fn check_vocab(checkpoint: &Checkpoint, config: &Config, corpus: &Corpus) -> Result<bool, Error> {
    let (expected, found) = (corpus.vocab.len(), checkpoint.model.vocab_size as usize);
    let same = checkpoint.vocab().map_or(found == expected, |vocab| vocab == corpus.vocab);
    if same || (config.train.allow_other_data && config.train.allow_other_shape) {
        return Ok(same);
    }
    let (checkpoint, data) = (checkpoint.path.clone(), corpus.path.clone());
    Err(Error::OtherVocabulary { checkpoint, data, expected, found })
}

/// An error unless the run's text is the checkpoint's, or another one is allowed: then what to say of it.
fn check_data(checkpoint: &Checkpoint, config: &Config, corpus: &Corpus) -> Result<Option<String>, Error> {
    let (file, data) = (checkpoint.path.clone(), corpus.path.clone());
    let recorded = checkpoint.ours.as_ref().and_then(|extra| extra.made_by.data_sha256.as_deref());
    let Some(recorded) = recorded.filter(|recorded| *recorded != corpus.sha256) else { return Ok(None) };
    let (recorded, found) = (short(recorded), short(&corpus.sha256));
    if !config.train.allow_other_data {
        return Err(Error::OtherData { checkpoint: file, data, recorded, found });
    }
    Ok(Some(format!("Other data: {} ({found}) instead of {recorded}; a new pass begins", data.display())))
}

/// Where the run comes from, and which of its settings are others now.
fn announce(checkpoint: &Checkpoint, config: &Config) -> Vec<String> {
    let from = format!("Resumed from {} at step {}", checkpoint.path.display(), checkpoint.step);
    let Some(extra) = &checkpoint.ours else {
        let order = "It comes from PyTorch, which does not record the data order: a new pass over the text begins";
        return vec![from, order.to_owned()];
    };
    let mut notes = vec![format!("{from}, made by {}", extra.made_by)];
    let changed = changes(&extra.config, config);
    if !changed.is_empty() {
        notes.push(format!("Changed since then: {}", changed.join(", ")));
    }
    notes
}

/// `data.batch_size 4 → 8` for each setting of model, data and training that differs.
fn changes(before: &Config, now: &Config) -> Vec<String> {
    let [before, now] = [before, now].map(|config| serde_json::to_value(config).unwrap_or_default());
    let mut changed = Vec::new();
    for section in ["model", "data", "train"] {
        for (key, value) in now[section].as_object().into_iter().flatten() {
            let old = &before[section][key];
            // That there is more to do, and that something may differ, is said elsewhere.
            if old != value && key != "max_steps" && !key.starts_with("allow_") {
                changed.push(format!("{section}.{key} {} → {}", shown(old), shown(value)));
            }
        }
    }
    changed
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
