//! One key: what it is called, what it accepts, its value at the start and its line of help.

use crate::error::ConfigError;
use crate::grammar::Element;
use crate::kind::{Kind, Setting};
use crate::overrides::Override;
use crate::python;
use crate::value::{Value, holds_reference, refers, show};

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

    /// Reads the value of an override by the kind of the key, as OmegaConf converts it.
    pub(crate) fn read(&self, name: &str, item: &Override) -> Result<Value, ConfigError> {
        let listed = item.listed().filter(|_| matches!(self.kind, Kind::Ints { .. }));
        // Without brackets, where no job is meant: kinder than Hydra.
        let element = listed.map(|values| Element::List(values.to_vec())).or_else(|| item.value().cloned());
        let Some(element) = element else {
            let hint = if self.kind.is_textual() { "; a comma in a text needs quotes, as in key='a,b'" } else { "" };
            return Err(self.wrong_type(name, &item.text, &format!("; several values need -m (--multirun){hint}")));
        };
        if let Some(text) = element.text().filter(|text| refers(text)) {
            return Ok(Value::from(text));
        }
        let value = self.convert(name, &element, &item.text)?;
        if holds_reference(&value) { Ok(value) } else { self.checked(name, &value, &item.text) }
    }

    /// OmegaConf's conversion to the kind of the key; `shown` is the value in messages.
    pub(crate) fn convert(&self, name: &str, element: &Element, shown: &str) -> Result<Value, ConfigError> {
        let text = || element.text();
        let int = || match element {
            Element::Int(int) => Some(*int),
            _ => python::int(text()?),
        };
        let value = match (self.kind, element) {
            (_, Element::Null) => self.optional.then_some(Value::Null),
            (Kind::Bool, Element::Bool(flag)) => Some(Value::from(*flag)),
            (Kind::Bool, Element::Int(int)) => Some(Value::from(*int != 0)),
            (Kind::Bool, _) => text().and_then(python::flag).map(Value::from),
            (Kind::Int { .. }, _) => match int().map(i64::try_from) {
                Some(Err(_)) => return Err(out_of_range(name, shown, "an integer of 64 bits")),
                found => found.and_then(Result::ok).map(Value::from),
            },
            (Kind::Float(_), Element::Float(float)) => Some(Value::from(*float)),
            (Kind::Float(_), Element::Int(int)) => Some(Value::from(*int as f64)),
            (Kind::Float(_), _) => text().and_then(python::float).map(Value::from),
            (Kind::Ints { min, max }, Element::List(items)) => {
                let one = Self { kind: Kind::Int { min, max }, optional: false, ..self.clone() };
                let item = |item: &Element| match item.text().filter(|text| refers(text)) {
                    Some(text) => Ok(Value::from(text)),
                    None => one.convert(name, item, shown).map_err(|_| self.wrong_type(name, shown, "")),
                };
                return items.iter().map(item).collect::<Result<_, _>>().map(Value::Sequence);
            }
            // A single number is a list of one: kinder than Hydra.
            (Kind::Ints { .. }, Element::Int(_)) => int().and_then(|int| i64::try_from(int).ok()).map(Value::from),
            (Kind::Ints { .. }, _) => text().and_then(integers),
            (_, element) => element.python_str().map(Value::from),
        };
        value.ok_or_else(|| {
            let null =
                if self.kind.is_textual() && *element == Element::Null { "; 'null' in quotes is a text" } else { "" };
            self.wrong_type(name, shown, null)
        })
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
