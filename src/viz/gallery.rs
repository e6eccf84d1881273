//! Which pictures a configuration asks for, drawn one after another.

use super::draw::Picture;
use super::index::Entry;
use super::landscape::landscape;
use super::studio::Studio;
use super::{bowl, contours, fast_weights, gap, index, negatives, positions, report, surface, training, trajectories};
use crate::config::{VizConfig, VizMode};
use crate::device;
use crate::error::Error;
use crate::fs::parent;
use crate::program::load::load;

/// The pictures of `mode=all`, in the order of the page.
pub const ALL: [VizMode; 8] = [
    VizMode::Landscape,
    VizMode::Bowl,
    VizMode::Gap,
    VizMode::Trajectories,
    VizMode::Positions,
    VizMode::Negatives,
    VizMode::Training,
    VizMode::Report,
];

/// Draws what a configuration asks for: `tell` hears what the user should know, and `done` gets each picture as soon as it is drawn.
pub fn gallery(
    config: &VizConfig,
    tell: impl Fn(&str),
    mut done: impl FnMut(&Picture) -> Result<(), Error>,
) -> Result<(), Error> {
    if config.mode == VizMode::Training {
        return done(&training::picture(config, None)?);
    }
    let device = device::resolve(&config.compute.device)?;
    let loaded = load(&config.from, &config.model, device)?;
    let studio = Studio::new(config, &loaded)?;
    let mut notes = [&loaded.notes, studio.notes()].concat();
    notes.iter().for_each(|note| tell(note));
    if config.mode != VizMode::All {
        return draw(&studio, config.mode)?.iter().try_for_each(done);
    }
    let mut entries = Vec::new();
    for mode in ALL {
        match draw(&studio, mode) {
            // A checkpoint without its text or its run still has its other pictures.
            Err(error @ (Error::Data(_) | Error::NoRun { .. })) => {
                notes.push(format!("no {mode}: {error}"));
                tell(&notes[notes.len() - 1]);
            }
            drawn => {
                for picture in drawn? {
                    let picture = picture.with_narrow()?;
                    done(&picture)?;
                    entries.push(Entry::of(&picture));
                }
            }
        }
    }
    done(&index::page(&entries, &notes, &studio.subject()))
}

/// The pictures of one mode.
fn draw(studio: &Studio, mode: VizMode) -> Result<Vec<Picture>, Error> {
    let config = studio.config;
    let picture = match mode {
        VizMode::Landscape => {
            let numbers = landscape(studio.prompt()?, config)?;
            return Ok(vec![contours::picture(&numbers, config.format)?, surface::picture(&numbers, config.format)?]);
        }
        VizMode::Bowl => bowl::picture(studio)?,
        VizMode::Trajectories => trajectories::picture(studio)?,
        VizMode::Positions => positions::picture(studio)?,
        VizMode::Gap => gap::picture(studio)?,
        VizMode::Negatives => negatives::picture(studio)?,
        VizMode::Context => fast_weights::picture(studio)?,
        VizMode::Report => report::picture(studio)?,
        VizMode::Training => training::picture(config, parent(&studio.loaded.checkpoint.path))?,
        VizMode::All => return Err(Error::Request(format!("mode={mode} has nothing to look at"))), // it is not a picture
    };
    Ok(vec![picture])
}
