//! Positions: energy and entropy of every prediction of the prompt, and what each step changes in them.

use plotters::prelude::{PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, RGBColor};
use serde::Serialize;
use tch::{Tensor, no_grad};

use super::draw::style::{self, FAINT, INK, LABEL, SOFT, TICK, diverging, px, short, text, viridis, width};
use super::draw::{Area, DrawError, Picture, Table, bounds, colour_bar, outline, text_width};
use super::numbers::numbers_of;
use super::prompt::energy_of;
use super::studio::Studio;
use crate::energy::entropy;
use crate::error::Error;

/// Columns that a page has room for; of a longer prompt the last ones are drawn.
const COLUMNS: usize = 64;

/// The numbers of the picture, in nats: rows are steps, System 1 first, columns the prompt's characters.
#[derive(Debug, Serialize)]
struct Positions {
    characters: Vec<String>,
    /// Expected energy of the prediction after each character (K + 1, T)
    energy: Vec<Vec<f64>>,
    /// Entropy of that prediction (K + 1, T)
    entropy: Vec<Vec<f64>>,
}

pub fn picture(studio: &Studio) -> Result<Picture, Error> {
    let prompt = studio.prompt()?;
    let along =
        |of: &dyn Fn(&Tensor) -> Tensor| no_grad(|| prompt.trajectory.iter().map(|x| numbers_of(&of(x))).collect());
    let energy = along(&|x| energy_of(prompt.ebm, &prompt.reading, x, studio.pass));
    let characters = prompt.ids.iter().map(|&id| prompt.vocab.char(id).map(String::from).unwrap_or_default());
    let numbers = Positions { characters: characters.collect(), energy, entropy: along(&entropy) };
    let mut table = Table::new(&["step", "position", "character", "energy", "entropy"]);
    for (step, (energies, entropies)) in numbers.energy.iter().zip(&numbers.entropy).enumerate() {
        for (t, (e, h)) in energies.iter().zip(entropies).enumerate() {
            table.row(&[&step, &t, &numbers.characters[t], e, h]);
        }
    }
    let picture = Picture::new(
        "positions",
        "Thinking at every position",
        "Columns are the characters read, and what is coloured is the prediction after each. The top row is System 1's level, \
         the rows below show how far each step has moved it: blue is lower, red is higher.",
    );
    let t = numbers.characters.len();
    let mean = |k: usize| numbers.energy[k].iter().sum::<f64>() / t as f64;
    let cut = if t > COLUMNS { format!(" The last {COLUMNS} of {t} positions.") } else { String::new() };
    let summary = format!(
        "{}: mean energy gap {} nats over {t} positions{}.{cut}",
        prompt.effort(),
        short(mean(0) - mean(prompt.steps())),
        prompt.stopped()
    );
    picture.draw(studio.config.format, (480, &summary), |area| paint(area, &numbers))?.numbers(&numbers, table)
}

fn paint(area: &Area, numbers: &Positions) -> Result<(), DrawError> {
    let first = numbers.characters.len().saturating_sub(COLUMNS);
    let shown: Vec<String> =
        numbers.characters[first..].iter().map(|c| c.chars().map(style::token).collect()).collect();
    let maps = [("energy", &numbers.energy), ("entropy", &numbers.entropy)];
    for ((name, rows), half) in maps.into_iter().zip(area.split_evenly((2, 1))) {
        let rows: Vec<&[f64]> = rows.iter().map(|row| &row[first..]).collect();
        draw_map(&half, name, &rows, &shown)?;
    }
    Ok(())
}

/// Where the cells of a map lie, in units.
struct Cells {
    left: i32,
    wide: f64,
    top: i32,
    strip: i32,
    gap: i32,
    bottom: i32,
    steps: usize,
}

impl Cells {
    fn x(&self, column: usize) -> i32 {
        self.left + (column as f64 * self.wide).round() as i32
    }

    /// The upper edge of a step's row, from 1.
    fn y(&self, step: usize) -> i32 {
        let start = self.top + self.strip + self.gap;
        start + (f64::from(self.bottom - start) * (step - 1) as f64 / self.steps as f64).round() as i32
    }
}

fn draw_map(area: &Area, name: &str, rows: &[&[f64]], characters: &[String]) -> Result<(), DrawError> {
    let (w, h) = area.dim_in_pixel();
    let (n, steps) = (characters.len(), rows.len() - 1);
    let room = w as i32 - px(62.0) - px(150.0);
    let wide = (f64::from(room) / n as f64).min(f64::from(px(72.0)));
    let cells = Cells {
        left: px(62.0),
        wide,
        top: px(22.0),
        strip: px(16.0),
        gap: px(4.0),
        bottom: h as i32 - px(34.0),
        steps,
    };
    let level = match bounds(rows[0].iter().copied()) {
        level if level.end > level.start => level,
        level => level.start - 0.5..level.end + 0.5,
    };
    let changes: Vec<Vec<f64>> =
        rows[1..].iter().map(|row| row.iter().zip(rows[0]).map(|(now, first)| now - first).collect()).collect();
    let largest = changes.iter().flatten().fold(0f64, |l, c| l.max(c.abs())).max(f64::MIN_POSITIVE);
    for column in 0..n {
        let share = (rows[0][column] - level.start) / (level.end - level.start);
        // Every cell reaches to the end of the map and is covered by the next: no light shines through the seams.
        let right = cells.x(n);
        fill(area, (cells.x(column), cells.top), (right, cells.top + cells.strip), viridis(share))?;
        let mut before = None;
        for step in 1..=steps {
            let colour = diverging(changes[step - 1][column] / largest);
            if before != Some(colour) {
                fill(area, (cells.x(column), cells.y(step)), (right, cells.bottom), colour)?;
            }
            before = Some(colour);
        }
    }
    let right = cells.x(n);
    for (top, bottom) in [(cells.top, cells.top + cells.strip), (cells.y(1), cells.bottom)] {
        area.draw(&outline([(cells.left, top), (right, bottom)], FAINT.stroke_width(width(0.8))))?;
    }
    label_columns(area, &cells, characters)?;
    label_rows(area, &cells, name)?;
    let bars = area.clone().shrink((right + px(8.0), 0), (px(70.0) as u32, h));
    let heights = (cells.top, cells.bottom);
    colour_bar(&bars, &format!("System 1's {name}, nats"), &level, heights, viridis)?;
    let bars = area.clone().shrink((right + px(78.0), 0), (px(72.0) as u32, h));
    colour_bar(&bars, "change, nats", &(-largest..largest), heights, |share| diverging(2.0 * share - 1.0))
}

fn fill(area: &Area, from: (i32, i32), to: (i32, i32), colour: RGBColor) -> Result<(), DrawError> {
    area.draw(&Rectangle::new([from, to], colour.filled()))
}

fn label_columns(area: &Area, cells: &Cells, characters: &[String]) -> Result<(), DrawError> {
    let size = (cells.wide / f64::from(px(1.0)) * 1.1).clamp(6.0, LABEL);
    for (column, character) in characters.iter().enumerate() {
        let middle = (cells.x(column) + cells.x(column + 1)) / 2;
        let mut style = text(size, &INK).pos(Pos::new(HPos::Center, VPos::Top));
        if f64::from(text_width(area, character, size)?) > cells.wide * 1.3 {
            style = style.transform(FontTransform::Rotate90).pos(Pos::new(HPos::Left, VPos::Center));
        }
        area.draw(&Text::new(character.clone(), (middle, cells.bottom + px(2.0)), style))?;
    }
    let middle = (cells.left + cells.x(characters.len())) / 2;
    let style = text(LABEL, &INK).pos(Pos::new(HPos::Center, VPos::Top));
    area.draw(&Text::new("character just read", (middle, cells.bottom + px(17.0)), style))
}

fn label_rows(area: &Area, cells: &Cells, name: &str) -> Result<(), DrawError> {
    let right = Pos::new(HPos::Right, VPos::Center);
    let at = |y: i32| (cells.left - px(5.0), y);
    area.draw(&Text::new(name.to_owned(), (cells.left, px(6.0)), text(LABEL, &INK)))?;
    area.draw(&Text::new("System 1", at(cells.top + cells.strip / 2), text(TICK, &SOFT).pos(right)))?;
    let (ticks, _) = style::ticks(&(1.0..cells.steps.max(2) as f64), 4, true);
    let mut shown: Vec<usize> = ticks.iter().map(|&t| t as usize).filter(|&t| (1..=cells.steps).contains(&t)).collect();
    shown.push(1);
    for step in shown {
        let y = (cells.y(step) + cells.y(step + 1)) / 2;
        area.draw(&PathElement::new([(cells.left - px(3.0), y), (cells.left, y)], FAINT.stroke_width(width(0.8))))?;
        area.draw(&Text::new(step.to_string(), at(y), text(TICK, &SOFT).pos(right)))?;
    }
    let turned = text(LABEL, &INK).transform(FontTransform::Rotate270).pos(Pos::new(HPos::Center, VPos::Top));
    area.draw(&Text::new("thinking step", (px(10.0), (cells.y(1) + cells.bottom) / 2), turned))
}
