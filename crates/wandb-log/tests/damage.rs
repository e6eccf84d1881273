//! A `.wandb` file that is cut short or changed is read as far as it is whole, or refused with an error.

// A test stops where it stands; clippy.toml excuses the tests themselves, but not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use wandb_log::{Mode, Row, Run, Settings, read_history};

/// An offline run of five steps; its file, and a place for a damaged copy.
fn run(home: &tempfile::TempDir) -> (Vec<u8>, PathBuf) {
    let mut settings = Settings::from_vars(&HashMap::new()).unwrap();
    settings.mode = Mode::Offline;
    settings.dir = home.path().to_owned();
    let mut run = Run::init(settings).unwrap();
    for step in 0..5 {
        run.log(step, [("loss", 1.0 / (step + 1) as f64)]);
    }
    run.finish(0);
    let entries = |dir: PathBuf| fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let dir = entries(home.path().to_owned()).find(|path| path.join("files").exists()).unwrap();
    let file = entries(dir).find(|path| path.extension().is_some_and(|end| end == "wandb")).unwrap();
    (fs::read(file).unwrap(), home.path().join("damaged"))
}

#[test]
fn a_file_that_is_cut_short_has_its_first_rows() {
    let home = tempfile::tempdir().unwrap();
    let (bytes, path) = run(&home);
    fs::write(&path, &bytes).unwrap();
    let whole = read_history(&path).unwrap();
    let losses: Vec<_> = whole.iter().map(|row| row["loss"].as_f64().unwrap()).collect();
    assert_eq!(losses, [1.0, 1.0 / 2.0, 1.0 / 3.0, 1.0 / 4.0, 1.0 / 5.0]);
    let mut rows = 0;
    for len in 7..bytes.len() {
        fs::write(&path, &bytes[..len]).unwrap();
        let read = read_history(&path).unwrap();
        assert_eq!(read, whole[..read.len()]);
        assert!(read.len() >= rows);
        rows = read.len();
    }
    assert_eq!(rows, 5);
}

#[test]
fn a_changed_byte_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let (bytes, path) = run(&home);
    fs::write(&path, &bytes).unwrap();
    let whole: Vec<Row> = read_history(&path).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        fs::write(&path, &changed).unwrap();
        // a length that grew may reach beyond the end, as that of a record that was cut short does
        if let Ok(rows) = read_history(&path) {
            assert_eq!(rows, whole[..rows.len()], "byte {at}");
        }
    }
}
