//! The configuration files: those of `--config-dir`, behind them those embedded in the program, and behind these what
//! the structs declare, as if files said so: the program's own keys, and the option `default` of each section.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_yaml::{Mapping, Value};

use crate::error::ConfigError;
use crate::schema::Schema;

/// The option of a section that the struct declares.
const DEFAULT: &str = "default";

/// Where files are looked for.
pub(crate) struct Files<'a> {
    /// A directory whose files win over the others.
    dir: Option<PathBuf>,
    /// The files inside the program: name and text.
    embedded: &'a [(&'a str, &'a str)],
    /// The name of the program's own file.
    own: &'a str,
    /// The keys with what is declared for them.
    pub known: &'a Schema,
}

/// One entry of a file's defaults list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    /// `_self_`: the place of the file's own keys.
    Own,
    /// `name`: another option of the same group.
    Option(String),
    /// `group: name`, or `group: null` where nothing is chosen.
    Group(String, Option<String>),
    /// `override /group: name`: chooses for a group that another list names.
    Override(String, Option<String>),
}

/// A group and its option; none where nothing is chosen.
pub(crate) type Group = (String, Option<String>);

/// A file: what it starts from, and its own keys, dotted below the root of the file.
#[derive(Default)]
pub(crate) struct Layer {
    /// The file's name for messages.
    pub label: String,
    /// Its defaults list.
    pub defaults: Vec<Entry>,
    /// What structs declare, beneath its own keys.
    pub declared: Vec<(String, Value)>,
    /// Its own keys.
    pub keys: Vec<(String, Value)>,
}

impl<'a> Files<'a> {
    /// The files of a program, with those under `dir` in front.
    pub fn new(
        dir: Option<PathBuf>,
        embedded: &'a [(&'a str, &'a str)],
        own: &'a str,
        known: &'a Schema,
    ) -> Result<Self, ConfigError> {
        if let Some(path) = &dir {
            std::fs::read_dir(path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        }
        Ok(Self { dir, embedded, own, known })
    }

    /// The program's own file. One of the user's stands for itself; one inside the program lies over what the structs
    /// declare.
    pub fn root(&self) -> Result<Layer, ConfigError> {
        if let Some(layer) = self.of_user(self.own)? {
            return Ok(layer);
        }
        let layer = self.of_program(self.own)?.unwrap_or_else(|| Layer { label: label(self.own), ..Layer::default() });
        Ok(Layer { declared: self.declared_beside(&layer.defaults), ..layer })
    }

    /// An option of a group; none if it has no such option.
    fn option(&self, group: &str, option: &str) -> Result<Option<Layer>, ConfigError> {
        let name = format!("{group}/{option}");
        Ok(match (self.of_user(&name)?, self.of_program(&name)?) {
            (None, None) if option == DEFAULT && self.known.has_section(group) => {
                Some(Layer { label: label(&name), keys: self.declared_in(group), ..Layer::default() })
            }
            (of_user, of_program) => of_user.or(of_program),
        })
    }

    /// Where files are looked for, in order.
    pub fn places(&self) -> Vec<String> {
        let dir = self.dir.iter().map(|dir| dir.display().to_string());
        dir.chain(["the files inside the program".to_owned(), "the program's own structs".to_owned()]).collect()
    }

    /// Whether there is a file of the program's own name.
    pub fn has_own(&self) -> bool {
        let of_user = self.dir.as_ref().is_some_and(|dir| dir.join(format!("{}.yaml", self.own)).is_file());
        of_user || self.embedded(self.own).is_some()
    }

    /// The option that was chosen, which must be there.
    pub fn chosen(&self, group: &str, option: &str) -> Result<Layer, ConfigError> {
        let plain = option.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let layer = if plain { self.option(group, option)? } else { None };
        layer.ok_or_else(|| ConfigError::UnknownOption {
            group: group.to_owned(),
            option: option.to_owned(),
            options: self.options(group),
        })
    }

    fn of_user(&self, name: &str) -> Result<Option<Layer>, ConfigError> {
        let Some(path) = self.dir.as_ref().map(|dir| dir.join(format!("{name}.yaml"))) else { return Ok(None) };
        match std::fs::read_to_string(&path) {
            Ok(text) => parse(path.display().to_string(), &text).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ConfigError::Read { path, source }),
        }
    }

    fn of_program(&self, name: &str) -> Result<Option<Layer>, ConfigError> {
        self.embedded(name).map(|text| parse(label(name), text)).transpose()
    }

    /// The text of a file inside the program.
    pub fn embedded(&self, name: &str) -> Option<&'a str> {
        self.embedded.iter().find(|(embedded, _)| *embedded == name).map(|(_, text)| *text)
    }

    /// The options of a group, sorted, `default` first.
    pub fn options(&self, group: &str) -> Vec<String> {
        let embedded = self.embedded.iter().filter_map(|(name, _)| name.strip_prefix(group)?.strip_prefix('/'));
        let mut names: BTreeSet<String> = embedded.map(str::to_owned).collect();
        names.extend(self.known.has_section(group).then(|| DEFAULT.to_owned()));
        let dir = self.dir.as_ref().map(|dir| dir.join(group));
        if let Some(entries) = dir.and_then(|dir| std::fs::read_dir(dir).ok()) {
            names.extend(entries.flatten().filter_map(|entry| {
                let file = entry.file_name();
                Some(file.to_str()?.strip_suffix(".yaml")?.to_owned())
            }));
        }
        let mut options: Vec<String> = names.into_iter().collect();
        options.sort_by_key(|name| name != DEFAULT);
        options
    }

    /// What is declared for the keys of a section, by their names within it.
    fn declared_in(&self, section: &str) -> Vec<(String, Value)> {
        let keys = self.known.keys.iter().filter(|key| key.sections().any(|parent| parent == section));
        keys.filter_map(|key| Some((key.name[section.len() + 1..].to_owned(), key.default.clone()?))).collect()
    }

    /// What is declared for the keys that stand in no group of a defaults list.
    fn declared_beside(&self, defaults: &[Entry]) -> Vec<(String, Value)> {
        let grouped =
            |section: &str| defaults.iter().any(|entry| matches!(entry, Entry::Group(name, _) if name == section));
        let keys = self.known.keys.iter().filter(|key| key.open.is_none() && !key.sections().any(grouped));
        keys.filter_map(|key| Some((key.name.clone(), key.default.clone()?))).collect()
    }
}

/// What messages call a file inside the program.
fn label(name: &str) -> String {
    format!("conf/{name}.yaml")
}

impl Layer {
    /// The groups of its defaults list.
    pub fn groups(&self) -> Vec<Group> {
        let named = self.defaults.iter().filter_map(|entry| match entry {
            Entry::Group(group, option) => Some((group.clone(), option.clone())),
            _ => None,
        });
        named.collect()
    }
}

fn parse(label: String, text: &str) -> Result<Layer, ConfigError> {
    let fail = |problem: String| ConfigError::in_file(&label, problem);
    let tree: Value = serde_yaml::from_str(text).map_err(|error| fail(error.to_string()))?;
    let mut layer = Layer::default();
    let map = match tree {
        Value::Null => Mapping::new(),
        Value::Mapping(map) => map,
        _ => return Err(fail("expected `key: value` lines".to_owned())),
    };
    for (key, value) in map {
        let Some(key) = key.as_str() else {
            return Err(fail(format!("expected a name as key, not {key:?}")));
        };
        if key == "defaults" {
            let entries = value.as_sequence().and_then(|entries| entries.iter().map(entry).collect());
            let problem = "`defaults` is a list of `group: option`, or of options of the same group";
            layer.defaults = entries.ok_or_else(|| fail(problem.to_owned()))?;
        } else {
            flatten(key, value, &mut layer.keys);
        }
    }
    Ok(Layer { label, ..layer })
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
            let group = group.as_str()?;
            Some(match group.strip_prefix("override ") {
                Some(other) => Entry::Override(other.trim().trim_start_matches('/').to_owned(), option),
                None => Entry::Group(group.trim_start_matches('/').to_owned(), option),
            })
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
