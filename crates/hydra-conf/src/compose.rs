//! From files and overrides to one configuration: groups first, then the program's own file, presets, and what was
//! typed.

use std::collections::BTreeMap;

use serde_yaml::{Mapping, Value};

use crate::error::ConfigError;
use crate::files::{Entry, Files, Layer};
use crate::overrides::{Override, Verb};
use crate::root::Root;
use crate::schema::Schema;
use crate::value::{Tree, refers, show};
use crate::{interpolate, suggest};

/// One run to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Job<T> {
    /// Its configuration.
    pub config: T,
    /// The overrides that led to it, as typed.
    pub overrides: Vec<String>,
    /// What the user should be told about it.
    pub notices: Vec<String>,
}

/// What the files say, before anything typed.
#[derive(Debug)]
pub(crate) struct Composed {
    /// The values.
    pub tree: Tree,
    /// The groups in order, with the option that is chosen where one is.
    pub groups: Vec<(String, Option<String>)>,
}

/// Composes the configuration of one job.
pub(crate) fn job<T: Root>(files: &Files, known: &Schema, overrides: &[Override]) -> Result<Job<T>, ConfigError> {
    let (composed, mut typed) = layers(files, known, overrides)?;
    let notices = T::settle(&mut typed, &composed.tree)?;
    let mut tree = composed.tree;
    tree.extend(typed);
    let config: T = build(known, &tree, T::FILE)?;
    config.relations()?;
    Ok(Job { config, overrides: overrides.iter().map(Override::to_string).collect(), notices })
}

/// What the files say and what was typed.
pub(crate) fn layers(files: &Files, known: &Schema, overrides: &[Override]) -> Result<(Composed, Tree), ConfigError> {
    let mut composer = Composer { files, known, root: files.root()?, tree: Tree::new() };
    let mut groups = composer.groups();
    let mut keys = Vec::new();
    for item in overrides {
        match groups.iter_mut().find(|(group, _)| *group == item.key) {
            Some((group, option)) => *option = choice(files, &composer.root, group, item)?,
            None => keys.push(item),
        }
    }
    composer.lay_all(&groups)?;
    let mut tree = composer.tree;
    let typed = typed(known, &groups, &mut tree, &keys)?;
    Ok((Composed { tree, groups }, typed))
}

/// The option that an override chooses in a group.
fn choice(files: &Files, root: &Layer, group: &str, item: &Override) -> Result<Option<String>, ConfigError> {
    let may_be_none = root.defaults.contains(&Entry::Group(group.to_owned(), None));
    let none = item.action == Verb::Drop || item.text == "null";
    if none && may_be_none {
        return Ok(None);
    }
    if item.action == Verb::Drop {
        let reason = format!("the group needs an option; its options are {}", files.options(group).join(", "));
        return Err(ConfigError::NotDropped { key: group.to_owned(), reason });
    }
    if item.sweep().len() > 1 {
        return Err(ConfigError::WrongType {
            key: group.to_owned(),
            value: item.text.clone(),
            wanted: format!("one of {}", files.options(group).join(", ")),
            hint: "; several options need -m (--multirun)".to_owned(),
        });
    }
    Ok(Some(item.text.trim().to_owned()))
}

/// Lays files over one another.
struct Composer<'a> {
    files: &'a Files<'a>,
    known: &'a Schema,
    root: Layer,
    tree: Tree,
}

impl Composer<'_> {
    /// The groups of the program's file, with their defaults.
    fn groups(&self) -> Vec<(String, Option<String>)> {
        let named = self.root.defaults.iter().filter_map(|entry| match entry {
            Entry::Group(group, option) => Some((group.clone(), option.clone())),
            _ => None,
        });
        named.collect()
    }

    /// Lays the chosen options of the sections, the program's own keys, then the presets: those groups that are no
    /// section of the configuration. Presets come last so that they win over the groups wherever they are typed.
    fn lay_all(&mut self, groups: &[(String, Option<String>)]) -> Result<(), ConfigError> {
        for entry in &self.root.defaults {
            if let Entry::Option(name) = entry {
                let problem = format!("`{name}` in the defaults list names no group; write `group: {name}`");
                return Err(ConfigError::File { file: self.root.label.clone(), problem });
            }
        }
        let label = self.root.label.clone();
        let entries = self.root.defaults.clone();
        for entry in &entries {
            match entry {
                Entry::Own => self.lay_own(&label)?,
                Entry::Group(group, _) if self.known.has_section(group) => self.lay_chosen(groups, group)?,
                _ => {}
            }
        }
        self.lay_own(&label)?;
        for (group, option) in groups {
            if let (Some(option), false) = (option, self.known.has_section(group)) {
                self.lay_preset(group, option)?;
            }
        }
        Ok(())
    }

    /// Lays the program's own keys, once.
    fn lay_own(&mut self, label: &str) -> Result<(), ConfigError> {
        let (declared, keys) = (std::mem::take(&mut self.root.declared), std::mem::take(&mut self.root.keys));
        self.lay(label, "", declared)?;
        self.lay(label, "", keys)
    }

    fn lay_chosen(&mut self, groups: &[(String, Option<String>)], group: &str) -> Result<(), ConfigError> {
        match groups.iter().find(|(name, _)| name == group) {
            Some((_, Some(option))) => self.lay_option(group, option, &mut Vec::new()),
            _ => Ok(()),
        }
    }

    /// Lays an option of a group over the options it starts from.
    fn lay_option(&mut self, group: &str, option: &str, open: &mut Vec<String>) -> Result<(), ConfigError> {
        let layer = self.option(group, option)?;
        if open.iter().any(|name| name == option) {
            return Err(ConfigError::File {
                file: layer.label,
                problem: "its defaults list leads back to itself".to_owned(),
            });
        }
        open.push(option.to_owned());
        for entry in &layer.defaults {
            match entry {
                Entry::Option(name) => self.lay_option(group, name, open)?,
                Entry::Own => {}
                Entry::Group(..) => {
                    return Err(ConfigError::File {
                        file: layer.label,
                        problem: format!("its defaults list may name options of {group} only"),
                    });
                }
            }
        }
        open.pop();
        self.lay(&layer.label, group, layer.keys)
    }

    /// Lays a preset: the own keys of the options it names, without what those start from, then its own keys.
    fn lay_preset(&mut self, group: &str, option: &str) -> Result<(), ConfigError> {
        let preset = self.option(group, option)?;
        for entry in &preset.defaults {
            match entry {
                Entry::Group(group, Some(option)) => {
                    let layer = self.option(group, option)?;
                    self.lay(&layer.label, group, layer.keys)?;
                }
                Entry::Option(name) => self.lay_preset(group, name)?,
                Entry::Group(_, None) | Entry::Own => {}
            }
        }
        self.lay(&preset.label, "", preset.keys)
    }

    fn option(&self, group: &str, option: &str) -> Result<Layer, ConfigError> {
        let plain = option.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let layer = match plain {
            true => self.files.option(group, option)?,
            false => None,
        };
        layer.ok_or_else(|| ConfigError::UnknownOption {
            group: group.to_owned(),
            option: option.to_owned(),
            options: self.files.options(group),
        })
    }

    /// Lays the keys of one file, after checking each.
    fn lay(&mut self, label: &str, section: &str, keys: Vec<(String, Value)>) -> Result<(), ConfigError> {
        let mut laid = Tree::new();
        for (key, value) in keys {
            let name = match section {
                "" => key,
                _ => format!("{section}.{key}"),
            };
            let empty = value.as_mapping().is_some_and(Mapping::is_empty);
            if empty && self.known.has_section(&name) {
                continue;
            }
            let Some(key) = self.known.key(&name) else {
                return Err(ConfigError::UnknownKey {
                    nearest: suggest::nearest(&name, self.known.names()),
                    key: name,
                    place: Some(label.to_owned()),
                });
            };
            let in_file = |problem: String| ConfigError::File { file: label.to_owned(), problem };
            let refers = value.as_str().is_some_and(refers);
            let value = match refers {
                true => value,
                false => key.check(&name, &value).map_err(|error| in_file(error.to_string()))?,
            };
            let other = laid.insert(key.name.clone(), value.clone());
            if other.is_some_and(|other| other != value) {
                return Err(in_file(format!("{name} and {} are one setting with two names; give one", key.name)));
            }
            self.tree.insert(key.name.clone(), value);
        }
        Ok(())
    }
}

/// Reads what was typed for keys. Dropped keys of an open section leave `tree`.
fn typed(
    known: &Schema,
    groups: &[(String, Option<String>)],
    tree: &mut Tree,
    overrides: &[&Override],
) -> Result<Tree, ConfigError> {
    // By the name that was typed: the last of the same name wins.
    let mut by_name: BTreeMap<&str, Option<Value>> = BTreeMap::new();
    for item in overrides {
        let value = typed_value(known, groups, tree, item)?;
        by_name.insert(&item.key, value);
    }
    let mut typed = Tree::new();
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, value) in by_name {
        let own = known.own_name(name);
        let Some(value) = value else {
            tree.remove(own);
            continue;
        };
        if let (Some(first), Some(other)) = (names.insert(own, name), typed.get(own))
            && *other != value
        {
            return Err(ConfigError::Relation(format!(
                "{first}={} and {name}={} contradict one another: they are one setting with two names; give one",
                show(other),
                show(&value)
            )));
        }
        typed.insert(own.to_owned(), value);
    }
    Ok(typed)
}

/// The value an override gives to a key; none where it takes the key out of an open section.
fn typed_value(
    known: &Schema,
    groups: &[(String, Option<String>)],
    tree: &Tree,
    item: &Override,
) -> Result<Option<Value>, ConfigError> {
    let name = item.key.as_str();
    let Some(key) = known.key(name) else {
        return Err(unknown(known, groups, item));
    };
    match item.action {
        Verb::Drop if key.open.is_some() => Ok(None),
        Verb::Drop if key.optional => Ok(Some(Value::Null)),
        Verb::Drop => {
            Err(ConfigError::NotDropped { key: name.to_owned(), reason: format!("it needs a value, {}", key.kind) })
        }
        Verb::Add if key.open.is_none() || tree.contains_key(&key.name) => Err(ConfigError::NotAdded {
            key: name.to_owned(),
            reason: format!("the key is there already; write {name}={}", item.text),
        }),
        _ => key.read(name, &item.text).map(Some),
    }
}

/// The error for a key that does not exist.
fn unknown(known: &Schema, groups: &[(String, Option<String>)], item: &Override) -> ConfigError {
    let key = item.key.clone();
    if known.has_section(&key) {
        return ConfigError::Malformed {
            text: item.to_string(),
            expected: format!("`{key}` is a section and no group; set its keys, as in {key}.key=value"),
        };
    }
    let names = known.names().chain(groups.iter().map(|(group, _)| group.as_str()));
    let nearest = suggest::nearest(&key, names);
    if item.action != Verb::Add {
        return ConfigError::unknown_key(&key, nearest);
    }
    let meant = suggest::did_you_mean(&nearest);
    ConfigError::NotAdded { key, reason: format!("no such key is read, and only known ones can be set{meant}") }
}

/// Resolves references, checks every value and builds the struct.
fn build<T: Root>(known: &Schema, tree: &Tree, file: &str) -> Result<T, ConfigError> {
    let tree = resolve(known, tree)?;
    let mut top = Mapping::new();
    for key in &known.keys {
        let value = match tree.get(&key.name) {
            Some(value) => Some(value.clone()),
            None if key.open.is_some() => None,
            None if key.default.is_none() => return Err(ConfigError::NotGiven { key: key.name.clone() }),
            None => {
                return Err(ConfigError::Missing { key: key.name.clone(), file: format!("{file}.yaml") });
            }
        };
        let (parents, leaf) = key.path();
        let map = parents.iter().try_fold(&mut top, |map, parent| {
            map.entry((*parent).into()).or_insert_with(|| Mapping::new().into()).as_mapping_mut()
        });
        if let (Some(map), Some(value)) = (map, value) {
            map.insert(leaf.into(), value);
        }
    }
    Ok(serde_yaml::from_value(Value::Mapping(top))?)
}

/// Every value with its references replaced, checked.
pub(crate) fn resolve(known: &Schema, tree: &Tree) -> Result<Tree, ConfigError> {
    let mut tree = interpolate::resolve(known, tree)?;
    for (name, value) in &mut tree {
        if let Some(key) = known.key(name) {
            *value = key.check(name, value)?;
        }
    }
    Ok(tree)
}

/// The configuration that these overrides lead to, without a command line and a folder of the user's; with none, the
/// defaults.
pub fn composed<T: Root>(overrides: &[&str]) -> Result<T, ConfigError> {
    let known = T::schema();
    let files = Files::new(None, T::PACKAGE.files, T::FILE, &known)?;
    let overrides = overrides.iter().map(|arg| Override::parse(arg)).collect::<Result<Vec<_>, _>>()?;
    job(&files, &known, &overrides).map(|job| job.config)
}
