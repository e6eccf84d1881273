//! From a drawing to files: plotters writes SVG, resvg reads it back with the embedded font and gives pixels and outlines.
//!
//! One drawing serves every format, so that they look the same on every machine: in the SVG, text is outlines too (its words are
//! in the title and description that screen readers read).

use std::sync::{Arc, OnceLock};

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea, SVGBackend, Text, WHITE};
use plotters::style::{FontStyle, register_font};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{self, Options, Tree, WriteOptions};

use super::style::{FONT, FONT_NAME, INK, LABEL, SOFT, TITLE, UNITS, px, text};
use crate::error::Error;

/// Pixels of a PNG for each pixel of the drawing.
const DENSITY: f32 = 2.0;
/// Pixels of a GIF for each pixel of the drawing: its frames are many.
const GIF_DENSITY: f32 = 1.25;

/// Where to draw, in units of 1/[`UNITS`] pixel.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// How a drawing can fail.
pub type DrawError = DrawingAreaErrorKind<std::io::Error>;

/// A finished drawing.
#[derive(Debug)]
pub struct Figure {
    tree: Tree,
}

impl Figure {
    /// Draws a figure of a size in pixels: its title, a summary of what it shows, and below them what `paint` draws.
    pub fn draw(
        (width, height): (u32, u32),
        (title, summary): (&str, &str),
        paint: impl FnOnce(&Area) -> Result<(), DrawError>,
    ) -> Result<Self, Error> {
        let picture = |reason: String| Error::Picture(reason);
        register_font(FONT_NAME, FontStyle::Normal, FONT).map_err(|_| picture("the font".to_owned()))?;
        let units = (width * UNITS as u32, height * UNITS as u32);
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, units).into_drawing_area();
            area.fill(&WHITE)
                .and_then(|()| paint(&headed(&area, title, summary)?))
                .and_then(|()| area.present())
                .map_err(|e| picture(e.to_string()))?;
        }
        let size = format!("width=\"{}\" height=\"{}\"", units.0, units.1);
        let pixels =
            format!("width=\"{width}\" height=\"{height}\" stroke-linejoin=\"round\" stroke-linecap=\"round\"");
        let svg = svg.replacen(&size, &pixels, 1);
        let options = Options { fontdb: fonts(), font_family: FONT_NAME.to_owned(), ..Options::default() };
        let tree = Tree::from_str(&svg, &options).map_err(|e| picture(e.to_string()))?;
        Ok(Self { tree })
    }

    /// The drawing as SVG with its text as outlines.
    pub fn svg(&self, title: &str, description: &str) -> String {
        let options = WriteOptions {
            coordinates_precision: 2,
            transforms_precision: 5,
            indent: usvg::Indent::None,
            ..WriteOptions::default()
        };
        let svg = self.tree.to_string(&options);
        let words = format!("<title>{}</title><desc>{}</desc>", escaped(title), escaped(description));
        match svg.find("<svg").and_then(|start| Some(start + svg[start..].find('>')? + 1)) {
            Some(end) => format!("{}{words}{}", &svg[..end], &svg[end..]),
            None => svg,
        }
    }

    /// The drawing as PNG at twice the density.
    pub fn png(&self) -> Result<Vec<u8>, Error> {
        self.pixels(DENSITY)?.encode_png().map_err(|e| Error::Picture(e.to_string()))
    }

    fn pixels(&self, density: f32) -> Result<Pixmap, Error> {
        let size = self.tree.size();
        let [width, height] = [size.width(), size.height()].map(|side| (side * density).round() as u32);
        let mut pixmap = Pixmap::new(width, height).ok_or_else(|| Error::Picture("its size".to_owned()))?;
        resvg::render(&self.tree, Transform::from_scale(density, density), &mut pixmap.as_mut());
        Ok(pixmap)
    }
}

/// An animation of figures of one size, each shown for its time in hundredths of a second, without end.
pub fn gif(frames: &[(Figure, u16)]) -> Result<Vec<u8>, Error> {
    let failed = |e: gif::EncodingError| Error::Picture(e.to_string());
    let first = frames.first().ok_or_else(|| Error::Picture("an animation without frames".to_owned()))?;
    let size = first.0.pixels(GIF_DENSITY)?;
    let (width, height) = (size.width() as u16, size.height() as u16);
    let mut encoder = gif::Encoder::new(Vec::new(), width, height, &[]).map_err(failed)?;
    encoder.set_repeat(gif::Repeat::Infinite).map_err(failed)?;
    for (figure, delay) in frames {
        let mut pixmap = figure.pixels(GIF_DENSITY)?;
        let mut frame = gif::Frame::from_rgba_speed(width, height, pixmap.data_mut(), 10);
        frame.delay = *delay;
        encoder.write_frame(&frame).map_err(failed)?;
    }
    encoder.into_inner().map_err(failed)
}

/// Writes a figure's title, and below it what it was made from, and returns the room that is left.
fn headed<'a>(area: &Area<'a>, title: &str, below: &str) -> Result<Area<'a>, DrawError> {
    let room = area.dim_in_pixel().0 as i32 - px(16.0);
    let mut y = px(8.0);
    for (words, size, colour) in [(title, TITLE, INK), (below, LABEL, SOFT)] {
        for line in wrapped(area, words, size, room)? {
            area.draw(&Text::new(line, (px(8.0), y), text(size, &colour)))?;
            y += px(size * 1.35);
        }
    }
    Ok(area.split_vertically(y + px(4.0)).1)
}

/// Words in lines no wider than `room` units.
fn wrapped(area: &Area, words: &str, size: f64, room: i32) -> Result<Vec<String>, DrawError> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        let longer = lines.last().map(|line| format!("{line} {word}"));
        match longer {
            Some(line) if text_width(area, &line, size)? <= room => {
                lines.pop();
                lines.push(line);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    Ok(lines)
}

/// The width of a line of text in units.
pub fn text_width(area: &Area, line: &str, size: f64) -> Result<i32, DrawError> {
    Ok(area.estimate_text_size(line, &text(size, &INK))?.0 as i32)
}

/// The embedded font alone: what other fonts a machine has must not matter.
fn fonts() -> Arc<usvg::fontdb::Database> {
    static FONTS: OnceLock<Arc<usvg::fontdb::Database>> = OnceLock::new();
    let load = || {
        let mut database = usvg::fontdb::Database::new();
        database.load_font_data(FONT.to_vec());
        Arc::new(database)
    };
    FONTS.get_or_init(load).clone()
}

/// Text as XML and HTML take it.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
