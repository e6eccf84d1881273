//! Panels with axes, titles and colour bars, in one manner for all pictures.

use std::ops::Range;

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::{Cartesian2d, PathElement, Rectangle, SVGBackend, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, RGBColor};

use super::style::{self, FAINT, GRID, INK, LABEL, Numbers, SOFT, TICK, px, text, width};
use super::words::{Area, DrawError, text_width};

/// A panel that can be drawn into.
pub type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Scale, Scale>>;

/// A linear scale with the ticks that were chosen for it.
#[derive(Debug, Clone)]
pub struct Scale {
    range: Range<f64>,
    ticks: Vec<f64>,
}

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        first + (f64::from(last - first) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// One axis.
#[derive(Debug, Clone)]
pub struct Axis<'a> {
    /// Its name, with the unit
    pub label: &'a str,
    /// From and to; the other way round runs downwards
    pub range: Range<f64>,
    /// About how many numbers
    pub ticks: usize,
    /// Whether only whole numbers make sense
    pub whole: bool,
    /// Words in place of the numbers 1, 2, …; none at all where the list is empty
    pub names: Option<&'a [String]>,
}

impl<'a> Axis<'a> {
    /// An axis of numbers.
    pub fn new(label: &'a str, range: Range<f64>) -> Self {
        Self { label, range, ticks: 5, whole: false, names: None }
    }

    /// An axis of thinking steps.
    pub fn steps(steps: usize) -> Self {
        Self { ticks: 8, whole: true, ..Self::new("thinking step", 0.0..steps.max(1) as f64) }
    }

    /// Things with names, the first at 1 on top.
    pub fn of_things(names: &'a [String], n: usize) -> Self {
        Self { ticks: 2 * n, whole: true, names: Some(names), ..Self::new("", n as f64 + 0.6..0.4) }
    }

    /// With about so many numbers.
    pub fn with_ticks(self, ticks: usize) -> Self {
        Self { ticks, ..self }
    }

    /// What stands at a tick.
    fn words(&self, numbers: Numbers, tick: f64) -> String {
        match self.names {
            Some(names) => names.get((tick - 1.0).round() as usize).cloned().unwrap_or_default(),
            None => numbers.show(tick),
        }
    }

    /// Of the widest of its numbers, in units.
    fn width(&self, area: &Area) -> Result<i32, DrawError> {
        let (ticks, numbers) = self.scale(area, None)?;
        widest(area, ticks.iter().map(|&tick| self.words(numbers, tick)))
    }

    /// Ticks and how they are written: as many as were asked for, or as stand beside one another in `room` units.
    fn scale(&self, area: &Area, room: Option<i32>) -> Result<(Vec<f64>, Numbers), DrawError> {
        let (mut ticks, mut numbers) = (Vec::new(), Numbers::new(&self.range, 1.0));
        for n in (1..=self.ticks).rev() {
            let (found, step) = style::ticks(&self.range, n, self.whole);
            (ticks, numbers) = (found, Numbers::new(&self.range, step));
            let widest = widest(area, ticks.iter().map(|&tick| self.words(numbers, tick)))?;
            if room.is_none_or(|room| (widest + px(8.0)) * ticks.len() as i32 <= room) {
                break;
            }
        }
        Ok((ticks, numbers))
    }
}

/// The width of the widest number, in units.
fn widest(area: &Area, numbers: impl Iterator<Item = String>) -> Result<i32, DrawError> {
    numbers.map(|words| text_width(area, &words, TICK)).try_fold(0, |widest, width| Ok(widest.max(width?)))
}

/// What the colours of a map mean.
pub struct Colours<'a> {
    /// The name of what is coloured, with the unit
    pub label: &'a str,
    /// From the value of the first colour to that of the last
    pub range: Range<f64>,
    /// The colour of a share from 0 to 1
    pub colour: fn(f64) -> RGBColor,
}

/// From the lowest of values to the highest; without values, from infinity to minus infinity.
pub fn bounds(values: impl IntoIterator<Item = f64>) -> Range<f64> {
    values.into_iter().fold(f64::INFINITY..f64::NEG_INFINITY, |b, v| b.start.min(v)..b.end.max(v))
}

/// The range of values with some air; a single value gets a range of its own size.
pub fn range_of(values: impl IntoIterator<Item = f64>) -> Range<f64> {
    let Range { start: low, end: high } = bounds(values.into_iter().filter(|v| v.is_finite()));
    match (high - low, low.is_finite()) {
        (_, false) => 0.0..1.0,
        (0.0, _) => low - 0.5 * low.abs().max(1e-3)..low + 0.5 * low.abs().max(1e-3),
        (span, _) => low - 0.05 * span..high + 0.05 * span,
    }
}

/// A panel with two axes and a title above it.
pub fn panel<'a, 'b>(area: &'a Area<'b>, title: &str, x: &Axis, y: &Axis) -> Result<Chart<'a, 'b>, DrawError> {
    panel_of_shape(area, title, (x, y), None)
}

/// A [`panel`] as wide as it is high, so that equal ranges have equal scales.
pub fn square_panel<'a, 'b>(area: &'a Area<'b>, title: &str, x: &Axis, y: &Axis) -> Result<Chart<'a, 'b>, DrawError> {
    panel_of_shape(area, title, (x, y), Some((px(10.0), 0)))
}

/// A square panel whose colours mean something.
pub struct Map<'a> {
    /// What stands above it
    pub title: &'a str,
    /// Its axes
    pub axes: (Axis<'a>, Axis<'a>),
    /// What is said in a bar at its side
    pub colours: Colours<'a>,
}

/// Maps in rooms of one size, all equally large.
pub fn map_panels<'a, 'b>(rooms: &'a [Area<'b>], maps: &[Map]) -> Result<Vec<Chart<'a, 'b>>, DrawError> {
    let (mut bars, mut numbers) = (Vec::new(), 0);
    for (room, map) in rooms.iter().zip(maps) {
        bars.push(Bar::new(room, &map.colours)?);
        numbers = numbers.max(map.axes.1.width(room)?);
    }
    let bar = bars.iter().map(Bar::width).max().unwrap_or(0);
    let mut charts = Vec::new();
    for ((room, map), own) in rooms.iter().zip(maps).zip(&bars) {
        let chart = panel_of_shape(room, map.title, (&map.axes.0, &map.axes.1), Some((bar, numbers)))?;
        let (wide, high) = chart.plotting_area().get_pixel_range();
        let (left, top) = room.get_base_pixel();
        own.draw(room, wide.end - left + px(8.0), (high.start - top, high.end - top))?;
        charts.push(chart);
    }
    Ok(charts)
}

/// `beside`: the panel is square, with so many units at its right, and at its left as many as numbers of such a width need.
fn panel_of_shape<'a, 'b>(
    area: &'a Area<'b>,
    title: &str,
    (x, y): (&Axis, &Axis),
    beside: Option<(i32, i32)>,
) -> Result<Chart<'a, 'b>, DrawError> {
    let (y_ticks, y_numbers) = y.scale(area, None)?;
    let widest = beside.map_or(0, |(_, numbers)| numbers).max(y.width(area)?);
    let (above, below) =
        (if title.is_empty() { px(8.0) } else { px(22.0) }, if x.label.is_empty() { px(6.0) } else { px(34.0) });
    let left = widest + if y.label.is_empty() { px(8.0) } else { px(28.0) };
    // The last number of x may stand at the end of its axis.
    let (all, numbers) = x.scale(area, None)?;
    let half = all.last().map_or(Ok(0), |&tick| text_width(area, &x.words(numbers, tick), TICK))? / 2;
    let right = beside.map_or(px(4.0).max(half) + px(6.0), |(right, _)| right);
    let (w, h) = area.dim_in_pixel();
    let (wide, high) = (w as i32 - px(4.0) - right - left, h as i32 - px(4.0) - above - below);
    let excess = |more: i32| if beside.is_some() { more.max(0) } else { 0 };
    let (x_ticks, x_numbers) = x.scale(area, Some(wide - excess(wide - high)))?;
    let (n_x, n_y) = (x_ticks.len().max(1), y_ticks.len().max(1));
    let mut chart = ChartBuilder::on(area)
        .margin(px(4.0))
        .margin_right(right + excess(wide - high))
        .margin_bottom(px(4.0) + excess(high - wide))
        .margin_top(above)
        .x_label_area_size(below)
        .y_label_area_size(left)
        .build_cartesian_2d(
            Scale { range: x.range.clone(), ticks: x_ticks },
            Scale { range: y.range.clone(), ticks: y_ticks },
        )?;
    chart
        .configure_mesh()
        .light_line_style(GRID.mix(0.0))
        .bold_line_style(GRID.stroke_width(width(0.7)))
        .axis_style(FAINT.stroke_width(width(0.8)))
        .x_labels(n_x)
        .y_labels(n_y)
        .x_label_formatter(&|v| x.words(x_numbers, *v))
        .y_label_formatter(&|v| y.words(y_numbers, *v))
        .label_style(text(TICK, &SOFT))
        .axis_desc_style(text(LABEL, &INK))
        .x_desc(x_numbers.name(x.label))
        .y_desc(y_numbers.name(y.label))
        .set_all_tick_mark_size(px(3.0))
        .draw()?;
    // The title begins where the panel does, or before it where it is long.
    let fits = w as i32 - px(4.0) - text_width(area, title, LABEL)?;
    let left = (left + px(4.0)).min(fits).max(px(4.0));
    area.draw(&Text::new(title.to_owned(), (left, px(4.0)), text(LABEL, &INK)))?;
    Ok(chart)
}

/// An upright bar that says which colour means which value, with its numbers and its name to the right.
struct Bar<'a> {
    colours: &'a Colours<'a>,
    ticks: Vec<(f64, String)>,
    /// Of the numbers, in units
    widest: i32,
    name: String,
}

impl<'a> Bar<'a> {
    const WIDE: f64 = 10.0;

    fn new(area: &Area, colours: &'a Colours) -> Result<Self, DrawError> {
        let (ticks, step) = style::ticks(&colours.range, 5, false);
        let numbers = Numbers::new(&colours.range, step);
        let ticks: Vec<(f64, String)> = ticks.into_iter().map(|tick| (tick, numbers.show(tick))).collect();
        let widest = widest(area, ticks.iter().map(|(_, words)| words.clone()))?;
        Ok(Self { colours, ticks, widest, name: numbers.name(colours.label) })
    }

    /// What it needs beside a panel, in units.
    fn width(&self) -> i32 {
        px(8.0 + Self::WIDE + 5.0) + self.widest + px(6.0 + 1.5 * LABEL)
    }

    fn draw(&self, area: &Area, left: i32, (top, bottom): (i32, i32)) -> Result<(), DrawError> {
        let right = left + px(Self::WIDE);
        colour_bands(area, self.colours.colour, |from, to| {
            let y_of = |share: f64| bottom - (f64::from(bottom - top) * share).round() as i32;
            [(left, y_of(to)), (right, y_of(from))]
        })?;
        let range = &self.colours.range;
        for (tick, words) in &self.ticks {
            let share = (tick - range.start) / (range.end - range.start);
            let y = bottom - (f64::from(bottom - top) * share).round() as i32;
            area.draw(&PathElement::new([(right, y), (right + px(3.0), y)], SOFT.stroke_width(width(0.8))))?;
            let anchored = text(TICK, &SOFT).pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(words.clone(), (right + px(5.0), y), anchored))?;
        }
        let turned = text(LABEL, &INK).transform(FontTransform::Rotate270).pos(Pos::new(HPos::Center, VPos::Top));
        let place = (right + px(5.0 + 6.0) + self.widest, (top + bottom) / 2);
        area.draw(&Text::new(self.name.clone(), place, turned))
    }
}

/// All colours of a scale in thin bands, whose corners follow from the shares where each begins and ends.
fn colour_bands(
    area: &Area,
    colour: fn(f64) -> RGBColor,
    corners: impl Fn(f64, f64) -> [(i32, i32); 2],
) -> Result<(), DrawError> {
    const BANDS: i32 = 64;
    for band in 0..BANDS {
        let (from, to) = (f64::from(band) / f64::from(BANDS), f64::from(band + 1) / f64::from(BANDS));
        // One band reaches under the next, so that no light shines through.
        let corners = corners(from, (to + 0.01).min(1.0));
        area.draw(&Rectangle::new(corners, colour((from + to) / 2.0).filled()))?;
    }
    Ok(())
}

/// A flat bar of colours from `left` to `right`, with its name above it and its numbers below: 34 pixels from `top`.
pub fn flat_colour_bar(area: &Area, colours: &Colours, (left, right): (i32, i32), top: i32) -> Result<(), DrawError> {
    let axis = Axis::new(colours.label, colours.range.clone()).with_ticks(4);
    let (ticks, numbers) = axis.scale(area, Some(right - left))?;
    area.draw(&Text::new(numbers.name(colours.label), (left, top), text(LABEL, &INK)))?;
    let (top, bottom) = (top + px(15.0), top + px(22.0));
    let x_of = |share: f64| left + (f64::from(right - left) * share).round() as i32;
    colour_bands(area, colours.colour, |from, to| [(x_of(from), top), (x_of(to), bottom)])?;
    for tick in ticks {
        let x = x_of((tick - colours.range.start) / (colours.range.end - colours.range.start));
        area.draw(&PathElement::new([(x, bottom), (x, bottom + px(2.0))], SOFT.stroke_width(width(0.8))))?;
        let anchored = text(TICK, &SOFT).pos(Pos::new(HPos::Center, VPos::Top));
        area.draw(&Text::new(numbers.show(tick), (x, bottom + px(3.0)), anchored))?;
    }
    Ok(())
}
