//! Named scalars that stay on the device until somebody logs them.

use serde_json::{Map, Value};
use tch::{Kind, Tensor};

/// Scalars in the order they were added; a later value of the same name replaces the earlier.
#[derive(Debug, Default)]
pub struct Metrics {
    tensors: Vec<(String, Tensor)>,
}

impl Metrics {
    /// Adds a scalar tensor, detached.
    pub fn add(&mut self, name: &str, value: &Tensor) {
        self.tensors.retain(|(n, _)| n != name);
        self.tensors.push((name.to_owned(), value.detach()));
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: &Metrics) {
        other.tensors.iter().for_each(|(name, value)| self.add(name, value));
    }

    /// Reads one value from the device; NaN where there is none of that name.
    pub fn get(&self, name: &str) -> f64 {
        self.tensors.iter().find(|(n, _)| n == name).map_or(f64::NAN, |(_, t)| t.double_value(&[]))
    }

    /// Reads all values from the device, in one transfer.
    pub fn read(&self) -> Vec<(String, f64)> {
        if self.tensors.is_empty() {
            return Vec::new();
        }
        let flat: Vec<Tensor> = self.tensors.iter().map(|(_, t)| t.to_kind(Kind::Double).reshape([1])).collect();
        let values = Vec::<f64>::try_from(Tensor::cat(&flat, 0)).unwrap_or_default();
        self.tensors.iter().map(|(name, _)| name.clone()).zip(values).collect()
    }
}

/// One line of `metrics.jsonl`. A number that JSON has no word for (NaN, infinity) becomes null.
pub type Row = Map<String, Value>;

/// A row with `step` first and the given values after it.
pub fn row(step: i64, values: impl IntoIterator<Item = (String, f64)>) -> Row {
    let mut row = Row::new();
    row.insert("step".to_owned(), step.into());
    for (name, value) in values {
        row.insert(name, serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number));
    }
    row
}
