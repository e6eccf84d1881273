//! The families of energies in every program.

use serde_json::Value;

use super::workdir::{Workdir, assert_same_checkpoint, losses};

const FAMILIES: [&str; 3] = ["model=mixture", "model=reread", "model=ebt"];

fn report(workdir: &Workdir, args: &[&str]) -> Value {
    serde_json::from_str(&workdir.eval(args).arg("--json").succeeds().stdout).unwrap()
}

#[test]
fn each_trains_is_measured_writes_and_is_drawn() {
    for family in FAMILIES {
        let workdir = Workdir::new();
        workdir.train(&[family, "train.max_steps=60", "train.learning_rate=1e-2", "train.eval_interval=60"]).succeeds();
        let losses = losses(&workdir.run());
        // EBT starts from noise, which is most of its loss yet.
        assert!(family == "model=ebt" || losses[59] < 0.9 * losses[0], "{family}: {losses:?}");
        let measured = report(&workdir, &["steps=0,1,2"]);
        assert_eq!(measured["rows"].as_array().unwrap().len(), 4, "{family}");
        let of = |name: &str| {
            measured["rows"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap()["nll"]
                .as_f64()
                .unwrap()
        };
        if family != "model=mixture" {
            assert!(of("System 2, 2 steps") < of("System 1") - 0.1, "{family}: {measured}");
        }
        let text = workdir.sample(&["--quiet", "prompt=First", "max_new_tokens=30", "think_steps=2"]).succeeds().stdout;
        assert_eq!(text.chars().count(), 5 + 30 + 1, "{family}");
        let pictures: &[&str] = if family == "model=reread" { &["all"] } else { &["gap", "positions", "trajectories"] };
        for mode in pictures {
            workdir.viz(&[&format!("mode={mode}"), "think_steps=3", "max_new_tokens=5"]).succeeds();
        }
        workdir.sample(&["--quiet", "prompt=First", "max_new_tokens=5", "dtype=bfloat16"]).succeeds();
        workdir.eval(&["dtype=bfloat16", "max_windows=5"]).succeeds();
    }
}

#[test]
fn each_resumes_exactly() {
    for family in FAMILIES {
        let (straight, resumed) = (Workdir::new(), Workdir::new());
        straight.train(&[family, "model.random_steps=1"]).succeeds();
        resumed.train(&[family, "model.random_steps=1", "train.max_steps=3"]).succeeds();
        let from = resumed.arg("load_checkpoint", "final.pt");
        resumed.train(&[family, "model.random_steps=1", &from]).succeeds();
        assert_same_checkpoint(&straight.result("final.pt"), &resumed.result("final.pt"));
    }
}

#[test]
fn one_family_does_not_go_on_from_another() {
    let workdir = Workdir::new();
    workdir.train(&["model=reread"]).succeeds();
    let from = workdir.arg("load_checkpoint", "final.pt");
    workdir.refuses(workdir.train(&[&from, "train.max_steps=9"]), 1, &["model.energy=reread", "linear"]);
    workdir.refuses(
        workdir.train(&[&from, "model=reread", "model.reread_chars=2", "train.max_steps=9"]),
        1,
        &["reread_chars=5", "2"],
    );
}

/// What has its meaning in one energy does not go over to another: the step size, and rows of characters.
#[test]
fn another_family_takes_over_what_fits() {
    let workdir = Workdir::new();
    workdir.train(&["model.think_lr=0.25"]).succeeds();
    let from = workdir.arg("load_checkpoint", "final.pt");
    let resumed =
        workdir.train(&[&from, "model=mixture", "train.max_steps=7", "train.allow_other_shape=true"]).succeeds();
    resumed.says("begin").says("alpha").says("thinking.c_fc.weight");
    let runs = workdir.runs();
    let rows = super::workdir::metrics(&runs[1]);
    assert!((rows[0]["alpha"].as_f64().unwrap() - 1.0).abs() < 0.01, "{rows:?}");
}

#[test]
fn what_excludes_one_another_is_said() {
    let workdir = Workdir::new();
    workdir.refuses(
        workdir.train(&["model=reread", "model.use_soft_tokens=true"]),
        2,
        &["use_soft_tokens", "energy=reread"],
    );
    workdir.refuses(workdir.train(&["model=ebt", "train.remat=true"]), 2, &["train.remat", "ebt"]);
    workdir.refuses(workdir.train(&["model=ebt", "model.refine_steps=0"]), 2, &["model.refine_steps", "ebt"]);
    workdir.refuses(workdir.train(&["model=ebt", "model.contrastive_type=cd"]), 2, &["contrastive", "ebt"]);
    workdir.train(&["model=ebt"]).succeeds();
    workdir.refuses(workdir.eval(&["context_steps=1", "context_weights=head"]), 1, &["head", "ebt"]);
    workdir.refuses(workdir.eval(&["separation=true"]), 2, &["separation", "ebt"]);
    workdir.refuses(workdir.sample(&["mode=fast"]), 1, &["ebt", "think"]);
}

#[test]
fn thinking_stops_where_it_has_settled() {
    let workdir = Workdir::new();
    workdir.train(&["model=reread", "train.max_steps=40", "train.learning_rate=1e-2"]).succeeds();
    let with = |threshold: &str| {
        let threshold = format!("model.energy_convergence_threshold={threshold}");
        report(&workdir, &["model.adaptive=true", "refine_steps=8", &threshold])["mean_steps"].as_f64().unwrap()
    };
    let (one, some, all) = (with("1e9"), with("0.01"), with("0"));
    assert_eq!((one, all), (1.0, 8.0));
    assert!(some > 1.0 && some < 8.0, "{some}");
    assert!(report(&workdir, &["refine_steps=8"])["mean_steps"].is_null());
    workdir.eval(&["model.adaptive=true"]).succeeds().says("Steps taken by a position on average");
    let text = |more: &[&str]| {
        workdir
            .sample(&[&["--quiet", "prompt=First", "max_new_tokens=30", "think_steps=8"], more].concat())
            .succeeds()
            .stdout
    };
    let never = text(&["model.adaptive=true", "model.energy_convergence_threshold=0"]);
    assert_eq!(never, text(&["model.energy_convergence_threshold=0"]));
}

#[test]
fn a_sliding_window_scores_its_last_characters() {
    let workdir = Workdir::new();
    workdir.train(&["train.max_steps=60", "train.learning_rate=1e-2"]).succeeds();
    let (apart, sliding) = (report(&workdir, &[]), report(&workdir, &["stride=4"]));
    assert_eq!(sliding["windows"], (600 - 16usize).div_ceil(4));
    assert_ne!(apart["nll_s1"], sliding["nll_s1"]);
    assert_eq!(report(&workdir, &["stride=16"])["nll_s1"], apart["nll_s1"]);
    workdir.refuses(workdir.eval(&["stride=17"]), 2, &["stride"]);
    workdir.refuses(workdir.eval(&["stride=4", "context_steps=1"]), 2, &["stride", "context_steps"]);
    workdir.refuses(workdir.eval(&["stride=4", "model.refine_reduction=mean"]), 1, &["stride", "refine_reduction"]);
}
