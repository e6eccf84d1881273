//! Rows of measures: one set of columns for the table that people read, for JSON and for CSV.

use serde::Serialize;
use serde_json::Value;

use crate::error::Error;
use crate::eval::bootstrap::{CONFIDENCE, Estimate, RESAMPLES, Resampled};
use crate::eval::scores::{BINS, Summary, bits_per_char};
use crate::metrics::Row;

/// Rows of measures, and how they were made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// Bins of the expected calibration error
    pub ece_bins: usize,
    /// Resamples behind the intervals
    pub resamples: usize,
    /// Probability that an interval is meant to hold
    pub confidence: f64,
    /// The measures
    pub rows: Vec<Row>,
}

impl Measured {
    /// Rows whose measures were made as all are here.
    pub fn new(rows: Vec<Row>) -> Self {
        Self { ece_bins: BINS, resamples: RESAMPLES, confidence: CONFIDENCE, rows }
    }
}

/// A row of these cells, in this order.
pub fn row<const N: usize>(cells: [(&str, Value); N]) -> Row {
    cells.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Adds a number with its interval: `name`, `name_low`, `name_high`.
pub fn put_estimate(row: &mut Row, name: &str, estimate: Estimate) {
    for (end, value) in [("", estimate.value), ("_low", estimate.low), ("_high", estimate.high)] {
        row.insert(format!("{name}{end}"), value.into());
    }
}

/// Adds every measure with its interval, and what follows from the NLL.
pub fn put_measures(row: &mut Row, measured: &Resampled) {
    for (i, name) in Summary::NAMES.into_iter().enumerate() {
        put_estimate(row, name, measured.estimate(|summary| summary.values()[i]));
    }
    row.insert("perplexity".to_owned(), measured.value.nll.exp().into());
    row.insert("bits_per_char".to_owned(), bits_per_char(measured.value.nll).into());
}

/// How a column is written.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    /// Four digits after the point
    Number,
    /// A share in per cent
    Percent,
    /// `[low, high]`
    Interval,
    /// A difference with its interval
    Difference,
    /// A difference of shares, in points of a per cent, with its interval
    Points,
}

/// A column of a table: key, title, width, format.
pub type Column<'a> = (&'a str, &'a str, usize, Format);

/// A table of rows, each led by its `name`.
pub fn table(rows: &[Row], columns: &[Column]) -> String {
    let name = |row: &Row| row.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let names: Vec<String> = rows.iter().map(name).collect();
    let widest = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let mut text = format!("{:widest$}", "");
    for (_, title, width, _) in columns {
        text.push_str(&format!("{title:>width$}"));
    }
    text.push('\n');
    for (row, name) in rows.iter().zip(names) {
        text.push_str(&format!("{name:<widest$}"));
        for (key, _, width, format) in columns {
            text.push_str(&format!("{:>width$}", cell(row, key, *format)));
        }
        text.push('\n');
    }
    text
}

fn cell(row: &Row, key: &str, format: Format) -> String {
    let at = |end: &str| row.get(&format!("{key}{end}")).and_then(Value::as_f64);
    let Some(value) = at("") else { return String::new() };
    let (low, high) = (at("_low").unwrap_or(f64::NAN), at("_high").unwrap_or(f64::NAN));
    match format {
        Format::Number => format!("{value:.4}"),
        Format::Percent => format!("{:.2} %", 100.0 * value),
        Format::Interval => format!("[{low:.4}, {high:.4}]"),
        Format::Difference => format!("{} [{}, {}]", signed(value, 4), signed(low, 4), signed(high, 4)),
        Format::Points => {
            let [value, low, high] = [value, low, high].map(|share| signed(100.0 * share, 2));
            format!("{value} [{low}, {high}]")
        }
    }
}

/// A number with its sign; what rounds to nothing has a plus.
fn signed(value: f64, digits: usize) -> String {
    let text = format!("{value:+.digits$}");
    if text.chars().all(|c| "-0.".contains(c)) { text.replace('-', "+") } else { text }
}

/// What the tables' numbers are.
pub fn footnote() -> String {
    let percent = 100.0 * CONFIDENCE;
    format!(
        "\nECE: {BINS} bins of equal width. Intervals: {percent:.0} %, paired bootstrap over windows,\n{RESAMPLES} resamples\n"
    )
}

/// Rows as CSV with a head; the columns are those of the row that has the most.
pub fn csv(rows: &[Row]) -> Result<String, Error> {
    let head: Vec<&String> = rows.iter().max_by_key(|row| row.len()).into_iter().flat_map(Row::keys).collect();
    let field = |value: Option<&Value>| match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let cells = |row: &Row| head.iter().map(|key| field(row.get(*key))).collect();
    let names = head.iter().map(|name| (*name).clone()).collect();
    records(&std::iter::once(names).chain(rows.iter().map(cells)).collect::<Vec<_>>())
}

/// Records of equally many cells as CSV (RFC 4180).
pub fn records(records: &[Vec<String>]) -> Result<String, Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let unwritten = |error: csv::Error| Error::Request(format!("cannot write CSV: {error}"));
    records.iter().try_for_each(|record| writer.write_record(record)).map_err(unwritten)?;
    let bytes = writer.into_inner().map_err(|error| Error::Request(format!("cannot write CSV: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let one = row([("name", "System 1, T = 0.97".into())]);
        let mut two = one.clone();
        put_estimate(&mut two, "nll", Estimate { value: 1.5, low: 1.25, high: f64::NAN });
        vec![one, two]
    }

    #[test]
    fn csv_quotes_and_leaves_gaps() {
        let text = csv(&rows()).unwrap();
        assert_eq!(text, "name,nll,nll_low,nll_high\n\"System 1, T = 0.97\",,,\n\"System 1, T = 0.97\",1.5,1.25,\n");
    }

    #[test]
    fn nothing_has_one_sign() {
        assert_eq!(
            [-0.00004, 0.0, -0.00005001, 0.25].map(|x| signed(x, 4)),
            ["+0.0000", "+0.0000", "-0.0001", "+0.2500"]
        );
    }

    #[test]
    fn tables_are_aligned() {
        let columns = [("nll", "NLL", 8, Format::Number), ("nll", "share", 10, Format::Percent)];
        let text = table(&rows(), &columns);
        let expected = [
            "                       NLL     share",
            "System 1, T = 0.97                  ",
            "System 1, T = 0.97  1.5000  150.00 %",
            "",
        ];
        assert_eq!(text, expected.join("\n"));
    }
}
