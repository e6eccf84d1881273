//! Legends: a strip of samples with their names, which breaks into lines where it must.

use plotters::prelude::{Circle, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBAColor, RGBColor};

use super::curves::{Dash, stroke};
use super::style::{INK, LABEL, px, text, width};
use super::words::{Area, DrawError, fitted, text_width};

/// What a sample looks like.
#[derive(Debug, Clone, Copy)]
pub enum Sample {
    /// A line
    Line(RGBColor, Dash),
    /// A filled square
    Fill(RGBAColor),
    /// A dot with a rim
    Dot(RGBColor),
}

/// Draws a legend at the top of an area and returns the room below it.
pub fn legend<'a, S: AsRef<str>>(
    area: &Area<'a>,
    entries: impl IntoIterator<Item = (S, Sample)>,
) -> Result<Area<'a>, DrawError> {
    const LINE: f64 = 16.0;
    let room = area.dim_in_pixel().0 as i32 - px(8.0);
    let (mut x, mut y) = (px(8.0), px(LINE / 2.0));
    for (name, kind) in entries {
        let sample = if matches!(kind, Sample::Line(..)) { px(18.0) } else { px(10.0) };
        let name = &fitted(area, name.as_ref(), LABEL, room - sample - px(12.0))?;
        let wide = text_width(area, name, LABEL)?;
        if x > px(8.0) && x + sample + px(5.0) + wide > room {
            (x, y) = (px(8.0), y + px(LINE));
        }
        draw_sample(area, (x, y), sample, kind)?;
        let anchored = text(LABEL, &INK).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(name.to_owned(), (x + sample + px(5.0), y), anchored))?;
        x += sample + px(5.0) + wide + px(16.0);
    }
    Ok(area.split_vertically(y + px(LINE / 2.0)).1)
}

fn draw_sample(area: &Area, (x, y): (i32, i32), long: i32, kind: Sample) -> Result<(), DrawError> {
    match kind {
        Sample::Line(colour, dash) => {
            let line = [(f64::from(x), f64::from(y)), (f64::from(x + long), f64::from(y))];
            stroke(area, &line, dash, colour.stroke_width(width(1.8)))
        }
        Sample::Fill(colour) => {
            let corners = [(x, y - px(5.0)), (x + long, y + px(5.0))];
            area.draw(&Rectangle::new(corners, colour.filled()))
        }
        Sample::Dot(colour) => {
            let centre = (x + long / 2, y);
            area.draw(&Circle::new(centre, px(4.0), colour.filled()))?;
            area.draw(&Circle::new(centre, px(4.0), INK.stroke_width(width(0.8))))
        }
    }
}
