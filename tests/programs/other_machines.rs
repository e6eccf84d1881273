//! Machines of other people: their clocks, locales, folders.

use std::fs;

use super::command::{Program, nanoebm};
use super::desk::{Desk, TINY, assert_same_checkpoint, metrics, names};
use super::shim::{EROFS, Fault, operations};

/// Trains six steps, four more from the checkpoint, samples and evaluates; `how` is where a program runs.
fn train_and_resume(how: impl Fn(Program) -> Program) -> Desk {
    let desk = Desk::new();
    how(desk.train(&["save_interval=2", "train.eval_interval=3"])).succeeds();
    let resume = ["save_interval=2", "train.max_steps=10", &desk.arg("load_checkpoint", "ckpt_step_6.pt")];
    how(desk.train(&resume)).succeeds();
    let checkpoint = desk.arg("checkpoint", "final.pt");
    how(desk.sample(&[&checkpoint, "max_new_tokens=5"])).succeeds();
    how(desk.eval(&[&checkpoint, "max_windows=2"])).succeeds();
    desk
}

/// Wherever it runs, it comes to the same.
fn comes_to_the_same(places: impl IntoIterator<Item = Desk>) {
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
    let desk = Desk::new();
    desk.train(&["save_interval=2"]).succeeds();
    let checkpoint = desk.arg("checkpoint", "final.pt");
    for program in [desk.sample(&[&checkpoint, "max_new_tokens=5"]), desk.eval(&[&checkpoint, "max_windows=2"])] {
        program.with_fault(&desk, Fault::Lasting(EROFS), None, 1).succeeds();
        assert_eq!(operations(&desk), [], "what only reads opens nothing to write");
    }
    for resume in [None, Some(desk.arg("load_checkpoint", "final.pt"))] {
        let before = names(&desk.path("out_ebt"));
        let train = desk.train(&["train.max_steps=12"]).args(resume);
        let failed = train.with_fault(&desk, Fault::Lasting(EROFS), None, 1).fails(1);
        failed.stderr_has("out_ebt").stderr_has("Read-only file system");
        assert_eq!(names(&desk.path("out_ebt")), before);
    }
}

#[test]
fn folders_have_spaces_and_letters_of_all_languages() {
    let desk = Desk::new();
    let folder = desk.path("Übung eins/мой текст/名前 with 'quotes' & $signs");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(desk.path("text.txt"), folder.join("mein Text é.txt")).unwrap();
    let run = |program: &str, args: &[&str]| nanoebm(program).args(args).in_dir(&folder).succeeds();
    let here = ["data.data_path=mein Text é.txt", "out_dir=Läufe & Gänge"];
    run("train", &[&TINY[..], &here].concat());
    let name = names(&folder.join("Läufe & Gänge")).remove(0);
    let [resume, checkpoint] =
        ["load_checkpoint", "checkpoint"].map(|key| format!("{key}=Läufe & Gänge/{name}/final.pt"));
    run("train", &[&TINY[..], &here, &[&resume, "train.max_steps=9"]].concat()).says("at step 6");
    run("sample", &[&checkpoint, "device=cpu", "max_new_tokens=5"]);
    run("eval", &[&checkpoint, "device=cpu", "max_windows=2"]).says("mein Text é.txt");
    run("viz", &[&checkpoint, "device=cpu", "max_windows=2", "grid=9", "mode=gap", "out=Bilder ü"]);
    assert!(!names(&folder.join("Bilder ü")).is_empty());
}
