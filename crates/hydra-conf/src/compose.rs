//! From files and overrides to one configuration: groups first, then the program's own file, presets, and what was
//! typed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_yaml::{Mapping, Value};

use crate::choose::{self, Chosen, named_in};
use crate::error::ConfigError;
use crate::files::{Entry, Files, Group, Layer, plain_name};
use crate::grammar::Element;
use crate::key::Key;
use crate::launch::Launch;
use crate::overrides::{Override, Verb};
use crate::root::Root;
use crate::schema::Schema;
use crate::section::dotted;
use crate::value::{Tree, holds_reference, refers, show};
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
    /// The folder that `hydra.run.dir`, or `hydra.sweep.dir` and `hydra.sweep.subdir`, named for it.
    pub dir: Option<PathBuf>,
}

/// What files and overrides lead to.
pub(crate) struct Composed {
    /// The values, checked, their references replaced.
    pub tree: Tree,
    /// The groups in order.
    pub groups: Vec<Group>,
    /// What the user should be told.
    notices: Vec<String>,
    /// Hydra's own settings, their references replaced.
    pub hydra: Value,
    /// The folder that they name.
    dir: Option<PathBuf>,
    /// The files that were opened, and how deep in one another.
    pub opened: Vec<(usize, String)>,
    /// The files whose keys were laid over one another, and the section of each.
    pub laid: Vec<(String, String)>,
}

impl Composed {
    /// The job of these values, which `overrides` led to.
    pub fn job<T: Root>(&self, known: &Schema, overrides: &[Override]) -> Result<Job<T>, ConfigError> {
        let config: T = build(known, &self.tree, &self.laid)?;
        config.relations()?;
        let overrides = overrides.iter().map(Override::to_string).collect();
        Ok(Job { config, overrides, notices: self.notices.clone(), dir: self.dir.clone() })
    }
}

/// Lays what was typed over what the files say.
pub(crate) fn compose<T: Root>(
    files: &Files,
    overrides: &[Override],
    launch: &Launch,
) -> Result<Composed, ConfigError> {
    let root = files.root()?;
    let mut chosen = Chosen { files, root: &root, groups: root.groups(), typed: Vec::new(), added: Vec::new() };
    let mut keys = Vec::new();
    // A group that is dropped is so wherever that stands, as in Hydra.
    let (drops, others): (Vec<_>, Vec<_>) = overrides.iter().partition(|item| item.drops() && chosen.is_group(item));
    for item in others.into_iter().chain(drops) {
        if !chosen.take(item)? {
            keys.extend(item.spread(|name| files.known.has_section(name))?);
        }
    }
    let Chosen { mut groups, typed, added, .. } = chosen;
    name_options(&mut groups, launch)?;
    choose::overrides(files, &root, &mut groups, &typed)?;
    name_options(&mut groups, launch)?;
    let (opened, laid) = (vec![(0, T::FILE.to_owned())], Vec::new());
    let mut composer = Composer { files, known: files.known, launch, groups, tree: Tree::new(), opened, laid };
    composer.lay_all(root)?;
    for (group, option, section) in added {
        composer.lay_option_at(&section, &group, &option, &mut Vec::new())?;
    }
    let mut typed = composer.typed(&keys)?;
    let Composer { mut tree, groups, opened, laid, .. } = composer;
    let notices = T::settle(&mut typed, &tree)?;
    tree.extend(typed);
    let settings = launch.tree(&groups, overrides);
    let resolved = interpolate::resolve(files.known, &tree, settings, launch);
    let mut tree = resolved.map_err(|error| match error {
        ConfigError::NotGiven { key } => missing(files.known, key, &laid),
        other => other,
    })?;
    for (name, value) in &mut tree {
        if let Some(key) = files.known.key(name) {
            *value = key.check(name, value)?;
        }
    }
    let (hydra, dir) = (launch.to_value(&groups, &tree), launch.dir(&tree));
    Ok(Composed { tree, groups, notices, hydra, dir, opened, laid })
}

/// Makes of what was chosen in each group the name of an option, which may be written with references to other groups.
fn name_options(groups: &mut [Group], launch: &Launch) -> Result<(), ConfigError> {
    for at in 0..groups.len() {
        if let (group, Some(option)) = &groups[at] {
            groups[at].1 = Some(named(group, option, groups, launch)?);
        }
    }
    Ok(())
}

/// The option that a text names.
fn named(group: &str, text: &str, groups: &[Group], launch: &Launch) -> Result<String, ConfigError> {
    let option = match refers(text) {
        true => interpolate::option(group, text, groups, launch)?,
        false => text.to_owned(),
    };
    Ok(plain_name(&option).to_owned())
}

/// The error for a key that no file gives a value.
fn missing(known: &Schema, key: String, laid: &[(String, String)]) -> ConfigError {
    if known.key(&key).is_none_or(|key| key.default.is_none()) {
        return ConfigError::NotGiven { key };
    }
    // The last file of its section is the one that was chosen.
    let below = |section: &str| key.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'));
    let (file, advice) = match laid.iter().rfind(|(_, section)| below(section)) {
        Some((file, _)) => (file, "a group file can start from the defaults with `defaults: [default]`"),
        None => match laid.iter().find(|(_, section)| section.is_empty()) {
            Some((file, _)) => (file, "a file of your own needs every key outside of the groups"),
            None => return ConfigError::NotGiven { key },
        },
    };
    let file = format!("{file} does not set it; {advice}");
    ConfigError::Missing { key, file }
}

/// Lays files over one another.
struct Composer<'a> {
    files: &'a Files<'a>,
    known: &'a Schema,
    launch: &'a Launch,
    groups: Vec<Group>,
    tree: Tree,
    opened: Vec<(usize, String)>,
    laid: Vec<(String, String)>,
}

impl Composer<'_> {
    /// Lays the chosen options of the sections, the program's own keys, then the presets: those groups that are no
    /// section of the configuration. Presets come last so that they win over the groups wherever they are typed.
    fn lay_all(&mut self, root: Layer) -> Result<(), ConfigError> {
        let groups = self.groups.clone();
        self.lay_root(root, &groups)?;
        for (group, option) in &groups {
            if let (Some(option), false) = (option, self.known.has_section(group)) {
                self.lay_preset(group, option, &mut Vec::new())?;
            }
        }
        Ok(())
    }

    /// Lays the program's own file, or one that it starts from, with the groups where they stand in its list.
    fn lay_root(&mut self, root: Layer, groups: &[Group]) -> Result<(), ConfigError> {
        let mut own = vec![root.declared, root.keys];
        for entry in root.defaults.into_iter().chain([Entry::Own]) {
            match entry {
                // Once: where the list says `_self_` first, or at its end.
                Entry::Own => own.drain(..).try_for_each(|keys| self.lay(&root.label, "", keys))?,
                Entry::Base(layer) => self.lay_root(*layer, groups)?,
                Entry::Group(group, _) if self.known.has_section(&group) => {
                    if let Some((_, Some(option))) = groups.iter().find(|(name, _)| *name == group) {
                        self.lay_option_at(&group, &group, option, &mut Vec::new())?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Lays an option of a group over the options it starts from, where a section is.
    fn lay_option_at(
        &mut self,
        section: &str,
        group: &str,
        option: &str,
        open: &mut Vec<String>,
    ) -> Result<(), ConfigError> {
        let layer = self.open(group, option, open)?;
        let place = layer.package.as_deref().unwrap_or(section);
        let mut own = Some(layer.keys);
        for entry in layer.defaults.iter().chain([&Entry::Own]) {
            match entry {
                // Once, as in `lay_root`.
                Entry::Own => own.take().map_or(Ok(()), |keys| self.lay(&layer.label, place, keys))?,
                Entry::Option(name) => {
                    self.lay_option_at(section, group, name, open).map_err(|error| named_in(&layer.label, error))?;
                }
                _ => {
                    let problem = format!("its defaults list may name options of {group} only");
                    return Err(ConfigError::in_file(&layer.label, problem));
                }
            }
        }
        open.pop();
        Ok(())
    }

    /// Lays a preset: the own keys of the options it names, without what those start from, then its own keys.
    fn lay_preset(&mut self, group: &str, option: &str, open: &mut Vec<String>) -> Result<(), ConfigError> {
        let preset = self.open(group, option, open)?;
        let mut own = Some(preset.keys);
        for entry in preset.defaults.iter().chain([&Entry::Own]) {
            match entry {
                Entry::Own => own.take().map_or(Ok(()), |keys| self.lay(&preset.label, "", keys))?,
                Entry::Group(group, Some(option)) => {
                    let layer = self.option(group, option).map_err(|error| named_in(&preset.label, error))?;
                    self.lay(&layer.label, layer.package.as_deref().unwrap_or(group), layer.keys)?;
                }
                Entry::Option(name) => {
                    self.lay_preset(group, name, open).map_err(|error| named_in(&preset.label, error))?;
                }
                _ => {}
            }
        }
        open.pop();
        Ok(())
    }

    /// An option that is being laid from now on; those that are already are `open`.
    fn open(&mut self, group: &str, option: &str, open: &mut Vec<String>) -> Result<Layer, ConfigError> {
        let layer = self.option(group, option)?;
        if open.iter().any(|name| name == option) {
            return Err(ConfigError::in_file(&layer.label, "its defaults list leads back to itself"));
        }
        open.push(option.to_owned());
        self.opened.push((open.len(), format!("{group}: {option}")));
        Ok(layer)
    }

    fn option(&self, group: &str, option: &str) -> Result<Layer, ConfigError> {
        self.files.chosen(group, &named(group, option, &self.groups, self.launch)?)
    }

    /// Lays the keys of one file, after checking each.
    fn lay(&mut self, label: &str, section: &str, keys: Vec<(String, Value)>) -> Result<(), ConfigError> {
        let place = (label.to_owned(), section.to_owned());
        if self.laid.last() != Some(&place) {
            self.laid.push(place);
        }
        let mut laid = Tree::new();
        for (key, value) in keys {
            let name = dotted(section, &key);
            if value.as_mapping().is_some_and(Mapping::is_empty) && self.known.has_section(&name) {
                continue;
            }
            if value.as_str() == Some("???") {
                continue; // Hydra's word for a value that others give
            }
            let Some(key) = self.known.key(&name) else {
                return Err(ConfigError::UnknownKey {
                    nearest: suggest::nearest(&name, self.known.names()),
                    key: name,
                    place: Some(label.to_owned()),
                });
            };
            let value = match holds_reference(&value) {
                true => value,
                false => {
                    converted(key, &name, &value).map_err(|error| ConfigError::in_file(label, error.to_string()))?
                }
            };
            let other = laid.insert(key.name.clone(), value.clone());
            if other.is_some_and(|other| other != value) {
                let problem = format!("{name} and {} are one setting with two names; give one", key.name);
                return Err(ConfigError::in_file(label, problem));
            }
            self.tree.insert(key.name.clone(), value);
        }
        Ok(())
    }

    /// Reads what was typed for keys. Dropped keys of an open section leave the tree.
    fn typed(&mut self, overrides: &[Override]) -> Result<Tree, ConfigError> {
        // By the name that was typed: the last of the same name wins.
        let mut by_name: BTreeMap<&str, Option<Value>> = BTreeMap::new();
        for item in overrides {
            let now = by_name.get(item.key.as_str()).and_then(Option::as_ref);
            let value = self.typed_value(item, now.or_else(|| self.tree.get(self.known.own_name(&item.key))))?;
            by_name.insert(&item.key, value);
        }
        let mut typed = Tree::new();
        let mut names: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in by_name {
            let own = self.known.own_name(name);
            let Some(value) = value else {
                self.tree.remove(own);
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

    /// The value an override gives to a key that has the value `now`; none where it takes it out of an open section.
    fn typed_value(&self, item: &Override, now: Option<&Value>) -> Result<Option<Value>, ConfigError> {
        let name = item.key.clone();
        let Some(key) = self.known.key(&name) else {
            return Err(self.unknown(item));
        };
        if item.package.is_some() {
            let expected = format!("`{name}` is no group, and only these have an @");
            return Err(ConfigError::Malformed { text: item.to_string(), expected });
        }
        // A number in quotes is a text, and no key that holds a number has that value.
        let is_text = matches!(item.value(), Some(Element::Quoted(..))) && now.is_some_and(|now| !now.is_string());
        if item.action == Verb::DropIf && (is_text || now != Some(&key.read(&name, item)?)) {
            let reason =
                format!("its value is {} and not {}", now.map_or_else(|| "???".to_owned(), show), item.shown());
            return Err(ConfigError::NotDropped { key: name, reason });
        }
        match item.action {
            Verb::Drop | Verb::DropIf if key.open.is_some() => Ok(None),
            Verb::Drop | Verb::DropIf if key.optional => Ok(Some(Value::Null)),
            Verb::Drop | Verb::DropIf => {
                let reason = format!("it needs a value, {}", key.kind);
                Err(ConfigError::NotDropped { key: name, reason })
            }
            Verb::Add if !(item.is_container() || now.is_none_or(Value::is_null)) => {
                let reason = format!("the key is there already; write {name}={}", item.text);
                Err(ConfigError::NotAdded { key: name, reason })
            }
            _ => key.read(&name, item).map(Some),
        }
    }

    /// The error for a key that does not exist.
    fn unknown(&self, item: &Override) -> ConfigError {
        let key = item.key.clone();
        if self.known.has_section(&key) {
            let expected = format!("`{key}` is a section and no group; set its keys, as in {key}.key=value");
            return ConfigError::Malformed { text: item.to_string(), expected };
        }
        let names = self.known.names().chain(self.groups.iter().map(|(group, _)| group.as_str()));
        let nearest = suggest::nearest(&key, names);
        if item.action != Verb::Add {
            return ConfigError::UnknownKey { key, place: None, nearest };
        }
        let meant = suggest::did_you_mean(&nearest);
        ConfigError::NotAdded { key, reason: format!("no such key is read, and only known ones can be set{meant}") }
    }
}

/// The value that a file gives to a key, as OmegaConf converts it.
fn converted(key: &Key, name: &str, value: &Value) -> Result<Value, ConfigError> {
    match value {
        Value::Mapping(_) | Value::Tagged(_) => key.check(name, value),
        plain => key.check(name, &key.convert(name, &interpolate::element(plain), &show(value))?),
    }
}

/// Builds the struct.
fn build<T: Root>(known: &Schema, tree: &Tree, laid: &[(String, String)]) -> Result<T, ConfigError> {
    let mut top = Mapping::new();
    for key in &known.keys {
        let value = tree.get(&key.name);
        if value.is_none() && key.open.is_none() {
            return Err(missing(known, key.name.clone(), laid));
        }
        let (parents, leaf) = key.path();
        let map = parents.iter().try_fold(&mut top, |map, parent| {
            map.entry((*parent).into()).or_insert_with(|| Mapping::new().into()).as_mapping_mut()
        });
        if let (Some(map), Some(value)) = (map, value) {
            map.insert(leaf.into(), value.clone());
        }
    }
    Ok(serde_yaml::from_value(Value::Mapping(top))?)
}

/// The configuration that these overrides lead to, without a command line and a folder of the user's; with none, the defaults.
pub fn composed<T: Root>(overrides: &[&str]) -> Result<T, ConfigError> {
    let known = T::schema();
    let files = Files::new(None, T::PACKAGE.files, T::FILE, &known)?;
    let overrides = overrides.iter().map(|arg| Override::parse(arg)).collect::<Result<Vec<_>, _>>()?;
    let composed = compose::<T>(&files, &overrides, &Launch::new(T::FILE, T::FILE))?;
    composed.job(&known, &overrides).map(|job| job.config)
}
