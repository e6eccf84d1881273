//! Python programs that judge what we write.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A Python environment: a variable that names its interpreter, else the one that `scripts/test` makes.
pub struct Python {
    pub variable: &'static str,
    pub default: &'static str,
}

/// With torch 2.11.
#[allow(dead_code)] // each test crate has one of the two
pub const TORCH: Python = Python { variable: "NANOEBM_PYTHON", default: ".venv-torch/bin/python" };
/// With the packages of tests/python/requirements.txt.
#[allow(dead_code)]
pub const TRACKERS: Python = Python { variable: "NANOEBM_TRACKERS_PYTHON", default: ".venv-trackers/bin/python" };

impl Python {
    /// A command that starts this interpreter.
    pub fn command(&self) -> Command {
        let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join(self.default).into();
        Command::new(std::env::var_os(self.variable).unwrap_or_else(default))
    }

    /// The JSON that `tests/python/SCRIPT PATH ARGS…` prints.
    pub fn judge(&self, script: &str, path: &Path, args: &[&str]) -> Value {
        let advice = format!("run scripts/test once, or set {} to a Python that has the packages", self.variable);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script);
        let output = self.command().arg(&script).arg(path).args(args).output();
        let output = output.unwrap_or_else(|error| panic!("{} does not start ({error}): {advice}", self.default));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("ModuleNotFoundError"), "{advice}\n{stderr}");
        assert!(output.status.success(), "{} does not accept {}: {stderr}", script.display(), path.display());
        serde_json::from_slice(&output.stdout).unwrap()
    }
}
