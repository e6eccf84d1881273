//! A landscape as a surface in space, seen from above and from one corner.

use plotters::prelude::{Circle, PathElement, Polygon, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, RGBColor};

use super::draw::style::{self, FAINT, GRID, INK, LABEL, Numbers, PATH, SOFT, TICK, px, text, viridis, width};
use super::draw::{Area, DrawError, Picture, draw_ends, samples, text_width};
use super::landscape::{Landscape, View};
use super::plane::Step;
use crate::config::PictureFormat;
use crate::error::Error;

/// Turn about the vertical axis, and height of the eye, in degrees.
const TURN: f64 = -52.0;
const EYE: f64 = 28.0;
/// Height of the box; its sides are 1.
const HEIGHT: f64 = 0.62;
/// Patches along a side at most.
const PATCHES: usize = 40;
/// Grid lines drawn on the surface along each side.
const MESH: usize = 15;

pub fn picture(numbers: &Landscape, format: PictureFormat) -> Result<Picture, Error> {
    let picture = Picture::new(
        "landscape_surface",
        "The same landscape as a surface",
        "Height and colour are energy; the thought rolls from the circle to the square. Its numbers are landscape.json and \
         landscape.csv.",
    );
    let words = ("Energy landscape of a thought, as a surface", numbers.summary.as_str());
    picture.draw_titled(format, words, |sheet| {
        sheet.legend(samples())?;
        let rooms = sheet.panels(2, (2, 300.0), |wide| 0.86 * wide);
        numbers.views.iter().zip(&rooms).try_for_each(|(view, room)| draw_view(room, numbers, view))
    })
}

/// From the box (0..1, 0..1, 0..1) to units of an area.
struct Eye {
    centre: (f64, f64),
    scale: f64,
}

impl Eye {
    fn new(area: &Area) -> Self {
        let (w, h) = area.dim_in_pixel();
        Self { centre: (f64::from(w) * 0.545, f64::from(h) * 0.48), scale: f64::from(w) * 0.51 }
    }

    /// Right and towards the eye, after the turn.
    fn turned(x: f64, y: f64) -> (f64, f64) {
        let (sin, cos) = TURN.to_radians().sin_cos();
        let (x, y) = (x - 0.5, y - 0.5);
        (x * cos - y * sin, -(x * sin + y * cos))
    }

    fn see(&self, [x, y, z]: [f64; 3]) -> (i32, i32) {
        let (right, near) = Self::turned(x, y);
        let (sin, cos) = EYE.to_radians().sin_cos();
        let up = (z - 0.5) * HEIGHT * cos - near * sin;
        ((self.centre.0 + right * self.scale).round() as i32, (self.centre.1 - up * self.scale).round() as i32)
    }
}

fn draw_view(area: &Area, numbers: &Landscape, view: &View) -> Result<(), DrawError> {
    let eye = Eye::new(area);
    let range = view.range();
    let share = |energy: f64| (energy - range.start) / (range.end - range.start);
    draw_box(area, &eye)?;
    draw_surface(area, &eye, view, &share)?;
    let inside = |d: usize, value: f64| (value - view.side(d).start) / (view.side(d).end - view.side(d).start);
    let place = |s: &Step| eye.see([inside(0, s.a), inside(1, s.b), share(s.energy) + 0.01]);
    let places: Vec<(i32, i32)> = numbers.plane.path.iter().map(place).collect();
    area.draw(&PathElement::new(places.clone(), PATH.stroke_width(width(2.2))))?;
    for place in &places[1..] {
        area.draw(&Circle::new(*place, px(1.8), PATH.filled()))?;
    }
    draw_ends(area, places[0], places[places.len() - 1])?;
    draw_axes(area, &eye, numbers, view)?;
    area.draw(&Text::new(numbers.title(view, false), (px(10.0), px(4.0)), text(LABEL, &INK)))
}

/// Floor and the two walls behind.
fn draw_box(area: &Area, eye: &Eye) -> Result<(), DrawError> {
    const QUARTERS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
    for q in QUARTERS {
        let lines = [
            [[q, 0.0, 0.0], [q, 1.0, 0.0], [q, 1.0, 1.0]],
            [[1.0, q, 0.0], [0.0, q, 0.0], [0.0, q, 1.0]],
            [[0.0, 0.0, q], [0.0, 1.0, q], [1.0, 1.0, q]],
        ];
        for line in lines {
            area.draw(&PathElement::new(line.map(|p| eye.see(p)), GRID.stroke_width(width(0.8))))?;
        }
    }
    Ok(())
}

/// The surface in patches, the far ones first, with light from the left.
fn draw_surface(area: &Area, eye: &Eye, view: &View, share: &impl Fn(f64) -> f64) -> Result<(), DrawError> {
    // Every few points of a fine grid: thousands of patches make large files.
    let cells = view.grid - 1;
    let fits = |s: &usize| cells.is_multiple_of(*s) && (MESH..=PATCHES).contains(&(cells / s));
    let stride = (1..view.grid).find(fits).unwrap_or(1);
    let n = (view.grid - 1) / stride + 1;
    let cell = 1.0 / (n - 1) as f64;
    let energy = |i: usize, j: usize| view.energies[j * stride * view.grid + i * stride];
    let corner = |i: usize, j: usize| [i as f64 * cell, j as f64 * cell, share(energy(i, j))];
    let mut patches: Vec<(f64, [[f64; 3]; 4])> = (0..(n - 1) * (n - 1))
        .map(|k| {
            let (i, j) = (k % (n - 1), k / (n - 1));
            let (_, near) = Eye::turned((i as f64 + 0.5) * cell, (j as f64 + 0.5) * cell);
            (near, [corner(i, j), corner(i + 1, j), corner(i + 1, j + 1), corner(i, j + 1)])
        })
        .collect();
    patches.sort_by(|a, b| a.0.total_cmp(&b.0));
    let every = ((n - 1) / MESH).max(1);
    for (_, patch) in patches {
        let height = patch.iter().map(|p| p[2]).sum::<f64>() / 4.0;
        let colour = shaded(viridis(height), &patch, cell);
        let seen: Vec<(i32, i32)> = patch.iter().map(|p| eye.see(*p)).collect();
        area.draw(&Polygon::new(seen.clone(), colour.filled()))?;
        // The same colour along the edge closes the seams between patches.
        area.draw(&PathElement::new(
            vec![seen[0], seen[1], seen[2], seen[3], seen[0]],
            colour.stroke_width(width(0.5)),
        ))?;
        let line = |p: [f64; 3], d: usize| ((p[d] / cell).round() as usize).is_multiple_of(every);
        // The far edges: nearer patches do not cover them.
        for (d, ends) in [(1, [3, 2]), (0, [0, 3])] {
            if line(patch[3], d) {
                let edge = vec![seen[ends[0]], seen[ends[1]]];
                area.draw(&PathElement::new(edge, INK.mix(0.18).stroke_width(width(0.5))))?;
            }
        }
    }
    Ok(())
}

/// A colour, darker on slopes that face away from the light.
fn shaded(colour: RGBColor, patch: &[[f64; 3]; 4], cell: f64) -> RGBColor {
    let slope_x = (patch[1][2] - patch[0][2]) / cell * HEIGHT;
    let slope_y = (patch[3][2] - patch[0][2]) / cell * HEIGHT;
    let length = (1.0 + slope_x * slope_x + slope_y * slope_y).sqrt();
    let light = (0.35 * slope_x - 0.35 * slope_y + 0.87) / length;
    let k = 0.82 + 0.18 * light.clamp(0.0, 1.0);
    let dim = |c: u8| (f64::from(c) * k).round() as u8;
    RGBColor(dim(colour.0), dim(colour.1), dim(colour.2))
}

/// Numbers and names along the two front edges and the left upright.
fn draw_axes(area: &Area, eye: &Eye, numbers: &Landscape, view: &View) -> Result<(), DrawError> {
    let [first, second] = numbers.short_axis_names();
    let sides = [
        (view.side(0), first, Pos::new(HPos::Right, VPos::Top), (-4.0, 3.0)),
        (view.side(1), second, Pos::new(HPos::Left, VPos::Top), (4.0, 3.0)),
        (
            view.range_above(numbers.plane.path[0].energy),
            "E − E₀, nats",
            Pos::new(HPos::Right, VPos::Center),
            (-4.0, 0.0),
        ),
    ];
    for (d, (side, name, anchor, out)) in sides.into_iter().enumerate() {
        let at = |s: f64| match d {
            0 => eye.see([s, 0.0, 0.0]),
            1 => eye.see([1.0, s, 0.0]),
            _ => eye.see([0.0, 0.0, s]),
        };
        let (ticks, step) = style::ticks(&side, 4, false);
        let shown = Numbers::new(&side, step);
        area.draw(&PathElement::new([at(0.0), at(1.0)], FAINT.stroke_width(width(0.9))))?;
        let mut widest = 0;
        for tick in ticks {
            let share = (tick - side.start) / (side.end - side.start);
            let (x, y) = at(share);
            let end = (x + px(out.0), y + px(out.1));
            // Where two axes meet, their numbers would too.
            let at_the_corner = if d == 0 { share > 0.95 } else { share < 0.07 };
            if at_the_corner {
                continue;
            }
            area.draw(&PathElement::new([(x, y), end], FAINT.stroke_width(width(0.8))))?;
            let (words, room) = (shown.show(tick), area.dim_in_pixel().0 as i32 - px(3.0));
            let wide = text_width(area, &words, TICK)?;
            let place = if d == 1 { (end.0.min(room - wide), end.1) } else { end };
            area.draw(&Text::new(words, place, text(TICK, &SOFT).pos(anchor)))?;
            widest = widest.max(wide);
        }
        name_axis(
            area,
            &shown.name(name),
            (d, widest),
            (at(if d == 2 { 0.0 } else { 0.5 }), eye.see([1.0, 0.0, 0.0]).1),
        )?;
    }
    Ok(())
}

/// The name of an axis whose numbers are so wide: of an upright beside it from its foot, else under its middle and below the lowest
/// corner.
fn name_axis(
    area: &Area,
    name: &str,
    (d, widest): (usize, i32),
    ((x, y), lowest): ((i32, i32), i32),
) -> Result<(), DrawError> {
    let style = text(LABEL, &INK);
    if d == 2 {
        let turned = style.transform(FontTransform::Rotate270).pos(Pos::new(HPos::Left, VPos::Bottom));
        return area.draw(&Text::new(name.to_owned(), (x - px(10.0) - widest, y), turned));
    }
    let half = text_width(area, name, LABEL)? / 2;
    let x = x.clamp(half + px(4.0), area.dim_in_pixel().0 as i32 - half - px(4.0));
    area.draw(&Text::new(name.to_owned(), (x, lowest + px(17.0)), style.pos(Pos::new(HPos::Center, VPos::Top))))
}
