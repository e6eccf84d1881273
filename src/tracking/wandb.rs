//! Weights & Biases, by the crate `wandb-log`: a training's rows in its words. The training never waits for the
//! network, and what cannot be sent stays on the disk, in a form that the official `wandb sync` takes.

use std::path::Path;

use serde_json::Value;
use wandb_log::{Error as WandbError, Run, Settings};

use crate::error::Error;
use crate::metrics::Row;
use crate::tracking::tracker::{End, Tracker};

/// A run on Weights & Biases.
pub struct Wandb(Run);

impl Wandb {
    /// Begins a run, or goes on with the one of a resumed training, as the environment says: `wandb.json` in the
    /// training's run directory has which. Without a name there is `WANDB_NAME`, or the server invents one.
    pub fn start(project: &str, name: Option<&str>, config: Value, run_dir: &Path) -> Result<Self, WandbError> {
        let mut settings = Settings::from_env()?;
        settings.project = project.to_owned();
        settings.name = name.map(str::to_owned).or(settings.name);
        settings.config = config;
        settings.resume_file = Some(run_dir.join("wandb.json"));
        settings.client = concat!("nanoebm/", env!("CARGO_PKG_VERSION")).to_owned();
        match Run::init(settings) {
            // it is a key of ours, and not the variable
            Err(WandbError::Setting { name, value, expected }) if name == "WANDB_PROJECT" => {
                Err(WandbError::Setting { name: "wandb_project".to_owned(), value, expected })
            }
            run => run.map(Self),
        }
    }
}

impl Tracker for Wandb {
    fn log(&mut self, row: &Row) -> Result<(), Error> {
        let Some(step) = row.get("step").and_then(Value::as_i64) else { return Ok(()) };
        self.0.log(step, row.iter().filter(|(key, _)| *key != "step").map(|(key, value)| (key, value.clone())));
        Ok(())
    }

    fn evaluation(&mut self, row: &Row) -> Result<(), Error> {
        self.log(row)?;
        self.0.persist();
        Ok(())
    }

    fn printed(&mut self, line: &str) {
        self.0.output(line);
    }

    fn progress(&mut self, step: i64) {
        self.0.commit(step);
    }

    fn rewind(&mut self, _run_dir: &Path, _step: i64) -> Result<(), Error> {
        self.0.rewind();
        Ok(())
    }

    fn news(&mut self) -> Vec<String> {
        self.0.messages()
    }

    fn finish(&mut self, end: &End) -> Vec<String> {
        self.0.finish(match end {
            End::Finished => 0,
            End::Failed(_) => 1,
            End::Interrupted => 255,
        })
    }
}
