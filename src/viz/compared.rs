//! The picture of `compare`: each model's measures less the first one's, with their intervals.

use std::collections::BTreeSet;
use std::path::Path;

use super::draw::style::{FAINT, TICK, colour, px};
use super::draw::{Axis, Dash, DrawError, Picture, Sheet, Table, fitted, line, panel, range_of};
use crate::config::PictureFormat;
use crate::error::Error;
use crate::eval::compare::Comparison;
use crate::metrics::Row;

/// Key of a difference in a row, its title, and its unit.
const MEASURES: [(&str, &str, &str); 4] = [
    ("nll_minus_a", "negative log-likelihood (low is good)", "difference, nats per character"),
    ("accuracy_minus_a", "top-1 accuracy (high is good)", "difference, share"),
    ("ece_minus_a", "calibration error (low is good)", "difference, share"),
    ("energy_gap_minus_a", "energy gap", "difference, nats"),
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
    let names = names_of(rows);
    let summary = format!(
        "Differences to {}, on {} windows of {} characters; bars are 95 % intervals.",
        names[0], comparison.windows, comparison.block_size
    );
    picture.draw(format, &summary, |sheet| paint(sheet, rows, &names))?.numbers(comparison, table)
}

/// A difference and the ends of its interval; the first model has none, and differs by 0 from itself.
fn interval(row: &Row, key: &str) -> [f64; 3] {
    ["", "_low", "_high"].map(|end| row.get(&format!("{key}{end}")).and_then(|v| v.as_f64()).unwrap_or(0.0))
}

fn text(row: &Row, key: &str) -> String {
    row.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned()
}

/// What the models are called: what tells their files, steps and settings apart, and the letter that they have in the tables.
fn names_of(rows: &[Row]) -> Vec<String> {
    let files: Vec<String> = rows.iter().map(|row| text(row, "checkpoint")).collect();
    let files = apart(&files);
    let steps = |row: &Row| row.get("refine_steps").and_then(|v| v.as_i64()).unwrap_or_default();
    let thinks_alike = rows.iter().all(|row| steps(row) == steps(&rows[0]));
    let names = rows.iter().zip(files).map(|(row, file)| {
        let how = match steps(row) {
            _ if thinks_alike => String::new(),
            0 => "System 1".to_owned(),
            1 => "1 step".to_owned(),
            n => format!("{n} steps"),
        };
        let settings = text(row, "settings").replace("model.", "");
        let parts: Vec<String> = [file, how, settings].into_iter().filter(|part| !part.is_empty()).collect();
        format!("{} ({})", parts.join(", "), text(row, "name")).trim_start().to_owned()
    });
    names.collect()
}

/// Of each path the first part that tells all of them apart, else the whole path; nothing where all are one.
fn apart(paths: &[String]) -> Vec<String> {
    let distinct = |names: &[String]| names.iter().collect::<BTreeSet<_>>().len();
    let part = |n: usize| -> Vec<String> {
        let nth = |path: &String| Path::new(path).iter().nth(n).unwrap_or_default().to_string_lossy().into_owned();
        paths.iter().map(nth).collect()
    };
    let parts = paths.iter().map(|path| Path::new(path).iter().count()).max().unwrap_or(0);
    match distinct(paths) {
        1 => vec![String::new(); paths.len()],
        n => (0..parts).map(part).find(|names| distinct(names) == n).unwrap_or_else(|| paths.to_vec()),
    }
}

fn paint(sheet: &mut Sheet, rows: &[Row], names: &[String]) -> Result<(), DrawError> {
    let n = rows.len();
    let rooms = sheet.panels(MEASURES.len(), (2, 300.0), |_| 68.0 + 26.0 * n as f64);
    let names = names.iter().map(|name| fitted(&rooms[0], name, TICK, px(130.0))).collect::<Result<Vec<_>, _>>()?;
    for ((key, title, label), room) in MEASURES.into_iter().zip(rooms) {
        let x = Axis::new(label, range_of(rows.iter().flat_map(|row| interval(row, key)))).with_ticks(4);
        let y = Axis::of_things(&names, n);
        let ends = y.range.clone();
        let mut chart = panel(&room, title, &x, &y)?;
        line(&mut chart, &[(0.0, ends.start), (0.0, ends.end)], &FAINT, (1.2, Dash::Solid))?;
        for (i, row) in rows.iter().enumerate() {
            let ([value, low, high], at) = (interval(row, key), i as f64 + 1.0);
            line(&mut chart, &[(low, at), (high, at)], &colour(i), (5.0, Dash::Solid))?;
            line(&mut chart, &[(value, at - 0.28), (value, at + 0.28)], &colour(i), (2.0, Dash::Solid))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_names() {
        let names = |paths: &[&str]| apart(&paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["out_hard/run_1/final.pt", "out_soft/run_2/final.pt"]), ["out_hard", "out_soft"]);
        assert_eq!(names(&["out/run_1/final.pt", "out/run_2/final.pt"]), ["run_1", "run_2"]);
        assert_eq!(names(&["a.pt", "a.pt"]), ["", ""]);
        assert_eq!(names(&["a/x.pt", "a/y.pt", "b/x.pt"]), ["a/x.pt", "a/y.pt", "b/x.pt"]);
        let row = |name: &str, steps: i64, settings: &str| -> Row {
            let json =
                serde_json::json!({"name": name, "checkpoint": "a.pt", "refine_steps": steps, "settings": settings});
            serde_json::from_value(json).unwrap()
        };
        assert_eq!(names_of(&[row("a", 0, ""), row("b", 4, "")]), ["System 1 (a)", "4 steps (b)"]);
        let soft = "model.use_soft_tokens=true";
        assert_eq!(names_of(&[row("a", 4, ""), row("b", 4, soft)]), ["(a)", "use_soft_tokens=true (b)"]);
    }
}
