//! Machines of other people: their clocks, locales, folders.

use std::fs;

use super::command::{Program, nanoebm};
use super::faults::{EROFS, Fault, operations};
use super::workdir::{TINY, Workdir, assert_same_checkpoint, folders, metrics, names};

/// Trains six steps, four more from the checkpoint, samples and evaluates; `how` is where a program runs.
fn train_and_resume(how: impl Fn(Program) -> Program) -> Workdir {
    let workdir = Workdir::new();
    how(workdir.train(&["save_interval=2", "train.eval_interval=3"])).succeeds();
    let resume = ["save_interval=2", "train.max_steps=10", &workdir.arg("load_checkpoint", "ckpt_step_6.pt")];
    how(workdir.train(&resume)).succeeds();
    let checkpoint = workdir.arg("checkpoint", "final.pt");
    how(workdir.sample(&[&checkpoint, "max_new_tokens=5"])).succeeds();
    how(workdir.eval(&[&checkpoint, "max_windows=2"])).succeeds();
    workdir
}

/// Wherever it runs, it comes to the same.
fn comes_to_the_same(places: impl IntoIterator<Item = Workdir>) {
    let here = train_and_resume(|program| program);
    for there in places {
        assert_eq!(metrics(&there.run()), metrics(&here.run()));
        assert_same_checkpoint(&there.result("final.pt"), &here.result("final.pt"));
    }
}

#[test]
fn a_clock_may_be_wrong_and_jump() {
    comes_to_the_same(["0", "4102444800", "back"].map(|clock| train_and_resume(|p| p.with_clock(clock))));
}

#[test]
fn a_locale_and_a_time_zone_change_nothing() {
    let places = [("LC_ALL", "de_DE.UTF-8"), ("LC_ALL", "C"), ("LC_ALL", ""), ("TZ", "no such zone"), ("TZ", "")];
    comes_to_the_same(places.map(|(name, value)| train_and_resume(|p| p.env(name, value).env("LANG", value))));
}

#[test]
fn a_folder_that_cannot_be_written_to_is_read_from_and_trained_in_it_is_one_line() {
    let workdir = Workdir::new();
    workdir.train(&["save_interval=2"]).succeeds();
    let checkpoint = workdir.arg("checkpoint", "final.pt");
    for program in [workdir.sample(&[&checkpoint, "max_new_tokens=5"]), workdir.eval(&[&checkpoint, "max_windows=2"])] {
        program.with_fault(&workdir, Fault::Lasting(EROFS), None, 1).succeeds();
        assert_eq!(operations(&workdir), [], "what only reads opens nothing to write");
    }
    for resume in [None, Some(workdir.arg("load_checkpoint", "final.pt"))] {
        let before = names(&workdir.path("out_ebt"));
        let train = workdir.train(&["train.max_steps=12"]).args(resume);
        let failed = train.with_fault(&workdir, Fault::Lasting(EROFS), None, 1).fails(1);
        failed.stderr_has("out_ebt").stderr_has("Read-only file system");
        assert_eq!(names(&workdir.path("out_ebt")), before);
    }
}

#[test]
fn folders_have_spaces_and_letters_of_all_languages() {
    let workdir = Workdir::new();
    let folder = workdir.path("Übung eins/мой текст/名前 with 'quotes' & $signs");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(workdir.path("text.txt"), folder.join("mein Text é.txt")).unwrap();
    let run = |program: &str, args: &[&str]| nanoebm(program).args(args).in_dir(&folder).succeeds();
    let here = ["data.data_path=mein Text é.txt", "out_dir=Läufe & Gänge"];
    run("train", &[&TINY[..], &here].concat());
    let run_dir = folders(&folder.join("Läufe & Gänge")).remove(0);
    let name = run_dir.file_name().unwrap().to_str().unwrap();
    let [resume, checkpoint] =
        ["load_checkpoint", "checkpoint"].map(|key| format!("{key}=Läufe & Gänge/{name}/final.pt"));
    run("train", &[&TINY[..], &here, &[&resume, "train.max_steps=9"]].concat()).says("at step 6");
    run("sample", &[&checkpoint, "device=cpu", "max_new_tokens=5"]);
    run("eval", &[&checkpoint, "device=cpu", "max_windows=2"]).says("mein Text é.txt");
    run("viz", &[&checkpoint, "device=cpu", "max_windows=2", "grid=9", "mode=gap", "out=Bilder ü"]);
    assert!(!names(&folder.join("Bilder ü")).is_empty());
}
