use wandb_log::{Error, Run};

use super::accidents::train_and_die;
use super::sandbox::{Sandbox, assert_whole, config, steps_in, train};

#[test]
fn a_resumed_training_goes_on_with_its_run() {
    let sandbox = Sandbox::new();
    let (mut run, _) = sandbox.start();
    train(&mut run, 0..10); // the run ends with the evaluation of step 10, whose training row comes with the next part
    run.finish(255);
    assert_eq!(sandbox.server.run().exit_code, Some(255));
    let (mut run, notes) = sandbox.start();
    assert!(notes[1].contains("the server has its steps up to 10"), "{notes:?}");
    train(&mut run, 8..20); // from a checkpoint before the end
    run.finish(0);
    let run = sandbox.server.run();
    assert_whole(&run, 20);
    assert_eq!(run.exit_code, Some(0));
    assert_eq!(run.lines("output.log").len(), 22, "the console's lines are those that were printed");
    assert_eq!(run.config["lr"]["value"], config()["lr"]);
}

#[test]
fn a_killed_run_is_whole_after_it_was_resumed() {
    for linger in ["0", "300"] {
        let sandbox = Sandbox::new();
        train_and_die(&sandbox, 0, linger);
        // the checkpoint was written after the evaluation of step 10, which is not done again
        let (mut run, _) = sandbox.start();
        train(&mut run, 10..20);
        run.finish(0);
        assert_whole(&sandbox.server.run(), 20);
    }
}

#[test]
fn a_run_that_is_killed_again_and_again_is_whole_at_the_end() {
    let sandbox = Sandbox::new().with("WANDB__FILE_STREAM_TRANSMIT_INTERVAL", "60");
    train_and_die(&sandbox, 0, "100");
    train_and_die(&sandbox, 5, "0"); // dies before it can send
    train_and_die(&sandbox, 15, "100");
    let (mut run, _) = sandbox.start();
    train(&mut run, 25..30);
    run.finish(0);
    assert_whole(&sandbox.server.run(), 30);
}

#[test]
fn offline_parts_are_one_file_in_the_end() {
    let sandbox = Sandbox::new().with("WANDB_MODE", "offline");
    train_and_die(&sandbox, 0, "0");
    sandbox.train(8..20);
    assert_eq!(steps_in(&sandbox.dirs("offline-run-")[1]), (0..=20).collect::<Vec<_>>());
}

#[test]
fn an_offline_part_is_sent_by_the_online_part_after_it() {
    let mut sandbox = Sandbox::new().with("WANDB_MODE", "offline");
    sandbox.train(0..12);
    sandbox.vars.remove("WANDB_MODE");
    sandbox.train(10..20);
    assert_whole(&sandbox.server.run(), 20);
}

#[test]
fn what_was_left_for_sync_is_sent_by_the_next_part() {
    let sandbox = Sandbox::new().with("WANDB_FINISH_TIMEOUT", "0.3");
    let (mut run, _) = sandbox.start();
    train(&mut run, 0..3);
    sandbox.server.wait_for("a post", |state| state.requests.len() > 1);
    std::thread::sleep(std::time::Duration::from_millis(100));
    sandbox.server.state().down = true;
    train(&mut run, 3..9);
    let news = run.finish(255);
    assert!(news.last().unwrap().contains("were not sent"), "{news:?}");
    sandbox.server.state().down = false;
    sandbox.train(9..14);
    let run = sandbox.server.run();
    assert_whole(&run, 14);
    let output = run.lines("output.log");
    assert!((0..14).all(|step| output[step].ends_with(&format!(" step {step}"))), "{output:?}");
}

#[test]
fn must_never_allow_and_auto() {
    let sandbox = Sandbox::new().with("WANDB_RUN_ID", "mine").with("WANDB_RESUME", "must");
    assert!(matches!(sandbox.try_start(), Err(Error::Resume(_))));
    assert!(sandbox.dirs("run-").is_empty() && !sandbox.run_dir().join("wandb.json").exists());
    let sandbox = sandbox.with("WANDB_RESUME", "allow");
    sandbox.train(0..4);
    std::fs::remove_file(sandbox.run_dir().join("wandb.json")).unwrap(); // as in another run directory
    let sandbox = sandbox.with("WANDB_RESUME", "never");
    let Err(error) = sandbox.try_start() else { panic!("the run is there") };
    assert_eq!(
        error.to_string(),
        "WANDB_RESUME=never, and the run mine exists: give another WANDB_RUN_ID or WANDB_RESUME"
    );
    let sandbox = sandbox.with("WANDB_RESUME", "must");
    let (mut run, _) = sandbox.start();
    train(&mut run, 2..7);
    run.finish(0);
    assert_whole(&sandbox.server.run(), 7);
    let times: Vec<f64> = sandbox.server.run().history().iter().map(|row| row["_runtime"].as_f64().unwrap()).collect();
    assert!(times.is_sorted(), "the run's age goes on: {times:?}");

    let sandbox = Sandbox::new().with("WANDB_RESUME", "auto");
    let (mut run, _) = sandbox.start();
    train(&mut run, 0..4);
    run.finish(1);
    std::fs::remove_file(sandbox.run_dir().join("wandb.json")).unwrap();
    sandbox.train(4..7);
    assert_whole(&sandbox.server.run(), 7);
    assert!(!sandbox.dir.path().join("wandb/wandb-resume.json").exists());
}

#[test]
fn another_project_is_another_run() {
    let sandbox = Sandbox::new();
    sandbox.train(0..3);
    let mut settings = sandbox.settings().unwrap();
    settings.project = "other".to_owned();
    Run::init(settings).unwrap().finish(0);
    assert_eq!(sandbox.server.state().runs.len(), 2);
}

#[test]
fn a_sidecar_that_is_no_json_is_named() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.run_dir().join("wandb.json"), "{").unwrap();
    let Err(error) = sandbox.try_start() else { panic!("it is damaged") };
    assert!(error.to_string().contains("wandb.json"), "{error}");
}
