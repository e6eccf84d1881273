use std::time::{Duration, Instant};

use serde_json::json;

use super::sandbox::{KEY, Sandbox, assert_whole, train};
use super::server::Fault;

#[test]
fn a_run_arrives_whole() {
    let sandbox = Sandbox::new().with("WANDB__STATS_SAMPLING_INTERVAL", "0.1");
    let (mut run, notes) = sandbox.start();
    assert!(notes[0].starts_with("wandb: 🚀 View run a name at: http://"), "{notes:?}");
    assert!(notes[0].contains("/stub-entity/proj/runs/"), "{notes:?}");
    train(&mut run, 0..12);
    std::thread::sleep(Duration::from_millis(150)); // a second sample
    run.commit(12);
    let news = run.finish(0);
    assert_eq!(news, notes);
    let run = sandbox.server.run();
    assert_whole(&run, 12);
    assert_eq!((run.complete, run.exit_code), (true, Some(0)));
    assert_eq!(run.config["model"], json!({"value": {"layers": 2, "dtype": "float32"}}));
    assert_eq!(run.config["_wandb"], json!({"value": {"t": {}}}));
    assert_eq!(run.upsert["displayName"], "a name");
    let output = run.lines("output.log");
    assert_eq!(output.len(), 12);
    assert_eq!(&output[3][26..], " step 3");
    let events = run.lines("wandb-events.jsonl");
    assert!(events.len() >= 2 && events.iter().all(|line| line.contains("\"system.proc.memory.rssMB\"")), "{events:?}");
    assert!(events[1].contains("\"system.cpu\""), "{events:?}");
    // base64 of api:KEY
    let basic = "Basic YXBpOjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc=";
    assert!(sandbox.server.state().requests.iter().all(|request| request.auth.as_deref() == Some(basic)));
    sandbox.assert_no_key_on_disk();
}

#[test]
fn posts_keep_their_distance() {
    let sandbox = Sandbox::new().with("WANDB__FILE_STREAM_TRANSMIT_INTERVAL", "0.5");
    let (mut run, _) = sandbox.start();
    for step in 0..60 {
        train(&mut run, step..step + 1);
        std::thread::sleep(Duration::from_millis(20));
    }
    run.finish(0);
    let posts = sandbox.server.stream_posts();
    for pair in posts[..posts.len() - 1].windows(2) {
        assert!(pair[1].at - pair[0].at >= Duration::from_millis(300), "{:?}", pair[1].at - pair[0].at);
    }
    assert_whole(&sandbox.server.run(), 60);
}

#[test]
fn at_the_end_everything_goes_at_once() {
    let sandbox = Sandbox::new().with("WANDB__FILE_STREAM_TRANSMIT_INTERVAL", "60");
    let (mut run, _) = sandbox.start();
    train(&mut run, 0..1);
    sandbox.server.wait_for("the first post", |state| state.requests.len() > 1);
    train(&mut run, 1..60);
    let ended = Instant::now();
    run.finish(0);
    assert!(ended.elapsed() < Duration::from_secs(30), "{:?}", ended.elapsed());
    assert_eq!(sandbox.server.stream_posts().len(), 2);
    assert_whole(&sandbox.server.run(), 60);
}

#[test]
fn a_run_without_news_says_that_it_lives() {
    let sandbox = Sandbox::new().with("WANDB__FILE_STREAM_TRANSMIT_INTERVAL", "0.1");
    let (mut run, _) = sandbox.start();
    train(&mut run, 0..2);
    std::thread::sleep(Duration::from_millis(800));
    let posts = sandbox.server.stream_posts();
    assert!(posts.iter().filter(|post| post.body == json!({})).count() >= 2, "{posts:?}");
    run.finish(0);
    assert_whole(&sandbox.server.run(), 2);
}

#[test]
fn no_fault_loses_or_doubles_a_row() {
    let status = |status| Fault::Status(status, None);
    let faults = [
        status(500),
        Fault::DropBefore,
        Fault::DropAfter,
        status(429),
        Fault::Garbage,
        status(503),
        Fault::DropAfter,
        status(408),
        Fault::Status(429, Some("0".to_owned())),
        Fault::DropBefore,
    ];
    let sandbox = Sandbox::new();
    sandbox.server.state().stream_faults.extend(faults.clone());
    sandbox.server.state().graphql_faults.extend([Fault::DropBefore, status(502), Fault::DropAfter]);
    let (mut run, _) = sandbox.start();
    for step in 0..40 {
        train(&mut run, step..step + 1);
        std::thread::sleep(Duration::from_millis(10));
    }
    run.finish(0);
    assert!(sandbox.server.state().stream_faults.is_empty());
    let run = sandbox.server.run();
    assert_whole(&run, 40);
    assert_eq!(run.lines("output.log").len(), 40);
    assert_eq!(run.exit_code, Some(0));
    // a repeat is the same request
    let posts = sandbox.server.stream_posts();
    let repeats = posts.windows(2).filter(|pair| pair[0].body == pair[1].body).count();
    assert!(repeats >= faults.len() - 1, "{repeats}");
}

#[test]
fn retry_after_is_waited_for_even_at_the_end() {
    let sandbox = Sandbox::new();
    sandbox.server.state().stream_faults.push_back(Fault::Status(429, Some("1".to_owned())));
    sandbox.train(0..3);
    let posts = sandbox.server.stream_posts();
    assert!(posts[1].at - posts[0].at >= Duration::from_secs(1), "{:?}", posts[1].at - posts[0].at);
    assert_whole(&sandbox.server.run(), 3);
}

#[test]
fn a_server_that_was_down_for_a_while_gets_everything() {
    let sandbox = Sandbox::new();
    let (mut run, _) = sandbox.start();
    train(&mut run, 0..10);
    sandbox.server.wait_for("a post", |state| state.requests.len() > 1);
    sandbox.server.state().down = true;
    train(&mut run, 10..50);
    std::thread::sleep(Duration::from_millis(500));
    let news = run.messages();
    assert!(news.iter().any(|text| text.contains("wait on the disk")), "{news:?}");
    sandbox.server.state().down = false;
    run.finish(0);
    assert_whole(&sandbox.server.run(), 50);
}

#[test]
fn a_slow_server_does_not_slow_the_training() {
    let sandbox = Sandbox::new().with("WANDB_FINISH_TIMEOUT", "20");
    sandbox.server.state().delay = Duration::from_secs(2);
    let started = Instant::now();
    let (mut run, notes) = sandbox.try_start().unwrap();
    let mut news = train(&mut run, 0..200);
    assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
    assert!(notes.is_empty() && news.is_empty(), "{notes:?} {news:?}");
    sandbox.server.wait_for("the run", |state| state.requests.len() > 1);
    news = run.messages();
    assert!(news[0].contains("View run"), "the address comes when it is known: {news:?}");
    run.finish(0);
    assert_whole(&sandbox.server.run(), 200);
}

#[test]
fn large_runs_are_split() {
    let sandbox = Sandbox::new().with("WANDB_FINISH_TIMEOUT", "20");
    sandbox.server.state().delay = Duration::from_millis(300);
    let (mut run, _) = sandbox.start();
    let long = "x".repeat(50_000);
    for _ in 0..40 {
        run.output(&long); // counted as 12 MB, for all of it might need escapes
    }
    run.finish(0);
    let posts = sandbox.server.stream_posts();
    assert!(posts.iter().all(|post| post.body.to_string().len() < 10 << 20));
    assert!(posts.len() >= 2, "{}", posts.len());
    assert_eq!(sandbox.server.run().lines("output.log").len(), 40);
}

#[test]
fn the_way_a_run_ends_is_its_exit_code() {
    for code in [0, 255, 1] {
        let sandbox = Sandbox::new();
        let (mut run, _) = sandbox.start();
        train(&mut run, 0..3);
        run.finish(code);
        drop(run);
        assert_eq!(sandbox.server.run().exit_code, Some(i64::from(code)));
    }
    let sandbox = Sandbox::new();
    let panicked = std::thread::scope(|scope| {
        let training = || {
            let (mut run, _) = sandbox.start();
            train(&mut run, 0..3);
            std::panic::resume_unwind(Box::new("a bug"));
        };
        scope.spawn(training).join()
    });
    assert!(panicked.is_err());
    assert_eq!(sandbox.server.run().exit_code, Some(1));
    assert_whole(&sandbox.server.run(), 3);
}

#[test]
fn a_stop_on_the_page_is_said_once() {
    let sandbox = Sandbox::new();
    sandbox.server.state().stream_faults.extend([Fault::Stopped, Fault::Stopped, Fault::Stopped]);
    let (mut run, mut news) = sandbox.start();
    for step in 0..20 {
        news.extend(train(&mut run, step..step + 1));
        std::thread::sleep(Duration::from_millis(10));
    }
    news.extend(run.finish(0));
    assert_eq!(news.iter().filter(|text| text.contains("stopped on its page")).count(), 1, "{news:?}");
}

#[test]
fn rows_of_a_step_are_one_line_and_earlier_steps_are_refused_once() {
    let sandbox = Sandbox::new();
    let (mut run, _) = sandbox.start();
    run.log(3, [("val/nll_s1", 1.0)]);
    run.persist();
    run.log(3, [("val/nll_s2", 2.0)]);
    run.persist();
    run.log(3, [("loss", 3.0)]);
    run.log(2, [("loss", 4.0)]);
    run.log(1, [("loss", 4.0)]);
    run.log(4, [("loss", 5.0)]);
    let news = run.finish(0);
    assert_eq!(news.iter().filter(|text| text.contains("too late")).count(), 1, "{news:?}");
    let run = sandbox.server.run();
    assert_eq!(run.steps(), [3, 4]);
    let first = &run.history()[0];
    assert_eq!((&first["val/nll_s1"], &first["val/nll_s2"], &first["loss"]), (&json!(1.0), &json!(2.0), &json!(3.0)));
}

#[test]
fn the_key_is_in_no_message_even_if_the_server_says_it() {
    let sandbox = Sandbox::new();
    sandbox.server.state().graphql_faults.push_back(Fault::Refuse(format!("no such key: {KEY}")));
    let notes = sandbox.train(0..3);
    assert!(notes[0].contains("no such key: ***"), "{notes:?}");
    assert!(!notes.iter().any(|note| note.contains(KEY)), "{notes:?}");
    sandbox.assert_no_key_on_disk();
}
