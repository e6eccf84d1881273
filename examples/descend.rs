//! An energy of your own, descended by the loop that thinks and samples everywhere in this project: x ← x − α ∇E(x) + noise.
//!
//!     cargo run --release --example descend -- descend.png
//!
//! Points that start anywhere roll down Himmelblau's function, which has four valleys of energy 0, and are drawn on their way.

use std::ops::Range;

use nanoebm::Error;
use nanoebm::energy::{Autograd, Descent, Noise, descend};
use nanoebm::fs::FileError;
use nanoebm::viz::draw::axes::{Axis, square_panel};
use nanoebm::viz::draw::curves::{Dash, line};
use nanoebm::viz::draw::figure::Figure;
use nanoebm::viz::draw::style::{PATH, viridis};
use plotters::prelude::Rectangle;
use plotters::style::{Color, WHITE};
use tch::{Device, Kind, Tensor};

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);
const RANGE: Range<f64> = -5.0..5.0;

/// The energy of points (N, 1, 2) → (N, 1, 1). Whatever tensors can compute will do; libtorch finds the gradient.
fn himmelblau(points: &Tensor) -> Tensor {
    let (x, y) = (points.narrow(-1, 0, 1), points.narrow(-1, 1, 1));
    ((x.square() + &y - 11.0).square() + (x + y.square() - 7.0).square()) / 100.0
}

fn main() -> Result<(), Error> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "descend.png".to_owned());
    tch::manual_seed(1);

    let energy = Autograd { energy: himmelblau, create_graph: false };
    let start = (Tensor::rand([24, 1, 2], CPU) - 0.5) * 9.0;
    let settings = Descent {
        noise: Noise::Decaying(0.05),
        record: true, // keep every x on the way
        ..Descent::new(80, Tensor::from(0.2))
    };
    let descended = descend(&energy, start, &settings);

    let mean = |points: &Tensor| himmelblau(points).mean(Kind::Float).double_value(&[]);
    let (first, last) = (&descended.trajectory[0], &descended.x); // (N, 1, 2) each
    println!("mean energy: {:.3} at the start, {:.3} after {} steps", mean(first), mean(last), settings.steps);
    std::fs::write(&file, draw(&descended.trajectory)?.png()?).map_err(FileError::at(file.as_ref()))?;
    println!("wrote {file}");
    Ok(())
}

/// The energy in colours, low and dark to high and bright, and each point's way over it.
fn draw(trajectory: &[Tensor]) -> Result<Figure, Error> {
    const CELLS: i32 = 80;
    let size = (RANGE.end - RANGE.start) / f64::from(CELLS);
    let cells = (0..CELLS * CELLS).map(|i| [i % CELLS, i / CELLS].map(|i| RANGE.start + size * f64::from(i)));
    let summary = "The energy is low where it is dark; each line is the way of one point.";
    Figure::draw(480, ("Down Himmelblau's function", summary), |sheet| {
        let area = sheet.take(456.0);
        let (x, y) = (Axis::new("x", RANGE), Axis::new("y", RANGE));
        let mut chart = square_panel(&area, "", &x, &y)?;
        for [x, y] in cells {
            let energy = himmelblau(&Tensor::from_slice(&[x, y]).view([1, 1, 2])).double_value(&[0, 0, 0]);
            // Each cell reaches under the next, so that no light shines through.
            let corners = [(x, y), ((x + 2.0 * size).min(RANGE.end), (y + 2.0 * size).min(RANGE.end))];
            chart.plotting_area().draw(&Rectangle::new(corners, viridis((energy / 9.0).sqrt()).filled()))?;
        }
        for n in 0..trajectory[0].size()[0] {
            let place = |x: &Tensor| (x.double_value(&[n, 0, 0]), x.double_value(&[n, 0, 1]));
            let way: Vec<(f64, f64)> = trajectory.iter().map(place).collect();
            line(&mut chart, &way, &WHITE, (2.0, Dash::Solid))?;
            line(&mut chart, &way, &PATH, (1.0, Dash::Solid))?;
        }
        Ok(())
    })
}
