//! The layout of a figure: from the top to the bottom, beside one another as far as there is room.

use plotters::prelude::Text;

use super::legend::{Sample, legend};
use super::style::{INK, LABEL, SOFT, TITLE, px, text};
use super::words::{Area, DrawError, wrapped};

/// A figure on its way, filled from the top: it becomes as high as what was taken of it.
pub struct Sheet<'a> {
    rest: Area<'a>,
    /// Units from the top
    pub(super) taken: i32,
}

impl<'a> Sheet<'a> {
    /// All of an area, with a figure's title on top, and below it what it was made from.
    pub fn new(area: &Area<'a>, title: &str, below: &str) -> Result<Self, DrawError> {
        let mut sheet = Self { rest: area.clone(), taken: 0 };
        let room = area.dim_in_pixel().0 as i32 - px(16.0);
        sheet.take(8.0);
        for (words, size, colour) in [(title, TITLE, INK), (below, LABEL, SOFT)] {
            for words in wrapped(area, words, size, room)? {
                let line = sheet.take(size * 1.35);
                line.draw(&Text::new(words, (px(8.0), 0), text(size, &colour)))?;
            }
        }
        sheet.take(4.0);
        Ok(sheet)
    }

    /// Room over the whole width, of a height in pixels.
    pub fn take(&mut self, height: f64) -> Area<'a> {
        let (room, rest) = self.rest.split_vertically(px(height));
        self.rest = rest;
        self.taken += px(height);
        room
    }

    /// Its width in pixels.
    pub fn width(&self) -> f64 {
        f64::from(self.rest.dim_in_pixel().0) / f64::from(px(1.0))
    }

    /// Rooms for `n` panels: side by side in up to `columns`, as far as each is `least` pixels wide, then below one another.
    /// Their height in pixels follows from their width.
    pub fn panels(&mut self, n: usize, (columns, least): (usize, f64), height: impl Fn(f64) -> f64) -> Vec<Area<'a>> {
        let columns = ((self.width() / least) as usize).clamp(1, columns);
        let rows = n.div_ceil(columns);
        let all = self.take(rows as f64 * height(self.width() / columns as f64));
        all.split_evenly((rows, columns)).into_iter().take(n).collect()
    }

    /// A legend of these samples.
    pub fn legend<S: AsRef<str>>(&mut self, entries: impl IntoIterator<Item = (S, Sample)>) -> Result<(), DrawError> {
        let below = legend(&self.rest, entries)?;
        self.taken += below.get_base_pixel().1 - self.rest.get_base_pixel().1;
        self.rest = below;
        Ok(())
    }
}
