use nanoebm::tracking::wandb::{RunInfo, Wandb, WandbError};

use super::desk::{Desk, KEY, config};

#[test]
fn a_wrong_setting_is_an_error_before_anything_is_written() {
    let wrong = [
        ("WANDB_MODE", "onlin"),
        ("WANDB_MODE", "shared"),
        ("WANDB_RUN_ID", ""),
        ("WANDB_RUN_ID", " a"),
        ("WANDB_RUN_ID", "a/b"),
        ("WANDB_RUN_ID", "a:b"),
        ("WANDB_RESUME", "true"),
        ("WANDB_TAGS", "a,,b"),
        ("WANDB_SILENT", "perhaps"),
        ("WANDB_INIT_TIMEOUT", "soon"),
        ("WANDB_HTTP_TIMEOUT", "-1"),
        ("WANDB_BASE_URL", "api.wandb.ai"),
    ];
    for (name, value) in wrong {
        let desk = Desk::new().with(name, value);
        let Err(WandbError::Setting { name: named, value: shown, .. }) = desk.try_start() else {
            panic!("{name}={value}")
        };
        assert_eq!((named.as_str(), shown.as_str()), (name, value));
        assert!(!desk.dir.path().join("wandb").exists());
        assert!(desk.server.state().requests.is_empty());
    }
    let desk = Desk::new();
    for project in ["", "a/b", "50%", &"x".repeat(129)] {
        let info = RunInfo { project, name: None, config: &config(), run_dir: &desk.run_dir() };
        assert!(matches!(Wandb::start_with(&info, &desk.vars), Err(WandbError::Setting { .. })), "{project}");
    }
    assert!(!desk.dir.path().join("wandb").exists());
}

#[test]
fn disabled_does_nothing() {
    let desk = Desk::new().with("WANDB_MODE", "disabled");
    let (wandb, notes) = desk.try_start().unwrap();
    assert!(wandb.is_none() && notes.is_empty());
    assert!(!desk.dir.path().join("wandb").exists() && desk.server.state().requests.is_empty());
}

#[test]
fn what_is_set_arrives() {
    let desk = Desk::new().with("WANDB_ENTITY", "me").with("WANDB_RUN_ID", "my-id").with("WANDB_NAME", "not this one");
    let desk = desk.with("WANDB_TAGS", "a,b c").with("WANDB_NOTES", "note").with("WANDB_RUN_GROUP", "group");
    let desk =
        desk.with("WANDB_JOB_TYPE", "job").with("WANDB_APP_URL", "http://pages/").with("WANDB_PROJECT", "nor this");
    let notes = desk.train(0..3);
    assert_eq!(notes[0], "wandb: 🚀 View run a name at: http://pages/me/proj/runs/my-id");
    let run = desk.server.run();
    let keys = ["entity", "name", "displayName", "notes", "groupName", "jobType", "project"];
    let texts = keys.map(|key| run.upsert[key].as_str().unwrap());
    assert_eq!(texts, ["me", "my-id", "a name", "note", "group", "job", "proj"]);
    assert_eq!(run.upsert["tags"], serde_json::json!(["a", "b c"]));
    assert_eq!(desk.server.stream_posts()[0].path, "/files/me/proj/my-id/file_stream");
}

#[test]
fn silent_says_nothing_and_quiet_only_what_went_wrong() {
    assert!(Desk::new().with("WANDB_SILENT", "true").train(0..3).is_empty());
    assert!(Desk::new().with("WANDB_QUIET", "1").train(0..3).is_empty());
    let mut desk = Desk::new().with("WANDB_QUIET", "1");
    desk.vars.remove("WANDB_API_KEY");
    assert!(desk.train(0..3)[0].contains("no API key"));
    assert!(desk.with("WANDB_SILENT", "1").train(0..3).is_empty());
}

/// The keys of the requests, as the header has them.
fn auth(desk: &Desk) -> Option<String> {
    desk.train(0..2);
    desk.server.state().requests.first().and_then(|request| request.auth.clone())
}

#[test]
fn files_are_read_in_the_official_order() {
    let home = |desk: &Desk, name: &str, text: &str| {
        let path = desk.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let other = "f".repeat(40);
    let ours = "Basic YXBpOjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc=".to_owned();
    let theirs = "Basic YXBpOmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=".to_owned();
    let without_key = || {
        let mut desk = Desk::new();
        desk.vars.remove("WANDB_API_KEY");
        desk
    };
    // netrc before the settings files, with the port in the name
    let desk = without_key();
    let host = desk.server.addr.to_string();
    home(
        &desk,
        ".netrc",
        &format!("machine 127.0.0.1 login user password no\nmachine {host} login user password {KEY}\n"),
    );
    home(&desk, "wandb/settings", &format!("[default]\napi_key = {other}\n"));
    assert_eq!(auth(&desk), Some(ours.clone()));
    // local before global, which has what local lacks
    let mut desk = without_key();
    desk.vars.remove("WANDB_BASE_URL");
    let url = desk.server.url();
    home(
        &desk,
        ".config/wandb/settings",
        &format!("# mine\n[default]\nbase_url = {url}/\napi_key = {KEY}\nentity = team\n[x]\nmode = no\n"),
    );
    home(&desk, "wandb/settings", &format!("[default]\napi_key = {other}\n"));
    assert_eq!(auth(&desk), Some(theirs));
    assert_eq!(desk.server.run().upsert["entity"], "team");
    // the environment before all
    let desk = desk.with("WANDB_ENTITY", "me").with("WANDB_API_KEY", KEY).with("WANDB_RUN_ID", "x");
    desk.server.state().requests.clear();
    assert_eq!(auth(&desk), Some(ours));
    assert_eq!(desk.server.state().runs["x"].upsert["entity"], "me");
}

#[test]
fn a_key_of_the_wrong_form_is_not_sent_and_not_shown() {
    let desk = Desk::new().with("WANDB_API_KEY", "hunter2hunter2");
    let notes = desk.train(0..2);
    assert!(notes[0].contains("14 characters") && !notes[0].contains("hunter2"), "{notes:?}");
    assert!(desk.server.state().requests.is_empty());
}
