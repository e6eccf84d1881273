//! The examples run, as anybody would run them first.

use std::path::PathBuf;

use super::command::Program;
use super::workdir::{Workdir, fixture, shakespeare};

/// An example by its name, beside the programs that cargo built.
fn example(name: &str) -> Program {
    let folder = PathBuf::from(env!("CARGO_BIN_EXE_train")).with_file_name("examples");
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "no {}: `cargo build --examples` makes it, and so does a plain `cargo test`",
        path.display()
    );
    Program::at(&path)
}

#[test]
fn descend_draws_a_png() {
    let workdir = Workdir::new();
    example("descend").arg("four.png").in_dir(workdir.dir()).succeeds().says("mean energy").says("wrote four.png");
    let png = std::fs::read(workdir.path("four.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG") && png.len() > 10_000, "{} bytes", png.len());
}

#[test]
fn read_checkpoint_lists_the_weights_of_pytorchs_file_and_predicts() {
    let file = fixture("original/checkpoint.pt");
    let done = example("read_checkpoint").arg(file).arg(shakespeare()).arg("ROMEO:").succeeds();
    done.says("transformer.transformer.h.1.attn.c_attn.weight").says("401 steps").says("System 1").says("System 2");
}

#[test]
fn train_goes_down_and_writes() {
    let workdir = Workdir::new();
    std::fs::copy(workdir.path("text.txt"), workdir.path("shakespeare.txt")).unwrap();
    example("train").arg("2").in_dir(workdir.dir()).succeeds().says("step 0: loss 4.");
}
