//! A directory, a server and an environment of their own for the trainings of a test.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wandb_log::{Error, Row, Run, Settings};

use super::server::{self, Server};

pub const KEY: &str = "0123456789abcdef0123456789abcdef01234567";

pub struct Sandbox {
    pub dir: tempfile::TempDir,
    pub server: Server,
    pub vars: HashMap<String, String>,
}

impl Sandbox {
    pub fn new() -> Self {
        let (dir, server) = (tempfile::tempdir().unwrap(), Server::start());
        let home = dir.path().display().to_string();
        std::fs::create_dir(dir.path().join("run")).unwrap();
        let vars = [
            ("HOME", home.as_str()),
            ("WANDB_DIR", &home),
            ("WANDB_BASE_URL", &server.url()),
            ("WANDB_API_KEY", KEY),
            ("WANDB__FILE_STREAM_TRANSMIT_INTERVAL", "0.02"),
            ("WANDB__FILE_STREAM_RETRY_WAIT_MIN_SECONDS", "0.02"),
            ("WANDB__FILE_STREAM_RETRY_WAIT_MAX_SECONDS", "0.2"),
            ("WANDB_FINISH_TIMEOUT", "5"),
        ];
        Self { dir, server, vars: vars.map(|(k, v)| (k.to_owned(), v.to_owned())).into() }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.vars.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn run_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// Where a part of the run leaves what the next one needs.
    pub fn resume_file(&self) -> PathBuf {
        self.run_dir().join("wandb.json")
    }

    pub fn settings(&self) -> Result<Settings, Error> {
        settings(&self.vars, self.resume_file())
    }

    pub fn try_start(&self) -> Result<(Run, Vec<String>), Error> {
        let mut run = Run::init(self.settings()?)?;
        let notes = run.messages();
        Ok((run, notes))
    }

    /// Starts a run, and waits for the first thing that it says.
    pub fn start(&self) -> (Run, Vec<String>) {
        let (mut run, mut notes) = self.try_start().unwrap();
        let started = Instant::now();
        while notes.is_empty() && started.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
            notes = run.messages();
        }
        (run, notes)
    }

    /// A whole training; what it said.
    pub fn train(&self, steps: std::ops::Range<i64>) -> Vec<String> {
        let (mut run, mut notes) = self.try_start().unwrap();
        notes.extend(train(&mut run, steps));
        notes.extend(run.finish(0));
        notes
    }

    /// Directories under `wandb/` whose name begins so.
    pub fn dirs(&self, prefix: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir.path().join("wandb")).unwrap().map(|entry| entry.unwrap().path());
        let mut dirs: Vec<_> =
            entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix)).collect();
        dirs.sort();
        dirs
    }

    /// The one directory that is left for `wandb sync`, and that it is the one that is named.
    pub fn rest(&self, notes: &[String]) -> PathBuf {
        let dirs = self.dirs("offline-run-");
        assert_eq!(dirs.len(), 1, "{dirs:?} {notes:?}");
        let last = notes.last().unwrap();
        assert!(last.contains(&format!("wandb sync {}", dirs[0].display())), "{last}");
        dirs[0].clone()
    }

    /// Fails if the key is in any file.
    pub fn assert_no_key_on_disk(&self) {
        fn look(dir: &Path) {
            for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
                if entry.file_type().unwrap().is_dir() {
                    look(&entry.path());
                } else if entry.file_type().unwrap().is_file() {
                    let bytes = std::fs::read(entry.path()).unwrap();
                    assert!(!bytes.windows(KEY.len()).any(|w| w == KEY.as_bytes()), "{}", entry.path().display());
                }
            }
        }
        look(self.dir.path());
    }
}

pub fn settings(vars: &HashMap<String, String>, resume_file: PathBuf) -> Result<Settings, Error> {
    let mut settings = Settings::from_vars(vars)?;
    settings.project = "proj".to_owned();
    settings.name = Some("a name".to_owned());
    settings.config = config();
    settings.resume_file = Some(resume_file);
    Ok(settings)
}

pub fn config() -> Value {
    json!({"lr": 1e-3, "model": {"layers": 2, "dtype": "float32"}, "none": null, "a.b": [1, 2]})
}

pub fn row(values: impl IntoIterator<Item = (&'static str, f64)>) -> Row {
    values.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// What is logged in a step; every fifth step is evaluated, before the step's own row as in a training loop.
pub fn metrics(step: i64) -> Row {
    row([("loss", 1.0 / (step + 1) as f64), ("time/forward", 0.25)])
}

pub fn evaluation(done: i64) -> Row {
    row([("val/nll_s1", 3.0 + done as f64), ("val/nll_s2", f64::NAN)])
}

/// The steps in the one `.wandb` file of a directory.
pub fn steps_in(dir: &Path) -> Vec<i64> {
    let mut files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let store = files.find(|path| path.extension().is_some_and(|end| end == "wandb")).unwrap();
    wandb_log::read_history(&store).unwrap().iter().map(|row| row["_step"].as_i64().unwrap()).collect()
}

/// The training loop; what was said on the way.
pub fn train(run: &mut Run, steps: std::ops::Range<i64>) -> Vec<String> {
    let mut notes = Vec::new();
    for step in steps {
        run.log(step, metrics(step));
        run.output(&format!("step {step}"));
        run.commit(step + 1);
        notes.extend(run.messages());
        if (step + 1) % 5 == 0 {
            run.log(step + 1, evaluation(step + 1));
            run.persist();
        }
    }
    notes
}

/// The row of a step in the history of a training of `steps` steps, without its times.
fn expected(step: i64, steps: i64) -> Row {
    let mut row = if step > 0 && step % 5 == 0 { evaluation(step) } else { Row::new() };
    if step < steps {
        row.extend(metrics(step));
    }
    row.insert("_step".to_owned(), (step as f64).into());
    row
}

/// A row of the history with all numbers as floats: 3 and 3.0 are the same.
fn without_times(row: &Value) -> Row {
    for key in ["_runtime", "_timestamp"] {
        assert!(row[key].as_f64().is_some_and(|time| time >= 0.0), "{row}");
    }
    let row = row.as_object().unwrap().iter().filter(|(key, _)| !["_runtime", "_timestamp"].contains(&key.as_str()));
    row.map(|(k, v)| (k.clone(), v.as_f64().map_or(v.clone(), Value::from))).collect()
}

/// Every row of a training of `steps` steps is there once, in order, and the summary has the last values.
pub fn assert_whole(run: &server::Run, steps: i64) {
    let history: Vec<Row> = run.history().iter().map(without_times).collect();
    let last = steps - i64::from(steps % 5 != 0);
    let wanted: Vec<Row> = (0..=last).map(|step| expected(step, steps)).collect();
    assert_eq!(history, wanted);
    let summary = run.summary();
    assert_eq!(summary["_step"], last);
    assert_eq!(summary["loss"], metrics(steps - 1)["loss"]);
    if last >= 5 {
        assert_eq!(summary["val/nll_s1"].as_f64(), evaluation(last - last % 5)["val/nll_s1"].as_f64());
    }
    assert!(summary.get("val/nll_s2").is_none(), "a null is no last value");
    assert!(summary["_wandb"]["runtime"].is_i64() && summary["_timestamp"].is_f64(), "{summary}");
    let times: Vec<f64> = run.history().iter().map(|row| row["_runtime"].as_f64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
}
