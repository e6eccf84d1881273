//! Models side by side on the same windows.

use serde_json::Value;

use super::command::Program;
use super::workdir::{Workdir, fixture, names, shakespeare};

/// The one object that `--json` prints.
fn comparison(program: Program) -> Value {
    let done = program.arg("--json").succeeds().says_nothing_on_stderr();
    assert_eq!(done.stdout.lines().count(), 1, "{}", done.stdout);
    serde_json::from_str(&done.stdout).unwrap()
}

fn number(row: &Value, key: &str) -> f64 {
    row[key].as_f64().unwrap_or_else(|| panic!("no {key} in {row}"))
}

/// The original's checkpoint under each of these names, and its text.
fn originals(names: &str) -> Vec<String> {
    let checkpoint = fixture("original/checkpoint.pt");
    let text = format!("data_path={}", shakespeare().display());
    let files = names.chars().map(|name| format!("{name}={}", checkpoint.display()));
    files.chain([text]).collect()
}

fn compare(workdir: &Workdir, names: &str, more: &[&str]) -> Program {
    workdir.compare(&["max_windows=12"]).args(originals(names)).args(more)
}

#[test]
fn system_one_two_and_soft_tokens_of_one_checkpoint() {
    let workdir = Workdir::new();
    let own = ["a.refine_steps=0", "b.think_steps=4", "c.model.use_soft_tokens=true", "c.model.refine_steps=2"];
    let ours = comparison(compare(&workdir, "abc", &own).arg("model.think_lr=500"));
    let rows = ours["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &ours["windows"], &ours["block_size"]), (3, &12.into(), &32.into()));
    let steps: Vec<_> = rows.iter().map(|row| (row["name"].as_str().unwrap(), number(row, "refine_steps"))).collect();
    assert_eq!(steps, [("a", 0.0), ("b", 4.0), ("c", 2.0)]);
    assert_eq!(rows[2]["settings"], "model.alpha_value=500.0 model.use_soft_tokens=true");
    assert_eq!(number(&rows[0], "energy_gap"), 0.0);
    assert!(rows[0].get("nll_minus_a").is_none());
    for row in &rows[1..] {
        assert!(number(row, "energy_gap") > 0.1, "α of all: {row}");
        for key in ["nll", "accuracy", "ece", "entropy", "energy_gap"] {
            let [low, value, high] = ["_low", "", "_high"].map(|end| number(row, &format!("{key}_minus_a{end}")));
            assert!((value - (number(row, key) - number(&rows[0], key))).abs() < 1e-9, "{key}: {row}");
            assert!(low <= high, "{key}: {row}");
        }
    }
}

/// `eval` and `compare` are two views of the same numbers.
#[test]
fn compare_agrees_with_eval() {
    let workdir = Workdir::new();
    let [checkpoint, text] = originals("a").try_into().unwrap();
    let eval =
        workdir.eval(&[&checkpoint.replace("a=", "checkpoint="), &text, "max_windows=12", "steps=0,4"]).arg("--json");
    let eval: Value = serde_json::from_str(&eval.succeeds().stdout).unwrap();
    let ours = comparison(compare(&workdir, "ab", &["a.refine_steps=0"]));
    for (row, theirs) in [(&ours["rows"][0], &eval["rows"][0]), (&ours["rows"][1], &eval["rows"][2])] {
        for key in ["nll", "nll_low", "nll_high", "accuracy", "ece", "entropy", "energy_gap", "changed"] {
            assert!((number(row, key) - number(theirs, key)).abs() < 1e-9, "{key}: {row} {theirs}");
        }
    }
    assert_eq!(ours["rows"][1]["nll_minus_a_low"], eval["rows"][2]["nll_minus_system1_low"]);
}

#[test]
fn ours_stands_beside_the_originals_on_shorter_windows() {
    let workdir = Workdir::new();
    let text = format!("data.data_path={}", shakespeare().display());
    workdir.train(&[&text, "train.max_steps=3"]).succeeds();
    let ours = workdir.arg("b", "final.pt");
    let longer = compare(&workdir, "a", &[&ours]);
    workdir.refuses(longer, 1, &["a reads 32 characters and b reads 16", "block_size=16"]);
    workdir.refuses(compare(&workdir, "a", &[&ours, "block_size=17"]), 1, &["block_size=17", "16"]);
    let done = compare(&workdir, "a", &[&ours, "block_size=16"]).succeeds().says("12 windows of 16 characters");
    let (_, tables) = done.stdout.split_once("characters\n").unwrap();
    assert!(tables.lines().all(|line| line.chars().count() <= 80), "{tables}");
    for part in ["NLL (nats)", "95 % interval", "NLL less a's", "accuracy less a's", "energy gap"] {
        assert!(tables.contains(part), "{part}: {tables}");
    }
    assert!(done.stdout.contains("as the original") && done.stdout.contains("step 3"), "{}", done.stdout);
}

#[test]
fn csv_has_a_row_for_each() {
    let workdir = Workdir::new();
    let done = compare(&workdir, "ab", &["b.refine_steps=1", "b.model.think_lr=2", "--csv"])
        .succeeds()
        .says_nothing_on_stderr();
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("name,checkpoint,step,refine_steps,settings,nll,nll_low,nll_high,"), "{}", lines[0]);
    assert!(lines[1].ends_with(",,,") && !lines[2].contains(",,"), "a has no difference to itself: {lines:?}");
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let workdir = Workdir::new();
    workdir.train(&["train.max_steps=3"]).succeeds();
    let short = workdir.arg("b", "final.pt");
    workdir.refuses(compare(&workdir, "a", &[&short]), 1, &["know different characters", "65"]);
    workdir.refuses(compare(&workdir, "a", &[]), 2, &["two checkpoints or more", "a=FILE b=FILE"]);
    workdir.refuses(compare(&workdir, "bc", &[]), 2, &["two checkpoints or more", "a=FILE b=FILE"]);
    workdir.refuses(compare(&workdir, "ab", &["c.refine_steps=1"]), 2, &["c has settings but no checkpoint", "c=FILE"]);
    workdir.refuses(compare(&workdir, "ab", &["b.model.use_soft_token=true"]), 2, &["b.model.use_soft_tokens"]);
    workdir.refuses(compare(&workdir, "a", &["b=nothing.pt"]), 1, &["nothing.pt"]);
}

#[test]
fn a_picture_of_the_differences() {
    let workdir = Workdir::new();
    let own = ["b.refine_steps=0", "model.think_lr=500", "out=pictures"];
    let numbers = comparison(compare(&workdir, "ab", &own));
    let said = compare(&workdir, "ab", &own)
        .succeeds()
        .says("compare.png, compare.svg, compare.json, compare.csv in pictures");
    assert!(said.stdout.lines().last().unwrap().contains("compare.png"), "after the tables: {}", said.stdout);
    let folder = workdir.path("pictures");
    assert_eq!(names(&folder), ["compare.csv", "compare.json", "compare.png", "compare.svg"]);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&read("compare.json")).unwrap(), numbers);
    assert_eq!(read("compare.csv").lines().count(), 1 + 4, "a row for each measure of b");
    assert!(read("compare.svg").starts_with("<svg"));
}
