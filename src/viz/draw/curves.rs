//! Lines, dashed lines and bands in a panel.

use plotters::prelude::{Circle, PathElement, Polygon};
use plotters::style::{Color, RGBColor, ShapeStyle};

use super::axes::Chart;
use super::style::{px, width};
use super::words::{Area, DrawError};

/// How a line is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dash {
    /// Not at all
    Solid,
    /// Long pieces
    Long,
    /// Short pieces
    Short,
    /// Dots
    Dots,
}

impl Dash {
    /// All of them, to be used in turn.
    pub const ALL: [Dash; 4] = [Dash::Solid, Dash::Long, Dash::Short, Dash::Dots];

    /// Lengths of piece and gap in pixels.
    fn lengths(self) -> Option<(f64, f64)> {
        match self {
            Dash::Solid => None,
            Dash::Long => Some((7.0, 3.5)),
            Dash::Short => Some((3.5, 3.0)),
            Dash::Dots => Some((0.8, 2.8)),
        }
    }
}

/// A line through points in drawing units, in the pieces of its dash.
pub fn dashes(points: &[(f64, f64)], dash: Dash) -> Vec<Vec<(f64, f64)>> {
    let Some((on, off)) = dash.lengths().map(|(on, off)| (f64::from(px(on)), f64::from(px(off)))) else {
        return vec![points.to_vec()];
    };
    let mut pieces: Vec<Vec<(f64, f64)>> = Vec::new();
    let (mut drawn, mut left) = (true, on);
    pieces.push(points.first().copied().into_iter().collect());
    for ends in points.windows(2) {
        let ([mut from, to], mut length) = ([ends[0], ends[1]], distance(ends[0], ends[1]));
        while length > left {
            let share = left / length;
            from = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
            length -= left;
            match drawn {
                true => pieces.last_mut().into_iter().for_each(|piece| piece.push(from)),
                false => pieces.push(vec![from]),
            }
            drawn = !drawn;
            left = if drawn { on } else { off };
        }
        left -= length;
        if drawn {
            pieces.last_mut().into_iter().for_each(|piece| piece.push(to));
        }
    }
    pieces
}

/// Draws a line through points in drawing units, dash by dash.
pub fn stroke(area: &Area, points: &[(f64, f64)], dash: Dash, style: ShapeStyle) -> Result<(), DrawError> {
    for piece in dashes(points, dash) {
        let piece: Vec<(i32, i32)> = piece.iter().map(|(x, y)| (x.round() as i32, y.round() as i32)).collect();
        area.draw(&PathElement::new(piece, style))?;
    }
    Ok(())
}

fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    (b.0 - a.0).hypot(b.1 - a.1)
}

/// Draws a line through points of a panel; NaN or infinity breaks it.
pub fn line(
    chart: &mut Chart,
    points: &[(f64, f64)],
    colour: &impl Color,
    (pixels, dash): (f64, Dash),
) -> Result<(), DrawError> {
    let style = colour.stroke_width(width(pixels));
    let area = chart.plotting_area().strip_coord_spec();
    let (left, top) = area.get_base_pixel();
    for piece in points.split(|(x, y)| !x.is_finite() || !y.is_finite()).filter(|piece| piece.len() > 1) {
        let units: Vec<(f64, f64)> = piece
            .iter()
            .map(|point| chart.backend_coord(point))
            .map(|(x, y)| (f64::from(x - left), f64::from(y - top)))
            .collect();
        stroke(&area, &units, dash, style)?;
    }
    Ok(())
}

/// The outline of a rectangle between two corners; that of plotters' own has no width in SVG.
pub fn outline<C: Copy>([(left, top), (right, bottom)]: [(C, C); 2], style: ShapeStyle) -> PathElement<(C, C)> {
    PathElement::new(vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], style)
}

/// Values by the step that they stand at, from 0.
pub fn by_step(values: impl IntoIterator<Item = f64>) -> Vec<(f64, f64)> {
    values.into_iter().enumerate().map(|(step, value)| (step as f64, value)).collect()
}

/// A dot of a radius in pixels.
pub fn dot(chart: &Chart, place: (f64, f64), radius: f64, colour: RGBColor) -> Result<(), DrawError> {
    chart.plotting_area().draw(&Circle::new(place, px(radius), colour.filled()))
}

/// Fills the band between two lines over the same x.
pub fn band(chart: &mut Chart, low: &[(f64, f64)], high: &[(f64, f64)], colour: RGBColor) -> Result<(), DrawError> {
    let around: Vec<(f64, f64)> = low.iter().chain(high.iter().rev()).copied().collect();
    chart.plotting_area().draw(&Polygon::new(around, colour.mix(0.2).filled()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_cover_their_share_of_a_line() {
        let line = [(0.0, 0.0), (3030.0, 0.0), (3030.0, 3970.0)];
        assert_eq!(dashes(&line, Dash::Solid), [line.to_vec()]);
        let pieces = dashes(&line, Dash::Long);
        let drawn: f64 = pieces.iter().flat_map(|p| p.windows(2).map(|w| distance(w[0], w[1]))).sum();
        assert!((drawn / 7000.0 - 7.0 / 10.5).abs() < 0.02, "{drawn}");
        assert!(pieces.iter().any(|piece| piece.len() == 3), "a piece goes round the corner");
    }
}
