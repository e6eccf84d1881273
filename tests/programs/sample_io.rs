//! Sampling: where prompts come from, where texts go, and which checkpoint is meant.

use std::thread::sleep;
use std::time::Duration;

use super::command::{bash, path_of};
use super::desk::Desk;
use super::sample::{text, trained};

#[test]
fn a_prompt_comes_from_the_command_line_a_file_or_standard_input() {
    let desk = trained();
    desk.write("prompt.txt", "First\nCitizen");
    let typed = text(&desk, &["prompt=First\nCitizen"]);
    assert!(typed.starts_with("First\nCitizen"), "{typed:?}");
    assert_eq!(text(&desk, &["prompt=@prompt.txt"]), typed);
    let args = ["--quiet", "prompt=-", "max_new_tokens=60"];
    assert_eq!(desk.sample(&args).reads("First\nCitizen").succeeds().stdout, typed);
}

#[test]
fn unknown_characters_are_named_and_dropped() {
    let desk = trained();
    let args = ["--quiet", "prompt=Fiж€rst", "max_new_tokens=60"];
    let done = desk.sample(&args).succeeds().stderr_has("ж€");
    assert_eq!(done.stdout, text(&desk, &["prompt=First"]));
}

#[test]
fn an_empty_prompt_starts_from_a_newline() {
    let desk = trained();
    let [empty, newline] = ["prompt=", "prompt=\n"].map(|prompt| text(&desk, &[prompt]));
    assert_eq!(empty.chars().count(), 60 + 1);
    assert_eq!(newline, format!("\n{empty}"));
    let unknown = desk.sample(&["--quiet", "prompt=ж", "max_new_tokens=60"]).succeeds().stderr_has("ж");
    assert!(unknown.stdout.ends_with(&empty), "nothing that is known is nothing: {:?}", unknown.stdout);
}

#[test]
fn a_prompt_may_be_longer_than_the_context() {
    let desk = trained();
    let prompt = "First Citizen ".repeat(10);
    assert!(text(&desk, &[&format!("prompt={prompt}")]).starts_with(&prompt));
}

#[test]
fn the_newest_run_is_meant_when_nothing_else_is_said() {
    let desk = Desk::new();
    desk.train(&["train.max_steps=2"]).succeeds();
    sleep(Duration::from_millis(20)); // file times are only so fine
    desk.train(&["train.max_steps=3"]).succeeds();
    let short = ["max_new_tokens=1", "prompt=F"];
    desk.sample(&short).succeeds().says("Loaded model from step 3");
    desk.sample(&short).arg("checkpoint=out_ebt/final.pt").succeeds().says("Loaded model from step 3");
    let oldest = format!("checkpoint={}", desk.runs()[0].join("final.pt").display());
    desk.sample(&short).arg(oldest).succeeds().says("Loaded model from step 2");
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let desk = trained();
    for (reader, flag) in [("head -c 10", "--quiet"), ("head -n 1", "num_samples=1"), ("true", "seed=1")] {
        // Without streaming, a text of this length would take minutes.
        let line = format!("\"$0\" \"$@\" | {reader}; exit ${{PIPESTATUS[0]}}");
        let endless = ["prompt=First", "max_new_tokens=1000000", "device=cpu", flag];
        let done = bash(&line, [path_of("sample")]).args(endless).in_dir(desk.dir()).succeeds();
        done.says_nothing_on_stderr();
    }
    for (program, arg) in [("eval", "max_windows=1"), ("doctor", ""), ("train", "--help")] {
        let line = "sleep 0.1 | \"$0\" \"$@\" | true; exit ${PIPESTATUS[1]}";
        let args = [arg].into_iter().filter(|arg| !arg.is_empty());
        bash(line, [path_of(program)]).args(args).in_dir(desk.dir()).succeeds().says_nothing_on_stderr();
    }
}

#[test]
fn an_error_of_libtorch_is_one_line() {
    let desk = Desk::new();
    desk.train(&[]).succeeds();
    // Logits divided by this are infinite, and their softmax is no number.
    desk.sample(&["sample_temp=1e-40"]).fails(1).stderr_has("libtorch cannot go on: probability tensor");
}
