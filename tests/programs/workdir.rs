//! A user's folder: a short text in it, and runs beneath `out_ebt`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Map, Value};
use tempfile::TempDir;
use torch_pt::{Archive, Object};

use super::command::{Finished, Program, nanoebm};

/// A model so small that a step takes milliseconds, on a text of a few thousand characters.
pub const TINY: [&str; 13] = [
    "model.n_layer=1",
    "model.n_head=2",
    "model.n_embd=16",
    "model.warmup_steps_no_refine=2",
    "data.data_path=text.txt",
    "data.block_size=16",
    "data.batch_size=4",
    "train.device=cpu",
    "train.warmup_iters=5",
    "train.max_steps=6",
    "train.eval_interval=0",
    "train.eval_iters=2",
    "train.log_interval=1",
];

/// The text that comes with the project.
pub fn shakespeare() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("shakespeare.txt")
}

/// A file of a fixture.
pub fn fixture(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file)
}

pub struct Workdir {
    dir: TempDir,
}

impl Workdir {
    pub fn new() -> Self {
        let workdir = Self { dir: tempfile::tempdir().unwrap() };
        let play = fs::read_to_string(shakespeare()).unwrap();
        workdir.write("text.txt", &play[..6000]);
        workdir.write("short.txt", &play[..500]);
        workdir
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// `train` with the tiny model; later overrides win.
    pub fn train(&self, overrides: &[&str]) -> Program {
        self.program("train", &TINY).args(overrides)
    }

    /// A program of another build.
    pub fn other(&self, path: &Path) -> Program {
        Program::at(path).in_dir(self.dir())
    }

    pub fn sample(&self, args: &[&str]) -> Program {
        self.program("sample", &["device=cpu"]).args(args)
    }

    pub fn eval(&self, args: &[&str]) -> Program {
        self.program("eval", &["device=cpu"]).args(args)
    }

    pub fn compare(&self, args: &[&str]) -> Program {
        self.program("compare", &["device=cpu"]).args(args)
    }

    pub fn viz(&self, args: &[&str]) -> Program {
        self.program("viz", &["device=cpu", "max_windows=3", "grid=9"]).args(args)
    }

    fn program(&self, program: &str, args: &[&str]) -> Program {
        nanoebm(program).args(args).in_dir(self.dir())
    }

    /// The program fails in one line that holds all parts, and the folder stays as it was.
    pub fn refuses(&self, program: Program, code: i32, parts: &[&str]) {
        let before = self.files();
        let failed = program.in_dir(self.dir()).fails(code);
        parts.iter().fold(failed, |failed: Finished, part| failed.stderr_has(part));
        assert_eq!(self.files(), before, "a refusal changed the folder");
    }

    /// Every file and folder, with its size and time.
    fn files(&self) -> BTreeMap<PathBuf, (u64, SystemTime)> {
        walk(self.dir()).into_iter().map(|path| (path.clone(), stamp(&path))).collect()
    }

    /// The run directories, oldest first.
    pub fn runs(&self) -> Vec<PathBuf> {
        let mut runs = folders(&self.path("out_ebt"));
        runs.sort_by_key(|run| fs::metadata(run.join("overrides.yaml")).and_then(|m| m.modified()).ok());
        runs
    }

    /// The only run directory.
    pub fn run(&self) -> PathBuf {
        let runs = self.runs();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs[0].clone()
    }

    /// A file of the only run.
    pub fn result(&self, name: &str) -> PathBuf {
        let path = self.run().join(name);
        assert!(path.is_file(), "no {name} among {:?}", list(&self.run()));
        path
    }

    /// `key=` and a file of the only run, as an override.
    pub fn arg(&self, key: &str, name: &str) -> String {
        format!("{key}={}", self.result(name).display())
    }
}

fn stamp(path: &Path) -> (u64, SystemTime) {
    let metadata = fs::metadata(path).unwrap();
    // The length of a folder is the file system's own affair.
    (if metadata.is_file() { metadata.len() } else { 0 }, metadata.modified().unwrap())
}

/// What is in a folder; nothing where there is no folder.
pub fn list(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The folders in a folder: of an `out_dir` its runs, without the `final.pt` that leads into one of them.
pub fn folders(dir: &Path) -> Vec<PathBuf> {
    list(dir).into_iter().filter(|path| path.is_dir()).collect()
}

/// The names in a folder as `ls` shows them, without the hidden ones.
pub fn names(dir: &Path) -> Vec<String> {
    let names = list(dir).into_iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    names.filter(|name| !name.starts_with('.')).collect()
}

/// Everything below a folder, and the folder.
pub fn walk(dir: &Path) -> Vec<PathBuf> {
    let below = list(dir).into_iter().flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] });
    [dir.to_owned()].into_iter().chain(below).collect()
}

/// The rows of a run's `metrics.jsonl`, without what a clock measured.
pub fn metrics(run: &Path) -> Vec<Map<String, Value>> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let mut rows: Vec<Map<String, Value>> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    rows.iter_mut().for_each(|row| row.retain(|key, _| !key.starts_with("time/")));
    rows
}

/// The losses of a run; each must be finite.
pub fn losses(run: &Path) -> Vec<f64> {
    metrics(run).iter().filter_map(|row| row.get("loss")).map(|loss| loss.as_f64().expect("a finite loss")).collect()
}

/// Two checkpoints hold the same, but for where the runs came from.
pub fn assert_same_checkpoint(left: &Path, right: &Path) {
    let [mut a, mut b] = [left, right].map(|path| Archive::read(path).unwrap());
    assert_eq!(keys(&a.root), keys(&b.root));
    for key in ["model", "optimizer", "step"] {
        assert!(a.root.get(key) == b.root.get(key), "{key} differs: {} {}", left.display(), right.display());
    }
    assert!(a.storages == b.storages, "tensors differ: {} {}", left.display(), right.display());
    forget_origin(&mut a.root);
    forget_origin(&mut b.root);
    assert_eq!(a.root, b.root);
}

fn keys(object: &Object) -> Vec<&str> {
    let Object::Dict(pairs) = object else { panic!("not a dict") };
    pairs.iter().filter_map(|(key, _)| key.as_str()).collect()
}

/// Drops every `load_checkpoint`.
fn forget_origin(object: &mut Object) {
    if let Object::Dict(pairs) = object {
        pairs.retain(|(key, _)| key.as_str() != Some("load_checkpoint"));
        pairs.iter_mut().for_each(|(_, value)| forget_origin(value));
    }
}
