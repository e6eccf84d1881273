//! TensorBoard reads our event files (`tests/python/tensorboard_events.py`).

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use nanoebm::metrics::row;
use nanoebm::tracking::{TensorBoard, Tracker};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::python::TRACKERS;

/// What TensorBoard reads in a directory.
fn tensorboard(directory: &Path) -> Value {
    TRACKERS.judge("tensorboard_events.py", directory, &[])
}

/// Logs a training row of each step.
fn train(board: &mut TensorBoard, steps: std::ops::Range<i64>, loss: f64) {
    for step in steps {
        board.log(&row(step, [("loss".to_owned(), loss), ("time/forward".to_owned(), 0.25)])).unwrap();
    }
}

fn evaluate(board: &mut TensorBoard, step: i64, nll: f64) {
    board.evaluation(&row(step, [("val/nll_s2".to_owned(), nll)])).unwrap();
}

fn event_files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_number_histogram_and_text_comes_back() {
    let run = TempDir::new().unwrap();
    let mut board = TensorBoard::open(run.path(), 0).unwrap();
    let values = [("loss".to_owned(), 4.5), ("time/forward".to_owned(), 0.125), ("grad_norm".to_owned(), f64::NAN)];
    board.log(&row(0, values.clone())).unwrap();
    board.histogram(0, "energies", &[-10.0, 0.0, f32::NAN, 15.5, 50.0]).unwrap();
    board.histogram(0, "nothing", &[f32::NAN]).unwrap();
    board.log(&row(10, values)).unwrap();
    evaluate(&mut board, 11, 2.5);
    let sample = "\n\nROMEO:\n  <b>*Alas*</b> &amp; `alack` #1\n\n\t- a_b_c\n    | x |\n|---|\n</code></pre>\\* é\n";
    board.text(11, "sample", sample).unwrap();

    let seen = tensorboard(run.path());
    let curves =
        json!({"loss": [[0, 4.5], [10, 4.5]], "time/forward": [[0, 0.125], [10, 0.125]], "val/nll_s2": [[11, 2.5]]});
    assert_eq!(seen["scalars"], curves);
    assert_eq!(seen["texts"], json!({"sample": [[11, sample]]}));
    let histogram = &seen["histograms"]["energies"][0][1];
    assert_eq!(seen["histograms"].as_object().unwrap().len(), 1);
    let number = |name: &str| histogram[name].as_f64().unwrap();
    assert_eq!(["min", "max", "num", "sum", "sum_squares"].map(number), [-10.0, 50.0, 4.0, 55.5, 2840.25]);
    let of = |name: &str| histogram[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
    let filled = of("bucket_limit").into_iter().zip(of("bucket")).filter(|(_, count)| *count > 0.0);
    assert_eq!(filled.collect::<Vec<_>>(), [(-9.0, 1.0), (1.0, 1.0), (16.0, 1.0), (50.0, 1.0)]);
}

#[test]
fn a_resumed_run_overwrites_the_steps_it_repeats_and_keeps_the_evaluation_before_them() {
    let run = TempDir::new().unwrap();
    let mut board = TensorBoard::open(run.path(), 0).unwrap();
    train(&mut board, 0..6, 3.0);
    evaluate(&mut board, 4, 2.0);
    evaluate(&mut board, 6, 1.0);
    let mut board = TensorBoard::open(run.path(), 4).unwrap(); // from ckpt_step_4.pt
    train(&mut board, 4..7, 5.0);
    evaluate(&mut board, 7, 0.5);

    let seen = tensorboard(run.path());
    // the killed part's row of step 4 is there beside the new one: a reader that drops it drops the evaluation too
    let loss = json!([[0, 3.0], [1, 3.0], [2, 3.0], [3, 3.0], [4, 3.0], [4, 5.0], [5, 5.0], [6, 5.0]]);
    assert_eq!(seen["scalars"]["loss"], loss);
    assert_eq!(seen["scalars"]["val/nll_s2"], json!([[4, 2.0], [7, 0.5]]));
    assert_eq!(seen["page"]["loss"], json!([0, 1, 2, 3, 4, 4, 5, 6]));
    assert_eq!(seen["page"]["val/nll_s2"], json!([4, 7]));
}

#[test]
fn an_interrupted_run_goes_on_without_a_seam() {
    let run = TempDir::new().unwrap();
    for start in [0, 3, 6] {
        let mut board = TensorBoard::open(run.path(), start).unwrap();
        train(&mut board, start..start + 3, 1.0);
        evaluate(&mut board, start + 3, 1.0);
    }
    let seen = tensorboard(run.path());
    assert_eq!(seen["page"]["loss"], json!([0, 1, 2, 3, 4, 5, 6, 7, 8]));
    assert_eq!(seen["page"]["val/nll_s2"], json!([3, 6, 9]));
    // files of one second are still in order
    let files = event_files(run.path());
    let time =
        |path: &PathBuf| path.to_str().unwrap().rsplit_once("tfevents.").unwrap().1[..10].parse::<i64>().unwrap();
    assert!(time(&files[0]) < time(&files[1]) && time(&files[1]) < time(&files[2]), "{files:?}");
}

#[test]
fn a_row_is_on_the_disk_when_it_was_logged_and_a_cut_record_hides_nothing_else() {
    let run = TempDir::new().unwrap();
    let mut board = TensorBoard::open(run.path(), 0).unwrap();
    train(&mut board, 0..2, 1.0);
    let file = event_files(run.path()).remove(0);
    assert_eq!(tensorboard(run.path())["page"]["loss"], json!([0, 1])); // it is open still
    drop(board);
    OpenOptions::new().append(true).open(file).unwrap().write_all(&[77, 0, 0, 0, 0, 0, 0, 0, 1]).unwrap();
    train(&mut TensorBoard::open(run.path(), 2).unwrap(), 2..4, 1.0);
    assert_eq!(tensorboard(run.path())["page"]["loss"], json!([0, 1, 2, 3]));
}

#[test]
fn an_error_names_the_place() {
    let run = TempDir::new().unwrap();
    let gone = run.path().join("gone");
    let error = TensorBoard::open(&gone, 0).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot write or read {}", gone.display()));
}
