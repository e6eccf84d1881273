//! The marks of a path: where it starts, its steps, and where it ends.

use plotters::prelude::{Circle, Rectangle};
use plotters::style::Color;

use super::curves::{Dash, outline};
use super::legend::Sample;
use super::style::{COLOURS, INK, PATH, px, width};
use super::words::{Area, DrawError};

/// What the marks mean, for a legend.
pub fn samples() -> [(&'static str, Sample); 3] {
    [
        ("System 1 (start)", Sample::Dot(COLOURS[4])),
        ("thinking steps", Sample::Line(PATH, Dash::Solid)),
        ("System 2 (end)", Sample::Fill(PATH.mix(1.0))),
    ]
}

/// The marks of start and end, in units of an area.
pub fn draw_ends(area: &Area, start: (i32, i32), end: (i32, i32)) -> Result<(), DrawError> {
    let corner = |sign: i32| (end.0 + sign * px(3.4), end.1 + sign * px(3.4));
    area.draw(&Rectangle::new([corner(-1), corner(1)], PATH.filled()))?;
    area.draw(&outline([corner(-1), corner(1)], INK.stroke_width(width(0.9))))?;
    area.draw(&Circle::new(start, px(4.0), COLOURS[4].filled()))?;
    area.draw(&Circle::new(start, px(4.0), INK.stroke_width(width(0.9))))
}
