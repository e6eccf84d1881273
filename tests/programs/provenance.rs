//! Where a checkpoint comes from, and what a resumed run may change.

use std::fs;

use nanoebm::checkpoint::Checkpoint;
use torch_pt::Archive;

use super::command::bash;
use super::python::TORCH;
use super::workdir::{Workdir, folders, metrics};

/// A folder with one finished run of 6 steps, and how to go on from it.
fn trained() -> (Workdir, String) {
    let workdir = Workdir::new();
    workdir.train(&[]).succeeds();
    let resume = workdir.arg("load_checkpoint", "final.pt");
    (workdir, resume)
}

#[test]
fn a_checkpoint_says_what_made_it_and_pytorch_reads_that() {
    let (workdir, _) = trained();
    let sha256 = bash("sha256sum text.txt", [""; 0]).in_dir(workdir.dir()).succeeds().stdout;
    let sha256 = sha256.split_whitespace().next().unwrap();
    let path = workdir.result("final.pt");
    let made_by = Checkpoint::read(&path).unwrap().ours.unwrap().made_by;
    assert_eq!(made_by.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(made_by.data_sha256.as_deref(), Some(sha256));
    assert!(made_by.libtorch.as_ref().unwrap().starts_with("2.11.0"), "{made_by}");
    let doctor = super::command::nanoebm("doctor").succeeds().stdout;
    assert!(doctor.contains(made_by.commit.as_deref().unwrap_or("unknown")), "{doctor}");
    workdir.eval(&["max_windows=2"]).succeeds().says(&made_by.to_string());

    let python = "import sys, json, torch; c = torch.load(sys.argv[1], weights_only=True)['nanoebm']; \
                  print(json.dumps([c['version'], c['commit'], c['libtorch'], c['data_sha256'], c['config']['data']['data_path']]))";
    let output = TORCH.command().args(["-c", python, path.to_str().unwrap()]).output().unwrap();
    let seen: Vec<Option<String>> = serde_json::from_slice(&output.stdout).unwrap();
    let recorded = [Some(made_by.version), made_by.commit, made_by.libtorch, made_by.data_sha256];
    assert_eq!(seen, [&recorded[..], &[Some("text.txt".to_owned())]].concat());
}

#[test]
fn another_text_is_an_error_that_names_its_override() {
    let (workdir, resume) = trained();
    let text = fs::read_to_string(workdir.path("text.txt")).unwrap();
    workdir.write("other.txt", &text[..5000]); // it has fewer characters, and all of them are known
    workdir.write("text.txt", text[1000..].to_owned() + &text[..1000]); // the same name is not the same text
    let more = [&resume, "train.max_steps=9"];
    let parts = ["final.pt", "text.txt", "another text", "train.allow_other_data=true"];
    workdir.refuses(workdir.train(&more), 1, &parts);
    let fewer = ["other.txt", "vocabularies differ", "train.allow_other_data=true"];
    workdir.refuses(workdir.train(&more).arg("data.data_path=other.txt"), 1, &fewer);

    let before = fs::read(workdir.result("final.pt")).unwrap();
    let allowed = ["data.data_path=other.txt", "train.allow_other_data=true", "out_dir=elsewhere"];
    let done = workdir.train(&more).args(allowed).succeeds();
    done.says("Other data: other.txt").says("a new pass begins");
    assert_eq!(fs::read(workdir.result("final.pt")).unwrap(), before);
    let vocab = |dir: &str| {
        let run = folders(&workdir.path(dir)).remove(0);
        Checkpoint::read(&run.join("final.pt")).unwrap().ours.unwrap().vocab
    };
    assert_eq!(vocab("elsewhere"), vocab("out_ebt"), "the model's characters stay");

    // one of other characters needs a model of another shape, too
    workdir.write("cyrillic.txt", "жизнь и судьба ".repeat(400));
    let cyrillic = [&more[..], &["data.data_path=cyrillic.txt", "train.allow_other_data=true"]].concat();
    workdir.refuses(workdir.train(&cyrillic), 1, &["cyrillic.txt", "not in the checkpoint's vocabulary"]);
    let done = workdir.train(&cyrillic).args(["train.allow_other_shape=true", "out_dir=third"]).succeeds();
    done.says("begins anew").says("transformer.transformer.wte.weight, energy_head.weight\n");
}

#[test]
fn another_shape_takes_over_what_fits_where_that_is_allowed() {
    let (workdir, resume) = trained();
    let more = [&resume, "train.max_steps=9", "model.n_layer=2"];
    workdir.refuses(workdir.train(&more), 1, &["n_layer=1, but this run has 2", "train.allow_other_shape=true"]);
    let done = workdir.train(&more).arg("train.allow_other_shape=true").succeeds();
    done.says("Another shape: the optimizer begins anew")
        .says("h.1.mlp.c_proj.bias\n")
        .says("Changed since then: model.n_layer 1 → 2\n");
    assert_eq!(workdir.runs().len(), 2, "it is a run of its own");
    let [first, second] = [0, 1].map(|i| workdir.runs()[i].clone());
    assert_eq!(metrics(&second)[0]["step"], 6);
    assert_eq!(Archive::read(&first.join("final.pt")).unwrap().root.get("step").unwrap().as_i64(), Some(6));
}

#[test]
fn other_settings_are_told_in_a_line() {
    let (workdir, resume) = trained();
    let more =
        [&resume, "train.max_steps=9", "data.batch_size=8", "model.alpha_value=0.5", "train.learning_rate=0.001"];
    let line = "✓ Changed since then: model.alpha_value 0.02 → 0.5, data.batch_size 4 → 8, train.learning_rate 0.0003 → 0.001\n";
    workdir.train(&more).succeeds().says(line).says("at step 6, made by nanoebm");
    let same = [&workdir.arg("load_checkpoint", "final.pt"), "train.max_steps=12", "data.batch_size=8"];
    let same = [&same[..], &["model.alpha_value=0.5", "train.learning_rate=0.001"]].concat();
    assert!(!workdir.train(&same).succeeds().stdout.contains("Changed"));
}

#[test]
fn a_text_that_is_gone_is_not_replaced_by_another() {
    let (workdir, _) = trained();
    let checkpoint = workdir.arg("checkpoint", "final.pt");
    let doubt = "text.txt is not what the model was trained on";
    assert!(!workdir.eval(&[&checkpoint]).succeeds().stderr.contains(doubt));
    workdir.write("text.txt", &fs::read_to_string(workdir.path("text.txt")).unwrap()[..5000]);
    workdir.eval(&[&checkpoint]).succeeds().stderr_has(doubt);
    fs::rename(workdir.path("text.txt"), workdir.path("moved.txt")).unwrap();
    fs::copy(super::workdir::shakespeare(), workdir.path("shakespeare.txt")).unwrap();
    for program in [workdir.eval(&[&checkpoint]), workdir.viz(&[&checkpoint, "mode=gap"])] {
        workdir.refuses(program, 1, &["final.pt was trained on text.txt, which is not here", "data_path=FILE"]);
    }
    let both =
        [format!("a={}", workdir.result("final.pt").display()), format!("b={}", workdir.result("final.pt").display())];
    workdir.refuses(workdir.compare(&[&both[0], &both[1]]), 1, &["text.txt, which is not here"]);
    workdir.eval(&[&checkpoint, "data_path=moved.txt"]).succeeds();
    workdir.sample(&[&checkpoint, "max_new_tokens=5"]).succeeds(); // needs no text
}
