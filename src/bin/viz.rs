//! Draws what thinking does: `cargo run --release --bin viz -- checkpoint=F prompt="ROMEO:" mode=all`.

use std::process::ExitCode;

use nanoebm::config::{self, Action, Program, VizConfig};
use nanoebm::program;
use nanoebm::viz::draw::output::{check_folder, write};
use nanoebm::viz::gallery::gallery;

const PROGRAM: Program =
    Program { name: "viz", about: "Draw what thinking does, as pictures with their numbers", flags: &[] };

fn main() -> ExitCode {
    program::run(run)
}

fn run() -> anyhow::Result<u8> {
    let (jobs, multirun) = match config::parse::<VizConfig>(&PROGRAM, std::env::args_os().skip(1))? {
        Action::Print(text) => return program::print(&text),
        Action::Run { jobs, multirun, .. } => (jobs, multirun),
    };
    for (i, job) in jobs.iter().enumerate() {
        let mut config = job.config.clone();
        config.prompt = program::read_prompt(&config.prompt)?;
        if multirun {
            config.out = config.out.join(i.to_string()); // as train's runs, each job has a folder of its own
        }
        draw(&config)?;
    }
    Ok(0)
}

fn draw(config: &VizConfig) -> anyhow::Result<()> {
    check_folder(&config.out)?;
    let gallery = gallery(config)?;
    gallery.notes.iter().for_each(|note| program::say(note));
    let paths = write(&config.out, &gallery.pictures)?;
    for picture in &gallery.pictures {
        let names: Vec<&str> = picture.files.iter().map(|(name, _)| name.as_str()).collect();
        program::say(&format!("{}: {}", picture.title, names.join(", ")));
    }
    program::say(&format!("{} files in {}", paths.len(), config.out.display()));
    Ok(())
}
