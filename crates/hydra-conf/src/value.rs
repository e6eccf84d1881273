//! Values as YAML has them, and how they are shown.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_yaml::Mapping;
pub use serde_yaml::Value;

/// Values by dotted key.
pub type Tree = BTreeMap<String, Value>;

/// A value on one line, strings without quotes.
pub fn show(value: &Value) -> String {
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

/// A configuration as YAML that readers of YAML 1.1, such as Hydra's, read as the same values.
pub fn to_yaml(config: &impl Serialize) -> String {
    match serde_yaml::to_value(config) {
        Ok(value @ (Value::Mapping(_) | Value::Sequence(_))) if !is_empty(&value) => block(&value, ""),
        Ok(value) => format!("{}\n", scalar(&value)),
        Err(error) => format!("# {error}\n"),
    }
}

/// The lines of a map or a list.
fn block(value: &Value, indent: &str) -> String {
    let deeper = format!("{indent}  ");
    let line = |head: String, value: &Value, below: &str| match value {
        Value::Mapping(_) | Value::Sequence(_) if !is_empty(value) => {
            format!("{indent}{head}\n{}", block(value, below))
        }
        plain => format!("{indent}{head} {}\n", scalar(plain)),
    };
    match value {
        Value::Mapping(map) => {
            let pair = |(key, value): (&Value, &Value)| {
                line(format!("{}:", scalar(key)), value, if value.is_sequence() { indent } else { &deeper })
            };
            map.iter().map(pair).collect()
        }
        Value::Sequence(items) => {
            let item = |item: &Value| match item {
                // What it holds starts behind the dash.
                Value::Mapping(_) | Value::Sequence(_) if !is_empty(item) => {
                    format!("{indent}- {}", &block(item, &deeper)[deeper.len()..])
                }
                plain => line("-".to_owned(), plain, indent),
            };
            items.iter().map(item).collect()
        }
        _ => String::new(),
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_mapping().is_some_and(Mapping::is_empty) || value.as_sequence().is_some_and(Vec::is_empty)
}

/// A value on one line.
fn scalar(value: &Value) -> String {
    let written = serde_yaml::to_string(value).unwrap_or_default();
    let written = written.trim_end_matches('\n');
    match value.as_str() {
        Some(text) if text.contains(['\n', '\r']) => escaped(text),
        Some(text) if written == text && misread(text) => format!("'{text}'"),
        _ => written.to_owned(),
    }
}

/// A text of several lines, in double quotes.
fn escaped(text: &str) -> String {
    let mut written = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                written.push_str(&format!("\\U{:08X}", u32::from(c)));
            }
            c => written.push(c),
        }
    }
    written + "\""
}

/// Whether YAML 1.1 has a text without quotes as something else: a flag, a number, a date, or a sign of its own.
fn misread(text: &str) -> bool {
    const WORDS: [&str; 14] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "=", "<<", "", "-"];
    if WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        return true;
    }
    let number = text.trim_start_matches(['+', '-']);
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let based = number.starts_with("0x") || number.starts_with("0b") || number.starts_with("0o");
    // 12:30 counts in sixties, and may end in a fraction.
    let sixties = |part: &str| part.split_once('.').map_or(digits(part), |(whole, rest)| digits(whole) && digits(rest));
    number.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && (based
            || number.split(':').all(sixties)
            || number.replace('_', "").parse::<f64>().is_ok()
            || number.split('-').count() == 3 && number.split(['-', 'T', 't', ' ']).take(3).all(digits))
}

/// Whether a value is to be read again when references are known.
pub(crate) fn holds_reference(value: &Value) -> bool {
    match value {
        Value::String(text) => refers(text),
        Value::Sequence(items) => items.iter().any(holds_reference),
        _ => false,
    }
}

/// Whether a text holds a reference (or an escaped one).
pub(crate) fn refers(text: &str) -> bool {
    text.contains("${")
}
