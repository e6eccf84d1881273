//! Named scalars that stay on the device until somebody logs them.

use serde_json::{Map, Value};
use tch::{Kind, Tensor};

/// Scalars in the order they were added; a later value of the same name replaces the earlier.
#[derive(Debug, Default)]
pub struct Metrics {
    all: Vec<Metric>,
}

#[derive(Debug)]
struct Metric {
    name: String,
    /// A mean over positions, or a number that is the same for all
    mean: Tensor,
    /// What is reported of it
    of: Option<fn(&Tensor) -> Tensor>,
}

impl Metric {
    fn value(&self, mean: &Tensor) -> Tensor {
        self.of.map_or_else(|| mean.shallow_clone(), |of| of(mean))
    }
}

impl Metrics {
    /// Adds a mean, a scalar tensor; it is detached.
    pub fn add(&mut self, name: &str, mean: &Tensor) {
        self.insert(Metric { name: name.to_owned(), mean: mean.detach(), of: None });
    }

    /// Adds a function of a mean, such as the perplexity of a loss.
    pub fn add_of(&mut self, name: &str, mean: &Tensor, of: fn(&Tensor) -> Tensor) {
        self.insert(Metric { name: name.to_owned(), mean: mean.detach(), of: Some(of) });
    }

    fn insert(&mut self, metric: Metric) {
        self.all.retain(|other| other.name != metric.name);
        self.all.push(metric);
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: &Metrics) {
        for Metric { name, mean, of } in &other.all {
            self.insert(Metric { name: name.clone(), mean: mean.shallow_clone(), of: *of });
        }
    }

    /// Reads one value from the device; NaN where there is none of that name.
    pub fn get(&self, name: &str) -> f64 {
        let metric = self.all.iter().find(|metric| metric.name == name);
        metric.map_or(f64::NAN, |metric| metric.value(&metric.mean).double_value(&[]))
    }

    /// Reads all values from the device, in one transfer.
    pub fn read(&self) -> Vec<(String, f64)> {
        self.read_averaged(|_| ())
    }

    /// Reads all values from the device, after `average` has put those means into a tensor that are over more than was computed here.
    pub fn read_averaged(&self, average: impl FnOnce(&Tensor)) -> Vec<(String, f64)> {
        if self.all.is_empty() {
            return Vec::new();
        }
        let means: Vec<Tensor> = self.all.iter().map(|metric| metric.mean.to_kind(Kind::Float).reshape([1])).collect();
        let means = Tensor::cat(&means, 0);
        average(&means);
        let values: Vec<Tensor> =
            self.all.iter().zip(means.split(1, 0)).map(|(metric, mean)| metric.value(&mean)).collect();
        let values = Vec::<f64>::try_from(Tensor::cat(&values, 0).to_kind(Kind::Double)).unwrap_or_default();
        self.all.iter().map(|metric| metric.name.clone()).zip(values).collect()
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
