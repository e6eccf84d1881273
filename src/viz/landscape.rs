//! The energy landscape around a thought: the energy over the plane of the path's first two principal components.
//!
//! Two views of one plane: a wide one, in which the valley is seen, and one as near as the path. In both the unit is a logit in
//! both directions, so that a circle is a circle. They are drawn as [`super::contours`] and as a [`super::surface`].

use std::ops::Range;

use serde::Serialize;
use tch::no_grad;

use super::draw::style::short;
use super::draw::{Table, bounds};
use super::plane::{Plane, Second, Step};
use super::prompt::Prompt;
use crate::config::VizConfig;
use crate::error::Error;

/// Half width in logits that the wide view has at least: probabilities go from spread to certain within it.
const WIDE: f64 = 4.0;

/// The numbers of the picture; energies in nats, places in logits.
#[derive(Debug, Serialize)]
pub struct Landscape {
    /// What the energy did and how far the path is, in a sentence
    #[serde(skip)]
    pub summary: String,
    context: String,
    position: i64,
    #[serde(flatten)]
    pub plane: Plane,
    /// The wide view and the near one
    pub views: [View; 2],
}

/// Energies on a square grid.
#[derive(Debug, Serialize)]
pub struct View {
    /// wide or near
    pub name: &'static str,
    centre: [f64; 2],
    /// From the middle to an edge
    half_width: f64,
    /// Points along a side
    pub grid: usize,
    /// Row after row from the lowest b, each from the lowest a
    pub energies: Vec<f64>,
}

impl View {
    /// Coordinate of a grid line in the direction 0 or 1.
    pub fn at(&self, direction: usize, i: f64) -> f64 {
        self.centre[direction] + self.half_width * (2.0 * i / (self.grid - 1) as f64 - 1.0)
    }

    /// From edge to edge in the direction 0 or 1.
    pub fn side(&self, direction: usize) -> Range<f64> {
        self.at(direction, 0.0)..self.at(direction, (self.grid - 1) as f64)
    }

    /// The lowest corner and the highest.
    pub fn corners(&self) -> [(f64, f64); 2] {
        let (a, b) = (self.side(0), self.side(1));
        [(a.start, b.start), (a.end, b.end)]
    }

    pub fn range(&self) -> Range<f64> {
        let ends = bounds(self.energies.iter().copied());
        ends.start..ends.end.max(ends.start + f64::MIN_POSITIVE)
    }

    /// The same, less the energy of System 1.
    pub fn range_above(&self, reference: f64) -> Range<f64> {
        self.range().start - reference..self.range().end - reference
    }
}

/// Computes both views of the thought about a prompt.
pub fn landscape(prompt: &Prompt, config: &VizConfig) -> Result<Landscape, Error> {
    // With soft tokens the text is read again at every point.
    let grid = config.grid.unwrap_or(if prompt.ebm.config.use_soft_tokens { 31 } else { 61 });
    let plane = no_grad(|| Plane::of(prompt))?;
    let (a, b) = (bounds(plane.path.iter().map(|s| s.a)), bounds(plane.path.iter().map(|s| s.b)));
    let centre = [(a.start + a.end) / 2.0, (b.start + b.end) / 2.0];
    let near = 0.75 * (a.end - a.start).max(b.end - b.start);
    let wide = config.extent.unwrap_or(WIDE.max(2.0 * near));
    let views = [("wide", wide), ("near", near)].map(|(name, half_width)| {
        let mut view = View { name, centre, half_width, grid: grid as usize, energies: Vec::new() };
        let places = (0..grid * grid).map(|i| [view.at(0, (i % grid) as f64), view.at(1, (i / grid) as f64)]);
        view.energies = prompt.energy_at(&plane.points(&places.collect::<Vec<_>>()));
        view
    });
    let summary = summary(prompt, &plane.path);
    Ok(Landscape { summary, context: prompt.context(), position: prompt.position, plane, views })
}

impl Landscape {
    /// Whether the near view is large enough to be seen in the wide one: the mark of the start covers less of it.
    pub fn box_is_seen(&self) -> bool {
        const VISIBLE: f64 = 0.05; // of a half width
        self.views[1].half_width > VISIBLE * self.views[0].half_width
    }

    /// What a view shows; where the path is too short to be seen in it, that too.
    pub fn title(&self, view: &View, boxed: bool) -> &'static str {
        match view.name {
            "near" => "the path, magnified",
            _ if !self.box_is_seen() => "wide view (the path is inside the mark)",
            _ if boxed => "wide view (the box is magnified)",
            _ => "wide view",
        }
    }

    pub fn axis_names(&self) -> [String; 2] {
        let percent = |share: f64| match share {
            s if s > 0.999 => ">99.9 %".to_owned(),
            s if s < 0.001 => "<0.1 %".to_owned(),
            s => format!("{:.1} %", 100.0 * s),
        };
        let first = format!("PC 1, logits ({} of variance)", percent(self.plane.variance_shares[0]));
        let second = match self.plane.second_direction {
            Second::Component => format!("PC 2, logits ({})", percent(self.plane.variance_shares[1])),
            Second::Gradient => "across the path, uphill, logits".to_owned(),
            Second::RunnerUp => "across the path, logits".to_owned(),
        };
        [first, second]
    }

    /// The same where there is little room.
    pub fn short_axis_names(&self) -> [&'static str; 2] {
        let bends = self.plane.second_direction == Second::Component;
        ["PC 1, logits", if bends { "PC 2, logits" } else { "across, logits" }]
    }

    /// Path and views, for CSV.
    pub fn table(&self) -> Table {
        let mut table = Table::new(&["view", "a", "b", "energy"]);
        self.plane.path.iter().for_each(|s| table.row(&[&"path", &s.a, &s.b, &s.energy]));
        for view in &self.views {
            for (i, energy) in view.energies.iter().enumerate() {
                let (column, line) = (i % view.grid, i / view.grid);
                table.row(&[&view.name, &view.at(0, column as f64), &view.at(1, line as f64), energy]);
            }
        }
        table
    }
}

/// What the energy did and how far the path is, in a sentence.
fn summary(prompt: &Prompt, path: &[Step]) -> String {
    let (start, end) = (path[0], path[path.len() - 1]);
    format!(
        "After {}: {}: {} lower by {} nats, from E₀ = {} to {}; prediction moved by {} logits{}.",
        prompt.context(),
        prompt.effort(),
        prompt.energy_name(),
        short(start.energy - end.energy),
        fixed(start.energy),
        fixed(end.energy),
        short((end.a - start.a).hypot(end.b - start.b)),
        prompt.stopped()
    )
}

/// Four decimals: enough to tell levels, and the fall is given beside it.
fn fixed(energy: f64) -> String {
    format!("{energy:.4}").replace('-', "−")
}
