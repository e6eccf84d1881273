//! The energy gap: how far thinking lowers the energy, step by step, over all positions of validation windows.

use plotters::style::Color;
use serde::Serialize;
use tch::{Kind, Tensor, no_grad};

use super::draw::style::{self, COLOURS, short};
use super::draw::{Axis, Dash, DrawError, Picture, Sample, Sheet, Table, band, by_step, line, panel, range_of};
use super::numbers::numbers_of;
use super::prompt::{energy_of, fine};
use super::step_size::StepSize;
use super::studio::Studio;
use crate::error::Error;
use crate::eval::bootstrap::percentile;
use crate::eval::windows::Windows;

/// Mean and percentiles over positions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Spread {
    mean: f64,
    p10: f64,
    p50: f64,
    p90: f64,
}

/// The numbers of the picture, in nats, System 1 first.
#[derive(Debug, Serialize)]
pub struct Gap {
    windows: usize,
    positions: usize,
    /// Windows in which the model's early stop ended the loop; they stay where they are
    early_stops: usize,
    /// Energy E_k after each step: the expected one, or for other families than the linear what thinking descends
    energy: Vec<Spread>,
    /// E_0 − E_k of each position
    gap: Vec<Spread>,
}

/// Energies along a trajectory of x (B, T, V), of which `energy` gives (B, T): (K + 1, B·T), float64.
pub fn path_energies(trajectory: &[Tensor], energy: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let steps: Vec<Tensor> = trajectory.iter().map(|x| energy(x).to_kind(Kind::Double).reshape([-1])).collect();
    Tensor::stack(&steps, 0)
}

impl Gap {
    /// From energies (K + 1, positions).
    pub fn new(energies: &Tensor, windows: usize, early_stops: usize) -> Self {
        let rows = |t: &Tensor| -> Vec<Spread> { (0..t.size()[0]).map(|k| Spread::of(&t.get(k))).collect() };
        Self {
            windows,
            positions: energies.size()[1] as usize,
            early_stops,
            energy: rows(energies),
            gap: rows(&(energies.get(0) - energies)),
        }
    }
}

impl Spread {
    /// Of values (N), read from the device.
    fn of(values: &Tensor) -> Self {
        let mut sorted: Vec<f64> = numbers_of(values);
        sorted.sort_unstable_by(f64::total_cmp);
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        let [p10, p50, p90] = [0.1, 0.5, 0.9].map(|share| percentile(&sorted, share));
        Self { mean, p10, p50, p90 }
    }
}

/// The step size that shows how the mean energy of the first window's positions falls.
fn step_size(studio: &Studio, windows: &Windows) -> StepSize {
    let (ebm, pass, config) = (&studio.loaded.ebm, studio.pass, studio.config);
    let path = || {
        windows.batches(1, ebm.device()).take(1).flat_map(|(idx, targets)| {
            let reading = fine(ebm, &ebm.read_for(&idx, &targets, pass));
            let energy = |x: &Tensor| energy_of(ebm, &reading, x, pass).mean(Kind::Double).double_value(&[]);
            ebm.trajectory(&reading, config.think_steps, pass).iter().map(energy).collect::<Vec<f64>>()
        })
    };
    no_grad(|| StepSize::choose(ebm, config, || path().collect()))
}

/// Measures windows one at a time, as `eval` does.
fn measure(studio: &Studio, windows: &Windows) -> Gap {
    let (ebm, pass, steps) = (&studio.loaded.ebm, studio.pass, studio.config.think_steps);
    let mut early_stops = 0;
    let mut all = Vec::new();
    for (idx, targets) in windows.batches(1, ebm.device()) {
        all.push(no_grad(|| {
            let reading = fine(ebm, &ebm.read_for(&idx, &targets, pass));
            let mut trajectory = ebm.trajectory(&reading, steps, pass);
            early_stops += usize::from(trajectory.len() <= steps as usize);
            while trajectory.len() <= steps as usize {
                trajectory.push(trajectory[trajectory.len() - 1].shallow_clone());
            }
            path_energies(&trajectory, |x| energy_of(ebm, &reading, x, pass)) // (K + 1, T)
        }));
    }
    Gap::new(&Tensor::cat(&all, 1), windows.offsets.len(), early_stops)
}

pub(super) fn picture(studio: &Studio) -> Result<Picture, Error> {
    let corpus = studio.corpus()?;
    let windows = studio.windows(&corpus)?;
    let step_size = step_size(studio, &windows);
    let numbers = step_size.during(&studio.loaded.ebm, || measure(studio, &windows));
    let picture = Picture::new(
        "gap",
        "Energy by thinking step",
        "First the energy after each step, then how far it has fallen since System 1 (up is lower energy). Lines are means over \
         validation positions, bands hold the middle 80 % of them.",
    );
    let mut table = Table::new(&["step", "quantity", "mean", "p10", "p50", "p90"]);
    for (name, rows) in [("energy", &numbers.energy), ("gap", &numbers.gap)] {
        for (step, s) in rows.iter().enumerate() {
            table.row(&[&step, &name, &s.mean, &s.p10, &s.p50, &s.p90]);
        }
    }
    let stops = match numbers.early_stops {
        0 => String::new(),
        n => format!("; in {n} of the windows the model's early stop ended the thinking sooner"),
    };
    let last = numbers.gap.len() - 1;
    let summary = format!(
        "Energy gap after {} of thinking with {}: {} nats (mean of {} validation positions in {} windows{stops}).",
        style::steps(last),
        step_size.words(),
        short(numbers.gap[last].mean),
        numbers.positions,
        numbers.windows
    );
    picture.draw(studio.config.format, &summary, |sheet| paint(sheet, &numbers))?.numbers(&numbers, table)
}

fn paint(sheet: &mut Sheet, numbers: &Gap) -> Result<(), DrawError> {
    let entries = [
        ("mean", Sample::Line(COLOURS[0], Dash::Solid)),
        ("median", Sample::Line(COLOURS[0], Dash::Short)),
        ("10–90 % of positions", Sample::Fill(COLOURS[0].mix(0.25))),
    ];
    sheet.legend(entries)?;
    let panels = [("energy", "E, nats", &numbers.energy), ("fall since System 1", "E₀ − E, nats", &numbers.gap)];
    let rooms = sheet.panels(2, (2, 300.0), |_| 246.0);
    for ((title, label, rows), half) in panels.into_iter().zip(rooms) {
        let points = |value: fn(&Spread) -> f64| by_step(rows.iter().map(value));
        let y = Axis::new(label, range_of(rows.iter().flat_map(|s| [s.mean, s.p10, s.p90])));
        let mut chart = panel(&half, title, &Axis::steps(rows.len() - 1), &y)?;
        band(&mut chart, &points(|s| s.p10), &points(|s| s.p90), COLOURS[0])?;
        line(&mut chart, &points(|s| s.p50), &COLOURS[0], (1.4, Dash::Short))?;
        line(&mut chart, &points(|s| s.mean), &COLOURS[0], (2.0, Dash::Solid))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_that_of_the_values() {
        let spread = Spread::of(&Tensor::arange(11, (Kind::Double, tch::Device::Cpu)));
        assert_eq!(spread, Spread { mean: 5.0, p10: 1.0, p50: 5.0, p90: 9.0 });
        let gap = Gap::new(&Tensor::from_slice2(&[[5.0f64, 3.0], [4.0, 1.0]]), 1, 0);
        assert_eq!((gap.gap[0].mean, gap.gap[1].mean, gap.energy[1].mean), (0.0, 1.5, 2.5));
    }
}
