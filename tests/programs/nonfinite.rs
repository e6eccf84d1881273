//! NaN and infinity in training: found in their step, named, and stopped, skipped or rolled back.

use std::fs;

use serde_json::Value;
use torch_pt::{Archive, Object};

use super::workdir::{Workdir, assert_same_checkpoint, losses, metrics, names};

/// Noise that is so strong that now and then a draw is beyond float32, in some 7 of 100 steps: 8e37 times what N(0, 1) gives.
const NOISE: [&str; 4] =
    ["model.contrastive_type=cd", "model.langevin_noise_scale=3.2e77", "train.max_steps=40", "save_interval=5"];

/// Edits a tensor of a checkpoint's entry: its first value becomes infinite.
fn spoil(path: &std::path::Path, entry: &[&str]) {
    let mut archive = Archive::read(path).unwrap();
    let found = entry.iter().fold(&archive.root, |object, key| object.get(key).unwrap());
    let Object::Tensor(tensor) = found else { panic!("{entry:?} is no tensor") };
    archive.storages[tensor.storage].bytes[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    archive.write(path).unwrap();
}

/// The counts that rows carry from the first fault on.
fn counted(workdir: &Workdir) -> Vec<f64> {
    metrics(&workdir.run()).iter().filter_map(|row| row.get("nonfinite").and_then(Value::as_f64)).collect()
}

#[test]
fn chains_that_overflow_stop_the_run_in_that_step() {
    let workdir = Workdir::new();
    let failed = workdir
        .train(&NOISE)
        .arg("save_interval=1")
        .fails(1)
        .stderr_has("the chains hold what is no number")
        .stderr_has("at step ");
    let failed = failed.stderr_has("the last good checkpoint is ").stderr_has("train.on_nonfinite=skip or rollback");
    let step: usize = failed.stderr.split("at step ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert_eq!(losses(&workdir.run()).len(), step, "every step before it is logged, and was fine");
}

#[test]
fn a_weight_a_moment_or_a_gradient_is_named() {
    let workdir = Workdir::new();
    workdir.train(&["model.contrastive_type=pcd", "model.n_persistent=4"]).succeeds();
    let whole = fs::read(workdir.result("final.pt")).unwrap();
    let resume = [
        &workdir.arg("load_checkpoint", "final.pt"),
        "train.max_steps=9",
        "model.contrastive_type=pcd",
        "model.n_persistent=4",
    ];
    let name = "transformer.transformer.h.0.mlp.c_fc.weight";
    spoil(&workdir.result("final.pt"), &["model", name]);
    workdir.train(&resume).fails(1).stderr_has(&format!("tensor {name} holds NaN or infinity"));
    fs::write(workdir.result("final.pt"), &whole).unwrap();
    spoil(&workdir.result("final.pt"), &["nanoebm", "chains", "particles"]);
    let failed = workdir.train(&resume).fails(1).stderr_has("the chains hold what is no number at step ");
    failed.stderr_has("led to this, and may be ruined");
}

#[test]
fn a_step_that_is_skipped_changes_nothing_and_is_counted() {
    let workdir = Workdir::new();
    let skip = [&NOISE[..], &["train.on_nonfinite=skip", "train.nonfinite_retries=100"]].concat();
    let done = workdir.train(&skip).succeeds();
    let said = done.stdout.matches("it is skipped").count();
    let rows = metrics(&workdir.run());
    // a chain at −∞ leaves the loss finite
    let bad: Vec<_> = rows.iter().filter(|row| row["total_loss"].is_null()).collect();
    assert!(said > 0 && said >= bad.len() && said < 30, "{said} steps of 40");
    assert_eq!(counted(&workdir).last(), Some(&(said as f64)));
    assert_eq!(rows.len(), 40);
    assert_finite(&workdir);

    // the run that was interrupted in the middle of it is the same one
    let again = Workdir::new();
    let half = [&skip[..], &["train.max_steps=20"]].concat();
    again.train(&half).succeeds();
    again.train(&[&skip[..], &[&again.arg("load_checkpoint", "final.pt")]].concat()).succeeds();
    assert_eq!(metrics(&again.run()), rows);
    assert_same_checkpoint(&again.result("final.pt"), &workdir.result("final.pt"));
}

#[test]
fn a_skipped_step_leaves_persistent_chains_as_they_were() {
    let workdir = Workdir::new();
    let pcd = [
        "model.contrastive_type=fast_pcd",
        "model.n_chains=4",
        "train.on_nonfinite=skip",
        "train.nonfinite_retries=100",
    ];
    let done = workdir.train(&[&NOISE[1..], &pcd].concat()).succeeds();
    assert!(done.stdout.contains("it is skipped"), "{}", done.stdout);
    assert_finite(&workdir);
}

#[test]
fn a_rollback_goes_on_from_the_last_good_checkpoint_in_another_order() {
    let workdir = Workdir::new();
    let back = [&NOISE[..], &["train.on_nonfinite=rollback", "train.nonfinite_retries=100"]].concat();
    let done = workdir.train(&back).succeeds();
    assert!(done.stdout.contains(": back to out_ebt/"), "{}", done.stdout);
    let rows = metrics(&workdir.run());
    let steps: Vec<_> = rows.iter().map(|row| row["step"].as_i64().unwrap()).collect();
    assert_eq!(steps, (0..40).collect::<Vec<_>>(), "each step is there once");
    assert_eq!(losses(&workdir.run()).len(), 40);
    assert!(counted(&workdir).last().is_some_and(|&n| n > 0.0));
    assert_finite(&workdir);

    // killed after all that, it is the same run
    let again = Workdir::new();
    let killed = again.train(&back).starts().until(|line| line.contains("ckpt_step_30.pt"));
    assert_eq!(killed.gets("KILL").ends().code, None);
    let newest = nanoebm::checkpoint::find::newest(&again.path("out_ebt")).unwrap();
    again.train(&back).arg(format!("load_checkpoint={}", newest.display())).succeeds();
    assert_eq!(metrics(&again.run()), rows);
    assert_same_checkpoint(&again.result("final.pt"), &workdir.result("final.pt"));
}

#[test]
fn retries_have_a_bound() {
    let diverging =
        ["train.grad_clip=0", "train.decay_lr=false", "train.learning_rate=1e20", "train.nonfinite_retries=3"];
    for policy in ["skip", "rollback"] {
        let workdir = Workdir::new();
        let policy = format!("train.on_nonfinite={policy}");
        let failed = workdir.train(&diverging).args([&policy, "train.max_steps=50"]).fails(1);
        failed.stderr_has("after 3 others").stderr_has("learning rate 1.000e20");
        assert!(!names(&workdir.run()).contains(&"final.pt".to_owned()));
    }
}

/// Every number of the last checkpoint is one.
fn assert_finite(workdir: &Workdir) {
    for storage in Archive::read(&workdir.result("final.pt")).unwrap().storages {
        let mut values = storage.bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        assert!(values.all(f32::is_finite));
    }
}
