//! Which pictures a configuration asks for, drawn one after another.

use super::draw::Picture;
use super::landscape::landscape;
use super::studio::Studio;
use super::{bowl, context, contours, gap, index, negatives, positions, report, runs, surface, training, trajectories};
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

/// What was drawn.
#[derive(Debug)]
pub struct Gallery {
    /// The pictures
    pub pictures: Vec<Picture>,
    /// What the user should know, in words
    pub notes: Vec<String>,
}

/// Draws what a configuration asks for; nothing is written yet ([`super::draw::output::write`]).
pub fn gallery(config: &VizConfig) -> Result<Gallery, Error> {
    if config.mode == VizMode::Training {
        let picture = training::picture(&runs::asked_for(config, None)?, config)?;
        return Ok(Gallery { pictures: vec![picture], notes: Vec::new() });
    }
    let device = device::resolve(&config.compute.device)?;
    let loaded = load(&config.from, &config.model, device)?;
    let studio = Studio::new(config, &loaded)?;
    if config.mode != VizMode::All {
        let pictures = pictures(&studio, config.mode)?;
        return Ok(Gallery { pictures, notes: [&loaded.notes, studio.notes()].concat() });
    }
    let (mut all, mut notes) = (Vec::new(), [&loaded.notes, studio.notes()].concat());
    for mode in ALL {
        match pictures(&studio, mode) {
            Ok(pictures) => all.extend(pictures),
            // A checkpoint without its text or its run still has its other pictures.
            Err(error @ (Error::Data(_) | Error::NoRun { .. })) => notes.push(format!("no {mode}: {error}")),
            Err(error) => return Err(error),
        }
    }
    all.push(index::page(&all, &notes, &studio.subject()));
    Ok(Gallery { pictures: all, notes })
}

/// The pictures of one mode.
fn pictures(studio: &Studio, mode: VizMode) -> Result<Vec<Picture>, Error> {
    let config = studio.config;
    let picture = match mode {
        VizMode::Landscape => {
            let numbers = landscape(studio.prompt()?, config)?;
            return Ok(vec![contours::picture(&numbers, config.format)?, surface::picture(&numbers, config.format)?]);
        }
        VizMode::Bowl => bowl::picture(studio),
        VizMode::Trajectories => trajectories::picture(studio),
        VizMode::Positions => positions::picture(studio),
        VizMode::Gap => gap::picture(studio),
        VizMode::Negatives => negatives::picture(studio),
        VizMode::Context => context::picture(studio),
        VizMode::Report => report::picture(studio),
        VizMode::Training => {
            training::picture(&runs::asked_for(config, studio.loaded.checkpoint.path.parent())?, config)
        }
        VizMode::All => Err(Error::Request(format!("mode={mode} has nothing to look at"))), // it is not a picture
    };
    picture.map(|picture| vec![picture])
}
