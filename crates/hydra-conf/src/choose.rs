//! Which option of each group is chosen: by the program's own file, by presets, by what was typed.

use crate::error::ConfigError;
use crate::files::{Entry, Files, Group, Layer};
use crate::grammar::Element;
use crate::overrides::{Override, Verb};

/// The options that are chosen so far.
pub(crate) struct Chosen<'a> {
    pub files: &'a Files<'a>,
    pub root: &'a Layer,
    pub groups: Vec<Group>,
    /// The groups that were typed.
    pub typed: Vec<String>,
    /// Options that are laid where another section is: the group, the option, the section.
    pub added: Vec<(String, String, String)>,
}

impl Chosen<'_> {
    /// Whether an override names a group.
    pub fn is_group(&self, item: &Override) -> bool {
        self.groups.iter().any(|(group, _)| *group == item.key)
    }

    /// Takes an override that chooses an option; false for one that sets a key.
    pub fn take(&mut self, item: &Override) -> Result<bool, ConfigError> {
        let at = self.groups.iter().position(|(group, _)| *group == item.key);
        let Some(at) = at.filter(|_| !item.is_map()) else { return Ok(false) };
        match &item.package {
            None => {
                self.groups[at].1 = self.choice(&self.groups[at], item)?;
                self.typed.push(item.key.clone());
            }
            Some(section) => {
                let option = self.added(section, item)?;
                self.added.push((item.key.clone(), option, section.clone()));
            }
        }
        Ok(true)
    }

    /// The option that an override chooses in a group.
    fn choice(&self, (group, now): &Group, item: &Override) -> Result<Option<String>, ConfigError> {
        let may_be_none = self.root.entries().contains(&&Entry::Group(group.clone(), None));
        let options = || self.files.options(group).join(", ");
        let dropped = item.drops();
        if dropped && !may_be_none {
            let reason = format!("the group needs an option; its options are {}", options());
            return Err(ConfigError::NotDropped { key: group.clone(), reason });
        }
        if item.action == Verb::DropIf && now.as_deref() != Some(&item.text) {
            let reason = format!("its option is {} and not {}", now.as_deref().unwrap_or("null"), item.shown());
            return Err(ConfigError::NotDropped { key: group.clone(), reason });
        }
        if dropped || may_be_none && item.value() == Some(&Element::Null) {
            return Ok(None);
        }
        if item.action == Verb::Force {
            let expected = format!("a group is chosen by {group}={}", item.text);
            return Err(ConfigError::Malformed { text: item.to_string(), expected });
        }
        option(item, options).map(Some)
    }

    /// The option of `+group@section=option`.
    fn added(&self, section: &str, item: &Override) -> Result<String, ConfigError> {
        let grouped = self.groups.iter().any(|(group, _)| group == section);
        let problem = if !self.files.known.has_section(section) {
            format!("what stands after the @ is a section of the configuration, and `{section}` is none")
        } else if grouped {
            format!("the section `{section}` has a group of its own; choose from it with {section}=OPTION")
        } else {
            format!("an option is laid over another section with a plus: +{}@{section}={}", item.key, item.text)
        };
        if item.action != Verb::Add || grouped || !self.files.known.has_section(section) {
            return Err(ConfigError::Malformed { text: item.to_string(), expected: problem });
        }
        option(item, || self.files.options(&item.key).join(", "))
    }
}

/// The one option that an override names.
fn option(item: &Override, options: impl Fn() -> String) -> Result<String, ConfigError> {
    let value = match item.value() {
        Some(Element::List(items)) if items.len() == 1 => items.first(), // as good as without brackets
        value => value,
    };
    match value {
        Some(element) if element.text().is_some() => Ok(element.text().unwrap_or_default().to_owned()),
        value => Err(ConfigError::WrongType {
            key: item.key.clone(),
            value: item.text.clone(),
            wanted: format!("one of {}", options()),
            hint: if value.is_none() { "; several options need -m (--multirun)" } else { "" }.to_owned(),
        }),
    }
}

/// Lets the program's own file, then the presets choose options of the groups that were not typed: `override /group:
/// option` in their lists.
pub(crate) fn overrides(
    files: &Files,
    root: &Layer,
    groups: &mut [Group],
    typed: &[String],
) -> Result<(), ConfigError> {
    let mut done = typed.to_vec();
    let mut set = |groups: &mut [Group], label: &str, group: &str, option: &Option<String>| {
        let Some(entry) = groups.iter_mut().find(|(name, _)| *name == group) else {
            let problem = format!("`override /{group}` names no group");
            return Err(ConfigError::in_file(label, problem));
        };
        if !done.contains(&entry.0) {
            done.push(entry.0.clone());
            entry.1.clone_from(option);
        }
        Ok(())
    };
    for entry in root.entries() {
        if let Entry::Override(group, option) = entry {
            set(groups, &root.label, group, option)?;
        }
    }
    for at in 0..groups.len() {
        if let ((preset, Some(option)), false) = (groups[at].clone(), files.known.has_section(&groups[at].0)) {
            overridden(files, &preset, &option, &mut Vec::new(), &mut |label, group, option| {
                set(groups, label, group, option)
            })?;
        }
    }
    Ok(())
}

/// Calls `set` for what a preset, and those that it starts from, override.
fn overridden(
    files: &Files,
    preset: &str,
    option: &str,
    open: &mut Vec<String>,
    set: &mut impl FnMut(&str, &str, &Option<String>) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    if open.iter().any(|name| name == option) {
        return Ok(()); // laying the preset says so
    }
    open.push(option.to_owned());
    let layer = files.chosen(preset, option)?;
    for entry in &layer.defaults {
        match entry {
            Entry::Override(group, option) => set(&layer.label, group, option)?,
            Entry::Option(name) => {
                overridden(files, preset, name, open, set).map_err(|error| named_in(&layer.label, error))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// An error that says in which file's defaults list the option stands.
pub(crate) fn named_in(label: &str, error: ConfigError) -> ConfigError {
    match error {
        ConfigError::UnknownOption { .. } => ConfigError::in_file(label, error.to_string()),
        other => other,
    }
}
