//! Panels with axes, titles and colour bars, in one manner for all pictures.

use std::ops::Range;

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::{Cartesian2d, PathElement, Rectangle, SVGBackend, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, RGBColor};

use super::figure::{Area, DrawError, text_width};
use super::style::{self, FAINT, GRID, INK, LABEL, Numbers, SOFT, TICK, px, text, width};

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
}

impl<'a> Axis<'a> {
    /// An axis of numbers.
    pub fn new(label: &'a str, range: Range<f64>) -> Self {
        Self { label, range, ticks: 5, whole: false }
    }

    /// An axis of thinking steps.
    pub fn steps(steps: usize) -> Self {
        Self { label: "thinking step", range: 0.0..steps.max(1) as f64, ticks: 8, whole: true }
    }

    /// With about so many numbers.
    pub fn with_ticks(self, ticks: usize) -> Self {
        Self { ticks, ..self }
    }
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
    panel_of_shape(area, title, (x, y), false)
}

/// A [`panel`] as wide as it is high, so that equal ranges have equal scales.
pub fn square_panel<'a, 'b>(area: &'a Area<'b>, title: &str, x: &Axis, y: &Axis) -> Result<Chart<'a, 'b>, DrawError> {
    panel_of_shape(area, title, (x, y), true)
}

fn panel_of_shape<'a, 'b>(
    area: &'a Area<'b>,
    title: &str,
    (x, y): (&Axis, &Axis),
    square: bool,
) -> Result<Chart<'a, 'b>, DrawError> {
    let ((x_ticks, x_step), (y_ticks, y_step)) =
        (style::ticks(&x.range, x.ticks, x.whole), style::ticks(&y.range, y.ticks, y.whole));
    let (x_numbers, y_numbers) = (Numbers::new(&x.range, x_step), Numbers::new(&y.range, y_step));
    let widest = y_ticks.iter().map(|tick| text_width(area, &y_numbers.show(*tick), TICK));
    let widest = widest.collect::<Result<Vec<_>, _>>()?.into_iter().max().unwrap_or(0);
    let (n_x, n_y) = (x_ticks.len().max(1), y_ticks.len().max(1));
    let (above, below) = (if title.is_empty() { px(8.0) } else { px(20.0) }, px(32.0));
    let left = widest + if y.label.is_empty() { px(8.0) } else { px(26.0) };
    let (w, h) = area.dim_in_pixel();
    let (wide, high) = (w as i32 - px(14.0) - left, h as i32 - px(4.0) - above - below);
    let excess = |more: i32| if square { more.max(0) } else { 0 };
    let mut chart = ChartBuilder::on(area)
        .margin(px(4.0))
        .margin_right(px(10.0) + excess(wide - high))
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
        .x_label_formatter(&|v| x_numbers.show(*v))
        .y_label_formatter(&|v| y_numbers.show(*v))
        .label_style(text(TICK, &SOFT))
        .axis_desc_style(text(LABEL, &INK))
        .x_desc(x_numbers.name(x.label))
        .y_desc(y_numbers.name(y.label))
        .set_all_tick_mark_size(px(3.0))
        .draw()?;
    let left = chart.plotting_area().get_pixel_range().0.start - area.get_base_pixel().0;
    area.draw(&Text::new(title.to_owned(), (left, px(4.0)), text(LABEL, &INK)))?;
    Ok(chart)
}

/// A bar that says which colour means which value, to the right of a panel: the room that it takes is the whole area.
pub fn colour_bar(
    area: &Area,
    label: &str,
    range: &Range<f64>,
    (top, bottom): (i32, i32),
    colour: impl Fn(f64) -> RGBColor,
) -> Result<(), DrawError> {
    const BANDS: i32 = 64;
    let (left, right) = (px(2.0), px(12.0));
    let y_of = |share: f64| bottom - ((f64::from(bottom - top)) * share).round() as i32;
    for band in 0..BANDS {
        let (low, high) = (f64::from(band) / f64::from(BANDS), f64::from(band + 1) / f64::from(BANDS));
        // One band reaches under the next, so that no light shines through.
        let corners = [(left, y_of((high + 0.01).min(1.0))), (right, y_of(low))];
        area.draw(&Rectangle::new(corners, colour((low + high) / 2.0).filled()))?;
    }
    let (ticks, step) = style::ticks(range, 5, false);
    let numbers = Numbers::new(range, step);
    let mut widest = 0;
    for tick in ticks {
        let y = y_of((tick - range.start) / (range.end - range.start));
        area.draw(&PathElement::new([(right, y), (right + px(3.0), y)], SOFT.stroke_width(width(0.8))))?;
        let words = numbers.show(tick);
        widest = widest.max(text_width(area, &words, TICK)?);
        let anchored = text(TICK, &SOFT).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(words, (right + px(5.0), y), anchored))?;
    }
    let turned = text(LABEL, &INK).transform(FontTransform::Rotate270).pos(Pos::new(HPos::Center, VPos::Top));
    area.draw(&Text::new(numbers.name(label), (right + widest + px(9.0), (top + bottom) / 2), turned))
}
