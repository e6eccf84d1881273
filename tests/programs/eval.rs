//! Evaluation: the numbers of the original, and of ours.

use std::fs;

use serde_json::Value;

use super::workdir::{Workdir, fixture, shakespeare};

const KEYS: [&str; 9] =
    ["nll_s1", "nll_s2", "ppl_s1", "ppl_s2", "energy_initial", "energy_final", "energy_gap", "windows", "refine_steps"];

/// The one object that `--json` prints.
fn report(workdir: &Workdir, args: &[&str]) -> Value {
    let done = workdir.eval(args).arg("--json").succeeds().says_nothing_on_stderr();
    assert_eq!(done.stdout.lines().count(), 1, "{}", done.stdout);
    serde_json::from_str(&done.stdout).unwrap()
}

fn close(left: &Value, right: &Value, key: &str, tolerance: f64) {
    let (a, b) = (left[key].as_f64().unwrap(), right[key].as_f64().unwrap());
    assert!((a - b).abs() <= tolerance, "{key}: {a} and {b}");
}

/// The original's checkpoint on the original's text.
fn original() -> [String; 2] {
    let checkpoint = format!("checkpoint={}", fixture("original/checkpoint.pt").display());
    [checkpoint, format!("data_path={}", shakespeare().display())]
}

#[test]
fn the_originals_checkpoint_has_the_originals_numbers() {
    let workdir = Workdir::new();
    let golden: Value = serde_json::from_str(&fs::read_to_string(fixture("original/golden.json")).unwrap()).unwrap();
    let golden = &golden["cases"]["val_first_200_windows"];
    let [checkpoint, text] = original();
    let ours = report(&workdir, &[&checkpoint, &text, "max_windows=200"]);
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
    let workdir = Workdir::new();
    let [checkpoint, text] = original();
    let with =
        |more: &[&str]| report(&workdir, &[&[checkpoint.as_str(), text.as_str(), "max_windows=5"], more].concat());
    let gap = |more: &[&str]| with(more)["energy_gap"].as_f64().unwrap();
    let theirs = gap(&[]);
    assert!(gap(&["model.refine_reduction=sum"]) > 10.0 * theirs, "each position now descends its own energy");
    assert!(gap(&["model.think_lr=2"]) > 10.0 * theirs);
    let none = with(&["refine_steps=0"]);
    assert_eq!((&none["nll_s1"], &none["refine_steps"]), (&none["nll_s2"], &Value::from(0)));
}

#[test]
fn our_checkpoint_needs_nothing_but_its_name() {
    let workdir = Workdir::new();
    workdir.train(&["train.max_steps=20", "model.think_lr=0.5"]).succeeds();
    let checkpoint = workdir.arg("checkpoint", "final.pt");
    let one = report(&workdir, &[&checkpoint]);
    assert_eq!(one["windows"], 600 / 16, "the text it was trained on, its last tenth");
    let newest = report(&workdir, &[]);
    assert_eq!(one, newest);
    let four = report(&workdir, &[&checkpoint, "batch_size=4"]);
    KEYS[..6].iter().for_each(|key| close(&one, &four, key, 1e-5));
    ["nll_s1", "nll_s2"].iter().for_each(|key| close(&one, &four, key, 1e-6));
    let train = report(&workdir, &[&checkpoint, "split=train"]);
    assert_eq!(train["windows"], 5400 / 16 - usize::from(5400 % 16 == 0));
    assert_ne!(train["nll_s1"], one["nll_s1"]);
    let half = report(&workdir, &[&checkpoint, "dtype=bfloat16"]);
    close(&one, &half, "nll_s1", 0.05);
}

#[test]
fn people_get_a_table() {
    let workdir = Workdir::new();
    workdir.train(&[]).succeeds();
    let done = workdir.eval(&["max_windows=3"]).succeeds().says("System 1").says("System 2").says("bits/char");
    assert!(done.stdout.contains("3 windows") && done.stdout.contains("step 6"), "{}", done.stdout);
}

#[test]
fn energies_tell_text_from_noise() {
    let workdir = Workdir::new();
    let [checkpoint, text] = original();
    let ours = report(&workdir, &[&checkpoint, &text, "max_windows=40", "separation=true", "batch_size=8"]);
    let auroc = |corruption: &str, by: &str| ours["separation"][corruption][by].as_f64().unwrap();
    assert!(auroc("uniform_noise", "nll") > 0.99, "{ours}");
    for corruption in ["one_character", "shuffled_words"] {
        assert!((0.5..1.0).contains(&auroc(corruption, "nll")), "{ours}");
    }
    let same = report(&workdir, &[&checkpoint, &text, "max_windows=40", "separation=true", "batch_size=8"]);
    assert_eq!(ours, same, "two models are compared on the same corruptions");
    let next = ["max_windows=40", "separation=true", "batch_size=8", "model.contrastive_energy=next_token"];
    let next = report(&workdir, &[&[checkpoint.as_str(), &text], &next[..]].concat());
    assert_eq!(next["separation"]["one_character"]["nll"], ours["separation"]["one_character"]["nll"]);
    assert_ne!(next["separation"]["one_character"]["energy"], ours["separation"]["one_character"]["energy"]);
    let table = workdir.eval(&[&checkpoint, &text, "max_windows=8", "separation=true"]).succeeds().stdout;
    assert!(table.contains("AUROC") && table.contains("one character changed"), "{table}");
}

/// The row of that name.
fn row<'a>(report: &'a Value, name: &str) -> &'a Value {
    let rows = report["rows"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name:?} in {report}"))
}

fn number(row: &Value, key: &str) -> f64 {
    row[key].as_f64().unwrap_or_else(|| panic!("no {key} in {row}"))
}

#[test]
fn numbers_of_steps_stand_side_by_side() {
    let workdir = Workdir::new();
    let golden: Value = serde_json::from_str(&fs::read_to_string(fixture("original/golden.json")).unwrap()).unwrap();
    let golden = &golden["cases"]["val_first_200_windows"];
    let [checkpoint, text] = original();
    let with = |more: &str| report(&workdir, &[&checkpoint, &text, "max_windows=200", more]);
    let ours = with("steps=4,0,2,2");
    assert_eq!(ours, with("steps=[0, 2, 4]"));
    assert_eq!(ours.as_object().unwrap().keys().take(9).collect::<Vec<_>>(), KEYS);
    let names: Vec<&str> = ours["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    let temperature = number(&ours, "temperature");
    let control = format!("System 1, T = {temperature:.2}");
    assert_eq!(names, ["System 1", &control, "System 2, 2 steps", "System 2, 4 steps"]);
    for (name, key) in [("System 1", "nll_s1"), ("System 2, 4 steps", "nll_s2")] {
        assert!((number(row(&ours, name), "nll") - golden[key].as_f64().unwrap()).abs() < 1e-5);
        assert_eq!(row(&ours, name)["nll"], ours[key]);
    }
    let (system1, control, system2) = (row(&ours, "System 1"), row(&ours, &control), row(&ours, "System 2, 4 steps"));
    assert_eq!((number(system1, "changed"), number(control, "changed")), (0.0, 0.0));
    assert_eq!(system1["accuracy"], control["accuracy"], "a temperature leaves the order of the tokens");
    assert_eq!(number(control, "temperature"), temperature);
    assert!((0.5..2.0).contains(&temperature), "{temperature}");
    for row in [system1, control, system2] {
        for key in ["nll", "accuracy", "ece", "entropy", "energy", "energy_gap", "changed"] {
            let [low, value, high] = ["_low", "", "_high"].map(|end| number(row, &format!("{key}{end}")));
            assert!(low <= high, "{key}: {row}");
            // The calibration error of a resample is biased upwards: it need not enclose that of the windows.
            assert!(key == "ece" || (low <= value && value <= high), "{key}: {row}");
        }
        let difference = number(row, "nll") - number(system1, "nll");
        assert!((number(row, "nll_minus_system1") - difference).abs() < 1e-9);
        let difference = number(row, "nll") - number(control, "nll");
        assert!((number(row, "nll_minus_temperature") - difference).abs() < 1e-9);
    }
    let width = |key: &str| number(system2, &format!("{key}_high")) - number(system2, &format!("{key}_low"));
    assert!(width("nll_minus_system1") < 0.01 * width("nll"), "pairing takes out what makes windows hard: {system2}");
}

/// The early stop, the mean over positions and soft tokens are each window's own, however many go through at a time.
#[test]
fn the_batch_size_changes_nothing() {
    let workdir = Workdir::new();
    let [checkpoint, text] = original();
    let with =
        |more: &[&str]| report(&workdir, &[&[checkpoint.as_str(), text.as_str(), "max_windows=20"], more].concat());
    let early = ["steps=8", "model.think_lr=50", "model.energy_convergence_threshold=0.13"];
    let soft = ["steps=2", "model.think_lr=500", "model.use_soft_tokens=true"];
    for settings in [&early, &soft] {
        let one = with(&[&settings[..], &["batch_size=1"]].concat());
        let many = with(&[&settings[..], &["batch_size=7"]].concat());
        for (one, many) in one["rows"].as_array().unwrap().iter().zip(many["rows"].as_array().unwrap()) {
            assert_eq!(one["name"], many["name"]);
            for key in ["nll", "entropy", "energy", "energy_gap"] {
                close(one, many, key, 1e-4);
            }
        }
    }
    let gap = |threshold: &str| number(&with(&[early[0], early[1], threshold]), "energy_gap");
    let [all, some, none] = ["1e9", "0.13", "0"].map(|t| gap(&format!("model.energy_convergence_threshold={t}")));
    assert!(all < 0.9 * some && some < 0.95 * none, "some windows stop and others go on: {all}, {some}, {none}");
}

#[test]
fn rows_come_as_csv() {
    let workdir = Workdir::new();
    let [checkpoint, text] = original();
    let csv = |more: &str| {
        let done =
            workdir.eval(&[&checkpoint, &text, "max_windows=4", more, "--csv"]).succeeds().says_nothing_on_stderr();
        done.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let lines = csv("steps=0,1,2");
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert!(lines[0].starts_with("name,steps,temperature,nll,nll_low,nll_high,accuracy,"), "{}", lines[0]);
    assert!(lines[0].ends_with("nll_minus_temperature,nll_minus_temperature_low,nll_minus_temperature_high"));
    assert!(lines[1].starts_with("System 1,0,1.0,2.") && lines[2].starts_with("\"System 1, T = "), "{lines:?}");
    assert_eq!(csv("refine_steps=2")[3], lines[4], "without steps there are the two systems and the control");
}

#[test]
fn the_tables_fit_a_terminal() {
    let workdir = Workdir::new();
    let [checkpoint, text] = original();
    let done = workdir.eval(&[&checkpoint, &text, "max_windows=8", "steps=0,1,16"]).succeeds();
    let (_, tables) = done.stdout.split_once("characters\n").unwrap();
    assert!(tables.lines().all(|line| line.chars().count() <= 80), "{tables}");
    for part in
        ["System 2, 16 steps", "bits/char", "ECE", "top-1 changed", "NLL less System 1's", "15 bins", "8 windows of"]
    {
        assert!(tables.contains(part), "{part}: {tables}");
    }
}

#[test]
fn contradictions_and_bad_lists_are_refused() {
    let workdir = Workdir::new();
    let [checkpoint, text] = original();
    let refuses = |args: &[&str], parts: &[&str]| {
        workdir.refuses(workdir.eval(&[&[checkpoint.as_str(), text.as_str()], args].concat()), 2, parts);
    };
    refuses(&["steps=0,1", "refine_steps=4"], &["steps=0,1", "refine_steps=4", "give one"]);
    refuses(&["steps=0,-1"], &["steps=0,-1", "0 or more"]);
    refuses(&["steps=0,x"], &["steps=0,x", "integers"]);
    refuses(&["steps=[]"], &["steps=[]", "one integer or more"]);
    refuses(&["--json", "--csv"], &["--json and --csv"]);
    refuses(&["separation=true", "--csv"], &["separation=true", "--json"]);
}

#[test]
fn weights_that_follow_the_text_expect_more_of_it() {
    let workdir = Workdir::new();
    let [checkpoint, text] = original();
    let frozen = report(&workdir, &[&checkpoint, &text, "max_windows=200"]);
    for (weights, alpha) in [("all", 0.08), ("head", 0.3)] {
        let args = [&checkpoint, &text, "max_windows=200", "context_steps=1", &format!("context_weights={weights}")];
        let followed = report(&workdir, &args);
        let gain = frozen["nll_s1"].as_f64().unwrap() - followed["nll_s1"].as_f64().unwrap();
        assert!(gain > 0.01, "{weights}: {gain}");
        assert_eq!(followed["context_alpha"], alpha);
        assert_eq!(report(&workdir, &args), followed, "it repeats");
        let separation = |more: &[&str]| {
            let args = [&[&*checkpoint, &*text, "max_windows=20", "separation=true"], more].concat();
            report(&workdir, &args)["separation"].clone()
        };
        assert_eq!(separation(&["context_steps=1"]), separation(&[]), "what is measured next has read nothing");
        // The first chunk is scored by the trained weights.
        let first = |more: &[&str]| report(&workdir, &[&[&*checkpoint, &*text, "max_windows=4"], more].concat());
        close(&first(&["context_steps=1"]), &first(&["batch_size=4"]), "nll_s1", 1e-6);
    }
    workdir
        .eval(&[&checkpoint, &text, "max_windows=4", "context_steps=2"])
        .succeeds()
        .says("The weights (all) follow the text; steps after every 4 windows: 2, α = 0.08");
}

#[test]
fn weights_follow_only_where_gradients_are_known() {
    let workdir = Workdir::new();
    workdir.train(&["train.max_steps=0"]).succeeds();
    workdir
        .eval(&["context_steps=1"])
        .fails(1)
        .stderr_has("context_steps needs a checkpoint of a training that has begun");
    workdir.eval(&["context_steps=-1"]).fails(2).stderr_has("context_steps");
    workdir.eval(&["context_weights=tail"]).fails(2).stderr_has("all").stderr_has("head");
}
