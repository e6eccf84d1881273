//! Golden numbers that PyTorch wrote (`tests/fixtures/*/README.md`), and how far we may be from them.

use std::path::{Path, PathBuf};

use nanoebm::checkpoint::Checkpoint;
use nanoebm::ebm::Ebm;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// One fixture: a checkpoint, scalars and tensors.
pub struct Golden {
    pub dir: PathBuf,
    pub json: Value,
    bytes: Vec<u8>,
}

impl Golden {
    /// `tests/fixtures/<name>`
    pub fn open(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        let json = serde_json::from_str(&std::fs::read_to_string(dir.join("golden.json")).unwrap()).unwrap();
        let bytes = std::fs::read(dir.join("golden.safetensors")).unwrap();
        Self { dir, json, bytes }
    }

    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint::read(&self.dir.join("checkpoint.pt")).unwrap()
    }

    /// The checkpoint's model with the case's overrides; dropout, jitter and noise are off, as when the numbers were made.
    pub fn model(&self, over: &Value) -> Ebm {
        let checkpoint = self.checkpoint();
        let mut config = checkpoint.model.clone();
        let quiet = serde_json::json!({"dropout": 0.0, "alpha_jitter": 0.0, "langevin_noise": 0.0, "langevin_noise_scale": 0.0});
        for (key, value) in quiet.as_object().unwrap().iter().chain(over.as_object().into_iter().flatten()) {
            config.set(key, &serde_yaml::to_value(value).unwrap()).unwrap();
        }
        let ebm = Ebm::new(&config, Device::Cpu);
        checkpoint.load_model(&ebm).unwrap();
        ebm.set_alpha(config.alpha_value);
        ebm
    }

    pub fn tensor(&self, name: &str) -> Tensor {
        let all = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = all.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::I64 => Kind::Int64,
            other => panic!("{name}: {other:?}"),
        };
        Tensor::from_data_size(view.data(), &shape, kind)
    }

    /// The names of all tensors that begin with `prefix`, without it.
    pub fn names(&self, prefix: &str) -> Vec<String> {
        let all = SafeTensors::deserialize(&self.bytes).unwrap();
        let mut names: Vec<String> =
            all.names().iter().filter_map(|n| n.strip_prefix(prefix)).map(str::to_owned).collect();
        names.sort();
        names
    }

    /// The names of the cases that begin with `prefix`, and their fields.
    pub fn cases(&self, prefix: &str) -> Vec<(String, Value)> {
        let cases = self.json["cases"].as_object().unwrap().iter();
        cases.filter(|(name, _)| name.starts_with(prefix)).map(|(n, v)| (n.clone(), v.clone())).collect()
    }

    pub fn batch(&self) -> (Tensor, Tensor) {
        (self.tensor("idx"), self.tensor("targets"))
    }
}

/// Every comparison of a ladder; the largest differences are printed, and all failures are reported together.
#[derive(Default)]
pub struct Ladder {
    failures: Vec<String>,
}

impl Ladder {
    /// |ours − theirs| ≤ tolerance · max(1, |theirs|max)
    pub fn close(&mut self, what: &str, ours: &Tensor, theirs: &Tensor, tolerance: f64) {
        self.within(what, ours, theirs, tolerance, 1.0);
    }

    /// |ours − theirs| ≤ tolerance · |theirs|max
    pub fn relative(&mut self, what: &str, ours: &Tensor, theirs: &Tensor, tolerance: f64) {
        self.within(what, ours, theirs, tolerance, 1e-6);
    }

    pub fn number(&mut self, what: &str, ours: f64, theirs: f64, tolerance: f64) {
        self.close(what, &Tensor::from(ours), &Tensor::from(theirs), tolerance);
    }

    fn within(&mut self, what: &str, ours: &Tensor, theirs: &Tensor, tolerance: f64, floor: f64) {
        if ours.size() != theirs.size() {
            self.failures.push(format!("{what}: shape {:?} against {:?}", ours.size(), theirs.size()));
            return;
        }
        let (ours, theirs) = (ours.to_kind(Kind::Double), theirs.to_kind(Kind::Double));
        let difference = (ours - &theirs).abs().max().double_value(&[]);
        let scale = theirs.abs().max().double_value(&[]).max(floor);
        println!("{what:<60} {:.1e} of {tolerance:.0e}", difference / scale);
        if difference.is_nan() || difference > tolerance * scale {
            self.failures.push(format!("{what}: {:.2e} is more than {tolerance:.0e}", difference / scale));
        }
    }

    pub fn finish(self) {
        assert!(self.failures.is_empty(), "\n{}", self.failures.join("\n"));
    }
}
