//! A landscape from above: bands of equal energy, and the path through them.

use contour::ContourBuilder;
use plotters::prelude::{PathElement, Polygon, Rectangle};
use plotters::style::{Color, WHITE};

use super::draw::style::{PATH, viridis, width};
use super::draw::{
    Axis, Chart, Colours, Dash, DrawError, Map, Picture, dot, draw_ends, line, map_panels, outline, samples,
};
use super::landscape::{Landscape, View};
use crate::config::PictureFormat;
use crate::error::Error;

/// Bands of colour in a view.
const LEVELS: usize = 14;

pub fn picture(numbers: &Landscape, format: PictureFormat) -> Result<Picture, Error> {
    let second = match numbers.box_is_seen() {
        true => "the second map magnifies the white box of the first.",
        false => "the second map magnifies the path, which is too short to be seen in the first.",
    };
    let reading = format!(
        "Colour is energy (dark is low, and low is good) over the plane of the thought's path; the line goes from System 1 \
         (circle) step by step down to System 2 (square), and {second}"
    );
    let picture = Picture::new("landscape", "Energy landscape of a thought", &reading);
    let picture = picture.draw(format, &numbers.summary, |sheet| {
        sheet.legend(samples())?;
        let [first, second] = numbers.axis_names();
        let rooms = sheet.panels(2, (2, 300.0), |wide| 0.83 * wide);
        let maps = numbers.views.each_ref().map(|view| Map {
            title: numbers.title(view, true),
            axes: (Axis::new(&first, view.side(0)).with_ticks(4), Axis::new(&second, view.side(1))),
            colours: Colours {
                label: "E − E₀, nats",
                range: view.range_above(numbers.plane.path[0].energy),
                colour: viridis,
            },
        });
        for (view, mut chart) in numbers.views.iter().zip(map_panels(&rooms, &maps)?) {
            draw_contours(&chart, view)?;
            if view.name == "wide" && numbers.box_is_seen() {
                let near = numbers.views[1].corners();
                chart.plotting_area().draw(&outline(near, WHITE.stroke_width(width(1.4))))?;
            }
            draw_path(&mut chart, numbers)?;
        }
        Ok(())
    })?;
    picture.numbers(numbers, numbers.table())
}

/// Bands of equal energy: what lies above a level is painted over what lies below.
fn draw_contours(chart: &Chart, view: &View) -> Result<(), DrawError> {
    let (range, n) = (view.range(), view.grid);
    let level = |i: usize| range.start + (range.end - range.start) * i as f64 / LEVELS as f64;
    let area = chart.plotting_area();
    area.draw(&Rectangle::new(view.corners(), viridis(0.5 / LEVELS as f64).filled()))?;
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

/// The path with a dot for each step.
fn draw_path(chart: &mut Chart, numbers: &Landscape) -> Result<(), DrawError> {
    let places: Vec<(f64, f64)> = numbers.plane.path.iter().map(|s| (s.a, s.b)).collect();
    line(chart, &places, &PATH, (1.8, Dash::Solid))?;
    for place in places.iter().skip(1) {
        dot(chart, *place, 1.7, PATH)?;
    }
    if let (Some(start), Some(end)) = (places.first(), places.last()) {
        let local = chart.plotting_area().strip_coord_spec();
        let (left, top) = local.get_base_pixel();
        let units = |place: &(f64, f64)| {
            let (x, y) = chart.backend_coord(place);
            (x - left, y - top)
        };
        draw_ends(&local, units(start), units(end))?;
    }
    Ok(())
}
