//! One override: `key=value`, `+key=value`, `++key=value`, `~key` or `~key=value`.

use crate::error::ConfigError;
use crate::grammar::{self, Element, Parsed};
use crate::sweep;

/// One override as typed.
#[derive(Debug, Clone)]
pub struct Override {
    /// What it does.
    pub action: Verb,
    /// The dotted key, or a group.
    pub key: String,
    /// Where the option of a group goes: what stands after an `@`.
    pub package: Option<String>,
    /// The text after the first `=`; empty for a drop.
    pub text: String,
    /// What the text stands for.
    parsed: Parsed,
}

/// What an override does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `key=value`.
    Set,
    /// `+key=value`.
    Add,
    /// `++key=value`: set it, or add it.
    Force,
    /// `~key`.
    Drop,
    /// `~key=value`: drop it if that is its value.
    DropIf,
}

/// What a line looks like.
const FORMS: &str = "expected key=value, +key=value, ~key or group=name";

/// The most values of a sweep.
const MOST: usize = 1_000;

impl Override {
    /// Reads one argument.
    pub fn parse(arg: &str) -> Result<Self, ConfigError> {
        Self::read(arg, |_| true)
    }

    /// Reads one argument; a mistake in the value of a key that `holds_text` gets a hint at quotes.
    pub(crate) fn read(arg: &str, holds_text: impl Fn(&str) -> bool) -> Result<Self, ConfigError> {
        let malformed = |expected: &str| ConfigError::Malformed { text: arg.to_owned(), expected: expected.to_owned() };
        let (head, text) = arg.split_once('=').map_or((arg, None), |(head, text)| (head, Some(text)));
        let (action, name) = match (head.strip_prefix('~'), head.strip_prefix("++"), head.strip_prefix('+')) {
            (Some(name), ..) if text.is_some() => (Verb::DropIf, name),
            (Some(name), ..) => (Verb::Drop, name),
            (_, Some(name), _) => (Verb::Force, name),
            (_, _, Some(name)) => (Verb::Add, name),
            _ => (Verb::Set, head),
        };
        let (key, package) = name.split_once('@').map_or((name, None), |(key, package)| (key, Some(package)));
        if !is_key(key) || !package.is_none_or(is_key) {
            return Err(malformed(&match (action, text) {
                (Verb::Drop, _) => "expected ~key".to_owned(),
                (_, None) => FORMS.to_owned(),
                _ => format!("{FORMS}, the key of letters, digits, _ and dots, without spaces around ="),
            }));
        }
        if text.is_none() && action != Verb::Drop {
            return Err(malformed(FORMS));
        }
        let text = text.unwrap_or_default();
        let parsed = grammar::value(text).map_err(|problem| {
            let brace = text.contains("${") && (problem.starts_with("`{`") || problem.starts_with("`}`"));
            let problem = match brace {
                true => "a reference ${…} has no closing brace, or another reference within it, which needs quotes",
                false => &problem,
            };
            let quoted = quoted(&Element::Text(text.to_owned()));
            malformed(&match holds_text(key) {
                true => format!("{problem}; a text of any characters is written {key}={quoted}"),
                false => problem.to_owned(),
            })
        })?;
        let package = package.map(str::to_owned);
        Ok(Self { action, key: key.to_owned(), package, text: text.to_owned(), parsed })
    }

    /// Its value; none where it is a sweep.
    pub(crate) fn value(&self) -> Option<&Element> {
        match &self.parsed {
            Parsed::One(element) => Some(element),
            _ => None,
        }
    }

    /// Whether it is typed for the same key in the same way.
    pub(crate) fn same_key(&self, other: &Self) -> bool {
        (self.action, &self.key, &self.package) == (other.action, &other.key, &other.package)
    }

    /// Its text in messages, where an empty one needs quotes to be seen.
    pub(crate) fn shown(&self) -> &str {
        if self.text.is_empty() { "''" } else { &self.text }
    }

    /// Whether it takes something away.
    pub(crate) fn drops(&self) -> bool {
        matches!(self.action, Verb::Drop | Verb::DropIf)
    }

    /// Whether its value is a map, which sets several keys of a section.
    pub(crate) fn is_map(&self) -> bool {
        matches!(self.value(), Some(Element::Dict(_)))
    }

    /// Whether its value is a list or a map, which `+` lays over what is there.
    pub(crate) fn is_container(&self) -> bool {
        self.is_map() || matches!(self.value(), Some(Element::List(_)))
    }

    /// This override once for each key of a section whose values its map holds; by itself if it is none.
    pub(crate) fn spread(&self, is_section: impl Fn(&str) -> bool + Copy) -> Result<Vec<Self>, ConfigError> {
        let Some(Element::Dict(pairs)) = self.value().filter(|_| is_section(&self.key)) else {
            return Ok(vec![self.clone()]);
        };
        let action = if self.action == Verb::Add { Verb::Set } else { self.action };
        let mut all = Vec::new();
        for (key, value) in pairs {
            let key = format!("{}.{}", self.key, key.python_str().unwrap_or_default());
            let (text, parsed) = (value.to_string(), Parsed::One(value.clone()));
            all.extend(Self { action, key, text, parsed, ..self.clone() }.spread(is_section)?);
        }
        Ok(all)
    }

    /// The values between plain commas, where that is what it has.
    pub(crate) fn listed(&self) -> Option<&[Element]> {
        match &self.parsed {
            Parsed::Choice { values, simple: true, .. } => Some(values),
            _ => None,
        }
    }

    /// This override once for each value that it sweeps over, in Hydra's order; `options` are those of the group that
    /// it chooses from, if it does.
    pub fn sweep(&self, options: &[String]) -> Result<Vec<Self>, ConfigError> {
        let values = sweep::values(&self.parsed, options, MOST)
            .map_err(|problem| ConfigError::Usage(format!("{self} cannot be swept: {problem}")))?;
        let one = |element: Element| {
            let text = if self.action == Verb::Drop { String::new() } else { element.to_string() };
            // A text of digits becomes a number here, as in Hydra, which writes each job's overrides and reads them.
            let (text, parsed) = match grammar::value(&text) {
                Ok(parsed) => (text, parsed),
                Err(_) => (quoted(&element), Parsed::One(element)),
            };
            Self { text, parsed, ..self.clone() }
        };
        Ok(values.into_iter().map(one).collect())
    }
}

/// A text as it is typed in an override, in quotes where it must be: `quote("a, b")` is `'a, b'`.
pub fn quote(text: &str) -> String {
    match grammar::value(text) {
        Ok(Parsed::One(Element::Text(read))) if read == text => read,
        _ => quoted(&Element::Text(text.to_owned())),
    }
}

/// A value as a text in quotes.
fn quoted(element: &Element) -> String {
    let text = element.text().map_or_else(|| element.to_string(), str::to_owned);
    Element::Quoted(text, '\'').to_string()
}

impl PartialEq for Override {
    fn eq(&self, other: &Self) -> bool {
        (self.action, &self.key, &self.package, &self.text) == (other.action, &other.key, &other.package, &other.text)
    }
}

impl Eq for Override {}

impl std::fmt::Display for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { action, key, package, text, .. } = self;
        f.write_str(match action {
            Verb::Set => "",
            Verb::Add => "+",
            Verb::Force => "++",
            Verb::Drop | Verb::DropIf => "~",
        })?;
        f.write_str(key)?;
        if let Some(package) = package {
            write!(f, "@{package}")?;
        }
        if *action == Verb::Drop { Ok(()) } else { write!(f, "={text}") }
    }
}

fn is_key(key: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$');
    let part = |part: &str| !part.is_empty() && part.chars().all(allowed) && !part.starts_with('-');
    key.split(['.', '/']).all(part)
}
