//! What is typed for a key, and what arrives.

use std::path::Path;

use nanoebm::config::{self, CompareConfig, Config, ContrastiveType, EvalConfig, Override, SampleConfig, to_yaml};
use proptest::prelude::*;
use serde_yaml::Value;

use crate::{PROGRAM, error_of, job, jobs, refused, sample, train};

#[test]
fn text_arrives_as_typed() {
    let texts =
        ["HAMLET:", "a=b", "12+345=", "two\nlines", "-", "--x", "@file", "", "'Tis nobler", "\"open", "# no comment"];
    for text in texts.into_iter().chain(["~", "back\\slash", "ünï", "What? No; go!", "a: b", "0x1F"]) {
        assert_eq!(sample(&[&format!("prompt={text}")]).prompt, text);
    }
}

#[test]
fn text_is_quoted_and_cast_as_in_hydra() {
    let cases = [
        ("\"HAMLET:\"", "HAMLET:"),
        ("'a, b'", "a, b"),
        ("'it\\'s'", "it's"),
        ("it's", "it's"),
        ("'[{(a)}]'", "[{(a)}]"),
        ("''", ""),
        (" padded ", "padded"),
        ("' padded '", " padded "),
        ("123", "123"),
        ("1e3", "1000.0"),
        ("'1e3'", "1e3"),
        ("true", "True"),
        ("'null'", "null"),
    ];
    for (typed, meant) in cases {
        assert_eq!(sample(&[&format!("prompt={typed}")]).prompt, meant);
    }
    assert_eq!(train(&["wandb_name=null"]).wandb_name, None);
    assert_eq!(train(&["wandb_name='null'"]).wandb_name.as_deref(), Some("null"));
    for prompt in ["prompt=a,b", "prompt=[a]", "prompt=(a)", "prompt={a}", "prompt='it''s'"] {
        let message = error_of::<SampleConfig>(&[prompt]);
        assert!(message.contains("quotes") || message.contains("expected text"), "{message}");
    }
}

#[test]
fn null_is_no_folder() {
    let hint = "expected a path; 'null' in quotes is a text";
    refused(&[(&["out_dir=null"], &["out_dir=null", hint]), (&["data.data_path=null"], &[hint])]);
    assert_eq!(train(&["out_dir='null'"]).out_dir, Path::new("null"));
    assert_eq!(train(&["out_dir=Null_"]).out_dir, Path::new("Null_"));
}

#[test]
fn numbers_and_flags_are_read_by_kind() {
    let config = train(&["train.learning_rate=1", "model.bias=off", "model.dropout='0.5'", "train.seed=-3"]);
    assert_eq!((config.train.learning_rate, config.model.bias), (1.0, false));
    assert_eq!((config.model.dropout, config.train.seed), (0.5, -3));
    assert_eq!(train(&["model.contrastive_type=\"pcd\""]).model.contrastive_type, ContrastiveType::Pcd);
}

#[test]
fn lists_of_integers_come_with_and_without_brackets() {
    let steps = |arg: &str| job::<EvalConfig>(&[arg]).config.steps;
    for arg in ["steps=0,1,16", "steps=[0,1,16]", "steps=[0, 1, 16]", "steps='0,1,16'", "steps=int([0,1.5,16])"] {
        assert_eq!(steps(arg), Some(vec![0, 1, 16]), "{arg}");
    }
    assert_eq!((steps("steps=4"), steps("steps=null")), (Some(vec![4]), None));
    let swept =
        |arg: &str| jobs::<EvalConfig>(&["-m", arg]).into_iter().map(|job| job.config.steps).collect::<Vec<_>>();
    assert_eq!(swept("steps=0,1"), [Some(vec![0]), Some(vec![1])], "under -m a comma makes another job");
    assert_eq!(swept("steps=[0,1],[2]"), [Some(vec![0, 1]), Some(vec![2])]);
    for (arg, part) in
        [("steps=1,,2", "no place"), ("steps=[1", "closing"), ("steps=1.5", "integers"), ("steps=[]", "or more")]
    {
        assert!(error_of::<EvalConfig>(&[arg]).contains(part), "{arg}");
    }
}

#[test]
fn each_candidate_has_settings_of_its_own() {
    let args = [
        "a=x.pt",
        "b=y.pt",
        "a.think_lr=2",
        "b.model.use_soft_tokens=true",
        "b.model.think_steps=3",
        "model.alpha_value=1",
    ];
    let config = job::<CompareConfig>(&args).config;
    let [(a, first), (b, second)] = config.candidates().unwrap().try_into().unwrap();
    assert_eq!((a, first.checkpoint.as_deref(), first.refine_steps), ("a", Some(Path::new("x.pt")), None));
    assert_eq!((b, second.checkpoint.as_deref(), second.refine_steps), ("b", Some(Path::new("y.pt")), Some(3)));
    assert_eq!(first.model["model.alpha_value"], Value::from(2.0), "its own wins");
    assert_eq!(second.model["model.alpha_value"], Value::from(1.0));
    assert_eq!(second.model["model.use_soft_tokens"], Value::from(true));
    assert_eq!(first.model.len(), 1);
    let message = error_of::<CompareConfig>(&["a.refine_steps=-1"]);
    assert!(message.contains("a.refine_steps=-1") && message.contains("0 or more"), "{message}");
}

#[test]
fn the_last_of_one_key_wins() {
    assert_eq!(train(&["train.seed=1", "train.seed=2"]).train.seed, 2);
    assert_eq!(train(&["load_checkpoint=x", "~load_checkpoint"]).load_checkpoint, None);
}

#[test]
fn optional_values_are_dropped() {
    assert_eq!(sample(&["~topk"]).topk, None);
    assert_eq!(sample(&["topk=null"]).topk, None);
    assert_eq!(job::<EvalConfig>(&["data_path=x", "data_path=null"]).config.data_path, None);
    refused(&[(&["~train.seed"], &["~train.seed", "needs a value", "an integer"])]);
}

#[test]
fn keys_are_added_where_that_is_possible() {
    let config = sample(&["+model.alpha_value=2", "model.refine_reduction=mean"]);
    assert_eq!(config.model["alpha_value"], Value::from(2.0));
    assert_eq!(config.model["refine_reduction"], Value::from("mean"));
    assert!(sample(&["model.alpha_value=2", "~model.alpha_value"]).model.is_empty());
    refused(&[
        (&["+train.sede=1"], &["+train.sede", "only known ones", "train.seed"]),
        (&["+train.seed=1"], &["+train.seed", "there already", "train.seed=1"]),
    ]);
    assert_eq!(train(&["++train.seed=1"]).train.seed, 1);
    let message = error_of::<SampleConfig>(&["model.alfa_value=2"]);
    assert!(message.contains("model.alpha_value"), "{message}");
}

#[test]
fn home_is_expanded_in_paths() {
    let home = std::env::home_dir().unwrap();
    assert_eq!(train(&["out_dir=~/runs"]).out_dir, home.join("runs"));
    assert_eq!(train(&["out_dir=~other/runs"]).out_dir, Path::new("~other/runs"));
    assert_eq!(sample(&["prompt=~/x"]).prompt, "~/x");
}

#[test]
fn references_are_replaced() {
    let config = train(&["out_dir=runs/${data.dataset}_${train.seed}", "train.lr_decay_iters=${train.max_steps}"]);
    assert_eq!(config.out_dir, Path::new("runs/shakespeare_1337"));
    assert_eq!(config.train.lr_decay_iters, 5000);
    assert_eq!(train(&["wandb_name=${train.seed}"]).wandb_name.as_deref(), Some("1337"));
    assert_eq!(train(&["wandb_name=${wandb_project}"]).wandb_name, None);
    assert_eq!(sample(&[r"prompt=\${seed}"]).prompt, "${seed}");
}

#[test]
fn bad_references_are_errors() {
    refused(&[
        (&["wandb_name='${train'"], &["wandb_name", "closing brace"]),
        (&["wandb_name=${train.sed}"], &["wandb_name", "${train.sed}", "train.seed"]),
        (&["wandb_name=${train"], &["wandb_name", "closing brace"]),
        (&["wandb_name=${wandb_name}"], &["wandb_name -> wandb_name"]),
        (
            &["train.seed=${train.max_steps}", "train.max_steps=${train.seed}"],
            &["circle", "train.max_steps -> train.seed -> train.max_steps"],
        ),
        (&["train.seed=${out_dir}"], &["train.seed=out_ebt", "an integer"]),
        (&["data.batch_size=${train.seed}", "train.seed=0"], &["data.batch_size=0", "1 or more"]),
    ]);
}

proptest! {
    #[test]
    fn any_argument_parses_or_is_an_error(arg in ".*", key in "[a-z_.~+]{0,8}", text in "[\\[\\]{}'\"\\\\,$a-z0-9]{0,12}") {
        let both = format!("{key}={text}");
        for arg in [arg.as_str(), &both, &format!("prompt={arg}"), &format!("topk={arg}"), &format!("prompt={text}")] {
            if let Ok(parsed) = Override::parse(arg) {
                let again = Override::parse(&parsed.to_string()).unwrap();
                prop_assert_eq!(&again, &parsed);
            }
            let _ = config::parse::<SampleConfig>(&PROGRAM, [arg]);
            let _ = config::parse::<SampleConfig>(&PROGRAM, ["-m", arg]);
        }
    }

    #[test]
    fn quoted_text_survives(text in "(?s)[^'\\\\$]*") {
        let typed = format!("prompt='{text}'");
        prop_assert_eq!(&sample(&[&typed]).prompt, &text);
        prop_assert_eq!(&sample(&["-m", &typed]).prompt, &text);
    }

    #[test]
    fn numbers_survive(lr in 1e-9..1e3_f64, seed: i64) {
        let config = train(&[&format!("train.learning_rate={lr}"), &format!("train.seed={seed}")]);
        prop_assert_eq!((config.train.learning_rate, config.train.seed), (lr, seed));
        let again: Config = serde_yaml::from_str(&to_yaml(&config)).unwrap();
        prop_assert_eq!(again, config);
    }
}
