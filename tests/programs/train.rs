//! Training: what a run prints and what it leaves.

use std::fs;

use super::command::{bash, path_of};
use super::python::TRACKERS;
use super::workdir::{TINY, Workdir, folders, list, losses, metrics, names};

const COLUMNS: [&str; 10] = ["step", "loss", "ppl", "lr", "alpha", "Egap", "E0", "EK", "t/fwd", "t/bwd"];

#[test]
fn a_run_leaves_its_settings_its_metrics_and_its_checkpoints() {
    let workdir = Workdir::new();
    workdir.train(&["train.eval_interval=3", "train.seed=7"]).succeeds();
    let run = workdir.run();
    assert_eq!(names(&run), ["best.pt", "config.yaml", "final.pt", "metrics.jsonl", "overrides.yaml"]);
    let name = run.file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.starts_with("run_2") && name.len() == "run_YYYYMMDD_HHMMSS".len(), "{name}");
    let config = fs::read_to_string(run.join("config.yaml")).unwrap();
    for line in ["  seed: 7", "  vocab_size: 55", "  block_size: 16", "  n_embd: 16"] {
        assert!(config.lines().any(|l| l == line), "{config}\nlacks {line:?}");
    }
    let overrides = fs::read_to_string(run.join("overrides.yaml")).unwrap();
    assert!(overrides.lines().any(|l| l == "- train.seed=7"), "{overrides}");
    assert_eq!(losses(&run).len(), 6);
    let evaluations: Vec<_> = metrics(&run).into_iter().filter(|row| row.contains_key("val/nll_s2")).collect();
    assert_eq!(evaluations.iter().map(|row| row["step"].as_i64().unwrap()).collect::<Vec<_>>(), [3, 6]);
    for key in ["train/nll_s1", "train/nll_s2", "val/nll_s1", "val/nll_s2"] {
        assert!(evaluations.iter().all(|row| row[key].is_f64()), "{key}: {evaluations:?}");
    }
}

#[test]
fn the_console_shows_the_table_of_the_original_and_no_control_characters() {
    let workdir = Workdir::new();
    let done = workdir.train(&["train.eval_interval=3"]).succeeds().says_nothing_on_stderr();
    let lines: Vec<&str> = done.stdout.lines().collect();
    let header = lines.iter().position(|line| line.split_whitespace().eq(COLUMNS)).expect("the table's header");
    let steps = |line: &&&str| line.split_whitespace().next().is_some_and(|word| word.parse::<u32>().is_ok());
    let rows: Vec<_> = lines[header + 2..].iter().filter(steps).collect();
    assert_eq!(rows.len(), 6, "{}", done.stdout);
    assert_eq!(rows[5].split_whitespace().count(), COLUMNS.len(), "a step of System 2 fills every column");
    assert!(!done.stdout.chars().any(|c| c.is_control() && c != '\n'), "{:?}", done.stdout);
    for part in ["device=Cpu", "threads=1", "parameters", "64 tokens per step", "Training complete", "final.pt"] {
        assert!(done.stdout.contains(part), "{}\nlacks {part}", done.stdout);
    }
}

#[test]
fn runs_of_the_same_second_have_directories_of_their_own() {
    let workdir = Workdir::new();
    let running: Vec<_> = (0..3).map(|_| workdir.train(&["train.max_steps=2"]).starts()).collect();
    running.into_iter().for_each(|run| drop(run.ends().exits(0)));
    assert_eq!(workdir.runs().len(), 3);
    workdir.runs().iter().for_each(|run| assert_eq!(losses(run).len(), 2));
}

#[test]
fn the_three_newest_checkpoints_stay_by_number() {
    let workdir = Workdir::new();
    workdir.train(&["train.max_steps=12", "save_interval=2"]).succeeds();
    let kept: Vec<_> = names(&workdir.run()).into_iter().filter(|name| name.starts_with("ckpt")).collect();
    assert_eq!(kept, ["ckpt_step_10.pt", "ckpt_step_12.pt", "ckpt_step_8.pt"]);
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let workdir = Workdir::new();
    let runs = ["train.seed=1", "train.seed=1", "train.seed=2"].map(|seed| {
        let out_dir = format!("out_dir=out_ebt/{}", list(&workdir.path("out_ebt")).len());
        workdir.train(&[seed, &out_dir]).succeeds();
        losses(&folders(&workdir.path(&out_dir["out_dir=".len()..]))[0])
    });
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[test]
fn it_works_from_any_folder_and_into_any_folder() {
    let workdir = Workdir::new();
    let out = workdir.path("a folder/with spaces é");
    workdir.train(&["train.max_steps=1", &format!("out_dir={}", out.display())]).succeeds();
    assert_eq!(folders(&out).len(), 1);
    assert!(workdir.runs().is_empty());
}

#[test]
fn texts_of_other_scripts_and_line_ends_work() {
    let workdir = Workdir::new();
    workdir.write("crlf.txt", "Größe, größer – жизнь 生活\r\n".repeat(40));
    workdir.write("lf.txt", "Größe, größer – жизнь 生活\n".repeat(40));
    for text in ["crlf.txt", "lf.txt"] {
        workdir.train(&[&format!("data.data_path={text}"), &format!("out_dir=out_ebt/{text}")]).succeeds();
    }
    let of = |text: &str| losses(&folders(&workdir.path(&format!("out_ebt/{text}")))[0]);
    assert_eq!(of("crlf.txt"), of("lf.txt"));
}

#[test]
fn no_step_at_all_saves_the_model_as_it_starts() {
    let workdir = Workdir::new();
    workdir.train(&["train.max_steps=0"]).succeeds();
    workdir.eval(&[&workdir.arg("checkpoint", "final.pt"), "max_windows=2"]).succeeds();
}

#[test]
fn training_outlives_the_reader_of_its_output() {
    let workdir = Workdir::new();
    let line = "\"$0\" \"$@\" | head -n 1; exit ${PIPESTATUS[0]}";
    let run = bash(line, [path_of("train")]);
    let notice = ["model.contrastive_type=pcd"]; // it prints something before the training begins, too
    run.args(TINY).args(notice).in_dir(workdir.dir()).succeeds();
    workdir.result("final.pt");
}

#[test]
fn tensorboard_gets_curves_histograms_and_texts() {
    let workdir = Workdir::new();
    workdir
        .train(&["tensorboard=true", "train.max_steps=4", "train.log_interval=1", "train.eval_interval=2"])
        .succeeds();
    let seen = TRACKERS.judge("tensorboard_events.py", &workdir.run(), &[]);
    let steps = |kind: &str, name: &str| {
        seen[kind][name].as_array().unwrap().iter().map(|point| point[0].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(steps("scalars", "loss"), [0, 1, 2, 3]);
    for row in metrics(&workdir.run()).iter().filter(|row| row.contains_key("loss")) {
        for (name, value) in row.iter().filter(|(name, value)| *name != "step" && value.is_number()) {
            let curve = seen["scalars"][name].as_array().unwrap();
            let point = curve.iter().find(|point| point[0] == row["step"]).unwrap();
            assert_eq!(point[1].as_f64().unwrap() as f32, value.as_f64().unwrap() as f32, "{name}");
        }
    }
    for (kind, name) in
        [("scalars", "val/nll_s2"), ("histograms", "val/energies"), ("histograms", "val/p_data"), ("texts", "sample")]
    {
        assert_eq!(steps(kind, name), [2, 4], "{name}");
    }
    // what it looks at does not change what it trains
    let without = Workdir::new();
    without.train(&["train.max_steps=4", "train.log_interval=1", "train.eval_interval=2"]).succeeds();
    assert_eq!(losses(&workdir.run()), losses(&without.run()));
}

#[test]
fn final_pt_leads_to_the_newest_run_that_ended_well() {
    let workdir = Workdir::new();
    let link = workdir.path("out_ebt/final.pt");
    workdir.train(&["save_interval=1"]).starts().until_step(4).gets("KILL").ends();
    assert!(!link.exists(), "that run did not end well");
    workdir.train(&[]).succeeds();
    let ended = workdir.runs()[1].join("final.pt");
    assert_eq!(link.canonicalize().unwrap(), ended.canonicalize().unwrap());
    assert!(std::fs::read_link(&link).unwrap().is_relative(), "the folder may be moved");
    workdir.train(&["save_interval=1", "train.max_steps=50"]).starts().until_step(9).gets("INT").ends().exits(130);
    let short = ["max_new_tokens=1", "checkpoint=out_ebt/final.pt"];
    workdir.sample(&short).succeeds().says("Loaded model from step 6");
    // A run goes on in its own folder from there too.
    let more = ["load_checkpoint=out_ebt/final.pt", "train.max_steps=8"];
    workdir.train(&more).succeeds();
    assert_eq!(workdir.runs().len(), 3);
    workdir.sample(&short).succeeds().says("Loaded model from step 8");
    // What somebody put there is theirs.
    std::fs::remove_file(&link).unwrap();
    std::fs::write(&link, "mine").unwrap();
    workdir.train(&[]).succeeds();
    assert_eq!(std::fs::read_to_string(&link).unwrap(), "mine");
}

#[test]
fn what_dead_runs_left_half_written_is_cleared_at_the_next_start() {
    let workdir = Workdir::new();
    workdir.train(&[]).succeeds();
    let (left, theirs) = (workdir.run().join("ckpt_step_3.pt.4711.0.tmp"), workdir.run().join("mine.tmp"));
    std::fs::write(&left, "half").unwrap();
    std::fs::write(&theirs, "whole").unwrap();
    workdir.train(&[]).succeeds();
    assert!(!left.exists() && theirs.exists());
}
