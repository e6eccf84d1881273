//! Resuming: 30 steps and 30 more are 60 steps, bit for bit.

use std::fs;

use torch_pt::{Archive, Storage};

use super::workdir::{Workdir, assert_same_checkpoint, fixture, folders, list, losses, metrics, names, shakespeare};

/// Trains 60 steps at once and 30 + 30 steps with the same settings; all numbers and tensors must be equal.
fn goes_on_exactly(overrides: &[&str]) {
    let train = |workdir: &Workdir, more: &[&str]| {
        workdir.train(&[&["model.dropout=0.1"], overrides, more].concat()).succeeds();
    };
    let (whole, halves) = (Workdir::new(), Workdir::new());
    train(&whole, &["train.max_steps=60"]);
    train(&halves, &["train.max_steps=30"]);
    let checkpoint = halves.arg("load_checkpoint", "final.pt");
    train(&halves, &["train.max_steps=60", &checkpoint]);
    assert_eq!(losses(&whole.run()).len(), 60);
    for (ours, theirs) in metrics(&halves.run()).iter().zip(&metrics(&whole.run())) {
        assert_eq!(ours, theirs, "{overrides:?}");
    }
    assert_eq!(metrics(&halves.run()).len(), metrics(&whole.run()).len());
    assert_same_checkpoint(&halves.result("final.pt"), &whole.result("final.pt"));
}

#[test]
fn thirty_and_thirty_are_sixty() {
    goes_on_exactly(&[]);
}

#[test]
fn accumulation_and_evaluations_go_on() {
    goes_on_exactly(&["train.grad_accum_steps=2", "train.eval_interval=10"]);
}

#[test]
fn an_accumulation_that_the_end_cuts_in_two_goes_on() {
    goes_on_exactly(&["train.grad_accum_steps=4"]); // 30 steps are seven and a half
}

#[test]
fn an_evaluation_at_the_end_of_the_first_half_leaves_no_trace() {
    // 30 is no multiple of 20: only the run that ended there evaluated there.
    goes_on_exactly(&["train.eval_interval=20"]);
}

#[test]
fn batches_made_ahead_go_on() {
    goes_on_exactly(&["data.num_workers=2", "train.grad_accum_steps=2"]);
}

#[test]
fn a_learnable_alpha_goes_on() {
    goes_on_exactly(&["model.alpha_learnable=true"]);
}

#[test]
fn soft_tokens_and_several_passes_over_the_text_go_on() {
    // 450 characters of training text are 18 batches of 24 windows: 30 steps end in the second pass.
    goes_on_exactly(&["model.use_soft_tokens=true", "data.batch_size=24", "data.data_path=short.txt"]);
}

#[test]
fn persistent_chains_go_on() {
    goes_on_exactly(&["model.contrastive_type=pcd", "model.n_persistent=9", "model.contrastive_k=2"]);
    goes_on_exactly(&["model.contrastive_type=fast_pcd", "model.n_chains=6", "model.restart_prob=0.2"]);
}

#[test]
fn a_run_goes_on_from_a_checkpoint_on_the_way() {
    let (whole, again) = (Workdir::new(), Workdir::new());
    whole.train(&["train.max_steps=20"]).succeeds();
    again.train(&["train.max_steps=20", "save_interval=8"]).succeeds();
    let checkpoint = again.arg("load_checkpoint", "ckpt_step_8.pt");
    again.train(&["train.max_steps=20", &checkpoint]).succeeds().says("at step 8").says("Training from step 8 to 20");
    assert_eq!(metrics(&again.run()), metrics(&whole.run()), "the steps after the checkpoint are there once");
    assert_eq!(tensors_of(&again), tensors_of(&whole));
}

#[test]
fn another_out_dir_is_obeyed() {
    let (whole, workdir) = (Workdir::new(), Workdir::new());
    whole.train(&["train.max_steps=12"]).succeeds();
    workdir.train(&[]).succeeds();
    let before = fs::read(workdir.result("final.pt")).unwrap();
    let checkpoint = workdir.arg("load_checkpoint", "final.pt");
    workdir.train(&["train.max_steps=12", &checkpoint, "out_dir=elsewhere"]).succeeds();
    assert_eq!(fs::read(workdir.result("final.pt")).unwrap(), before, "the run that it came from stays as it was");
    let run = &folders(&workdir.path("elsewhere"))[0];
    assert_eq!(metrics(run), metrics(&whole.run())[6..]);
}

#[test]
fn runs_of_a_multirun_go_on_side_by_side() {
    let workdir = Workdir::new();
    workdir.train(&[]).succeeds();
    let before = fs::read(workdir.result("final.pt")).unwrap();
    let checkpoint = workdir.arg("load_checkpoint", "final.pt");
    workdir.train(&["-m", "train.max_steps=8", &checkpoint, "train.learning_rate=1e-3,1e-4"]).succeeds();
    let runs = workdir.runs();
    assert_eq!(runs.len(), 3);
    assert_eq!(fs::read(runs[0].join("final.pt")).unwrap(), before);
    assert!(runs[1..].iter().all(|run| metrics(run).iter().map(|row| &row["step"]).eq(&[6, 7])));
}

#[test]
fn a_metrics_file_that_a_crash_cut_short_goes_on() {
    let workdir = Workdir::new();
    workdir.train(&["train.max_steps=10"]).succeeds();
    let path = workdir.result("metrics.jsonl");
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("{\"step\":10,\"lo");
    fs::write(&path, text).unwrap();
    workdir.train(&["train.max_steps=14", &workdir.arg("load_checkpoint", "final.pt")]).succeeds();
    assert_eq!(losses(&workdir.run()).len(), 14);
}

#[test]
fn the_originals_checkpoint_goes_on_in_a_run_of_its_own() {
    let workdir = Workdir::new();
    let resume = original(&workdir, &["train.max_steps=405"]);
    let done = workdir.train(&resume.iter().map(String::as_str).collect::<Vec<_>>()).succeeds();
    done.says("at step 401").says("does not record the data order");
    assert_eq!(names(&workdir.run()), ["config.yaml", "final.pt", "metrics.jsonl", "overrides.yaml"]);
    assert_eq!(
        metrics(&workdir.run()).iter().map(|row| row["step"].as_i64().unwrap()).collect::<Vec<_>>(),
        [401, 402, 403, 404]
    );
    assert!(losses(&workdir.run()).iter().all(|loss| *loss < 3.0), "it starts from what the original learnt");
    assert_eq!(list(&fixture("original")).len(), 4, "nothing is written beside the original's file");
}

/// The overrides that the fixture's checkpoint needs.
pub fn original(workdir: &Workdir, more: &[&str]) -> Vec<String> {
    fs::copy(fixture("original/checkpoint.pt"), workdir.path("theirs.pt")).unwrap();
    let shape = ["model=upstream", "model.n_layer=2", "model.n_embd=32", "data.block_size=32"];
    let files = ["load_checkpoint=theirs.pt".to_owned(), format!("data.data_path={}", shakespeare().display())];
    [shape.map(str::to_owned).to_vec(), files.to_vec(), more.iter().map(|s| s.to_string()).collect()].concat()
}

fn tensors_of(workdir: &Workdir) -> Vec<Storage> {
    Archive::read(&workdir.result("final.pt")).unwrap().storages
}
