//! Text before it is drawn: how wide it is, and how it fits into its room.

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, DrawingAreaErrorKind, SVGBackend};

use super::style::{INK, text};

/// Where to draw, in units of 1/[`super::style::UNITS`] pixel.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// How a drawing can fail.
pub type DrawError = DrawingAreaErrorKind<std::io::Error>;

/// Words in lines no wider than `room` units; a word that is too long for a line is broken.
pub fn wrapped(area: &Area, words: &str, size: f64, room: i32) -> Result<Vec<String>, DrawError> {
    let fits = |line: &str| Ok::<_, DrawError>(text_width(area, line, size)? <= room);
    let mut lines: Vec<String> = Vec::new();
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        let longer = lines.last().map(|line| format!("{line} {word}"));
        match longer {
            Some(longer) if fits(&longer)? => {
                lines.pop();
                lines.push(longer);
            }
            _ => {
                let mut line = String::new();
                for c in word.chars() {
                    if !fits(&format!("{line}{c}"))? {
                        lines.push(std::mem::take(&mut line));
                    }
                    line.push(c);
                }
                lines.push(line);
            }
        }
    }
    Ok(lines)
}

/// A line of text, or as much of its end as fits into `room` units: of a path, that is what tells it from others.
pub fn fitted(area: &Area, line: &str, size: f64, room: i32) -> Result<String, DrawError> {
    let mut shown = line.to_owned();
    let mut chars = line.chars();
    while text_width(area, &shown, size)? > room && chars.next().is_some() {
        shown = format!("…{}", chars.as_str());
    }
    Ok(shown)
}

/// The width of a line of text in units.
pub fn text_width(area: &Area, line: &str, size: f64) -> Result<i32, DrawError> {
    const TOO_WIDE: f64 = 1.065; // plotters measures with the height of a line in place of the font's size
    Ok((f64::from(area.estimate_text_size(line, &text(size, &INK))?.0) / TOO_WIDE).ceil() as i32)
}
