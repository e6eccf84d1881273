//! Draws what thinking does: `cargo run --release --bin viz -- checkpoint=F prompt="ROMEO:" mode=all`.

use std::process::ExitCode;

use nanoebm::config::{Job, Program, VizConfig};
use nanoebm::fs::check_folder;
use nanoebm::program;
use nanoebm::viz::draw::output::write;
use nanoebm::viz::gallery::gallery;

const PROGRAM: Program =
    Program { name: "viz", about: "Draw what thinking does, as pictures with their numbers", flags: &[] };

fn main() -> ExitCode {
    program::run(&PROGRAM, |job: &Job<VizConfig>, call| {
        let mut config = job.config.clone();
        config.prompt = program::read_text("the prompt", &config.prompt)?;
        if let Some(dir) = &job.dir {
            config.out.clone_from(dir);
        } else if call.multirun {
            config.out = config.out.join((call.number - 1).to_string()); // as train's runs, each job has a folder of its own
        }
        draw(&config)?;
        Ok(0)
    })
}

fn draw(config: &VizConfig) -> anyhow::Result<()> {
    check_folder(&config.out)?;
    let mut files = 0;
    gallery(config, program::say, |picture| {
        program::say(&write(&config.out, picture)?);
        files += picture.files.len();
        Ok(())
    })?;
    program::say(&format!("{files} files in {}", config.out.display()));
    Ok(())
}
