//! The picture of `compare`: each model's measures less the first one's, with their intervals.

use super::draw::style::{FAINT, colour};
use super::draw::{Area, Axis, Dash, DrawError, Picture, Sample, Table, legend, line, panel, range_of};
use crate::config::PictureFormat;
use crate::error::Error;
use crate::eval::compare::Comparison;
use crate::metrics::Row;

/// Key of a difference in a row, its title, and its unit.
const MEASURES: [(&str, &str, &str); 4] = [
    ("nll_minus_a", "negative log-likelihood", "less a's, nats per character"),
    ("accuracy_minus_a", "top-1 accuracy", "less a's, share"),
    ("ece_minus_a", "calibration error", "less a's, share"),
    ("energy_gap_minus_a", "energy gap", "less a's, nats"),
];

/// Draws a comparison; its numbers go beside it.
pub fn picture(comparison: &Comparison, format: PictureFormat) -> Result<Picture, Error> {
    let picture = Picture::new(
        "compare",
        "Models on the same windows",
        "Differences to the first model, paired over windows: a tick is the difference, a bar its 95 % interval. One that crosses \
         the grey line at 0 is not told apart from the first.",
    );
    let mut table = Table::new(&["model", "measure", "difference", "low", "high"]);
    let rows = &comparison.measured.rows;
    for row in rows.iter().skip(1) {
        for (key, ..) in MEASURES {
            let [difference, low, high] = interval(row, key);
            table.row(&[&text(row, "name"), &key, &difference, &low, &high]);
        }
    }
    let summary = format!("{} windows of {} characters; 95 % intervals.", comparison.windows, comparison.block_size);
    let height = 330 + 40 * rows.len() as u32;
    picture.draw(format, (height, &summary), |area| paint(area, rows))?.numbers(comparison, table)
}

/// A difference and the ends of its interval; the first model has none, and differs by 0 from itself.
fn interval(row: &Row, key: &str) -> [f64; 3] {
    ["", "_low", "_high"].map(|end| row.get(&format!("{key}{end}")).and_then(|v| v.as_f64()).unwrap_or(0.0))
}

fn text(row: &Row, key: &str) -> String {
    row.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned()
}

/// What a model is called in the legend.
fn named(row: &Row) -> String {
    let steps = row.get("refine_steps").and_then(|v| v.as_i64()).unwrap_or_default();
    let how = if steps == 0 { "System 1".to_owned() } else { format!("{steps} steps of thinking") };
    format!("{}: {} ({how}) {}", text(row, "name"), text(row, "checkpoint"), text(row, "settings"))
        .trim_end()
        .to_owned()
}

fn paint(area: &Area, rows: &[Row]) -> Result<(), DrawError> {
    let entries = rows.iter().enumerate().map(|(i, row)| (named(row), Sample::Line(colour(i), Dash::Solid)));
    let rest = legend(area, entries)?;
    let bottom = rows.len() as f64 + 0.6;
    for ((key, title, label), quarter) in MEASURES.into_iter().zip(rest.split_evenly((2, 2))) {
        let x = Axis::new(label, range_of(rows.iter().flat_map(|row| interval(row, key)))).with_ticks(4);
        let y = Axis { label: "model", range: bottom..0.4, ticks: 2 * rows.len(), whole: true };
        let mut chart = panel(&quarter, title, &x, &y)?;
        line(&mut chart, &[(0.0, 0.4), (0.0, bottom)], &FAINT, (1.2, Dash::Solid))?;
        for (i, row) in rows.iter().enumerate() {
            let ([value, low, high], at) = (interval(row, key), i as f64 + 1.0);
            line(&mut chart, &[(low, at), (high, at)], &colour(i), (4.0, Dash::Solid))?;
            line(&mut chart, &[(value, at - 0.25), (value, at + 0.25)], &colour(i), (2.0, Dash::Solid))?;
        }
    }
    Ok(())
}
