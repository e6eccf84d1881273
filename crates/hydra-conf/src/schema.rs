//! Every key of a program, and the other names that keys have.

use crate::key::Key;
use crate::section::Section;

/// Every key of a program, in the order of its struct.
#[derive(Debug, Default)]
pub struct Schema {
    pub(crate) keys: Vec<Key>,
    /// Other names of keys: (other, own).
    aliases: Vec<(String, String)>,
}

impl Schema {
    /// The keys of a struct.
    pub fn of<T: Section>() -> Self {
        Self { keys: T::keys(), aliases: Vec::new() }
    }

    /// Gives a key another name. Where that was a key itself, it is one no longer, and its other names go with it.
    #[must_use]
    pub fn alias(mut self, other: &str, own: &str) -> Self {
        self.keys.retain(|key| key.name != other);
        for (_, target) in self.aliases.iter_mut().filter(|(name, target)| target == other || name == other) {
            own.clone_into(target);
        }
        if self.aliases.iter().all(|(name, _)| name != other) {
            self.aliases.push((other.to_owned(), own.to_owned()));
        }
        self
    }

    /// Gives a key another line of help than the struct that declares it.
    #[must_use]
    pub fn describe(mut self, name: &str, help: &'static str) -> Self {
        self.keys.iter_mut().filter(|key| key.name == name).for_each(|key| key.help = help);
        self
    }

    /// Whether there is a key, by its own name.
    pub fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }

    /// The name a key goes by.
    pub(crate) fn own_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.aliases.iter().find(|(other, _)| other == name).map_or(name, |(_, own)| own)
    }

    /// A key, by either name.
    pub(crate) fn key(&self, name: &str) -> Option<&Key> {
        let own = self.own_name(name);
        self.keys.iter().find(|key| key.name == own)
    }

    /// Whether `name` is a section.
    pub(crate) fn has_section(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.sections().any(|section| section == name))
    }

    /// Every name a user may type.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let own = self.keys.iter().map(|key| key.name.as_str());
        own.chain(self.aliases.iter().map(|(other, _)| other.as_str()))
    }
}
