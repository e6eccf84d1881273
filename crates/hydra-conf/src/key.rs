//! One key: what it is called, what it accepts, its value at the start and its line of help.

use crate::error::ConfigError;
use crate::kind::{Kind, Setting};
use crate::overrides;
use crate::value::{Value, refers, show};

/// One key of a program.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its dotted name.
    pub(crate) name: String,
    /// What it accepts.
    pub(crate) kind: Kind,
    /// Whether null is accepted too.
    pub(crate) optional: bool,
    /// The value that is declared for it; none where one must be given.
    pub(crate) default: Option<Value>,
    /// Its line in `--help`.
    pub(crate) help: &'static str,
    /// The line of help of the open section it stands in, where it is absent unless set.
    pub(crate) open: Option<&'static str>,
    /// In how many maps the value lies; the rest of the name is one key, dots and all.
    pub(crate) depth: usize,
}

/// What [`crate::section!`] is made of.
#[doc(hidden)]
impl Key {
    pub fn new<T: Setting>(name: &str, help: &'static str) -> Self {
        Self {
            name: name.trim_start_matches("r#").to_owned(),
            kind: T::KIND,
            optional: T::OPTIONAL,
            default: T::OPTIONAL.then_some(Value::Null),
            help: help.trim(),
            open: None,
            depth: 0,
        }
    }

    pub fn starts_as(self, default: impl Into<Value>) -> Self {
        Self { default: Some(default.into()), ..self }
    }

    pub fn within(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    pub fn below(section: &str, keys: Vec<Self>) -> Vec<Self> {
        let below = |key: Self| Self { name: format!("{section}.{}", key.name), depth: key.depth + 1, ..key };
        keys.into_iter().map(below).collect()
    }

    pub fn open(section: &str, help: &'static str, keys: Vec<Self>) -> Vec<Self> {
        let open = |key: Self| Self { open: Some(help.trim()), depth: 1, ..key };
        Self::below(section, keys).into_iter().map(open).collect()
    }
}

impl Key {
    /// The names of the maps in which the value lies, from the outside, and its name in the innermost.
    pub(crate) fn path(&self) -> (Vec<&str>, &str) {
        let mut parts: Vec<&str> = self.name.splitn(self.depth + 1, '.').collect();
        let leaf = parts.pop().unwrap_or_default();
        (parts, leaf)
    }

    /// The sections it stands in, from the outside: `a` and `a.b` of `a.b.c`.
    pub(crate) fn sections(&self) -> impl Iterator<Item = &str> {
        self.name.match_indices('.').take(self.depth).map(|(at, _)| &self.name[..at])
    }

    /// Reads the text typed for a key: text and paths as they stand unless quoted, the rest by its kind.
    pub(crate) fn read(&self, name: &str, text: &str) -> Result<Value, ConfigError> {
        if self.optional && text == "null" {
            return Ok(Value::Null);
        }
        let plain = overrides::unquote(text).unwrap_or_else(|| text.to_owned());
        if self.kind.is_textual() || refers(&plain) {
            return Ok(Value::String(plain));
        }
        let value = match self.kind {
            Kind::Ints { .. } => integers(&plain),
            _ if overrides::split(text).len() > 1 => {
                return Err(self.wrong_type(name, text, "; several values need -m (--multirun)"));
            }
            Kind::Bool => boolean(&plain).map(Value::from),
            Kind::Int { .. } => plain.parse::<i64>().ok().map(Value::from),
            Kind::Float(_) => plain.parse::<f64>().ok().map(Value::from),
            _ => Some(Value::from(plain.as_str())),
        };
        match value {
            Some(value) => self.checked(name, &value, text),
            None if matches!(self.kind, Kind::Int { .. }) && plain.parse::<i128>().is_ok() => {
                Err(out_of_range(name, &plain, "an integer of 64 bits"))
            }
            None => Err(self.wrong_type(name, text, "")),
        }
    }

    /// Checks a value against a key's kind and range; integers become floats where floats are wanted.
    pub fn check(&self, name: &str, value: &Value) -> Result<Value, ConfigError> {
        self.checked(name, value, &show(value))
    }

    /// The check; `shown` is the value in messages.
    fn checked(&self, name: &str, value: &Value, shown: &str) -> Result<Value, ConfigError> {
        let fits = match (self.kind, value) {
            (_, Value::Null) if self.optional => true,
            (Kind::Bool, Value::Bool(_)) => true,
            (Kind::Int { min, max }, Value::Number(number)) => match number.as_i64() {
                Some(int) if int < min => return Err(out_of_range(name, shown, format!("{min} or more"))),
                Some(int) if int > max => return Err(out_of_range(name, shown, format!("at most {max}"))),
                found => found.is_some(),
            },
            (Kind::Ints { .. }, Value::Sequence(items)) if items.is_empty() => {
                return Err(out_of_range(name, shown, "one integer or more"));
            }
            (Kind::Ints { min, max }, Value::Sequence(items)) => {
                let one = Self { kind: Kind::Int { min, max }, optional: false, ..self.clone() };
                items.iter().try_for_each(|item| one.checked(name, item, shown).map(|_| ()))?;
                true
            }
            // A single number is a list of one.
            (Kind::Ints { .. }, Value::Number(_)) => {
                return self.checked(name, &Value::Sequence(vec![value.clone()]), shown);
            }
            (Kind::Float(interval), Value::Number(number)) => match number.as_f64() {
                Some(float) if interval.holds(float) => return Ok(Value::from(float)),
                Some(_) => return Err(out_of_range(name, shown, interval.to_string())),
                None => false,
            },
            (Kind::Text, Value::String(_)) => true,
            (Kind::Path, Value::String(path)) if path.is_empty() => {
                return Err(out_of_range(name, shown, "a path that is not empty"));
            }
            (Kind::Path, Value::String(path)) => return Ok(Value::from(expand_home(path))),
            (Kind::Checked(form), Value::String(text)) => (form.accepts)(text),
            (Kind::Choice(words), Value::String(word)) => words.contains(&word.as_str()),
            _ => false,
        };
        if fits {
            return Ok(value.clone());
        }
        let unquoted = self.kind.is_textual() && matches!(value, Value::Number(_) | Value::Bool(_));
        let hint = if unquoted { "; put it in quotes" } else { "" };
        Err(self.wrong_type(name, shown, hint))
    }

    fn wrong_type(&self, name: &str, value: &str, hint: &str) -> ConfigError {
        let or_null = if self.optional { " or null" } else { "" };
        ConfigError::WrongType {
            key: name.to_owned(),
            value: value.to_owned(),
            wanted: format!("{}{or_null}", self.kind),
            hint: hint.to_owned(),
        }
    }
}

fn boolean(text: &str) -> Option<bool> {
    // Python writes a capital letter.
    match text {
        "true" | "True" => Some(true),
        "false" | "False" => Some(false),
        _ => None,
    }
}

/// `[0, 1, 2]` or `0,1,2`.
fn integers(text: &str) -> Option<Value> {
    let inner = text.trim().strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if inner.trim().is_empty() && inner != text {
        return Some(Value::Sequence(Vec::new()));
    }
    let items = inner.split(',').map(|item| item.trim().parse::<i64>().ok().map(Value::from));
    items.collect::<Option<Vec<Value>>>().map(Value::Sequence)
}

fn expand_home(path: &str) -> String {
    match (path.strip_prefix('~'), std::env::home_dir()) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => format!("{}{rest}", home.display()),
        _ => path.to_owned(),
    }
}

fn out_of_range(key: &str, value: &str, range: impl Into<String>) -> ConfigError {
    ConfigError::OutOfRange { key: key.to_owned(), value: value.to_owned(), range: range.into() }
}
