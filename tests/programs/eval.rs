//! Evaluation: the numbers of the original, and of ours.

use std::fs;

use serde_json::Value;

use super::desk::{Desk, fixture, shakespeare};

const KEYS: [&str; 9] =
    ["nll_s1", "nll_s2", "ppl_s1", "ppl_s2", "energy_initial", "energy_final", "energy_gap", "windows", "refine_steps"];

/// The one object that `--json` prints.
fn report(desk: &Desk, args: &[&str]) -> Value {
    let done = desk.eval(args).arg("--json").succeeds().says_nothing_on_stderr();
    assert_eq!(done.stdout.lines().count(), 1, "{}", done.stdout);
    serde_json::from_str(&done.stdout).unwrap()
}

fn close(left: &Value, right: &Value, key: &str, tolerance: f64) {
    let (a, b) = (left[key].as_f64().unwrap(), right[key].as_f64().unwrap());
    assert!((a - b).abs() <= tolerance, "{key}: {a} and {b}");
}

/// The original's checkpoint on the original's text.
fn original() -> [String; 2] {
    let checkpoint = format!("checkpoint={}", fixture("a/checkpoint.pt").display());
    [checkpoint, format!("data_path={}", shakespeare().display())]
}

#[test]
fn the_originals_checkpoint_has_the_originals_numbers() {
    let desk = Desk::new();
    let golden: Value = serde_json::from_str(&fs::read_to_string(fixture("a/golden.json")).unwrap()).unwrap();
    let golden = &golden["cases"]["val_first_200_windows"];
    let [checkpoint, text] = original();
    let ours = report(&desk, &[&checkpoint, &text, "max_windows=200"]);
    assert_eq!(ours.as_object().unwrap().keys().collect::<Vec<_>>(), KEYS);
    for key in ["nll_s1", "nll_s2"] {
        close(&ours, golden, key, 1e-5);
    }
    assert_eq!((&ours["windows"], &ours["refine_steps"]), (&golden["windows"], &golden["refine_steps"]));
    let gap = ours["energy_initial"].as_f64().unwrap() - ours["energy_final"].as_f64().unwrap();
    assert!((ours["energy_gap"].as_f64().unwrap() - gap).abs() < 1e-9);
    for (nll, ppl) in [("nll_s1", "ppl_s1"), ("nll_s2", "ppl_s2")] {
        assert!((ours[nll].as_f64().unwrap().exp() - ours[ppl].as_f64().unwrap()).abs() < 1e-9);
    }
}

#[test]
fn an_override_of_the_model_wins_over_the_file() {
    let desk = Desk::new();
    let [checkpoint, text] = original();
    let with = |more: &[&str]| report(&desk, &[&[checkpoint.as_str(), text.as_str(), "max_windows=5"], more].concat());
    let gap = |more: &[&str]| with(more)["energy_gap"].as_f64().unwrap();
    let theirs = gap(&[]);
    assert!(gap(&["model.refine_reduction=sum"]) > 10.0 * theirs, "each position now descends its own energy");
    assert!(gap(&["model.think_lr=2"]) > 10.0 * theirs);
    let none = with(&["refine_steps=0"]);
    assert_eq!((&none["nll_s1"], &none["refine_steps"]), (&none["nll_s2"], &Value::from(0)));
}

#[test]
fn our_checkpoint_needs_nothing_but_its_name() {
    let desk = Desk::new();
    desk.train(&["train.max_steps=20", "model.think_lr=0.5"]).succeeds();
    let checkpoint = desk.arg("checkpoint", "final.pt");
    let one = report(&desk, &[&checkpoint]);
    assert_eq!(one["windows"], 600 / 16, "the text it was trained on, its last tenth");
    let newest = report(&desk, &[]);
    assert_eq!(one, newest);
    let four = report(&desk, &[&checkpoint, "batch_size=4"]);
    KEYS[..6].iter().for_each(|key| close(&one, &four, key, 1e-5));
    ["nll_s1", "nll_s2"].iter().for_each(|key| close(&one, &four, key, 1e-6));
    let train = report(&desk, &[&checkpoint, "split=train"]);
    assert_eq!(train["windows"], 5400 / 16 - usize::from(5400 % 16 == 0));
    assert_ne!(train["nll_s1"], one["nll_s1"]);
    let half = report(&desk, &[&checkpoint, "dtype=bfloat16"]);
    close(&one, &half, "nll_s1", 0.05);
}

#[test]
fn people_get_a_table() {
    let desk = Desk::new();
    desk.train(&[]).succeeds();
    let done = desk.eval(&["max_windows=3"]).succeeds().says("System 1").says("System 2").says("bits/char");
    assert!(done.stdout.contains("3 windows") && done.stdout.contains("step 6"), "{}", done.stdout);
}

#[test]
fn energies_tell_text_from_noise() {
    let desk = Desk::new();
    let [checkpoint, text] = original();
    let ours = report(&desk, &[&checkpoint, &text, "max_windows=40", "separation=true", "batch_size=8"]);
    let auroc = |corruption: &str, by: &str| ours["separation"][corruption][by].as_f64().unwrap();
    assert!(auroc("uniform_noise", "nll") > 0.99, "{ours}");
    for corruption in ["one_character", "shuffled_words"] {
        assert!((0.5..1.0).contains(&auroc(corruption, "nll")), "{ours}");
    }
    let same = report(&desk, &[&checkpoint, &text, "max_windows=40", "separation=true", "batch_size=8"]);
    assert_eq!(ours, same, "two models are compared on the same corruptions");
    let next = ["max_windows=40", "separation=true", "batch_size=8", "model.contrastive_energy=next_token"];
    let next = report(&desk, &[&[checkpoint.as_str(), &text], &next[..]].concat());
    assert_eq!(next["separation"]["one_character"]["nll"], ours["separation"]["one_character"]["nll"]);
    assert_ne!(next["separation"]["one_character"]["energy"], ours["separation"]["one_character"]["energy"]);
    let table = desk.eval(&[&checkpoint, &text, "max_windows=8", "separation=true"]).succeeds().stdout;
    assert!(table.contains("AUROC") && table.contains("one character changed"), "{table}");
}
