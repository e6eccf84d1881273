//! From a drawing to files: plotters writes SVG, resvg reads it back with the embedded font and gives pixels and outlines.
//!
//! One drawing serves every format, so that they look the same on every machine: in the SVG, text is outlines too (its words are
//! in the title and description that screen readers read).

use std::sync::{Arc, OnceLock};

use plotters::prelude::{IntoDrawingArea, SVGBackend, WHITE};
use plotters::style::{FontStyle, register_font};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{self, Group, Node, Options, Rect, Tree, WriteOptions};

use super::sheet::Sheet;
use super::style::{DARK, FONT, FONT_NAME, UNITS};
use super::words::DrawError;
use crate::error::Error;

/// Pixels of a PNG for each pixel of the drawing.
const DENSITY: f32 = 2.0;
/// Pixels of a GIF for each pixel of the drawing: its frames are many.
const GIF_DENSITY: f32 = 1.25;

/// A finished drawing.
#[derive(Debug)]
pub struct Figure {
    tree: Tree,
}

impl Figure {
    /// Draws a figure of a width in pixels: its title, a summary of what it shows, and below them what `paint` draws.
    pub fn draw(
        width: u32,
        (title, summary): (&str, &str),
        paint: impl FnOnce(&mut Sheet) -> Result<(), DrawError>,
    ) -> Result<Self, Error> {
        const LONGEST: u32 = 8000; // pixels; what is not taken is cut off
        let picture = |reason: String| Error::Picture(reason);
        register_font(FONT_NAME, FontStyle::Normal, FONT).map_err(|_| picture("the font".to_owned()))?;
        let [wide, long] = [width, LONGEST].map(|side| side * UNITS as u32);
        let mut svg = String::new();
        let taken = {
            let area = SVGBackend::with_string(&mut svg, (wide, long)).into_drawing_area();
            let drawn = area.fill(&WHITE).and_then(|()| {
                let mut sheet = Sheet::new(&area, title, summary)?;
                paint(&mut sheet)?;
                area.present()?;
                Ok(sheet.taken)
            });
            drawn.map_err(|e| picture(e.to_string()))?
        };
        let height = (f64::from(taken) / f64::from(UNITS)).ceil() as u32;
        let whole = format!("width=\"{wide}\" height=\"{long}\""); // of the drawing, then of its paper
        let pixels =
            format!("width=\"{width}\" height=\"{height}\" stroke-linejoin=\"round\" stroke-linecap=\"round\"");
        let cut = height * UNITS as u32;
        let svg = svg
            .replacen(&whole, &pixels, 1)
            .replacen(&format!("0 0 {wide} {long}"), &format!("0 0 {wide} {cut}"), 1)
            .replacen(&whole, &format!("width=\"{wide}\" height=\"{cut}\""), 1);
        let options = Options { fontdb: fonts(), font_family: FONT_NAME.to_owned(), ..Options::default() };
        let tree = Tree::from_str(&svg, &options).map_err(|e| picture(e.to_string()))?;
        Ok(Self { tree })
    }

    /// Where text leaves the drawing or comes too near to other text; a good drawing has none of these. All text of all pictures
    /// passes here, measured as the font draws it.
    pub fn clashes(&self) -> Vec<String> {
        const MARGIN: f32 = 1.0; // pixels to an edge
        const APART: f32 = 1.5; // pixels between two texts, to the side
        let (wide, high) = (self.tree.size().width(), self.tree.size().height());
        let outside =
            |r: &Rect| r.left() < MARGIN || r.top() < MARGIN || r.right() > wide - MARGIN || r.bottom() > high - MARGIN;
        let meet = |a: &Rect, b: &Rect| {
            let beside = a.right() + APART <= b.left() || b.right() + APART <= a.left();
            !beside && a.top() < b.bottom() && b.top() < a.bottom()
        };
        let mut texts = Vec::new();
        texts_in(self.tree.root(), &mut texts);
        let left = texts.iter().filter(|(_, place)| outside(place));
        let left = left.map(|(words, _)| format!("“{words}” leaves the drawing"));
        let pairs = texts.iter().enumerate().flat_map(|(i, a)| texts[..i].iter().map(move |b| (a, b)));
        let met = pairs.filter(|(a, b)| meet(&a.1, &b.1)).map(|(a, b)| format!("“{}” meets “{}”", a.0, b.0));
        left.chain(met).collect()
    }

    /// The drawing as SVG with its text as outlines, light or dark as the reader's other windows are.
    pub fn svg(&self, title: &str, description: &str) -> String {
        let options = WriteOptions {
            coordinates_precision: 2,
            transforms_precision: 5,
            indent: usvg::Indent::None,
            ..WriteOptions::default()
        };
        let svg = self.tree.to_string(&options);
        let words = format!("<title>{}</title><desc>{}</desc>{DARK}", escaped(title), escaped(description));
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

/// Every text below a group, with the place that its letters cover in pixels.
fn texts_in(group: &Group, found: &mut Vec<(String, Rect)>) {
    for node in group.children() {
        match node {
            Node::Group(group) => texts_in(group, found),
            Node::Text(text) => {
                let words: String = text.chunks().iter().map(|chunk| chunk.text()).collect();
                found.push((words, text.flattened().abs_bounding_box()));
            }
            _ => {}
        }
    }
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

#[cfg(test)]
mod tests {
    use plotters::prelude::Text;

    use super::*;
    use crate::viz::draw::style::{INK, LABEL, px, text};
    use crate::viz::draw::words::{fitted, text_width};

    /// The clashes of a word that is written at two places.
    fn clashes(words: &str, places: [(f64, f64); 2]) -> Vec<String> {
        let write = |sheet: &mut Sheet| {
            let (area, style) = (sheet.take(40.0), text(LABEL, &INK));
            let at = |(x, y): (f64, f64)| Text::new(words.to_owned(), (px(x), px(y)), style.clone());
            places.into_iter().try_for_each(|place| area.draw(&at(place)))
        };
        Figure::draw(200, ("", ""), write).unwrap().clashes()
    }

    #[test]
    fn text_that_leaves_the_drawing_or_meets_other_text_is_found() {
        assert_eq!(clashes("energy", [(8.0, 4.0), (8.0, 20.0)]), [""; 0]);
        assert_eq!(clashes("energy", [(8.0, 4.0), (30.0, 4.0)]), ["“energy” meets “energy”"]);
        assert_eq!(clashes("energy", [(8.0, 4.0), (8.0, 9.0)]), ["“energy” meets “energy”"]);
        for outside in [(-3.0, 4.0), (180.0, 4.0), (8.0, 36.0)] {
            assert_eq!(clashes("energy", [(80.0, 4.0), outside]), ["“energy” leaves the drawing"], "{outside:?}");
        }
    }

    #[test]
    fn text_is_as_wide_as_it_is_measured() {
        for words in ["energy, nats", "−0.015", "PC 1, logits (98.4 % of variance)"] {
            let mut measured = 0;
            let figure = Figure::draw(400, ("", ""), |sheet| {
                let area = sheet.take(40.0);
                measured = text_width(&area, words, LABEL)?;
                area.draw(&Text::new(words.to_owned(), (px(8.0), px(4.0)), text(LABEL, &INK)))
            });
            let mut found = Vec::new();
            texts_in(figure.unwrap().tree.root(), &mut found);
            let excess = f64::from(measured) / f64::from(UNITS) - f64::from(found[0].1.width());
            assert!((0.0..3.0).contains(&excess), "{words}: {excess} pixels"); // letters have some air beside them
        }
    }

    #[test]
    fn long_words_are_broken_and_long_names_cut() {
        let name = "run_20261128_".repeat(12);
        let figure = Figure::draw(200, (&name, "short words"), |sheet| {
            let area = sheet.take(20.0);
            let cut = fitted(&area, &name, LABEL, px(100.0))?;
            assert!(cut.starts_with('…') && name.ends_with(cut.trim_start_matches('…')), "{cut}");
            assert!(text_width(&area, &cut, LABEL)? <= px(100.0));
            assert_eq!(fitted(&area, "short", LABEL, px(100.0))?, "short");
            Ok(())
        });
        assert_eq!(figure.unwrap().clashes(), [""; 0]);
    }
}
