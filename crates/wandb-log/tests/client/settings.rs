use wandb_log::{Error, Run};

use super::sandbox::{KEY, Sandbox, train};

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
        let sandbox = Sandbox::new().with(name, value);
        let Err(Error::Setting { name: named, value: shown, .. }) = sandbox.try_start() else {
            panic!("{name}={value}")
        };
        assert_eq!((named.as_str(), shown.as_str()), (name, value));
        assert!(!sandbox.dir.path().join("wandb").exists());
        assert!(sandbox.server.state().requests.is_empty());
    }
    let sandbox = Sandbox::new();
    for project in ["", "a/b", "50%", &"x".repeat(129)] {
        let mut settings = sandbox.settings().unwrap();
        settings.project = project.to_owned();
        assert!(matches!(Run::init(settings), Err(Error::Setting { .. })), "{project}");
    }
    assert!(!sandbox.dir.path().join("wandb").exists());
}

#[test]
fn disabled_does_nothing() {
    let sandbox = Sandbox::new().with("WANDB_MODE", "disabled");
    let (mut run, notes) = sandbox.try_start().unwrap();
    let news = train(&mut run, 0..7);
    assert!(notes.is_empty() && news.is_empty() && run.finish(0).is_empty());
    assert!(!sandbox.dir.path().join("wandb").exists() && sandbox.server.state().requests.is_empty());
}

#[test]
fn what_is_set_arrives() {
    let sandbox =
        Sandbox::new().with("WANDB_ENTITY", "me").with("WANDB_RUN_ID", "my-id").with("WANDB_NAME", "not this one");
    let sandbox = sandbox.with("WANDB_TAGS", "a,b c").with("WANDB_NOTES", "note").with("WANDB_RUN_GROUP", "group");
    let sandbox =
        sandbox.with("WANDB_JOB_TYPE", "job").with("WANDB_APP_URL", "http://pages/").with("WANDB_PROJECT", "nor this");
    let notes = sandbox.train(0..3);
    assert_eq!(notes[0], "wandb: 🚀 View run a name at: http://pages/me/proj/runs/my-id");
    let run = sandbox.server.run();
    let keys = ["entity", "name", "displayName", "notes", "groupName", "jobType", "project"];
    let texts = keys.map(|key| run.upsert[key].as_str().unwrap());
    assert_eq!(texts, ["me", "my-id", "a name", "note", "group", "job", "proj"]);
    assert_eq!(run.upsert["tags"], serde_json::json!(["a", "b c"]));
    assert_eq!(sandbox.server.stream_posts()[0].path, "/files/me/proj/my-id/file_stream");
}

#[test]
fn silent_says_nothing_and_quiet_only_what_went_wrong() {
    assert!(Sandbox::new().with("WANDB_SILENT", "true").train(0..3).is_empty());
    assert!(Sandbox::new().with("WANDB_QUIET", "1").train(0..3).is_empty());
    let mut sandbox = Sandbox::new().with("WANDB_QUIET", "1");
    sandbox.vars.remove("WANDB_API_KEY");
    assert!(sandbox.train(0..3)[0].contains("no API key"));
    assert!(sandbox.with("WANDB_SILENT", "1").train(0..3).is_empty());
}

/// The keys of the requests, as the header has them.
fn auth(sandbox: &Sandbox) -> Option<String> {
    sandbox.train(0..2);
    sandbox.server.state().requests.first().and_then(|request| request.auth.clone())
}

#[test]
fn files_are_read_in_the_official_order() {
    let home = |sandbox: &Sandbox, name: &str, text: &str| {
        let path = sandbox.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let other = "f".repeat(40);
    let ours = "Basic YXBpOjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc=".to_owned();
    let theirs = "Basic YXBpOmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=".to_owned();
    let without_key = || {
        let mut sandbox = Sandbox::new();
        sandbox.vars.remove("WANDB_API_KEY");
        sandbox
    };
    // netrc before the settings files, with the port in the name
    let sandbox = without_key();
    let host = sandbox.server.addr.to_string();
    home(
        &sandbox,
        ".netrc",
        &format!("machine 127.0.0.1 login user password no\nmachine {host} login user password {KEY}\n"),
    );
    home(&sandbox, "wandb/settings", &format!("[default]\napi_key = {other}\n"));
    assert_eq!(auth(&sandbox), Some(ours.clone()));
    // local before global, which has what local lacks
    let mut sandbox = without_key();
    sandbox.vars.remove("WANDB_BASE_URL");
    let url = sandbox.server.url();
    home(
        &sandbox,
        ".config/wandb/settings",
        &format!("# mine\n[default]\nbase_url = {url}/\napi_key = {KEY}\nentity = team\n[x]\nmode = no\n"),
    );
    home(&sandbox, "wandb/settings", &format!("[default]\napi_key = {other}\n"));
    assert_eq!(auth(&sandbox), Some(theirs));
    assert_eq!(sandbox.server.run().upsert["entity"], "team");
    // the environment before all
    let sandbox = sandbox.with("WANDB_ENTITY", "me").with("WANDB_API_KEY", KEY).with("WANDB_RUN_ID", "x");
    sandbox.server.state().requests.clear();
    assert_eq!(auth(&sandbox), Some(ours));
    assert_eq!(sandbox.server.state().runs["x"].upsert["entity"], "me");
}

#[test]
fn a_key_of_the_wrong_form_is_not_sent_and_not_shown() {
    let sandbox = Sandbox::new().with("WANDB_API_KEY", "hunter2hunter2");
    let notes = sandbox.train(0..2);
    assert!(notes[0].contains("14 characters") && !notes[0].contains("hunter2"), "{notes:?}");
    assert!(sandbox.server.state().requests.is_empty());
}
