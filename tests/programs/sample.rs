//! Sampling: which characters are written.

use std::fs;

use serde_json::Value;

use super::workdir::{Workdir, fixture, shakespeare};

/// A folder with a model that has learnt a little.
pub fn trained() -> Workdir {
    let workdir = Workdir::new();
    workdir.train(&["train.max_steps=40", "train.learning_rate=1e-2", "model.think_lr=0.5"]).succeeds();
    workdir
}

/// What `sample --quiet` writes after the prompt `First`.
pub fn text(workdir: &Workdir, args: &[&str]) -> String {
    let done = workdir.sample(&["--quiet", "prompt=First", "max_new_tokens=60"]).args(args).succeeds();
    done.says_nothing_on_stderr().stdout
}

#[test]
fn quiet_is_the_text_and_nothing_else() {
    let workdir = trained();
    let written = text(&workdir, &["max_new_tokens=25"]);
    assert!(written.starts_with("First") && written.ends_with('\n'), "{written:?}");
    assert_eq!(written.chars().count(), 5 + 25 + 1);
    assert_eq!(text(&workdir, &["max_new_tokens=0"]), "First\n");
    let told = workdir.sample(&["prompt=First", "max_new_tokens=25"]).succeeds();
    assert!(told.stdout.contains(&written), "without --quiet the same text is among other lines:\n{}", told.stdout);
    told.says("System 2").says("final.pt").says("step 40");
}

#[test]
fn a_seed_decides_the_text() {
    let workdir = trained();
    assert_eq!(text(&workdir, &["seed=1"]), text(&workdir, &["seed=1"]));
    assert_ne!(text(&workdir, &["seed=1"]), text(&workdir, &["seed=2"]));
}

#[test]
fn the_best_character_needs_no_luck() {
    let workdir = trained();
    let best = text(&workdir, &["sample=false"]);
    assert_eq!(text(&workdir, &["topk=1", "seed=5"]), best);
    assert_eq!(text(&workdir, &["sample_top_p=0.0001", "seed=6"]), best);
    assert_eq!(text(&workdir, &["sample_temp=0.0001", "seed=7"]), best);
    assert_ne!(text(&workdir, &["sample=true", "topk=null"]), best);
}

#[test]
fn fast_does_not_think() {
    let workdir = trained();
    let fast = text(&workdir, &["mode=fast"]);
    assert_eq!(text(&workdir, &["use_thinking=false", "seed=3"]), fast, "without thinking the best character is taken");
    assert_eq!(text(&workdir, &["think_steps=0", "sample=false"]), fast);
    assert_ne!(text(&workdir, &["mode=fast", "sample=true"]), fast);
    // Hard tokens can only sharpen, so the best character stays; reading the prediction again changes it.
    assert_eq!(text(&workdir, &["think_steps=8", "model.think_lr=5", "sample=false"]), fast);
    let deep = ["think_steps=8", "model.think_lr=400", "model.use_soft_tokens=true", "sample=false"];
    assert_ne!(text(&workdir, &deep), fast, "soft tokens think otherwise");
}

#[test]
fn k_p_and_temperature_combine() {
    let workdir = trained();
    let written = text(&workdir, &["topk=5", "sample_top_p=0.9", "sample_temp=0.8", "max_new_tokens=80"]);
    assert_eq!(written.chars().count(), 5 + 80 + 1);
    text(&workdir, &["topk=100000"]);
}

#[test]
fn several_texts_differ_and_follow_one_another() {
    let workdir = trained();
    let written = text(&workdir, &["num_samples=3", "topk=null", "prompt=Firs"]);
    let texts: Vec<&str> = written.split("Firs").filter(|text| !text.is_empty()).collect();
    assert_eq!(written.chars().count(), 3 * (4 + 60 + 1));
    assert!(texts[0] != texts[1] && texts[1] != texts[2], "{texts:?}");
}

#[test]
fn the_originals_model_writes_the_originals_texts() {
    let workdir = Workdir::new();
    let golden: Value = serde_json::from_str(&fs::read_to_string(fixture("original/golden.json")).unwrap()).unwrap();
    let checkpoint = format!("checkpoint={}", fixture("original/checkpoint.pt").display());
    let data_path = format!("data_path={}", shakespeare().display());
    for mode in ["think", "fast"] {
        let prefix = format!("generate.top1.{mode}.");
        let cases = golden["cases"].as_object().unwrap().iter();
        let texts: Vec<_> = cases.filter_map(|(name, text)| Some((name.strip_prefix(&prefix)?, text))).collect();
        assert_eq!(texts.len(), 3);
        for (prompt, expected) in texts {
            let expected = expected.as_str().unwrap();
            let n = format!("max_new_tokens={}", expected.chars().count() - prompt.chars().count());
            let (mode, prompt) = (format!("mode={mode}"), format!("prompt={prompt}"));
            let args = ["--quiet", &checkpoint, &data_path, &mode, &prompt, &n, "topk=1"];
            assert_eq!(workdir.sample(&args).succeeds().stdout, format!("{expected}\n"), "{mode} {prompt}");
        }
    }
}

#[test]
fn a_text_is_read_before_writing() {
    let workdir = Workdir::new();
    workdir.train(&[]).succeeds();
    let write = |more: &[&str]| {
        let args = [&["max_new_tokens=40", "seed=1"], more].concat();
        workdir.sample(&args).succeeds()
    };
    let plain = write(&["--quiet"]).stdout;
    let read = write(&["--quiet", "context_text=@text.txt", "context_steps=1"]).stdout;
    assert_ne!(plain, read);
    assert_eq!(plain, write(&["--quiet", "context_text=@text.txt", "context_steps=0"]).stdout);
    write(&["context_text=@text.txt", "context_steps=1"]).says("Read 6000 characters");
    // Without a text of its own it is the prompt.
    write(&["prompt=@text.txt", "context_steps=1", "context_weights=head"]).says("Read 6000 characters");
    workdir.sample(&["context_text=@absent.txt", "context_steps=1"]).fails(1).stderr_has("absent.txt");
}
