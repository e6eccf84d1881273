//! Addition: made up, learnt, measured by right answers, and asked for.

use serde_json::Value;

use super::workdir::{Workdir, losses};

/// Two digits, two blocks of 32: learnt in seconds.
const ADDER: [&str; 11] = [
    "data=addition",
    "data.digits=2",
    "data.batch_size=64",
    "model.n_embd=32",
    "model.n_layer=2",
    "train.max_steps=500",
    "model.dropout=0",
    "train.beta2=0.99",
    "train.learning_rate=1e-2",
    "train.lr_decay_iters=500",
    "train.log_interval=10",
];

/// A folder with an adder; the tiny model's block size is a text's.
fn adder(more: &[&str]) -> Workdir {
    let workdir = Workdir::new();
    workdir.train(&[ADDER.as_slice(), &["data.block_size=8"], more].concat()).succeeds().says("addition of 2 digits");
    workdir
}

fn report(workdir: &Workdir, args: &[&str]) -> Value {
    serde_json::from_str(&workdir.eval(args).arg("--json").succeeds().stdout).unwrap()
}

#[test]
fn answers_are_learnt_measured_and_given() {
    let workdir = adder(&[]);
    assert!(losses(&workdir.run()).last().unwrap() < &0.2);
    let measured = report(&workdir, &["steps=0,2"]);
    let all = &measured["exact"][0];
    assert_eq!((&all["name"], &all["problems"]), (&Value::from("all"), &Value::from(5000)));
    assert!(all["System 1"].as_f64().unwrap() > 0.9, "{all}");
    let names: Vec<&str> =
        measured["exact"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["all", "1 digit", "2 digits", "0 carries", "1 carry", "2 carries"]);
    workdir.eval(&[]).succeeds().says("right in every digit").says("1 carry (");
    let right = (30..40).filter(|b| {
        let sum = format!("prompt=47+{b}");
        workdir.sample(&["--quiet", &sum]).succeeds().stdout == format!("47+{b}={}\n", 47 + b)
    });
    assert!(right.count() >= 8);
    workdir.refuses(workdir.sample(&["prompt=ROMEO:"]), 1, &["ROMEO", "no sum"]);
    workdir.refuses(workdir.sample(&["prompt=123+1"]), 1, &["123+1", "2 digits"]);
}

#[test]
fn what_a_model_writes_is_what_is_counted() {
    let workdir = adder(&["train.max_steps=250", "data.reverse=false"]);
    let measured = report(&workdir, &["max_windows=40"]);
    let share = measured["exact"][0]["System 1"].as_f64().unwrap();
    let adder = nanoebm::data::addition::Addition::new(2, false);
    let right = (0..40).filter(|&n| {
        let p = adder.problem(nanoebm::data::Split::Val, n);
        let written =
            workdir.sample(&["--quiet", "mode=fast", &format!("prompt={}", adder.question(p))]).succeeds().stdout;
        written == format!("{}+{}={}\n", p.a, p.b, p.a + p.b)
    });
    let right = right.count() as f64 / 40.0;
    assert!(share > 0.0 && share < 1.0, "{share} says too little");
    assert!((right - share).abs() < 1e-9, "{right} and {share}");
}

#[test]
fn families_and_contrastive_training_add_too() {
    let workdir = adder(&["model=reread", "model.reread_chars=6", "train.max_steps=20", "model.contrastive_type=pcd"]);
    workdir.eval(&["context_steps=1", "max_windows=20"]).succeeds();
    let from = workdir.arg("load_checkpoint", "final.pt");
    let words = [
        ADDER.as_slice(),
        &["data.block_size=8", "model=reread", "model.reread_chars=6", "model.contrastive_type=pcd"],
    ]
    .concat();
    workdir.train(&[words.as_slice(), &[&from, "train.max_steps=22"]].concat()).succeeds();
    workdir.viz(&["mode=negatives"]).succeeds();
    workdir.viz(&["mode=gap"]).succeeds();
    let same = [&from.replace("load_checkpoint", "a"), &from.replace("load_checkpoint", "b"), "max_windows=20"]
        .map(String::from);
    let same: Vec<&str> = same.iter().map(String::as_str).collect();
    workdir.compare(&same).succeeds();
    workdir.refuses(
        workdir.compare(&[same.as_slice(), &["block_size=5"]].concat()),
        1,
        &["block_size=5", "8 characters"],
    );
    workdir.refuses(workdir.sample(&["prompt=1+2", "context_steps=1"]), 1, &["context_steps"]);
    let other = [words.as_slice(), &[&from, "train.max_steps=25", "data.reverse=false"]].concat();
    workdir.refuses(workdir.train(&other), 1, &["allow_other_data"]);
}

#[test]
fn the_window_is_as_long_as_a_problem() {
    let workdir = Workdir::new();
    workdir.refuses(workdir.train(&["data=addition"]), 2, &["data.block_size=16", "11"]);
    workdir.refuses(
        workdir.train(&[
            "data=addition",
            "data.block_size=11",
            "model.contrastive_energy=same_token",
            "model.use_contrastive=true",
        ]),
        2,
        &["same_token"],
    );
    workdir.refuses(workdir.train(&["data=addition", "data.digits=10"]), 2, &["data.digits", "at most 9"]);
}
