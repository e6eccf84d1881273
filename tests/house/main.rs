//! The order of the house: which room of `src` may import which, and what else is promised of its files.
//!
//! A room is a file or a folder right under `src`. It imports only what lies on a floor below its own, and inside a room no
//! file imports itself by way of others. This reads the `use` lines and the paths that are written out; comments do not count.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test stops where it stands

mod imports;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use imports::House;

/// The rooms from the ground up. Those that share a floor do not know one another.
const FLOORS: &str = "fs metrics device processes | config | nn data | model | energy | ebm | contrastive sample | checkpoint \
    | fast_weights | error | run | tracking | eval | train program | viz | bin";
/// Lines of a file at most.
const LONGEST: usize = 500;

/// Rust sources by their path from the top of the repository.
type Sources = BTreeMap<String, String>;

fn room(file: &str) -> &str {
    file.trim_start_matches("src/").split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.split('|').position(|rooms| rooms.split(' ').any(|name| name == room))
}

/// The shortest way from a file back to itself.
fn circle<'a>(file: &'a str, imports: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    let (mut ways, mut seen) = (VecDeque::from([vec![file]]), BTreeSet::new());
    while let Some(way) = ways.pop_front() {
        for &next in imports.get(way[way.len() - 1]).into_iter().flatten() {
            let longer = [&way[..], &[next]].concat();
            if next == file {
                return Some(longer);
            }
            if seen.insert(next) {
                ways.push_back(longer);
            }
        }
    }
    None
}

/// Every breach in a sentence that says what to do.
fn breaches(sources: &Sources) -> Vec<String> {
    let (house, mut found, mut inside) = (House::new(sources), Vec::new(), BTreeMap::new());
    for file in house.files() {
        let here = room(file);
        if !["", "lib"].contains(&here) && floor(here).is_none() {
            found.push(format!("{file}: the room {here} has no floor; give it one in FLOORS (tests/house/main.rs)"));
        }
        let (own, others): (BTreeSet<_>, BTreeSet<_>) =
            house.imports(file).into_iter().partition(|to| room(to) == here);
        for other in others.into_iter().filter(|other| floor(room(other)) >= floor(here)) {
            let advice = "move what both need into a room below them, or let the caller hand it in";
            found.push(format!("{file} imports {other}, but {} does not lie below {here}: {advice}", room(other)));
        }
        if house.has_code(file) {
            inside.insert(file, own);
        }
        if !["energy", "config"].contains(&here) && house.words(file).any(|word| word.contains("EnergyFamily::")) {
            found
                .push(format!("{file} asks for the family of an energy (src/config/choice.rs): let src/energy answer"));
        }
    }
    let mut known = BTreeSet::new();
    for circle in inside.keys().filter_map(|file| circle(file, &inside)) {
        if known.insert(circle.iter().copied().collect::<BTreeSet<_>>()) {
            let files = circle.join(" imports ");
            found.push(format!("{files}, which is a circle: move what they share into a file of its own"));
        }
    }
    for (file, source) in sources {
        if file.starts_with("crates/") && file.contains("/src/") && source.to_lowercase().contains("nanoebm") {
            found.push(format!("{file} names nanoebm (src/lib.rs): a crate is for those who never heard of it"));
        }
        if source.lines().count() > LONGEST {
            found.push(format!("{file} has {} lines, and {LONGEST} are the most: split it", source.lines().count()));
        }
    }
    found
}

/// The Rust files below a folder.
fn read(folder: &Path) -> Sources {
    let mut sources = Sources::new();
    for path in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
        if path.is_dir() && !path.ends_with("target") {
            sources.extend(read(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_str().unwrap();
            sources.insert(name.to_owned(), fs::read_to_string(&path).unwrap());
        }
    }
    sources
}

#[test]
fn the_house_stands() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src", "crates", "tests", "examples", "benches"].map(|folder| top.join(folder));
    let sources: Sources = folders.iter().flat_map(|folder| read(folder)).collect();
    assert!(sources.contains_key("src/lib.rs"));
    let found = breaches(&sources);
    assert!(found.is_empty(), "{} breaches:\n{}", found.len(), found.join("\n"));
}

/// The breaches of a tree that is made up, without the advice.
fn of(files: &[(&str, &str)]) -> Vec<String> {
    let sources = files.iter().map(|(file, source)| (file.to_string(), source.to_string())).collect();
    breaches(&sources).iter().map(|breach| breach.split([',', ':', '(']).next().unwrap().trim().to_owned()).collect()
}

#[test]
fn only_what_lies_below_may_be_imported_in_whatever_way() {
    let lib =
        [("src/lib.rs", "pub use train::Run;"), ("src/train.rs", ""), ("src/data/mod.rs", ""), ("src/nn/cache.rs", "")];
    let with = |source| of(&[&lib[..], &[("src/nn/optim.rs", source), ("src/nn/mod.rs", "pub mod cache;")]].concat());
    let good = "use tch::Tensor;\nuse super::cache;\n// use crate::train::Run;\n/// [`crate::train`]\nfn f(train: crate::nn::X) {}";
    assert!(with(good).is_empty());
    assert_eq!(with("use crate::data::Corpus;"), ["src/nn/optim.rs imports src/data/mod.rs"]);
    for way in [
        "use crate::train::Run;",
        "pub(crate) use crate::train::Run as Walk;",
        "use crate::{\n    nn::{cache::{Cache}, X},\n    train::{self, Run},\n};",
        "use super::super::train;",
        "const ADVICE: &str = \"it is too short: \\\n    use a longer text\";\nuse crate::train::Run;",
        "use crate::Run;",
        "fn f() -> Vec<crate::train::Run> {}",
        "\n#[cfg(test)]\nmod tests {\n    use super::super::super::train::Run;\n}",
    ] {
        assert_eq!(with(way), ["src/nn/optim.rs imports src/train.rs"], "{way}");
    }
}

#[test]
fn circles_are_found_and_a_list_of_modules_is_no_part_of_one() {
    fn circles(list: &str, a: &str, b: &str) -> Vec<String> {
        of(&[("src/eval/mod.rs", list), ("src/eval/a.rs", a), ("src/eval/b.rs", b)])
    }
    let list = "//! Measures.\nmod a;\nmod b;\npub use a::A;";
    assert!(circles(list, "use super::b::B;\nstruct A;", "struct B;").is_empty());
    let found = circles(list, "use super::b::B;\nstruct A;", "use super::A;\nstruct B;");
    assert_eq!(found, ["src/eval/a.rs imports src/eval/b.rs imports src/eval/a.rs"]);
    // A name that is handed on is used where the file uses it itself.
    let handed_on = format!("{list}\npub trait T {{}}");
    assert!(circles(&handed_on, "use super::T;\nstruct A;", "struct B;").is_empty());
    for uses in ["fn f(a: A) {}", "fn f() { A::new() }"] {
        let list = format!("{handed_on}{uses}");
        let found = circles(&list, "use super::T;\nstruct A;", "struct B;");
        assert_eq!(found, ["src/eval/a.rs imports src/eval/mod.rs imports src/eval/a.rs"], "{uses}");
    }
}

#[test]
fn families_crates_and_lengths_are_looked_at() {
    let long = "\n".repeat(LONGEST + 1);
    let family = ("src/train.rs", "if e == EnergyFamily::Ebt {}");
    let krate = [("crates/x/src/lib.rs", "// for nanoEBM"), ("crates/x/tests/y.rs", &long)];
    let found = of(&[&[family, ("src/energy/mod.rs", family.1), ("src/new.rs", "")][..], &krate].concat());
    let expected = ["src/new.rs", "src/train.rs asks for the family of an energy", "crates/x/src/lib.rs names nanoebm"];
    assert_eq!((&found[..3], found.len()), (&expected.map(str::to_owned)[..], 4));
    assert!(found[3].starts_with("crates/x/tests/y.rs has 501 lines"));
}
