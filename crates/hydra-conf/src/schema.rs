//! What a key accepts: its kind, its range, and the check of a value against both.

use std::fmt;

use serde::Serialize;
use serde_yaml::Value;

use super::error::ConfigError;
use super::{interpolate, overrides};

/// A range of floats; infinities and NaN are outside of every one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    low: f64,
    high: f64,
    open_low: bool,
    open_high: bool,
}

impl Interval {
    /// Finite and above 0.
    pub const POSITIVE: Self = Self::new(0.0, f64::INFINITY, true, true);
    /// Finite and 0 or more.
    pub const NOT_NEGATIVE: Self = Self::new(0.0, f64::INFINITY, false, true);
    /// From 0 to 1, both included.
    pub const PROBABILITY: Self = Self::new(0.0, 1.0, false, false);
    /// From 0 to 1 without 1.
    pub const BELOW_ONE: Self = Self::new(0.0, 1.0, false, true);
    /// From 0 without 0 to 1.
    pub const SHARE: Self = Self::new(0.0, 1.0, true, false);
    /// From 0 to 2, both included.
    pub const UP_TO_TWO: Self = Self::new(0.0, 2.0, false, false);

    const fn new(low: f64, high: f64, open_low: bool, open_high: bool) -> Self {
        Self { low, high, open_low, open_high }
    }

    fn contains(self, x: f64) -> bool {
        let above = x > self.low || (x == self.low && !self.open_low);
        let below = x < self.high || (x == self.high && !self.open_high);
        above && below
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.high.is_infinite() {
            let bound = if self.open_low { "above" } else { "of at least" };
            return write!(f, "a finite number {bound} {}", self.low);
        }
        let (left, right) = (if self.open_low { '(' } else { '[' }, if self.open_high { ')' } else { ']' });
        write!(f, "a number in {left}{}, {}{right}", self.low, self.high)
    }
}

/// What a key accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// An integer from `min` to `max`.
    Int {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// One or more integers, each from `min` to `max`: `[0, 1, 2]` or `0,1,2`.
    Ints {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A float in an interval.
    Float(Interval),
    /// Any text, taken as typed.
    Text,
    /// A path, taken as typed; a leading `~/` is the home directory.
    Path,
    /// `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
    Device,
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// An integer of 1 or more; the ceiling keeps products of two inside 64 bits.
    pub const COUNT: Self = Self::Int { min: 1, max: i32::MAX as i64 };
    /// An integer of 0 or more.
    pub const COUNT_OR_ZERO: Self = Self::Int { min: 0, max: i32::MAX as i64 };
    /// Integers of 0 or more.
    pub const COUNTS_OR_ZERO: Self = Self::Ints { min: 0, max: i32::MAX as i64 };
    /// Any integer.
    pub const ANY_INT: Self = Self::Int { min: i64::MIN, max: i64::MAX };

    /// Whether the text typed is the value.
    pub(super) fn is_textual(self) -> bool {
        matches!(self, Self::Text | Self::Path)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("true or false"),
            Self::Int { .. } => f.write_str("an integer"),
            Self::Ints { .. } => f.write_str("integers, as in 0,1,2"),
            Self::Float(_) => f.write_str("a number"),
            Self::Text => f.write_str("text"),
            Self::Path => f.write_str("a path"),
            Self::Device => f.write_str("auto, cpu, cuda, cuda:N or mps"),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
        }
    }
}

/// One key of a configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// The key within its section.
    pub name: &'static str,
    /// What it accepts.
    pub kind: Kind,
    /// Whether null is accepted too.
    pub optional: bool,
}

/// A key that must have a value.
pub const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, optional: false }
}

/// A key that may be null.
pub const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, optional: true }
}

/// Reads the text typed for a key: text and paths as they stand unless quoted, the rest by its kind.
pub(super) fn read(key: &str, field: &Field, text: &str) -> Result<Value, ConfigError> {
    if field.optional && text == "null" {
        return Ok(Value::Null);
    }
    let plain = overrides::unquote(text).unwrap_or_else(|| text.to_owned());
    if field.kind.is_textual() || interpolate::refers(&plain) {
        return Ok(Value::String(plain));
    }
    if matches!(field.kind, Kind::Ints { .. }) {
        return integers(&plain)
            .map_or_else(|| Err(wrong_type(key, field, text, "")), |list| checked(key, field, &list, text));
    }
    if overrides::split(text).len() > 1 {
        let hint = "; several values need -m (--multirun)";
        return Err(wrong_type(key, field, text, hint));
    }
    let value = match field.kind {
        Kind::Bool => boolean(&plain).map(Value::from),
        Kind::Int { .. } => plain.parse::<i64>().ok().map(Value::from),
        Kind::Float(_) => plain.parse::<f64>().ok().map(Value::from),
        _ => Some(Value::from(plain.as_str())),
    };
    match value {
        Some(value) => checked(key, field, &value, text),
        None if matches!(field.kind, Kind::Int { .. }) && plain.parse::<i128>().is_ok() => {
            let range = "an integer of 64 bits".to_owned();
            Err(out_of_range(key, plain, range))
        }
        None => Err(wrong_type(key, field, text, "")),
    }
}

/// Checks a value against a key's kind and range; integers become floats where floats are wanted.
pub(super) fn check(key: &str, field: &Field, value: &Value) -> Result<Value, ConfigError> {
    checked(key, field, value, &show(value))
}

/// The check; `shown` is the value in messages.
fn checked(key: &str, field: &Field, value: &Value, shown: &str) -> Result<Value, ConfigError> {
    let fits = match (field.kind, value) {
        (_, Value::Null) if field.optional => true,
        (Kind::Bool, Value::Bool(_)) => true,
        (Kind::Int { min, max }, Value::Number(number)) => match number.as_i64() {
            Some(int) if int < min => {
                return Err(out_of_range(key, shown, format!("{min} or more")));
            }
            Some(int) if int > max => {
                return Err(out_of_range(key, shown, format!("at most {max}")));
            }
            found => found.is_some(),
        },
        (Kind::Ints { .. }, Value::Sequence(items)) if items.is_empty() => {
            return Err(out_of_range(key, shown, "one integer or more".to_owned()));
        }
        (Kind::Ints { min, max }, Value::Sequence(items)) => {
            let one = self::field(field.name, Kind::Int { min, max });
            items.iter().try_for_each(|item| checked(key, &one, item, shown).map(|_| ()))?;
            true
        }
        // A single number is a list of one.
        (Kind::Ints { .. }, Value::Number(_)) => {
            return checked(key, field, &Value::Sequence(vec![value.clone()]), shown);
        }
        (Kind::Float(interval), Value::Number(number)) => match number.as_f64() {
            Some(float) if interval.contains(float) => return Ok(Value::from(float)),
            Some(_) => return Err(out_of_range(key, shown, interval.to_string())),
            None => false,
        },
        (Kind::Text, Value::String(_)) => true,
        (Kind::Path, Value::String(path)) if path.is_empty() => {
            return Err(out_of_range(key, shown, "a path that is not empty".to_owned()));
        }
        (Kind::Path, Value::String(path)) => return Ok(Value::from(expand_home(path))),
        (Kind::Device, Value::String(name)) => is_device(name),
        (Kind::Choice(words), Value::String(word)) => words.contains(&word.as_str()),
        _ => false,
    };
    if fits {
        return Ok(value.clone());
    }
    let unquoted = field.kind.is_textual() && matches!(value, Value::Number(_) | Value::Bool(_));
    let hint = if unquoted { "; put it in quotes" } else { "" };
    Err(wrong_type(key, field, shown, hint))
}

/// Checks every value of a section that may have been built in code.
pub(super) fn check_section(section: &str, fields: &[Field], values: &impl Serialize) -> Result<(), ConfigError> {
    let tree = serde_yaml::to_value(values)?;
    for field in fields {
        let key = match section {
            "" => field.name.to_owned(),
            _ => format!("{section}.{}", field.name),
        };
        check(&key, field, tree.get(field.name).unwrap_or(&Value::Null))?;
    }
    Ok(())
}

/// A value on one line, strings without quotes.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Sequence(items) => {
            let items: Vec<String> = items.iter().map(show).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Mapping(_) | Value::Tagged(_) => "{…}".to_owned(),
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

fn is_device(name: &str) -> bool {
    let number = name.strip_prefix("cuda:");
    matches!(name, "auto" | "cpu" | "cuda" | "mps")
        || number.is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()) && n.parse::<u16>().is_ok())
}

fn expand_home(path: &str) -> String {
    let rest = path.strip_prefix('~');
    let (Some(rest), Some(home)) = (rest, std::env::home_dir()) else {
        return path.to_owned();
    };
    match rest {
        "" => home.display().to_string(),
        _ if rest.starts_with('/') => format!("{}{rest}", home.display()),
        _ => path.to_owned(),
    }
}

fn wrong_type(key: &str, field: &Field, value: &str, hint: &str) -> ConfigError {
    let or_null = if field.optional { " or null" } else { "" };
    ConfigError::WrongType {
        key: key.to_owned(),
        value: value.to_owned(),
        wanted: format!("{}{or_null}", field.kind),
        hint: hint.to_owned(),
    }
}

fn out_of_range(key: &str, value: impl Into<String>, range: String) -> ConfigError {
    ConfigError::OutOfRange { key: key.to_owned(), value: value.into(), range }
}
