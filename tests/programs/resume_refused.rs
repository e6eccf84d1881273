//! What cannot be resumed is refused in a line, and nothing is written.

use std::fs;

use super::resume::original;
use super::workdir::{Workdir, fixture};

/// A folder with one finished run of 6 steps.
fn trained() -> Workdir {
    let workdir = Workdir::new();
    workdir.train(&[]).succeeds();
    workdir
}

#[test]
fn another_shape_names_the_key() {
    let workdir = trained();
    let checkpoint = workdir.arg("load_checkpoint", "final.pt");
    let other = [
        ("model.n_layer=2", "model.n_layer=1, but this run has 2"),
        ("model.n_embd=32", "model.n_embd=16, but this run has 32"),
        ("model.n_head=4", "model.n_head=2, but this run has 4"),
        ("data.block_size=8", "model.block_size=16, but this run has 8"),
        ("model.bias=false", "model.bias="),
    ];
    for (shape, part) in other {
        workdir.refuses(
            workdir.train(&[&checkpoint, "train.max_steps=12", shape]),
            1,
            &["final.pt", part, "overrides"],
        );
    }
}

#[test]
fn the_originals_checkpoint_under_another_shape_is_refused() {
    let workdir = Workdir::new();
    let mut resume = original(&workdir, &["train.max_steps=405"]);
    resume.retain(|o| o != "model.n_layer=2");
    workdir.refuses(workdir.train(&[]).args(resume), 1, &["theirs.pt", "model.n_layer=2, but this run has 1"]);
}

#[test]
fn another_text_is_refused() {
    let workdir = trained();
    workdir.write("other.txt", "something else entirely\n".repeat(100));
    let resume = [&workdir.arg("load_checkpoint", "final.pt"), "train.max_steps=12", "data.data_path=other.txt"];
    workdir.refuses(workdir.train(&resume), 1, &["final.pt", "other.txt", "vocabularies differ"]);
    let mut theirs = original(&workdir, &["train.max_steps=405"]);
    theirs.push("data.data_path=other.txt".to_owned());
    workdir.refuses(workdir.train(&[]).args(theirs), 1, &["theirs.pt", "other.txt", "vocabularies differ"]);
}

#[test]
fn a_run_that_is_done_is_refused() {
    let workdir = trained();
    let checkpoint = workdir.arg("load_checkpoint", "final.pt");
    workdir.refuses(workdir.train(&[&checkpoint]), 1, &["at step 6", "train.max_steps=6", "raise train.max_steps"]);
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let workdir = trained();
    let whole = fs::read(workdir.result("final.pt")).unwrap();
    for (name, length) in
        [("empty.pt", 0), ("short.pt", 100), ("half.pt", whole.len() / 2), ("cut.pt", whole.len() - 1)]
    {
        workdir.write(name, &whole[..length]);
    }
    workdir.write("other.pt", b"PK\x03\x04 this is not a zip");
    fs::create_dir(workdir.path("folder.pt")).unwrap();
    for name in ["absent.pt", "folder.pt", "empty.pt", "short.pt", "half.pt", "cut.pt", "other.pt", "text.txt"] {
        let resume = format!("load_checkpoint={name}");
        workdir.refuses(workdir.train(&[&resume, "train.max_steps=12"]), 1, &[name]);
    }
    for name in ["absent.pt", "folder.pt", "half.pt"] {
        let checkpoint = format!("checkpoint={name}");
        workdir.refuses(workdir.sample(&[&checkpoint]), 1, &[name]);
        workdir.refuses(workdir.eval(&[&checkpoint]), 1, &[name]);
    }
}

#[test]
fn a_checkpoint_with_a_damaged_byte_is_refused() {
    let workdir = trained();
    let whole = fs::read(workdir.result("final.pt")).unwrap();
    let damage = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        workdir.write("damaged.pt", bytes);
    };
    damage(whole.len() / 2); // in the optimizer, which predicting leaves in the file
    workdir.refuses(workdir.train(&["load_checkpoint=damaged.pt", "train.max_steps=9"]), 1, &["damaged.pt"]);
    damage(whole.windows(6).position(|name| name == b"data/0").unwrap() + 500); // in the first weights
    workdir.refuses(workdir.eval(&["checkpoint=damaged.pt"]), 1, &["damaged.pt"]);
}

#[test]
fn a_file_of_another_format_is_refused() {
    let workdir = Workdir::new();
    let numbers = fixture("original/golden.safetensors");
    workdir.refuses(
        workdir.train(&[&format!("load_checkpoint={}", numbers.display())]),
        1,
        &["golden.safetensors", "safetensors file"],
    );
}
