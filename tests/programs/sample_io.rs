//! Sampling: where prompts come from, where texts go, and which checkpoint is meant.

use std::thread::sleep;
use std::time::Duration;

use super::command::{bash, path_of};
use super::sample::{text, trained};
use super::workdir::Workdir;

#[test]
fn a_prompt_comes_from_the_command_line_a_file_or_standard_input() {
    let workdir = trained();
    workdir.write("prompt.txt", "First\nCitizen");
    let typed = text(&workdir, &["prompt=First\nCitizen"]);
    assert!(typed.starts_with("First\nCitizen"), "{typed:?}");
    assert_eq!(text(&workdir, &["prompt=@prompt.txt"]), typed);
    let args = ["--quiet", "prompt=-", "max_new_tokens=60"];
    assert_eq!(workdir.sample(&args).reads("First\nCitizen").succeeds().stdout, typed);
}

#[test]
fn unknown_characters_are_named_and_dropped() {
    let workdir = trained();
    let args = ["--quiet", "prompt=Fiж€rst", "max_new_tokens=60"];
    let done = workdir.sample(&args).succeeds().stderr_has("dropped: 'ж', '€'\n");
    assert_eq!(done.stdout, text(&workdir, &["prompt=First"]));
}

#[test]
fn an_empty_prompt_starts_from_a_newline() {
    let workdir = trained();
    let [empty, newline] = ["prompt=", "prompt=\n"].map(|prompt| text(&workdir, &[prompt]));
    assert_eq!(empty.chars().count(), 60 + 1);
    assert_eq!(newline, format!("\n{empty}"));
    workdir.sample(&["prompt=", "max_new_tokens=1"]).succeeds().says("starts after '\\n'");
    let unknown = workdir.sample(&["--quiet", "prompt=ж", "max_new_tokens=60"]).succeeds().stderr_has("ж");
    assert!(unknown.stdout.ends_with(&empty), "nothing that is known is nothing: {:?}", unknown.stdout);
}

#[test]
fn many_unknown_characters_are_one_short_line() {
    let workdir = trained();
    let prompt = format!("prompt=First{}", ('а'..='я').map(|c| c.to_string().repeat(200)).collect::<String>());
    let done = workdir.sample(&["max_new_tokens=1", &prompt]).succeeds().stderr_has("'а' (200 times), ");
    assert!(done.stderr.ends_with(" and 22 more\n") && done.stderr.chars().count() < 300, "{}", done.stderr);
}

#[test]
fn a_text_to_read_first_is_called_by_its_name() {
    let workdir = trained();
    let follow = ["context_steps=1", "max_new_tokens=1", "--quiet"];
    workdir
        .sample(&follow)
        .arg("context_text=@absent.txt")
        .fails(1)
        .stderr_has("cannot read context_text from absent.txt");
    workdir.sample(&follow).arg("context_text=Firж").succeeds().stderr_has("of context_text; they are dropped: 'ж'\n");
    // What an editor put before the text is no character of it.
    workdir.write("marked.txt", "\u{feff}First");
    let marked = workdir.sample(&["--quiet", "max_new_tokens=9", "prompt=@marked.txt"]).succeeds();
    assert_eq!(
        marked.says_nothing_on_stderr().stdout,
        workdir.sample(&["--quiet", "max_new_tokens=9", "prompt=First"]).succeeds().stdout
    );
}

#[test]
fn a_prompt_may_be_longer_than_the_context() {
    let workdir = trained();
    let prompt = "First Citizen ".repeat(10);
    assert!(text(&workdir, &[&format!("prompt='{prompt}'")]).starts_with(&prompt));
}

#[test]
fn the_newest_run_is_meant_when_nothing_else_is_said() {
    let workdir = Workdir::new();
    workdir.train(&["train.max_steps=2"]).succeeds();
    sleep(Duration::from_millis(20)); // file times are only so fine
    workdir.train(&["train.max_steps=3"]).succeeds();
    let short = ["max_new_tokens=1", "prompt=F"];
    workdir.sample(&short).succeeds().says("Loaded model from step 3");
    workdir.sample(&short).arg("checkpoint=out_ebt/final.pt").succeeds().says("Loaded model from step 3");
    let oldest = format!("checkpoint={}", workdir.runs()[0].join("final.pt").display());
    workdir.sample(&short).arg(oldest).succeeds().says("Loaded model from step 2");
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let workdir = trained();
    for (reader, flag) in [("head -c 10", "--quiet"), ("head -n 1", "num_samples=1"), ("true", "seed=1")] {
        // Without streaming, a text of this length would take minutes.
        let line = format!("\"$0\" \"$@\" | {reader}; exit ${{PIPESTATUS[0]}}");
        let endless = ["prompt=First", "max_new_tokens=1000000", "device=cpu", flag];
        let done = bash(&line, [path_of("sample")]).args(endless).in_dir(workdir.dir()).succeeds();
        done.says_nothing_on_stderr();
    }
    for (program, arg) in [("eval", "max_windows=1"), ("doctor", ""), ("train", "--help")] {
        let line = "sleep 0.1 | \"$0\" \"$@\" | true; exit ${PIPESTATUS[1]}";
        let args = [arg].into_iter().filter(|arg| !arg.is_empty());
        bash(line, [path_of(program)]).args(args).in_dir(workdir.dir()).succeeds().says_nothing_on_stderr();
    }
}

#[test]
fn an_error_of_libtorch_is_one_line() {
    let workdir = Workdir::new();
    workdir.train(&[]).succeeds();
    // Logits divided by this are infinite, and their softmax is no number.
    let failed = workdir.sample(&["sample_temp=1e-40", "prompt=First", "--quiet"]).fails(1);
    let failed = failed.stderr_has("libtorch cannot go on: probability tensor");
    assert_eq!(failed.stdout, "First\n", "the error stands on a line of its own");
}
