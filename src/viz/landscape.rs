//! The energy landscape around a thought: the energy over the plane of the path's first two principal components.
//!
//! Two views of one plane: a wide one, in which the valley is seen, and one as near as the path. In both the unit is a logit in
//! both directions, so that a circle is a circle.

use contour::ContourBuilder;
use plotters::prelude::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::{Color, WHITE};
use serde::Serialize;
use tch::no_grad;

use super::draw::axes::{Axis, Chart, colour_bar, headed, square_panel};
use super::draw::curves::{Dash, line, outline};
use super::draw::figure::{Area, DrawError, Figure};
use super::draw::legend::{Sample, legend};
use super::draw::output::{Picture, Table};
use super::draw::style::{COLOURS, INK, PAGE, PATH, px, short, viridis, width};
use super::plane::{Plane, Second};
use super::surface;
use super::thought::Thought;
use crate::config::VizConfig;
use crate::error::Error;

/// Half width in logits that the wide view has at least: probabilities go from spread to certain within it.
const WIDE: f64 = 4.0;
/// Bands of colour in a view.
const LEVELS: usize = 14;

/// The numbers of the picture; energies in nats, places in logits.
#[derive(Debug, Serialize)]
pub struct Landscape {
    /// The text that was read
    pub context: String,
    /// Position of its last character in the prompt
    pub position: i64,
    /// Share of the path's variance along the first and the second direction
    pub variance_shares: [f64; 2],
    /// What the second direction is
    pub second_direction: &'static str,
    /// Largest distance of a step from the plane
    pub off_plane: f64,
    /// Steps, System 1 first: place in the plane, and the energy of the prediction itself
    pub path: Vec<Step>,
    /// The near view and the wide one
    pub views: Vec<View>,
}

/// One step of the path.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Step {
    /// Along the first direction
    pub a: f64,
    /// Along the second
    pub b: f64,
    /// J at the prediction
    pub energy: f64,
}

/// Energies on a square grid.
#[derive(Debug, Serialize)]
pub struct View {
    /// wide or near
    pub name: &'static str,
    /// The middle
    pub centre: [f64; 2],
    /// From the middle to an edge
    pub half_width: f64,
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

    /// Lowest and highest energy.
    pub fn range(&self) -> std::ops::Range<f64> {
        let ends = self.energies.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &e| (l.min(e), h.max(e)));
        ends.0..ends.1.max(ends.0 + f64::MIN_POSITIVE)
    }
}

/// Computes both views of a thought.
pub fn landscape(thought: &Thought, grid: i64, extent: Option<f64>) -> Result<Landscape, Error> {
    let plane = no_grad(|| Plane::of(thought))?;
    let energies = thought.energy_at(&thought.path());
    let bounds = |d: usize| {
        plane
            .path
            .iter()
            .map(|place| place[d])
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)))
    };
    let (a, b) = (bounds(0), bounds(1));
    let centre = [(a.0 + a.1) / 2.0, (b.0 + b.1) / 2.0];
    let near = 0.75 * (a.1 - a.0).max(b.1 - b.0);
    let wide = extent.unwrap_or(WIDE.max(2.0 * near));
    let views = [("wide", wide), ("near", near)].map(|(name, half_width)| {
        let mut view = View { name, centre, half_width, grid: grid as usize, energies: Vec::new() };
        let places = (0..grid * grid).map(|i| [view.at(0, (i % grid) as f64), view.at(1, (i / grid) as f64)]);
        view.energies = thought.energy_at(&plane.points(&places.collect::<Vec<_>>()));
        view
    });
    let path = plane.path.iter().zip(energies).map(|(&[a, b], energy)| Step { a, b, energy }).collect();
    Ok(Landscape {
        context: thought.context(),
        position: thought.position,
        variance_shares: plane.shares,
        second_direction: match plane.second {
            Second::Component => "second principal component",
            Second::Gradient => "gradient at the end, at right angles to the straight path",
            Second::RunnerUp => "towards the runner-up, at right angles to the straight path",
        },
        off_plane: plane.off_plane,
        path,
        views: views.into(),
    })
}

impl Landscape {
    fn start(&self) -> Step {
        self.path[0]
    }

    fn end(&self) -> Step {
        self.path[self.path.len() - 1]
    }

    /// What the energy did and how far the path is, in a sentence.
    pub fn summary(&self, thought: &Thought) -> String {
        let (start, end) = (self.start(), self.end());
        let long = (end.a - start.a).hypot(end.b - start.b);
        let stop = thought.early_stop().map_or_else(String::new, |stop| format!("; {stop}"));
        format!(
            "After {}: {}: {} lower by {} nats, from {} to {}; prediction moved by {} logits{stop}.",
            self.context,
            thought.effort(),
            thought.energy_name(),
            short(start.energy - end.energy),
            fixed(start.energy),
            fixed(end.energy),
            short(long)
        )
    }

    /// What a view shows; where the path is too short to be seen in it, that too.
    pub fn title(&self, view: &View, boxed: bool) -> &'static str {
        const VISIBLE: f64 = 0.02; // of a half width: less than the mark of the start covers
        match view.name {
            "near" => "the path, magnified",
            _ if self.views[1].half_width < VISIBLE * view.half_width => "wide view (the path is inside the mark)",
            _ if boxed => "wide view (the box is magnified on the right)",
            _ => "wide view",
        }
    }

    /// Names of the two axes.
    pub fn axis_names(&self) -> [String; 2] {
        let percent = |share: f64| match share {
            s if s > 0.999 => ">99.9 %".to_owned(),
            s if s < 0.001 => "<0.1 %".to_owned(),
            s => format!("{:.1} %", 100.0 * s),
        };
        let first = format!("PC 1, logits ({} of variance)", percent(self.variance_shares[0]));
        let second = match self.second_direction {
            "second principal component" => format!("PC 2, logits ({})", percent(self.variance_shares[1])),
            name if name.starts_with("gradient") => "across the path, uphill, logits".to_owned(),
            _ => "across the path, logits".to_owned(),
        };
        [first, second]
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&["view", "a", "b", "energy"]);
        let row = |view: &str, a: f64, b: f64, energy: f64| {
            [view.to_owned(), a.to_string(), b.to_string(), energy.to_string()]
        };
        self.path.iter().for_each(|s| table.row(&row("path", s.a, s.b, s.energy)));
        for view in &self.views {
            for (i, energy) in view.energies.iter().enumerate() {
                let (column, line) = (i % view.grid, i / view.grid);
                table.row(&row(view.name, view.at(0, column as f64), view.at(1, line as f64), *energy));
            }
        }
        table
    }
}

/// Four decimals: enough to tell levels, and the fall is given beside it.
fn fixed(energy: f64) -> String {
    format!("{energy:.4}").replace('-', "−")
}

/// The contour picture and the surface.
pub fn pictures(thought: &Thought, config: &VizConfig) -> Result<Vec<Picture>, Error> {
    // With soft tokens the text is read again at every point.
    let grid = config.grid.unwrap_or(if thought.ebm.config.use_soft_tokens { 31 } else { 61 });
    let numbers = landscape(thought, grid, config.extent)?;
    let summary = numbers.summary(thought);
    let contour = Picture::new(
        "landscape",
        "Energy landscape of a thought",
        "Colour is energy (dark is low, and low is good) over the plane of the thought's path; the line goes from System 1 \
         (circle) step by step down to System 2 (square), and the right panel magnifies the small box of the left one.",
    );
    let contour =
        contour.figure(&contour_figure(&numbers, &summary)?, config.format)?.numbers(&numbers, numbers.table())?;
    let relief = Picture::new(
        "landscape_surface",
        "The same landscape as a surface",
        "Height and colour are energy; the thought rolls from the circle to the square. Its numbers are landscape.json and \
         landscape.csv.",
    );
    let relief = relief.figure(&surface::figure(&numbers, &summary)?, config.format)?;
    Ok(vec![contour, relief])
}

fn contour_figure(numbers: &Landscape, summary: &str) -> Result<Figure, Error> {
    Figure::draw((PAGE, 350), |area| {
        let rest = headed(area, "Energy landscape of a thought", summary)?;
        let rest = legend(&rest, &samples())?;
        let [first, second] = numbers.axis_names();
        for (view, half) in numbers.views.iter().zip(rest.split_evenly((1, 2))) {
            let (square, bar) = half.split_horizontally(px(272.0));
            let range = |d: usize| view.at(d, 0.0)..view.at(d, (view.grid - 1) as f64);
            let x = Axis::new(&first, range(0)).with_ticks(4);
            let y = Axis::new(&second, range(1)).with_ticks(5);
            let mut chart = square_panel(&square, numbers.title(view, true), &x, &y)?;
            let reference = numbers.start().energy;
            draw_contours(&chart, view)?;
            if view.name == "wide" {
                draw_box(&chart, &numbers.views[1])?;
            }
            draw_path(&mut chart, numbers)?;
            let shifted = view.range().start - reference..view.range().end - reference;
            let (_, y_range) = chart.plotting_area().get_pixel_range();
            let top = half.get_base_pixel().1;
            colour_bar(&bar, "E − E(System 1), nats", &shifted, (y_range.start - top, y_range.end - top), viridis)?;
        }
        Ok(())
    })
}

/// What the marks on a landscape mean.
pub fn samples() -> Vec<(String, Sample)> {
    vec![
        ("System 1 (start)".to_owned(), Sample::Dot(COLOURS[4])),
        ("thinking steps".to_owned(), Sample::Line(PATH, Dash::Solid)),
        ("System 2 (end)".to_owned(), Sample::Fill(PATH.mix(1.0))),
    ]
}

/// Bands of equal energy: what lies above a level is painted over what lies below.
fn draw_contours(chart: &Chart, view: &View) -> Result<(), DrawError> {
    let (range, n) = (view.range(), view.grid);
    let level = |i: usize| range.start + (range.end - range.start) * i as f64 / LEVELS as f64;
    let area = chart.plotting_area();
    let corners = [(view.at(0, 0.0), view.at(1, 0.0)), (view.at(0, (n - 1) as f64), view.at(1, (n - 1) as f64))];
    area.draw(&Rectangle::new(corners, viridis(0.5 / LEVELS as f64).filled()))?;
    let levels: Vec<f64> = (1..LEVELS).map(level).collect();
    // In units of the grid: the crate's own scaling loses areas below 1.
    let contours = ContourBuilder::new(n, n, true).contours(&view.energies, &levels).unwrap_or_default();
    let place = |x: f64, y: f64| {
        let inside = |i: f64| (i - 0.5).clamp(0.0, (n - 1) as f64);
        (view.at(0, inside(x)), view.at(1, inside(y)))
    };
    for (i, contour) in contours.iter().enumerate() {
        let colour = viridis((i as f64 + 1.5) / LEVELS as f64);
        for polygon in contour.geometry() {
            // A hole is reached over a bridge of no width: plotters knows no polygons with holes.
            let mut around: Vec<(f64, f64)> = polygon.exterior().coords().map(|c| place(c.x, c.y)).collect();
            for hole in polygon.interiors() {
                let bridge = around[0];
                around.extend(hole.coords().map(|c| place(c.x, c.y)));
                around.push(bridge);
            }
            area.draw(&Polygon::new(around.clone(), colour.filled()))?;
            for ring in std::iter::once(polygon.exterior()).chain(polygon.interiors()) {
                let ring: Vec<(f64, f64)> = ring.coords().map(|c| place(c.x, c.y)).collect();
                area.draw(&PathElement::new(ring, colour.stroke_width(width(0.6))))?;
            }
        }
    }
    Ok(())
}

/// Where the near view lies in the wide one.
fn draw_box(chart: &Chart, near: &View) -> Result<(), DrawError> {
    let last = (near.grid - 1) as f64;
    let corners = [(near.at(0, 0.0), near.at(1, 0.0)), (near.at(0, last), near.at(1, last))];
    chart.plotting_area().draw(&outline(corners, WHITE.stroke_width(width(1.4))))
}

/// The path with a dot for each step.
fn draw_path(chart: &mut Chart, numbers: &Landscape) -> Result<(), DrawError> {
    let places: Vec<(f64, f64)> = numbers.path.iter().map(|s| (s.a, s.b)).collect();
    line(chart, &places, &PATH, (1.8, Dash::Solid))?;
    let area = chart.plotting_area();
    for place in places.iter().skip(1) {
        area.draw(&Circle::new(*place, px(1.7), PATH.filled()))?;
    }
    if let (Some(start), Some(end)) = (places.first(), places.last()) {
        let local = area.strip_coord_spec();
        let (left, top) = local.get_base_pixel();
        let units = |place: &(f64, f64)| {
            let (x, y) = chart.backend_coord(place);
            (x - left, y - top)
        };
        draw_ends(&local, units(start), units(end))?;
    }
    Ok(())
}

/// The marks of start and end, in units of an area.
pub fn draw_ends(area: &Area, start: (i32, i32), end: (i32, i32)) -> Result<(), DrawError> {
    let corner = |sign: i32| (end.0 + sign * px(3.4), end.1 + sign * px(3.4));
    area.draw(&Rectangle::new([corner(-1), corner(1)], PATH.filled()))?;
    area.draw(&outline([corner(-1), corner(1)], INK.stroke_width(width(0.9))))?;
    area.draw(&Circle::new(start, px(4.0), COLOURS[4].filled()))?;
    area.draw(&Circle::new(start, px(4.0), INK.stroke_width(width(0.9))))
}
