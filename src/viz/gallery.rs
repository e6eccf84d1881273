//! Which pictures a configuration asks for, drawn one after another.

use super::draw::Picture;
use super::landscape::landscape;
use super::studio::Studio;
use super::{bowl, contours, fast_weights, gap, index, negatives, positions, report, surface, training, trajectories};
use crate::config::{VizConfig, VizMode};
use crate::device;
use crate::error::Error;
use crate::program::load::load;

/// The pictures of `mode=all`, in the order of the page.
const ALL: [VizMode; 8] = [
    VizMode::Landscape,
    VizMode::Bowl,
    VizMode::Gap,
    VizMode::Trajectories,
    VizMode::Positions,
    VizMode::Negatives,
    VizMode::Training,
    VizMode::Report,
];

/// Draws what a configuration asks for, with what the user should know in words; nothing is written yet
/// ([`super::draw::output::write`]).
pub fn gallery(config: &VizConfig) -> Result<(Vec<Picture>, Vec<String>), Error> {
    if config.mode == VizMode::Training {
        return Ok((vec![training::picture(config, None)?], Vec::new()));
    }
    let device = device::resolve(&config.compute.device)?;
    let loaded = load(&config.from, &config.model, device)?;
    let studio = Studio::new(config, &loaded)?;
    let (mut pictures, mut notes) = (Vec::new(), [&loaded.notes, studio.notes()].concat());
    if config.mode != VizMode::All {
        draw(&studio, config.mode, &mut pictures)?;
        return Ok((pictures, notes));
    }
    for mode in ALL {
        match draw(&studio, mode, &mut pictures) {
            // A checkpoint without its text or its run still has its other pictures.
            Err(error @ (Error::Data(_) | Error::NoRun { .. })) => notes.push(format!("no {mode}: {error}")),
            drawn => drawn?,
        }
    }
    pictures.push(index::page(&pictures, &notes, &studio.subject()));
    Ok((pictures, notes))
}

/// Adds the pictures of one mode.
fn draw(studio: &Studio, mode: VizMode, pictures: &mut Vec<Picture>) -> Result<(), Error> {
    let config = studio.config;
    let picture = match mode {
        VizMode::Landscape => {
            let numbers = landscape(studio.prompt()?, config)?;
            pictures.push(contours::picture(&numbers, config.format)?);
            surface::picture(&numbers, config.format)?
        }
        VizMode::Bowl => bowl::picture(studio)?,
        VizMode::Trajectories => trajectories::picture(studio)?,
        VizMode::Positions => positions::picture(studio)?,
        VizMode::Gap => gap::picture(studio)?,
        VizMode::Negatives => negatives::picture(studio)?,
        VizMode::Context => fast_weights::picture(studio)?,
        VizMode::Report => report::picture(studio)?,
        VizMode::Training => training::picture(config, studio.loaded.checkpoint.path.parent())?,
        VizMode::All => return Err(Error::Request(format!("mode={mode} has nothing to look at"))), // it is not a picture
    };
    pictures.push(picture);
    Ok(())
}
