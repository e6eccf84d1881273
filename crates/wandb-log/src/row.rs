//! A line of the history: the metrics of a step, with `_step`, `_runtime` (seconds) and `_timestamp`.

use serde_json::{Map, Value, json};

/// Names with values. NaN and infinity, for which JSON has no word, are null.
pub type Row = Map<String, Value>;

pub fn step(row: &Row) -> Option<i64> {
    row.get("_step").and_then(Value::as_i64)
}

pub fn runtime(row: &Row) -> Option<f64> {
    row.get("_runtime").and_then(Value::as_f64)
}

/// The row in a run that is older by `age` seconds.
pub fn older(mut row: Row, age: f64) -> Row {
    if let Some(runtime) = runtime(&row).filter(|_| age != 0.0) {
        row.insert("_runtime".to_owned(), (runtime + age).into());
    }
    row
}

/// What the row changes in the run's summary.
pub fn last_values(row: &Row) -> Row {
    let known = row.iter().filter(|(_, value)| !value.is_null());
    let mut values: Row = known.map(|(key, value)| (key.clone(), value.clone())).collect();
    values.insert("_wandb".to_owned(), json!({"runtime": runtime(row).unwrap_or(0.0) as i64}));
    values
}
