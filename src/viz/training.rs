//! Training curves of one or several runs, from their `metrics.jsonl`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use plotters::prelude::Text;
use plotters::style::{Color, RGBColor};
use serde::Serialize;

use super::draw::style::{self, INK, LABEL, SOFT, px, text};
use super::draw::{Area, Axis, Dash, DrawError, Picture, Sample, Sheet, Table, legend, line, panel, range_of};
use crate::config::VizConfig;
use crate::error::Error;
use crate::fs::parent;
use crate::tracking::read_rows;

/// One quantity of a panel: its key, its name, and how its line is broken.
type Quantity = (&'static str, &'static str, Dash);

/// The panels: title, axis, quantities.
const PANELS: [(&str, &str, &[Quantity]); 4] = [
    (
        "negative log-likelihood",
        "NLL, nats per character",
        &[
            ("nll_s2", "System 2", Dash::Solid),
            ("nll_s1", "System 1", Dash::Dots),
            ("val/nll_s2", "validation", Dash::Long),
        ],
    ),
    (
        "energies",
        "energy, nats",
        &[
            ("energy_data", "E+ (text)", Dash::Solid),
            ("energy_negatives", "E− (chains)", Dash::Long),
            ("initial_energy", "E₀ (System 1)", Dash::Short),
            ("energy_random", "random tokens", Dash::Dots),
        ],
    ),
    ("energy gap", "E₀ − E, nats", &[("energy_gap", "gap of thinking", Dash::Solid)]),
    ("learning rate", "learning rate", &[("lr", "learning rate", Dash::Solid)]),
];

#[derive(Debug, Serialize)]
struct Curve {
    run: String,
    /// The key in `metrics.jsonl`
    quantity: &'static str,
    /// (step, value) as logged
    points: Vec<(f64, f64)>,
    /// The same, averaged; this is drawn
    smoothed: Vec<(f64, f64)>,
}

/// The numbers of the picture.
#[derive(Debug, Serialize)]
struct Training {
    /// Logged rows that a smoothed value is the mean of
    smooth: i64,
    curves: Vec<Curve>,
    /// The runs in the order of their colours
    runs: Vec<String>,
}

/// The run directories that are meant: those of `runs`, else that of the checkpoint, else the newest under `out_dir`.
fn asked_for(config: &VizConfig, checkpoint_dir: Option<&Path>) -> Result<Vec<PathBuf>, Error> {
    if let Some(runs) = &config.runs {
        let list = runs.trim_matches(['[', ']']).split(',').map(str::trim).filter(|run| !run.is_empty());
        let dirs: Vec<PathBuf> = list.map(PathBuf::from).collect();
        return match dirs.iter().find(|dir| !metrics_of(dir).is_file()) {
            Some(dir) => Err(Error::NoRun { dir: dir.clone() }),
            None if dirs.is_empty() => Err(Error::Request("runs= names no directory; runs=out_ebt/run_…".to_owned())),
            None => Ok(dirs),
        };
    }
    let given = config.from.checkpoint.as_deref().and_then(parent);
    let own = [checkpoint_dir, given].into_iter().flatten().find(|dir| metrics_of(dir).is_file());
    let modified = |dir: &PathBuf| std::fs::metadata(metrics_of(dir)).and_then(|m| m.modified()).ok();
    let entries = std::fs::read_dir(&config.from.out_dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = || entries.filter(|dir| metrics_of(dir).is_file()).max_by_key(|dir| (modified(dir), dir.clone()));
    match (own, config.from.checkpoint.is_some()) {
        (Some(dir), _) => Ok(vec![dir.to_owned()]),
        // Another run's curves beside this checkpoint's pictures would mislead.
        (None, true) => Err(Error::NoRun { dir: given.unwrap_or(Path::new("/")).to_owned() }),
        (None, false) => newest().map(|dir| vec![dir]).ok_or_else(|| Error::NoRun { dir: config.from.out_dir.clone() }),
    }
}

/// The rows that a run has logged.
fn metrics_of(dir: &Path) -> PathBuf {
    dir.join("metrics.jsonl")
}

/// Names that tell the runs apart: the last part of each path, with the part before it where that is needed.
fn names_of(dirs: &[PathBuf]) -> Vec<String> {
    let tail = |dir: &PathBuf, n: usize| {
        let parts: Vec<_> = dir.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        parts[parts.len().saturating_sub(n)..].join("/")
    };
    let depth = dirs.iter().map(|dir| dir.iter().count()).max().unwrap_or(1);
    let distinct = |n: &usize| {
        let names: BTreeSet<String> = dirs.iter().map(|dir| tail(dir, *n)).collect();
        names.len() == dirs.len()
    };
    let n = (1..=depth).find(distinct).unwrap_or(depth);
    dirs.iter().map(|dir| tail(dir, n)).collect()
}

fn training(dirs: &[PathBuf], smooth: i64) -> Result<Training, Error> {
    let names = names_of(dirs);
    let mut curves = Vec::new();
    for (dir, run) in dirs.iter().zip(&names) {
        let rows = read_rows(&metrics_of(dir))?;
        for (key, ..) in PANELS.iter().flat_map(|(_, _, quantities)| *quantities) {
            let points: Vec<(f64, f64)> =
                rows.iter().filter_map(|row| Some((row.get("step")?.as_f64()?, row.get(*key)?.as_f64()?))).collect();
            // Evaluations and learning rates have no noise to take away.
            let window = if key.contains('/') || *key == "lr" { 1 } else { smooth as usize };
            if !points.is_empty() {
                curves.push(Curve { run: run.clone(), quantity: key, smoothed: averaged(&points, window), points });
            }
        }
    }
    if curves.iter().all(|curve| curve.points.len() < 2) {
        return Err(Error::Request(format!("{}: fewer than two rows were logged: no curve", dirs[0].display())));
    }
    Ok(Training { smooth, curves, runs: names })
}

/// The mean of the `window` rows around each, fewer at both ends.
fn averaged(points: &[(f64, f64)], window: usize) -> Vec<(f64, f64)> {
    let half = window / 2;
    (0..points.len())
        .map(|i| {
            let reach = half.min(i).min(points.len() - 1 - i);
            let around = &points[i - reach..=i + reach];
            (points[i].0, around.iter().map(|p| p.1).sum::<f64>() / around.len() as f64)
        })
        .collect()
}

pub fn picture(config: &VizConfig, checkpoint_dir: Option<&Path>) -> Result<Picture, Error> {
    let numbers = training(&asked_for(config, checkpoint_dir)?, config.smooth)?;
    let mut table = Table::new(&["run", "quantity", "step", "value", "smoothed"]);
    for curve in &numbers.curves {
        for (raw, smooth) in curve.points.iter().zip(&curve.smoothed) {
            table.row(&[&curve.run, &curve.quantity, &raw.0, &raw.1, &smooth.1]);
        }
    }
    let picture = Picture::new(
        "training",
        "Training",
        "Loss should fall; the energy of text (E+) should stay at or below that of the chains (E−) and far below that of random \
         tokens; the gap is what thinking gains in energy. Pale lines are the rows as logged.",
    );
    let summary = match numbers.smooth {
        1 => "Rows as logged.".to_owned(),
        n => format!(
            "Running means of {n} logged rows, fewer at the ends (pale: as logged); validation and learning rate as logged."
        ),
    };
    let several = numbers.runs.len() > 1;
    let title =
        if several { "Training of several runs".to_owned() } else { format!("Training of {}", numbers.runs[0]) };
    picture.draw_titled(config.format, (&title, &summary), |sheet| paint(sheet, &numbers))?.numbers(&numbers, table)
}

fn paint(sheet: &mut Sheet, numbers: &Training) -> Result<(), DrawError> {
    if numbers.runs.len() > 1 {
        let runs = numbers.runs.iter().enumerate();
        sheet.legend(runs.map(|(i, run)| (run, Sample::Line(style::colour(i), Dash::Solid))))?;
    }
    let rooms = sheet.panels(PANELS.len(), (2, 300.0), |_| 240.0);
    rooms.iter().enumerate().try_for_each(|(i, room)| draw_panel(room, numbers, i))
}

/// Dashes tell quantities apart; colours do too, or with several runs they tell those apart.
fn draw_panel(area: &Area, numbers: &Training, which: usize) -> Result<(), DrawError> {
    let (title, label, quantities) = PANELS[which];
    let several = numbers.runs.len() > 1;
    let shown = numbers.curves.iter().filter_map(|curve| {
        let quantity = quantities.iter().position(|(key, ..)| *key == curve.quantity)?;
        let run = numbers.runs.iter().position(|run| *run == curve.run)?;
        Some((curve, style::colour(if several { run } else { quantity }), quantities[quantity].2))
    });
    let shown: Vec<(&Curve, RGBColor, Dash)> = shown.collect();
    if shown.is_empty() {
        return area.draw(&Text::new(format!("{title}: not logged"), (px(8.0), px(2.0)), text(LABEL, &SOFT)));
    }
    let logged = |key: &str| shown.iter().any(|(curve, ..)| curve.quantity == key);
    let entries = quantities.iter().enumerate().filter(|(_, (key, ..))| logged(key)).map(|(i, (_, name, dash))| {
        let colour = if several { SOFT } else { style::colour(i) };
        (*name, Sample::Line(colour, *dash))
    });
    let entries: Vec<(&str, Sample)> = entries.collect();
    area.draw(&Text::new(title, (px(8.0), px(2.0)), text(LABEL, &INK)))?;
    let below = area.split_vertically(px(18.0)).1;
    let room = if entries.len() > 1 { legend(&below, entries)? } else { below };
    let last = numbers.curves.iter().flat_map(|curve| &curve.points).fold(1f64, |l, p| l.max(p.0)); // the same for all panels
    let x = Axis { whole: true, ..Axis::new("training step", 0.0..rounded_up(last)) };
    let y = Axis::new(label, range_of(shown.iter().flat_map(|(c, ..)| c.points.iter().map(|p| p.1))));
    let mut chart = panel(&room, "", &x, &y)?;
    // The rows as logged, pale, and over them the smoothed ones.
    for (curve, colour, _) in shown.iter().filter(|(curve, ..)| curve.points != curve.smoothed) {
        line(&mut chart, &curve.points, &colour.mix(0.22), (0.8, Dash::Solid))?;
    }
    for (curve, colour, dash) in &shown {
        line(&mut chart, &curve.smoothed, colour, (1.6, *dash))?;
    }
    Ok(())
}

/// The next round number where it is near: a training of 600 steps logs its last row before them.
fn rounded_up(last: f64) -> f64 {
    let (_, step) = style::ticks(&(0.0..last), 5, true);
    let next = (last / step).ceil() * step;
    if next < 1.05 * last { next } else { last }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_keep_both_ends() {
        let points: Vec<(f64, f64)> = (0..5).map(|i| (f64::from(i), f64::from(i * i))).collect();
        let smooth = averaged(&points, 3);
        assert_eq!((smooth[0], smooth[4], smooth[2].1), (points[0], points[4], 14.0 / 3.0));
        assert_eq!(averaged(&points, 1), points);
    }

    #[test]
    fn the_last_tick_of_a_training_is_shown() {
        assert_eq!([590.0, 1990.0, 2000.0, 510.0, 1.0].map(rounded_up), [600.0, 2000.0, 2000.0, 510.0, 1.0]);
    }

    #[test]
    fn runs_are_told_apart() {
        let names = |dirs: &[&str]| names_of(&dirs.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(names(&["a/run_1", "b/run_2"]), ["run_1", "run_2"]);
        assert_eq!(names(&["a/run_1", "b/run_1"]), ["a/run_1", "b/run_1"]);
    }
}
