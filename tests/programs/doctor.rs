//! The doctor says what a build runs on.

use std::fs;

use super::command::{Program, nanoebm, path_of};

#[test]
fn it_names_versions_and_devices() {
    let done = nanoebm("doctor").succeeds().says_nothing_on_stderr();
    let line = |what: &str| {
        let found = done.stdout.lines().find(|line| line.split_whitespace().next() == Some(what));
        found.unwrap_or_else(|| panic!("no {what} in\n{}", done.stdout)).to_owned()
    };
    assert!(line("nanoebm").contains(env!("CARGO_PKG_VERSION")));
    assert!(line("libtorch").contains("2.11.0"));
    assert!(line("tch").contains("0.24"));
    assert!(line("cpu").ends_with("works"));
    assert!(line("threads").contains("1 within"));
}

#[test]
fn it_has_help_and_refuses_what_it_does_not_know() {
    nanoebm("doctor").arg("--help").succeeds().says("Usage: doctor");
    nanoebm("doctor").arg("--version").succeeds().says(env!("CARGO_PKG_VERSION"));
    nanoebm("doctor").arg("foo").fails(2).stderr_has("`foo`");
    nanoebm("doctor").arg("device=cpu").fails(2).stderr_has("`device`");
}

#[test]
fn it_says_why_cuda_is_absent() {
    let done = nanoebm("doctor").env("CUDA_VISIBLE_DEVICES", "").succeeds();
    done.says("cuda").says("not available: ");
}

#[test]
fn a_clone_that_was_moved_finds_its_own_libtorch() {
    let clone = tempfile::tempdir().unwrap();
    let program = clone.path().join("target/debug/doctor");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::copy(path_of("doctor"), &program).unwrap();
    // The system's loader lists where it looks.
    let done = Program::at(&program).env("LD_DEBUG", "libs").succeeds();
    let own = clone.path().join("target/debug/../../.libtorch/lib");
    assert!(done.stderr.contains(&own.display().to_string()), "{}", done.stderr);
}
