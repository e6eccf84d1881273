//! The bowl: the energy along the straight line from System 1 to System 2, and the ball that rolls down it.

use std::ops::Range;

use plotters::prelude::{Circle, Rectangle};
use plotters::style::Color;
use serde::Serialize;
use tch::{Kind, Tensor, no_grad};

use super::draw::style::{COLOURS, FAINT, INK, PATH, PHONE, px, short, width};
use super::draw::{
    Area, Axis, Dash, DrawError, Figure, Picture, Sheet, Table, bounds, dot, gif, line, panel, range_of,
};
use super::numbers::numbers_of;
use super::prompt::Prompt;
use super::studio::Studio;
use crate::error::Error;

/// Points of a curve.
const POINTS: i64 = 161;
/// Half width of the wide cut in logits at least.
const WIDE: f64 = 4.0;
const TITLE: &str = "The bowl that a thought rolls down";
/// The upright axis.
const HEIGHT: &str = "E − E₀, nats";
/// Panels with a ball.
const PANELS: usize = 6;
/// Frames of the animation at most.
const FRAMES: usize = 60;

/// The numbers of the picture; energies in nats, places in logits along the line.
#[derive(Debug, Serialize)]
struct Bowl {
    context: String,
    /// Place of each step along the line, System 1 first at 0
    places: Vec<f64>,
    /// J on the line there
    on_line: Vec<f64>,
    /// J at the prediction itself, which may lie beside the line
    energies: Vec<f64>,
    /// The cut as near as the path: (place, J)
    near: Vec<(f64, f64)>,
    /// The cut through the whole bowl
    wide: Vec<(f64, f64)>,
}

impl Bowl {
    /// Where the ball is after `step` steps, which may be between two.
    fn ball(&self, step: f64) -> f64 {
        let (before, after) = (self.places[step.floor() as usize], self.places[step.ceil() as usize]);
        before + (after - before) * step.fract()
    }
}

/// Cuts the energy along the path of a prompt's thought. An error where thinking does not move the prediction at all.
fn bowl(prompt: &Prompt) -> Result<Bowl, Error> {
    no_grad(|| {
        let path = prompt.path(); // (K + 1, V)
        let (start, end) = (path.get(0), path.get(-1));
        let whole = &end - &start;
        let length = whole.norm().double_value(&[]);
        if length <= 0.0 {
            let context = prompt.context();
            return Err(Error::Request(format!(
                "thinking does not move the prediction after {context}: there is no bowl to cut"
            )));
        }
        let direction = whole / length; // (V)
        let places: Vec<f64> = numbers_of(&(&path - &start).matmul(&direction)); // (K + 1)
        let cut = |places: &[f64]| {
            let s = Tensor::from_slice(places).to_device(start.device()).unsqueeze(-1); // (N, 1)
            prompt.energy_at(&(&start + s * &direction)) // (N, V)
        };
        let curve = |low: f64, high: f64| {
            let at: Vec<f64> = (0..POINTS).map(|i| low + (high - low) * i as f64 / (POINTS - 1) as f64).collect();
            let energies = cut(&at);
            at.into_iter().zip(energies).collect()
        };
        let Range { start: low, end: high } = bounds(std::iter::once(0.0).chain(places.iter().copied()));
        let wide = WIDE.max(1.5 * (high - low));
        Ok(Bowl {
            context: prompt.context(),
            on_line: cut(&places),
            energies: prompt.energy_at(&path.to_kind(Kind::Double)),
            near: curve(low - 0.3 * (high - low), high + 0.3 * (high - low)),
            wide: curve(low - wide, high + wide),
            places,
        })
    })
}

pub fn picture(studio: &Studio) -> Result<Picture, Error> {
    let prompt = studio.prompt()?;
    let bowl = bowl(prompt)?;
    let last = prompt.steps();
    let summary = format!(
        "After {}: {}, {} logits long; {} lower by {} nats than System 1's, E₀{}.",
        bowl.context,
        prompt.effort(),
        short(bowl.places[last].abs()),
        prompt.energy_name(),
        short(bowl.energies[0] - bowl.energies[last]),
        prompt.stopped()
    );
    let picture = Picture::new(
        "bowl",
        TITLE,
        "Each panel is the energy along the line from System 1 (0) to System 2; the ball is the prediction after so many \
         steps. The first panel is a wide cut, the others magnify its shaded band.",
    );
    let mut table = Table::new(&["step", "place", "energy_on_line", "energy"]);
    for (step, place) in bowl.places.iter().enumerate() {
        table.row(&[&step, place, &bowl.on_line[step], &bowl.energies[step]]);
    }
    let shown = chosen(last, PANELS);
    let picture = picture.draw(studio.config.format, &summary, |sheet| panels(sheet, &bowl, &shown))?;
    let mut picture = picture.numbers(&bowl, table)?;
    let frames = frames(&bowl, &summary)?;
    let animation = gif(&frames)?;
    picture.drawings.extend(frames.into_iter().map(|(figure, _)| figure));
    Ok(picture.file("gif", animation))
}

/// So many steps, spread evenly, the first and the last among them.
fn chosen(steps: usize, n: usize) -> Vec<usize> {
    let n = n.min(steps + 1).max(2);
    let mut chosen: Vec<usize> = (0..n).map(|i| (i * steps + (n - 1) / 2) / (n - 1)).collect();
    chosen.dedup();
    chosen
}

/// The wide cut, then a panel with the ball after each of these steps.
fn panels(sheet: &mut Sheet, bowl: &Bowl, shown: &[usize]) -> Result<(), DrawError> {
    let rooms = sheet.panels(shown.len() + 2, (4, 160.0), |_| 178.0);
    let (wide, high) = rooms[0].dim_in_pixel();
    let whole = rooms[0].clone().shrink((0, 0), (2 * wide, high)); // takes two places
    draw_wide(&whole, bowl, bowl.places[bowl.places.len() - 1])?;
    for (step, room) in shown.iter().zip(&rooms[2..]) {
        let title = match step {
            0 => "step 0 (System 1)".to_owned(),
            step => format!("step {step}"),
        };
        let leftmost = room.get_base_pixel().0 == rooms[0].get_base_pixel().0;
        let name = if leftmost || *step == 0 { HEIGHT } else { "" }; // once in a row
        draw_near(room, bowl, &title, *step as f64, name)?;
    }
    Ok(())
}

/// Energy less System 1's.
fn fallen(bowl: &Bowl, curve: &[(f64, f64)]) -> Vec<(f64, f64)> {
    curve.iter().map(|(s, e)| (*s, e - bowl.on_line[0])).collect()
}

/// The whole bowl, with the part that the other panels magnify.
fn draw_wide(area: &Area, bowl: &Bowl, ball: f64) -> Result<(), DrawError> {
    let curve = fallen(bowl, &bowl.wide);
    let x = Axis::new("along path, logits", curve[0].0..curve[curve.len() - 1].0);
    let y = Axis::new(HEIGHT, range_of(curve.iter().map(|p| p.1)));
    let range = y.range.clone();
    let mut chart = panel(area, "wide cut (the band is magnified)", &x, &y)?;
    let ends = (bowl.near[0].0, bowl.near[bowl.near.len() - 1].0);
    let corners = [(ends.0, range.start), (ends.1, range.end)];
    chart.plotting_area().draw(&Rectangle::new(corners, COLOURS[4].mix(0.25).filled()))?;
    line(&mut chart, &curve, &COLOURS[0], (1.8, Dash::Solid))?;
    let height = interpolated(&curve, ball);
    dot(&chart, (ball, height), 3.2, PATH)
}

/// The magnified part with the ball after `step` steps.
fn draw_near(area: &Area, bowl: &Bowl, title: &str, step: f64, height_name: &str) -> Result<(), DrawError> {
    let curve = fallen(bowl, &bowl.near);
    let x = Axis::new("along path, logits", curve[0].0..curve[curve.len() - 1].0).with_ticks(3);
    let y = Axis::new(height_name, range_of(curve.iter().map(|p| p.1)));
    let mut chart = panel(area, title, &x, &y)?;
    line(&mut chart, &curve, &COLOURS[0], (1.8, Dash::Solid))?;
    let height = |place: f64| interpolated(&curve, place);
    for place in &bowl.places[..=step.floor() as usize] {
        dot(&chart, (*place, height(*place)), 2.0, FAINT)?;
    }
    let ball = bowl.ball(step);
    dot(&chart, (ball, height(ball)), 4.5, PATH)?;
    chart.plotting_area().draw(&Circle::new((ball, height(ball)), px(4.5), INK.stroke_width(width(0.9))))
}

/// A curve's height at a place between its points.
fn interpolated(curve: &[(f64, f64)], place: f64) -> f64 {
    let after = curve.partition_point(|p| p.0 < place).clamp(1, curve.len() - 1);
    let ((x0, y0), (x1, y1)) = (curve[after - 1], curve[after]);
    y0 + (y1 - y0) * (place - x0) / (x1 - x0)
}

/// The ball on its way, below the whole bowl: each frame with its time.
fn frames(bowl: &Bowl, summary: &str) -> Result<Vec<(Figure, u16)>, Error> {
    let steps = bowl.places.len() - 1;
    let between = (FRAMES / steps.max(1)).clamp(1, 4); // frames for a step
    let stride = steps.div_ceil(FRAMES).max(1); // steps for a frame, where there are many
    let mut at: Vec<f64> = match stride {
        1 => (0..steps * between).map(|i| i as f64 / between as f64).collect(),
        _ => (0..steps).step_by(stride).map(|i| i as f64).collect(),
    };
    at.push(steps as f64);
    let last = at.len() - 1;
    let frames = at.iter().enumerate().map(|(i, &step)| {
        let figure = Figure::draw(PHONE, (TITLE, summary), |sheet| {
            draw_wide(&sheet.take(190.0), bowl, bowl.ball(step))?;
            draw_near(&sheet.take(210.0), bowl, &format!("step {} of {steps}", step.floor()), step, HEIGHT)
        })?;
        // A rest at both ends.
        Ok((figure, if i == 0 || i == last { 120 } else { 8 }))
    });
    frames.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_are_spread_over_the_steps() {
        assert_eq!(chosen(16, 6), [0, 3, 6, 10, 13, 16]);
        assert_eq!(chosen(1, 6), [0, 1]);
        assert_eq!(chosen(5, 6), [0, 1, 2, 3, 4, 5]);
        let curve = [(0.0, 1.0), (1.0, 3.0), (2.0, 2.0)];
        assert_eq!([0.5, 1.5, 2.0].map(|s| interpolated(&curve, s)), [2.0, 2.5, 2.0]);
    }
}
