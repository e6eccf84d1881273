//! Every command of the README runs as it is written there, only smaller.

use super::command::nanoebm;
use super::workdir::{TINY, Workdir};

/// The arguments of every `cargo run … --bin PROGRAM -- …` in the README's code blocks, in order. A path with an ellipsis is the
/// reader's own, and such a command is left out.
fn commands() -> Vec<(String, Vec<String>)> {
    let readme = include_str!("../../README.md").replace("\\\n", " ");
    let blocks = readme.split("```").skip(1).step_by(2);
    let lines: Vec<&str> = blocks.flat_map(str::lines).collect();
    let mut found = Vec::new();
    for line in lines.iter().filter(|line| !line.contains('…')) {
        let Some((_, command)) = line.split_once("--bin ") else { continue };
        let (program, args) = command.split_once(" -- ").unwrap_or((command, ""));
        found.push((program.trim().to_owned(), words(args)));
    }
    found
}

/// The words of a command as a shell sees them, with double quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted) = (String::new(), false);
    for c in line.chars().chain([' ']) {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted && word.is_empty() => {}
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words
}

#[test]
fn every_command_of_the_readme_runs() {
    let workdir = Workdir::new();
    let commands = commands();
    let count = |program: &str| commands.iter().filter(|(p, _)| p == program).count();
    assert!((count("train"), count("sample"), count("eval")) >= (10, 4, 1), "{commands:?}");
    for (program, args) in &commands {
        // Problems are as long as their digits make them.
        let problems: Vec<&str> = TINY.into_iter().filter(|key| !key.starts_with("data.block_size")).collect();
        let smaller: &[&str] = match program.as_str() {
            "train" if args.iter().any(|arg| arg == "data=addition") => &problems,
            "train" => &TINY,
            "sample" => &["device=cpu", "max_new_tokens=5"],
            "eval" | "compare" => &["device=cpu", "max_windows=2"],
            "bench" => &TINY,
            "viz" => &["device=cpu", "max_windows=2", "grid=9"],
            other => panic!("{other} is not a program of the README"),
        };
        nanoebm(program).args(args).args(smaller).in_dir(workdir.dir()).succeeds();
    }
}

/// The overrides that the README lists one to a line.
#[test]
fn every_override_of_the_readme_trains() {
    let readme = include_str!("../../README.md");
    let block = readme.split("```").find(|block| block.contains("\nmodel.think_max_move=")).unwrap();
    let overrides: Vec<&str> = block.lines().filter_map(|line| line.split_whitespace().next()).skip(1).collect();
    assert!(overrides.len() >= 10, "{overrides:?}");
    for given in overrides {
        let workdir = Workdir::new();
        nanoebm("train").args([given]).args(TINY).in_dir(workdir.dir()).succeeds();
    }
}
