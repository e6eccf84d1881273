//! The configuration files: those embedded in the program, and those of `--config-dir` in front of them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_yaml::Value;

use super::error::ConfigError;

/// Names a shipped file and embeds its text.
macro_rules! embed {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../conf/", $name, ".yaml")))),+]
    };
}

/// Every file of the shipped `conf/`: its name without `.yaml`, and its text.
pub const SHIPPED: &[(&str, &str)] = embed![
    "config",
    "sample",
    "eval",
    "compare",
    "viz",
    "model/default",
    "model/upstream",
    "model/linear",
    "model/mixture",
    "model/reread",
    "model/ebt",
    "model/cpu",
    "data/default",
    "data/cpu",
    "data/addition",
    "train/default",
    "train/cpu",
    "preset/cpu",
];

/// The text of a shipped file.
pub(super) fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(shipped, _)| *shipped == name).map(|(_, text)| *text)
}

/// Where files are looked for.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// A directory whose files win over the shipped ones.
    dir: Option<PathBuf>,
}

/// One entry of a file's defaults list.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entry {
    /// `_self_`: the place of the file's own keys.
    Own,
    /// `name`: another option of the same group.
    Option(String),
    /// `group: name`, or `group: null` where nothing is chosen.
    Group(String, Option<String>),
}

/// A file: what it starts from, and its own keys, dotted below the root of the file.
#[derive(Debug)]
pub(super) struct Layer {
    /// The file's name for messages.
    pub label: String,
    /// Its defaults list.
    pub defaults: Vec<Entry>,
    /// Its own keys.
    pub keys: Vec<(String, Value)>,
}

impl Files {
    /// The shipped files, with those under `dir` in front.
    pub fn new(dir: Option<PathBuf>) -> Result<Self, ConfigError> {
        if let Some(path) = &dir {
            std::fs::read_dir(path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        }
        Ok(Self { dir })
    }

    /// Reads a file by its name without `.yaml`; none if there is no such file.
    pub fn layer(&self, name: &str) -> Result<Option<Layer>, ConfigError> {
        if let Some(path) = self.path(name) {
            match std::fs::read_to_string(&path) {
                Ok(text) => return parse(path.display().to_string(), &text).map(Some),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(ConfigError::Read { path, source }),
            }
        }
        shipped(name).map(|text| parse(format!("conf/{name}.yaml"), text)).transpose()
    }

    /// The options of a group, sorted, `default` first.
    pub fn options(&self, group: &str) -> Vec<String> {
        let mut names: BTreeSet<String> = SHIPPED
            .iter()
            .filter_map(|(name, _)| name.strip_prefix(group)?.strip_prefix('/'))
            .map(str::to_owned)
            .collect();
        let dir = self.dir.as_ref().map(|dir| dir.join(group));
        if let Some(entries) = dir.and_then(|dir| std::fs::read_dir(dir).ok()) {
            names.extend(entries.flatten().filter_map(|entry| {
                let file = entry.file_name();
                Some(file.to_str()?.strip_suffix(".yaml")?.to_owned())
            }));
        }
        let mut options: Vec<String> = names.into_iter().collect();
        options.sort_by_key(|name| name != "default");
        options
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.dir.as_ref()?.join(format!("{name}.yaml")))
    }
}

fn parse(label: String, text: &str) -> Result<Layer, ConfigError> {
    let fail = |problem: String| ConfigError::File { file: label.clone(), problem };
    let tree: Value = serde_yaml::from_str(text).map_err(|error| fail(error.to_string()))?;
    let mut layer = Layer { label: label.clone(), defaults: Vec::new(), keys: Vec::new() };
    let map = match tree {
        Value::Null => return Ok(layer),
        Value::Mapping(map) => map,
        _ => return Err(fail("expected `key: value` lines".to_owned())),
    };
    for (key, value) in map {
        let Some(key) = key.as_str() else {
            return Err(fail(format!("expected a name as key, not {key:?}")));
        };
        if key == "defaults" {
            layer.defaults = entries(&value).ok_or_else(|| {
                fail("`defaults` is a list of `group: option`, or of options of the same group".to_owned())
            })?;
        } else {
            flatten(key, value, &mut layer.keys);
        }
    }
    Ok(layer)
}

/// The entries of a defaults list; none if it is not one.
fn entries(value: &Value) -> Option<Vec<Entry>> {
    value.as_sequence()?.iter().map(entry).collect()
}

fn entry(value: &Value) -> Option<Entry> {
    match value {
        Value::String(name) if name == "_self_" => Some(Entry::Own),
        Value::String(name) => Some(Entry::Option(name.clone())),
        Value::Mapping(map) if map.len() == 1 => {
            let (group, option) = map.iter().next()?;
            let option = match option {
                Value::Null => None,
                other => Some(other.as_str()?.to_owned()),
            };
            Some(Entry::Group(group.as_str()?.to_owned(), option))
        }
        _ => None,
    }
}

/// Writes nested maps as dotted keys.
fn flatten(key: &str, value: Value, keys: &mut Vec<(String, Value)>) {
    match value {
        Value::Mapping(map) => {
            for (name, value) in map {
                let name = name.as_str().map_or_else(|| format!("{name:?}"), str::to_owned);
                flatten(&format!("{key}.{name}"), value, keys);
            }
        }
        value => keys.push((key.to_owned(), value)),
    }
}
