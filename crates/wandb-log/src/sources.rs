//! Where a setting is looked for: the environment, then the local settings file, then the global one.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;

pub struct Sources<'a> {
    pub vars: &'a HashMap<String, String>,
    /// Local, then global
    files: Vec<HashMap<String, String>>,
}

impl<'a> Sources<'a> {
    /// Reads the files: `settings` in `dir`, and the user's.
    pub fn read(vars: &'a HashMap<String, String>, dir: &Path) -> Result<Self, Error> {
        let global = match vars.get("WANDB_CONFIG_DIR") {
            Some(config) => Some(Path::new(config).join("settings")),
            None => vars.get("HOME").map(|home| Path::new(home).join(".config/wandb/settings")),
        };
        let files = [Some(dir.join("settings")), global];
        let files = files.into_iter().flatten().map(|path| settings_file(&path)).collect::<Result<_, _>>()?;
        Ok(Self { vars, files })
    }

    /// A setting by its name in the files: `base_url` there is `WANDB_BASE_URL` here. What is empty is not set.
    pub fn get(&self, name: &str) -> Option<String> {
        let var = self.var(&format!("WANDB_{}", name.to_uppercase()));
        var.or_else(|| self.files.iter().find_map(|file| file.get(name)).cloned())
    }

    /// A setting that only the environment has.
    pub fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).filter(|value| !value.is_empty()).cloned()
    }

    pub fn flag(&self, name: &str) -> Result<bool, Error> {
        match self.get(name).unwrap_or_default().to_lowercase().as_str() {
            "" | "0" | "false" => Ok(false),
            "1" | "true" => Ok(true),
            other => Err(wrong(name, other, "true or false")),
        }
    }

    pub fn seconds(&self, name: &str, unset: f64) -> Result<Duration, Error> {
        let Some(text) = self.get(name) else { return Ok(Duration::from_secs_f64(unset)) };
        let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        // a wait that no clock can hold is as good as a year
        let seconds = seconds.map(|seconds| seconds.min(Duration::from_secs(365 * 86400)));
        seconds.ok_or_else(|| wrong(name, &text, "a number of seconds"))
    }

    /// The netrc file: `$NETRC`, else `~/.netrc`, else `~/_netrc`.
    pub fn netrc(&self) -> Option<PathBuf> {
        if let Some(path) = self.vars.get("NETRC") {
            return Some(path.into());
        }
        let home = PathBuf::from(self.vars.get("HOME").or_else(|| self.vars.get("USERPROFILE"))?);
        let path = [".netrc", "_netrc"].map(|name| home.join(name));
        path.iter().find(|path| path.is_file()).or(path.first()).cloned()
    }
}

/// The error of a setting, under the name of its variable.
pub fn wrong(name: &str, value: &str, expected: &str) -> Error {
    let name = format!("WANDB_{}", name.to_uppercase());
    Error::Setting { name, value: value.to_owned(), expected: expected.to_owned() }
}

/// `$WANDB_DIR/wandb`; a `.wandb` that is there already is taken instead.
pub fn wandb_dir(vars: &HashMap<String, String>) -> PathBuf {
    let parent = PathBuf::from(vars.get("WANDB_DIR").filter(|dir| !dir.is_empty()).map_or(".", String::as_str));
    let hidden = parent.join(".wandb");
    if hidden.is_dir() { hidden } else { parent.join("wandb") }
}

/// The `[default]` section of a settings file; one that is not there has no settings.
fn settings_file(path: &Path) -> Result<HashMap<String, String>, Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => String::new(),
        Err(e) => return Err(Error::io(path)(e)),
    };
    let mut settings = HashMap::new();
    let mut section = "";
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((key, value)) = line.split_once(['=', ':']).filter(|_| section == "default") {
            settings.insert(key.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    Ok(settings)
}
