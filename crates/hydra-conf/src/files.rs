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
    /// `optional group: name`: nothing is chosen where there is no such option.
    Optional(String, String),
    /// `override /group: name`: chooses for a group that another list names.
    Override(String, Option<String>),
    /// In the list of the program's own file: another such file, which it starts from.
    Base(Box<Layer>),
}

/// A group and its option; none where nothing is chosen.
pub(crate) type Group = (String, Option<String>);

/// A file: what it starts from, and its own keys, dotted below the root of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Layer {
    /// The file's name for messages.
    pub label: String,
    /// Its defaults list.
    pub defaults: Vec<Entry>,
    /// What structs declare, beneath its own keys.
    pub declared: Vec<(String, Value)>,
    /// Its own keys.
    pub keys: Vec<(String, Value)>,
    /// Where its keys go if not to the section of its group: what its line `# @package` says.
    pub package: Option<String>,
    /// Hydra's own settings.
    pub hydra: Vec<(String, Value)>,
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
        self.base(self.own, &mut Vec::new())
    }

    /// A file that the program's own may start from, with those that it starts from itself; those that are being read
    /// are `open`.
    fn base(&self, name: &str, open: &mut Vec<String>) -> Result<Layer, ConfigError> {
        let of_user = self.of_user(name)?;
        let declares = of_user.is_none();
        let mut layer = match of_user {
            Some(layer) => layer,
            None => self.of_program(name)?.unwrap_or_else(|| Layer { label: label(name), ..Layer::default() }),
        };
        if open.iter().any(|other| other == name) {
            return Err(ConfigError::in_file(&layer.label, "its defaults list leads back to itself"));
        }
        open.push(name.to_owned());
        for entry in &mut layer.defaults {
            let Entry::Option(other) = entry else { continue };
            let other = plain_name(other);
            if !self.has(other) {
                let problem =
                    format!("`{other}` in the defaults list is no file beside it; a group is written `group: {other}`");
                return Err(ConfigError::in_file(&layer.label, problem));
            }
            *entry = Entry::Base(Box::new(self.base(other, open)?));
        }
        open.pop();
        Ok(if declares { Layer { declared: self.declared_beside(&layer.entries()), ..layer } } else { layer })
    }

    /// An option of a group; none if it has no such option.
    fn option(&self, group: &str, option: &str) -> Result<Option<Layer>, ConfigError> {
        let name = format!("{group}/{option}");
        let layer = match (self.of_user(&name)?, self.of_program(&name)?) {
            (None, None) if option == DEFAULT && self.known.has_section(group) => {
                Some(Layer { label: label(&name), keys: self.declared_in(group), ..Layer::default() })
            }
            (of_user, of_program) => of_user.or(of_program),
        };
        match layer {
            Some(layer) if !layer.hydra.is_empty() => {
                let problem =
                    "Hydra's own settings stand in the program's own file, or are typed, as in hydra.run.dir=FOLDER";
                Err(ConfigError::in_file(&layer.label, problem))
            }
            layer => Ok(layer),
        }
    }

    /// Where files are looked for, in order.
    pub fn places(&self) -> Vec<String> {
        let dir = self.dir.iter().map(|dir| dir.display().to_string());
        dir.chain(["the files inside the program".to_owned(), "the program's own structs".to_owned()]).collect()
    }

    /// Whether there is a file of the program's own name.
    pub fn has_own(&self) -> bool {
        self.has(self.own)
    }

    fn has(&self, name: &str) -> bool {
        let of_user = self.dir.as_ref().is_some_and(|dir| dir.join(format!("{name}.yaml")).is_file());
        of_user || self.embedded(name).is_some()
    }

    /// The option that was chosen, which must be there.
    pub fn chosen(&self, group: &str, option: &str) -> Result<Layer, ConfigError> {
        let option = plain_name(option);
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
            Ok(text) => parse(path.display().to_string(), &text).map(|layer| Some(self.settled(layer))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ConfigError::Read { path, source }),
        }
    }

    fn of_program(&self, name: &str) -> Result<Option<Layer>, ConfigError> {
        let layer = self.embedded(name).map(|text| parse(label(name), text)).transpose()?;
        Ok(layer.map(|layer| self.settled(layer)))
    }

    /// A file whose optional entries are those that there are.
    fn settled(&self, mut layer: Layer) -> Layer {
        for entry in &mut layer.defaults {
            if let Entry::Optional(group, option) = entry {
                let option = Some(std::mem::take(option)).filter(|option| self.options(group).contains(option));
                *entry = Entry::Group(std::mem::take(group), option);
            }
        }
        layer
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
    fn declared_beside(&self, defaults: &[&Entry]) -> Vec<(String, Value)> {
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
    /// The entries of its defaults list, and of those of the files that it starts from.
    pub fn entries(&self) -> Vec<&Entry> {
        let mut all = Vec::new();
        for entry in &self.defaults {
            match entry {
                Entry::Base(layer) => all.extend(layer.entries()),
                entry => all.push(entry),
            }
        }
        all
    }

    /// The groups of its defaults list.
    pub fn groups(&self) -> Vec<Group> {
        let named = self.entries().into_iter().filter_map(|entry| match entry {
            Entry::Group(group, option) => Some((group.clone(), option.clone())),
            _ => None,
        });
        named.collect()
    }

    /// Hydra's own settings in it, after those of the files that it starts from.
    pub fn settings(&self) -> Vec<(String, Value)> {
        let bases = self.defaults.iter().filter_map(|entry| match entry {
            Entry::Base(layer) => Some(layer.settings()),
            _ => None,
        });
        bases.flatten().chain(self.hydra.clone()).collect()
    }
}

fn parse(label: String, text: &str) -> Result<Layer, ConfigError> {
    let fail = |problem: String| ConfigError::in_file(&label, problem);
    let tree: Value = serde_yaml::from_str(text).map_err(|error| fail(error.to_string()))?;
    let mut layer = Layer { package: package(text), ..Layer::default() };
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
            layer.defaults.retain(|entry| match entry {
                Entry::Override(group, option) if group.starts_with("hydra/") => {
                    layer.hydra.push((group.clone(), option.as_deref().map_or(Value::Null, Value::from)));
                    false
                }
                _ => true,
            });
        } else if key == "hydra" {
            flatten(key, value, &mut layer.hydra);
        } else {
            flatten(key, value, &mut layer.keys);
        }
    }
    Ok(Layer { label, ..layer })
}

/// What the line `# @package` at the top of a file says, if there is one.
fn package(text: &str) -> Option<String> {
    let comments = text.lines().map(str::trim).take_while(|line| line.is_empty() || line.starts_with('#'));
    let package =
        comments.filter_map(|line| line.trim_start_matches(['#', ' ']).strip_prefix("@package ")).next()?.trim();
    match package {
        "_group_" => None,
        "_global_" => Some(String::new()),
        named => Some(named.to_owned()),
    }
}

/// The name of an option as Hydra looks for it.
pub(crate) fn plain_name(option: &str) -> &str {
    let option = option.strip_prefix("./").unwrap_or(option);
    option.strip_suffix(".yaml").unwrap_or(option)
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
            let name = |group: &str| group.trim().trim_start_matches('/').to_owned();
            Some(match (group.strip_prefix("override "), group.strip_prefix("optional "), option) {
                (Some(other), _, option) => Entry::Override(name(other), option),
                (_, Some(other), Some(option)) => Entry::Optional(name(other), option),
                (_, Some(other), None) => Entry::Group(name(other), None),
                (.., option) => Entry::Group(name(group), option),
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
