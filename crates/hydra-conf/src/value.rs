//! Values as YAML has them, and how they are shown.

use std::collections::BTreeMap;

use serde::Serialize;
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

/// A configuration as YAML.
pub fn to_yaml(config: &impl Serialize) -> String {
    serde_yaml::to_string(config).unwrap_or_else(|error| format!("# {error}\n"))
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
