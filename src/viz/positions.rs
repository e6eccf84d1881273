//! Positions: energy and entropy of every prediction of the prompt, and what each step changes in them.

use plotters::prelude::{PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, RGBColor};
use serde::Serialize;
use tch::{Tensor, no_grad};

use super::draw::style::{self, FAINT, INK, LABEL, SOFT, TICK, diverging, px, short, text, viridis, width};
use super::draw::{Area, Colours, DrawError, Picture, Sheet, Table, bounds, flat_colour_bar, outline, text_width};
use super::numbers::numbers_of;
use super::prompt::energy_of;
use super::studio::Studio;
use crate::energy::entropy;
use crate::error::Error;

/// Pixels of a column at least, as a letter needs them: of a longer prompt the last ones are drawn.
const LEAST: f64 = 10.5;
/// Pixels that the meaning of a map's colours takes.
const KEY: i32 = 42;
/// Pixels of a column at most.
const WIDEST: f64 = 120.0;

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
         the rows below show how far each step has moved it: blue is lower, orange is higher.",
    );
    let t = numbers.characters.len();
    let mean = |k: usize| numbers.energy[k].iter().sum::<f64>() / t as f64;
    let summary = format!(
        "{}: mean energy gap {} nats over {t} positions{}.",
        prompt.effort(),
        short(mean(0) - mean(prompt.steps())),
        prompt.stopped()
    );
    picture.draw(studio.config.format, &summary, |sheet| paint(sheet, &numbers))?.numbers(&numbers, table)
}

fn paint(sheet: &mut Sheet, numbers: &Positions) -> Result<(), DrawError> {
    for (name, rows) in [("energy", &numbers.energy), ("entropy", &numbers.entropy)] {
        let keys = if sheet.width() < 500.0 { 2 * KEY } else { KEY }; // below one another where names would meet
        draw_map(&sheet.take(f64::from(keys) + 206.0), keys, name, rows, &numbers.characters)?;
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

fn draw_map(area: &Area, keys: i32, name: &str, rows: &[Vec<f64>], characters: &[String]) -> Result<(), DrawError> {
    let (w, h) = area.dim_in_pixel();
    let (left, room) = (px(62.0), w as i32 - px(62.0 + 14.0));
    let first = characters.len().saturating_sub((room / px(LEAST)) as usize);
    let rows: Vec<&[f64]> = rows.iter().map(|row| &row[first..]).collect();
    let (n, steps) = (characters.len() - first, rows.len() - 1);
    let cells = Cells {
        left,
        wide: (f64::from(room) / n as f64).min(f64::from(px(WIDEST))),
        top: px(f64::from(keys) + 5.0),
        strip: px(16.0),
        gap: px(4.0),
        bottom: h as i32 - px(38.0),
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
    label_columns(area, &cells, characters, first)?;
    label_rows(area, &cells)?;
    let whole = (right - cells.left).max(px(260.0).min(room));
    let system1 = Colours { label: &format!("System 1's {name}, nats"), range: level, colour: viridis };
    let (half, second) = if keys > KEY { (whole, (0, KEY)) } else { (whole / 2 - px(14.0), (whole / 2 + px(14.0), 0)) };
    flat_colour_bar(area, &system1, (cells.left, cells.left + half), px(4.0))?;
    let change =
        Colours { label: "change since, nats", range: -largest..largest, colour: |share| diverging(2.0 * share - 1.0) };
    let left = cells.left + second.0;
    flat_colour_bar(area, &change, (left, left + half), px(f64::from(second.1) + 4.0))
}

fn fill(area: &Area, from: (i32, i32), to: (i32, i32), colour: RGBColor) -> Result<(), DrawError> {
    area.draw(&Rectangle::new([from, to], colour.filled()))
}

fn label_columns(area: &Area, cells: &Cells, all: &[String], first: usize) -> Result<(), DrawError> {
    let characters: Vec<String> = all[first..].iter().map(|c| c.chars().map(style::token).collect()).collect();
    let size = (cells.wide / f64::from(px(1.0)) * 0.85).min(LABEL); // the widest letters are as wide as the font's size
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
    let shown = match first {
        0 => "character just read".to_owned(),
        _ => format!("character just read, the last {} of {}", characters.len(), all.len()),
    };
    area.draw(&Text::new(shown, (middle, cells.bottom + px(20.0)), style))
}

fn label_rows(area: &Area, cells: &Cells) -> Result<(), DrawError> {
    let right = Pos::new(HPos::Right, VPos::Center);
    let at = |y: i32| (cells.left - px(5.0), y);
    area.draw(&Text::new("System 1", at(cells.top + cells.strip / 2), text(TICK, &SOFT).pos(right)))?;
    let (ticks, _) = style::ticks(&(1.0..cells.steps.max(2) as f64), 4, true);
    let mut shown: Vec<usize> = ticks.iter().map(|&t| t as usize).filter(|&t| (1..=cells.steps).contains(&t)).collect();
    if !shown.contains(&1) {
        shown.push(1);
    }
    for step in shown {
        let y = (cells.y(step) + cells.y(step + 1)) / 2;
        area.draw(&PathElement::new([(cells.left - px(3.0), y), (cells.left, y)], FAINT.stroke_width(width(0.8))))?;
        area.draw(&Text::new(step.to_string(), at(y), text(TICK, &SOFT).pos(right)))?;
    }
    let turned = text(LABEL, &INK).transform(FontTransform::Rotate270).pos(Pos::new(HPos::Center, VPos::Top));
    area.draw(&Text::new("thinking step", (px(10.0), (cells.y(1) + cells.bottom) / 2), turned))
}
