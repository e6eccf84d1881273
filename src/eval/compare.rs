//! Two or more models on the same windows of the same text, with paired differences to the first.

use serde::Serialize;
use tch::Kind;

use crate::checkpoint::Checkpoint;
use crate::data::Vocab;
use crate::ebm::Ebm;
use crate::error::Error;
use crate::eval::bootstrap::{Resampled, resample};
use crate::eval::measure::{Prediction, measure};
use crate::eval::scores::{Scores, Summary};
use crate::eval::table::{self, Column, Format, Measured};
use crate::eval::windows::Windows;

/// One of the models.
#[derive(Debug)]
pub struct Contender<'a> {
    /// Its letter
    pub name: &'static str,
    /// Its file
    pub checkpoint: &'a Checkpoint,
    /// The model
    pub ebm: &'a Ebm,
    /// Its characters
    pub vocab: Vocab,
    /// Thinking steps; 0 is System 1
    pub refine_steps: i64,
    /// What was changed in its model, as typed
    pub settings: String,
}

/// A row for each model: its measures, then from the second on each measure less the first model's (`nll_minus_a`, …).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Windows measured
    pub windows: usize,
    /// Their length in characters
    pub block_size: i64,
    /// The measures
    #[serde(flatten)]
    pub measured: Measured,
}

/// The length of windows that all contenders read: `asked`, else that of all. An error where windows would not be the same to each.
pub fn shared_block_size(contenders: &[Contender], asked: Option<i64>) -> Result<i64, Error> {
    let Some((first, others)) = contenders.split_first() else {
        return Err(Error::Request("nothing to compare".to_owned()));
    };
    if let Some(other) = others.iter().find(|other| other.vocab != first.vocab) {
        return Err(Error::Request(format!(
            "{} ({}) and {} ({}) know different characters, {} and {} of them: their predictions are not comparable; \
             compare models of one vocabulary",
            first.name,
            first.checkpoint.path.display(),
            other.name,
            other.checkpoint.path.display(),
            first.vocab.len(),
            other.vocab.len()
        )));
    }
    let reads = |contender: &Contender| contender.ebm.config.block_size;
    let shortest = contenders.iter().map(reads).min().unwrap_or_default();
    match (asked, others.iter().find(|other| reads(other) != reads(first))) {
        (Some(asked), _) if asked > shortest => {
            let message = format!("block_size={asked} is more than {shortest}, the context of one of the models");
            Err(Error::Request(message))
        }
        (Some(asked), _) => Ok(asked),
        (None, Some(other)) => Err(Error::Request(format!(
            "{} reads {} characters and {} reads {}: give block_size={shortest} to compare them on windows that all can read",
            first.name,
            reads(first),
            other.name,
            reads(other)
        ))),
        (None, None) => Ok(shortest),
    }
}

/// Measures every contender on `windows`; calls `progress` with the number of windows done.
pub fn compare(
    contenders: &[Contender],
    windows: &Windows,
    work: (i64, Kind),
    mut progress: impl FnMut(u64),
) -> Result<Comparison, Error> {
    let mut last = |contender: &Contender| {
        let prediction = [Prediction::Steps(contender.refine_steps)];
        measure(contender.ebm, windows, &prediction, work, None, &mut progress).map(|mut scores| scores.remove(0))
    };
    let scores: Vec<Scores> = contenders.iter().map(&mut last).collect::<Result<_, _>>()?;
    let measured = resample(&scores.iter().collect::<Vec<_>>());
    let row = |(contender, own): (&Contender, &Resampled)| {
        let mut row = table::row([
            ("name", contender.name.into()),
            ("checkpoint", contender.checkpoint.path.display().to_string().into()),
            ("step", contender.checkpoint.step.into()),
            ("refine_steps", contender.refine_steps.into()),
            ("settings", contender.settings.clone().into()),
        ]);
        table::put_measures(&mut row, own);
        if contender.name != contenders[0].name {
            let difference = own.minus(&measured[0]);
            // Not that of the energy, whose zero is each model's own.
            for (i, name) in Summary::NAMES.into_iter().enumerate().filter(|(_, name)| *name != "energy") {
                let estimate = difference.estimate(|summary| summary.values()[i]);
                table::put_estimate(&mut row, &format!("{name}_minus_{}", contenders[0].name), estimate);
            }
        }
        row
    };
    let rows = contenders.iter().zip(&measured).map(row).collect();
    Ok(Comparison { windows: windows.offsets.len(), block_size: windows.block_size, measured: Measured::new(rows) })
}

impl Comparison {
    /// Tables of 80 columns.
    pub fn tables(&self) -> String {
        const MEASURES: [Column; 6] = [
            ("nll", "NLL (nats)", 12, Format::Number),
            ("nll", "95 % interval", 18, Format::Interval),
            ("accuracy", "accuracy", 11, Format::Percent),
            ("ece", "ECE", 10, Format::Percent),
            ("entropy", "entropy", 10, Format::Number),
            ("energy_gap", "energy gap", 12, Format::Number),
        ];
        const FIRST: [Column; 2] = [
            ("nll_minus_a", "NLL less a's", 30, Format::Difference),
            ("accuracy_minus_a", "accuracy less a's, points", 30, Format::Points),
        ];
        const SECOND: [Column; 3] = [
            ("ece_minus_a", "ECE, points", 23, Format::Points),
            ("entropy_minus_a", "entropy", 28, Format::Difference),
            ("energy_gap_minus_a", "energy gap", 28, Format::Difference),
        ];
        let rows = &self.measured.rows;
        let others = rows.get(1..).unwrap_or_default();
        let tables = [table::table(rows, &MEASURES), table::table(others, &FIRST), table::table(others, &SECOND)];
        tables.join("\n") + &table::footnote()
    }
}
