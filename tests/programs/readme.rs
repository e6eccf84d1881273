//! Every command of the README and of the documentation runs as it is written there, only smaller.

use std::fs;
use std::path::Path;

use super::command::nanoebm;
use super::workdir::{TINY, Workdir};

/// The README first, then the guide, which go on from each other's checkpoints; then every other page by its name.
fn pages() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    paths.sort_by_key(|path| (!path.ends_with("guide.md"), path.clone()));
    paths.insert(0, root.join("README.md"));
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// The code blocks of a page. Their fences stand at the beginning of a line.
fn blocks(page: &str) -> impl Iterator<Item = &str> {
    page.split("\n```").skip(1).step_by(2)
}

/// The arguments of every `cargo run … --bin PROGRAM -- …` in a page's code blocks, in order, and the training of the quick
/// start. A path with an ellipsis is the reader's own, and such a command is left out.
fn commands(page: &str) -> Vec<(String, Vec<String>)> {
    let page = page.replace("\\\n", " ");
    let lines: Vec<&str> = blocks(&page).flat_map(str::lines).collect();
    let mut found = Vec::new();
    for line in lines.iter().filter(|line| !line.contains('…')) {
        let (line, _comment) = line.split_once(" #").unwrap_or((line, ""));
        let Some((_, command)) = line.split_once("--bin ") else {
            let given = line.strip_prefix("scripts/quickstart").map(words);
            found.extend(given.map(|given| ("train".to_owned(), [vec!["preset=cpu".to_owned()], given].concat())));
            continue;
        };
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
fn every_command_of_the_readme_and_the_docs_runs() {
    let workdir = Workdir::new();
    let mut all = Vec::new();
    for command in pages().iter().flat_map(|page| commands(page)) {
        // Once is enough of what several pages say.
        if !all.contains(&command) {
            all.push(command);
        }
    }
    let count = |program: &str| all.iter().filter(|(p, _)| p == program).count();
    assert!((count("train"), count("sample"), count("eval")) >= (10, 4, 1), "{all:?}");
    for (program, args) in &all {
        // Problems are as long as their digits make them.
        let problems: Vec<&str> = TINY.into_iter().filter(|key| !key.starts_with("data.block_size")).collect();
        let smaller: &[&str] = match program.as_str() {
            "train" if args.iter().any(|arg| arg == "data=addition") => &problems,
            "train" => &TINY,
            "sample" => &["device=cpu", "max_new_tokens=5"],
            "eval" | "compare" => &["device=cpu", "max_windows=2"],
            "bench" => &TINY,
            "viz" => &["device=cpu", "max_windows=2", "grid=9"],
            "doctor" => &[],
            other => panic!("{other} is not a program of the docs"),
        };
        nanoebm(program).args(args).args(smaller).in_dir(workdir.dir()).succeeds();
    }
}

/// The overrides that the guide lists one to a line.
#[test]
fn every_override_of_the_guide_trains() {
    let pages = pages();
    let block =
        pages.iter().flat_map(|page| blocks(page)).find(|block| block.contains("\nmodel.think_max_move=")).unwrap();
    let overrides: Vec<&str> = block.lines().filter_map(|line| line.split_whitespace().next()).skip(1).collect();
    assert!(overrides.len() >= 10, "{overrides:?}");
    for given in overrides {
        let workdir = Workdir::new();
        nanoebm("train").args([given]).args(TINY).in_dir(workdir.dir()).succeeds();
    }
}
