//! The settings that users change: presets, the README's overrides, `--cfg`, `--help`, `-m`.

use std::fs;

use super::command::nanoebm;
use super::workdir::{Workdir, losses, metrics, names, walk};

/// Runs the tiny model with these settings; every loss is finite, and the last step is System 2's.
fn trains_with(overrides: &[&str]) {
    let workdir = Workdir::new();
    workdir.train(overrides).succeeds().says_nothing_on_stderr();
    assert_eq!(losses(&workdir.run()).len(), 6, "{overrides:?}");
    let last = metrics(&workdir.run()).pop().unwrap();
    for key in ["nll_s1", "nll_s2", "initial_energy", "final_energy", "energy_gap", "grad_norm", "alpha"] {
        assert!(last[key].is_f64(), "{overrides:?}: {key} in {last:?}");
    }
}

#[test]
fn the_presets_train() {
    trains_with(&["model=upstream"]);
    trains_with(&["preset=cpu"]);
    trains_with(&["model=upstream", "preset=cpu"]);
}

#[test]
fn the_refinement_settings_of_the_readme_train() {
    trains_with(&["model.think_steps=2", "model.think_lr=0.5"]);
    trains_with(&["think_steps=3", "model.think_max_move=0.1", "model.softmax_temperature=0.7"]);
    trains_with(&["model.entropy_weight=0.05", "model.aux_ce_weight=0.3"]);
    trains_with(&["model.mixture_stopgrad=true", "model.share_hidden=false"]);
    trains_with(&["model.use_soft_tokens=true", "model.think_lr=0.5"]);
}

#[test]
fn what_is_switched_on_by_request_trains() {
    trains_with(&["model.alpha_learnable=true", "model.alpha_value=0.5"]);
    trains_with(&["model.info_nce_weight=0.5", "model.info_nce_temperature=2"]);
    trains_with(&["train.dtype=bfloat16"]);
    trains_with(&["train.compile=true", "data.num_workers=2", "train.grad_accum_steps=2"]);
    trains_with(&["model.bias=false", "train.decay_lr=false", "train.grad_clip=0"]);
}

#[test]
fn contrastive_training_is_switched_on_by_its_type() {
    for kind in ["cd", "pcd", "fast_pcd"] {
        let workdir = Workdir::new();
        let contrastive = format!("model.contrastive_type={kind}");
        workdir.train(&[&contrastive, "model.contrastive_k=2"]).succeeds().says("model.use_contrastive=false");
        assert!(metrics(&workdir.run()).pop().unwrap()["cd_loss"].is_f64(), "{kind}");
    }
}

#[test]
fn a_learnable_alpha_learns_and_a_fixed_one_does_not() {
    let alphas = |learnable: &str| {
        let workdir = Workdir::new();
        workdir.train(&[learnable]).succeeds();
        metrics(&workdir.run()).iter().map(|row| row["alpha"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    let fixed = alphas("model.alpha_learnable=false");
    assert!(fixed.iter().all(|alpha| alpha == &fixed[0]));
    let learnt = alphas("model.alpha_learnable=true");
    assert!(learnt.last() != learnt.first(), "{learnt:?}");
}

#[test]
fn cfg_prints_yaml_and_makes_nothing() {
    let workdir = Workdir::new();
    let before = walk(workdir.dir());
    for program in ["train", "sample", "eval"] {
        let done = nanoebm(program).arg("--cfg").in_dir(workdir.dir()).succeeds().says_nothing_on_stderr();
        let config: serde_json::Value = serde_yaml::from_str(&done.stdout).unwrap();
        assert_eq!(config["out_dir"], "out_ebt", "{program}");
    }
    workdir.train(&["--cfg", "model=upstream"]).succeeds().says("  refine_reduction: mean").says("  n_embd: 16");
    assert_eq!(walk(workdir.dir()), before);
}

#[test]
fn help_lists_every_key_of_the_configuration() {
    for program in ["train", "sample", "eval", "compare"] {
        let help = nanoebm(program).arg("--help").succeeds().says_nothing_on_stderr().stdout;
        let config = nanoebm(program).arg("--cfg").succeeds().stdout;
        let (mut section, mut missing) = (String::new(), Vec::new());
        for line in config.lines() {
            let (key, value) = line.split_once(':').unwrap();
            if !key.starts_with(' ') {
                section = if value.is_empty() { format!("{key}.") } else { String::new() };
            }
            // An open section is one line there: `model.KEY=VALUE`.
            let key = section.clone() + key.trim() + if value == " {}" { ".KEY" } else { "" };
            if !value.is_empty() && !help.split_whitespace().any(|word| word.split('=').next() == Some(&key)) {
                missing.push(key);
            }
        }
        assert!(missing.is_empty(), "{program} --help lacks {missing:?}:\n{help}");
    }
}

#[test]
fn version_and_short_flags_work() {
    for program in ["train", "sample", "eval", "compare"] {
        nanoebm(program).arg("--version").succeeds().says(env!("CARGO_PKG_VERSION"));
        nanoebm(program).arg("-h").succeeds().says("Usage: ");
    }
}

#[test]
fn a_multirun_makes_a_run_of_each_value() {
    let workdir = Workdir::new();
    workdir.train(&["-m", "train.seed=1,2", "train.max_steps=2"]).succeeds().says("Run 1 of 2").says("Run 2 of 2");
    let seeds: Vec<_> =
        workdir.runs().iter().map(|run| fs::read_to_string(run.join("overrides.yaml")).unwrap()).collect();
    assert_eq!(seeds.len(), 2);
    assert!(seeds[0].contains("- train.seed=1\n") && seeds[1].contains("- train.seed=2\n"), "{seeds:?}");
    for run in workdir.runs() {
        assert_eq!(names(&run), ["config.yaml", "final.pt", "metrics.jsonl", "overrides.yaml"]);
    }
}

#[test]
fn the_users_own_presets_are_used() {
    let workdir = Workdir::new();
    fs::create_dir_all(workdir.path("mine/model")).unwrap();
    workdir.write("mine/model/wide.yaml", "defaults: [default]\nn_embd: 600\n");
    let wide = ["--config-dir", "mine", "model=wide", "--cfg"];
    nanoebm("train").args(wide).in_dir(workdir.dir()).succeeds().says("  n_embd: 600").says("  n_layer: 6");
}
