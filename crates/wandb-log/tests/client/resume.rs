use nanoebm::tracking::wandb::WandbError;
use nanoebm::tracking::{End, Tracker};

use super::desk::{Desk, assert_whole, config, train};
use super::official;
use super::offline::train_and_die;

#[test]
fn a_resumed_training_goes_on_with_its_run() {
    let desk = Desk::new();
    let (mut wandb, _) = desk.start();
    train(&mut wandb, 0..10); // the run ends with the evaluation of step 10, whose training row comes with the next part
    wandb.finish(&End::Interrupted);
    assert_eq!(desk.server.run().exit_code, Some(255));
    let (mut wandb, notes) = desk.start();
    assert!(notes[1].contains("the server has its steps up to 10"), "{notes:?}");
    train(&mut wandb, 8..20); // from a checkpoint before the end
    wandb.finish(&End::Finished);
    let run = desk.server.run();
    assert_whole(&run, 20);
    assert_eq!(run.exit_code, Some(0));
    assert_eq!(run.lines("output.log").len(), 22, "the console's lines are those that were printed");
    assert_eq!(run.config["lr"]["value"], config()["lr"]);
}

#[test]
fn a_killed_run_is_whole_after_it_was_resumed() {
    for linger in ["0", "300"] {
        let desk = Desk::new();
        train_and_die(&desk, 0, linger);
        // the checkpoint was written after the evaluation of step 10, which is not done again
        let (mut wandb, _) = desk.start();
        train(&mut wandb, 10..20);
        wandb.finish(&End::Finished);
        assert_whole(&desk.server.run(), 20);
    }
}

#[test]
fn a_run_that_is_killed_again_and_again_is_whole_at_the_end() {
    let desk = Desk::new().with("WANDB__FILE_STREAM_TRANSMIT_INTERVAL", "60");
    train_and_die(&desk, 0, "100");
    train_and_die(&desk, 5, "0"); // dies before it can send
    train_and_die(&desk, 15, "100");
    let (mut wandb, _) = desk.start();
    train(&mut wandb, 25..30);
    wandb.finish(&End::Finished);
    assert_whole(&desk.server.run(), 30);
}

#[test]
fn offline_parts_are_one_directory_for_sync() {
    let desk = Desk::new().with("WANDB_MODE", "offline");
    train_and_die(&desk, 0, "0");
    let notes = desk.train(8..20);
    let dirs = desk.dirs("offline-run-");
    assert_eq!(dirs.len(), 2);
    assert!(
        desk.dirs("offline-run-")[0].read_dir().unwrap().any(|f| f
            .unwrap()
            .path()
            .to_str()
            .unwrap()
            .ends_with(".synced"))
    );
    assert!(notes.last().unwrap().contains(dirs[1].to_str().unwrap()), "{notes:?}");
    official::sync(&desk, &dirs[1]);
    let run = desk.server.run();
    assert_whole(&run, 20);
    assert_eq!(run.exit_code, Some(0));
}

#[test]
fn an_offline_part_is_sent_by_the_online_part_after_it() {
    let mut desk = Desk::new().with("WANDB_MODE", "offline");
    desk.train(0..12);
    desk.vars.remove("WANDB_MODE");
    desk.train(10..20);
    assert_whole(&desk.server.run(), 20);
}

#[test]
fn sync_appends_an_offline_part_to_what_was_sent() {
    let mut desk = Desk::new();
    let (mut wandb, _) = desk.start();
    train(&mut wandb, 0..12);
    wandb.finish(&End::Interrupted);
    desk.vars.insert("WANDB_MODE".to_owned(), "offline".to_owned());
    desk.train(11..20);
    official::sync(&desk, &desk.dirs("offline-run-")[0]);
    let run = desk.server.run();
    assert_whole(&run, 20);
    assert_eq!(run.lines("output.log").len(), 21);
    // and on from there
    desk.vars.remove("WANDB_MODE");
    desk.train(20..23);
    assert_whole(&desk.server.run(), 23);
}

#[test]
fn what_was_left_for_sync_is_sent_by_the_next_part() {
    let desk = Desk::new().with("WANDB_FINISH_TIMEOUT", "0.3");
    let (mut wandb, _) = desk.start();
    train(&mut wandb, 0..3);
    desk.server.wait_for("a post", |state| state.requests.len() > 1);
    std::thread::sleep(std::time::Duration::from_millis(100));
    desk.server.state().down = true;
    train(&mut wandb, 3..9);
    let news = wandb.finish(&End::Interrupted);
    assert!(news.last().unwrap().contains("were not sent"), "{news:?}");
    desk.server.state().down = false;
    desk.train(9..14);
    let run = desk.server.run();
    assert_whole(&run, 14);
    let output = run.lines("output.log");
    assert!((0..14).all(|step| output[step].ends_with(&format!(" step {step}"))), "{output:?}");
}

#[test]
fn must_never_allow_and_auto() {
    let desk = Desk::new().with("WANDB_RUN_ID", "mine").with("WANDB_RESUME", "must");
    assert!(matches!(desk.try_start(), Err(WandbError::Resume(_))));
    assert!(desk.dirs("run-").is_empty() && !desk.run_dir().join("wandb.json").exists());
    let desk = desk.with("WANDB_RESUME", "allow");
    desk.train(0..4);
    std::fs::remove_file(desk.run_dir().join("wandb.json")).unwrap(); // as in another run directory
    let desk = desk.with("WANDB_RESUME", "never");
    let Err(error) = desk.try_start() else { panic!("the run is there") };
    assert_eq!(
        error.to_string(),
        "WANDB_RESUME=never, and the run mine exists: give another WANDB_RUN_ID or WANDB_RESUME"
    );
    let desk = desk.with("WANDB_RESUME", "must");
    let (mut wandb, _) = desk.start();
    train(&mut wandb, 2..7);
    wandb.finish(&End::Finished);
    assert_whole(&desk.server.run(), 7);
    let times: Vec<f64> = desk.server.run().history().iter().map(|row| row["_runtime"].as_f64().unwrap()).collect();
    assert!(times.is_sorted(), "the run's age goes on: {times:?}");

    let desk = Desk::new().with("WANDB_RESUME", "auto");
    let (mut wandb, _) = desk.start();
    train(&mut wandb, 0..4);
    wandb.finish(&End::Failed("no".to_owned()));
    std::fs::remove_file(desk.run_dir().join("wandb.json")).unwrap();
    desk.train(4..7);
    assert_whole(&desk.server.run(), 7);
    assert!(!desk.dir.path().join("wandb/wandb-resume.json").exists());
}

#[test]
fn another_project_is_another_run() {
    let desk = Desk::new();
    desk.train(0..3);
    let info =
        nanoebm::tracking::wandb::RunInfo { project: "other", name: None, config: &config(), run_dir: &desk.run_dir() };
    let (wandb, _) = nanoebm::tracking::wandb::Wandb::start_with(&info, &desk.vars).unwrap();
    wandb.unwrap().finish(&End::Finished);
    assert_eq!(desk.server.state().runs.len(), 2);
}

#[test]
fn a_sidecar_that_is_no_json_is_named() {
    let desk = Desk::new();
    std::fs::write(desk.run_dir().join("wandb.json"), "{").unwrap();
    let Err(error) = desk.try_start() else { panic!("it is damaged") };
    assert!(error.to_string().contains("wandb.json"), "{error}");
}
