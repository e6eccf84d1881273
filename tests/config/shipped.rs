//! The shipped files: defaults, presets, and that files, structs and help agree.

use std::collections::BTreeSet;
use std::path::Path;

use nanoebm::config::{
    CompareConfig, Config, ContrastiveType, DataConfig, EvalConfig, Mode, ModelConfig, RefineReduction, Root, SHIPPED,
    SampleConfig, TrainConfig, VizConfig, help_of,
};
use serde_yaml::Value;

use crate::{job, leaves_of, printed, refused, train};

#[test]
fn defaults_are_the_originals() {
    let config = Config::default();
    let ModelConfig { n_layer, n_head, n_embd, dropout, alpha_value, refine_steps, contrastive_type, .. } =
        config.model;
    assert_eq!((n_layer, n_head, n_embd, dropout), (6, 6, 384, 0.1));
    assert_eq!((alpha_value, refine_steps, contrastive_type), (0.02, 4, ContrastiveType::Cd));
    assert_eq!((config.data.block_size, config.model.block_size, config.data.batch_size), (256, 256, 64));
    assert_eq!((config.train.learning_rate, config.train.min_lr, config.train.max_steps), (3e-4, 3e-5, 5000));
    assert_eq!((config.out_dir.to_str(), config.save_interval), (Some("out_ebt"), 1000));
    assert_eq!(ModelConfig::default(), config.model);
    assert_eq!(DataConfig::default(), config.data);
    assert_eq!(TrainConfig::default(), config.train);
    let sample = SampleConfig::default();
    assert_eq!((sample.prompt.as_str(), sample.think_steps, sample.topk), ("ROMEO:", 4, Some(50)));
    assert_eq!((sample.mode, sample.sample, sample.max_new_tokens), (Mode::Think, None, 200));
    assert_eq!(EvalConfig::default().refine_steps, None);
}

#[test]
fn upstream_differs_only_in_the_switches() {
    let (ours, original) = (leaves_of(&ModelConfig::default()), leaves_of(&ModelConfig::upstream()));
    let differ: Vec<&str> = ours.iter().zip(&original).filter(|(a, b)| a != b).map(|(a, _)| a.0.as_str()).collect();
    let switches = [
        "refine_reduction",
        "share_hidden",
        "contrastive_positive_grad",
        "contrastive_energy",
        "contrastive_l2",
        "langevin_momentum",
    ];
    assert_eq!(differ, switches);
    assert_eq!(ModelConfig::upstream().refine_reduction, RefineReduction::Mean);
    assert_eq!(train(&["model=upstream"]).model, ModelConfig::upstream());
}

#[test]
fn original_keys_come_first() {
    let keys: Vec<String> = leaves_of(&ModelConfig::default()).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys[..23], ModelConfig::ORIGINAL_KEYS);
}

#[test]
fn every_file_of_conf_is_embedded() {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(&conf).unwrap() {
        let path = entry.unwrap().path();
        let files = if path.is_dir() {
            std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect()
        } else {
            vec![path]
        };
        found.extend(files.iter().map(|file| {
            let name = file.strip_prefix(&conf).unwrap().with_extension("");
            name.to_str().unwrap().replace('\\', "/")
        }));
    }
    let embedded: BTreeSet<String> = SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(embedded, found);
}

#[test]
fn every_key_of_every_file_has_a_line_of_help() {
    for (name, text) in SHIPPED {
        for line in text.lines() {
            let bare = line.trim_start();
            let is_key = bare.contains(':') && !bare.starts_with('#') && !bare.starts_with("defaults:");
            assert!(!is_key || bare.contains(" # "), "{name}.yaml has no comment in {line:?}");
        }
    }
}

#[test]
fn every_key_of_every_struct_has_a_line_of_help() {
    fn check<T: Root + Default>() {
        for (key, _) in leaves_of(&T::default()) {
            assert!(!help_of::<T>(&key).is_empty(), "{key} of {}", T::FILE);
        }
    }
    check::<Config>();
    check::<SampleConfig>();
    check::<EvalConfig>();
    check::<CompareConfig>();
    check::<VizConfig>();
}

/// Struct, table of kinds and YAML agree: every key of the struct is listed by `--help`, and no other.
#[test]
fn struct_and_files_have_the_same_keys() {
    fn check<T: Root + Default>(open: usize) {
        let page = printed::<T>(&["--help"]);
        let (_, keys) = page.split_once("\nKeys:\n").unwrap();
        let rows = keys.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let mut listed: Vec<&str> = rows.map(|row| row.trim_start().split_once('=').unwrap().0).collect();
        let all = listed.len();
        listed.retain(|key| !key.ends_with(".KEY"));
        assert_eq!(all - listed.len(), open);
        let keys: Vec<String> = leaves_of(&T::default()).into_iter().map(|(key, _)| key).collect();
        assert_eq!(listed, keys);
    }
    check::<Config>(0);
    check::<SampleConfig>(1);
    check::<EvalConfig>(1);
    check::<VizConfig>(1);
    check::<CompareConfig>(7);
}

#[test]
fn every_field_can_be_set_by_its_dotted_name() {
    fn check<T: Root + Default>() {
        for (key, old) in leaves_of(&T::default()) {
            let new = other_value(&key, &old);
            let set = format!("{key}={new}");
            let args: Vec<&str> = std::iter::once(set.as_str()).chain(companion(&key)).collect();
            let found = leaves_of(&job::<T>(&args).config).into_iter().find(|(name, _)| *name == key).unwrap().1;
            assert_eq!(text_of(&found), new, "{set}");
            assert_ne!(found, old, "{set}");
        }
    }
    check::<Config>();
    check::<SampleConfig>();
    check::<EvalConfig>();
    check::<CompareConfig>();
    check::<VizConfig>();
}

fn text_of(value: &Value) -> String {
    // YAML writes a list over several lines, the command line in brackets.
    let text = serde_yaml::to_string(value).unwrap().trim().to_owned();
    text.strip_prefix("- ").map_or(text.clone(), |item| format!("[{item}]"))
}

/// What a key needs beside it to be valid.
fn companion(key: &str) -> Option<&'static str> {
    (key == "model.n_head").then_some("model.n_embd=385")
}

/// A valid value other than the default.
fn other_value(key: &str, old: &Value) -> String {
    match (key, old) {
        ("model.n_embd", _) => "390".to_owned(),
        ("model.n_head", _) => "5".to_owned(),
        ("model.energy", _) => "reread".to_owned(),
        ("data.digits" | "stride", _) => "7".to_owned(),
        ("model.contrastive_type", _) => "fast_pcd".to_owned(),
        ("model.refine_reduction", _) => "mean".to_owned(),
        ("model.contrastive_energy", _) => "same_token".to_owned(),
        ("mode", Value::String(mode)) if mode == "all" => "gap".to_owned(),
        ("mode", _) => "fast".to_owned(),
        ("format", _) => "png".to_owned(),
        ("extent", _) => "0.25".to_owned(),
        ("split", _) => "train".to_owned(),
        ("context", _) => "rolling".to_owned(),
        ("device" | "train.device", _) => "cuda:1".to_owned(),
        ("dtype" | "train.dtype", _) => "bfloat16".to_owned(),
        ("use_thinking" | "sample", _) => "true".to_owned(),
        ("sample_top_p" | "context_alpha", _) => "0.25".to_owned(),
        ("context_weights", _) => "head".to_owned(),
        ("train.on_nonfinite", _) => "skip".to_owned(),
        ("refine_steps" | "max_windows" | "block_size" | "position" | "grid", _) => "7".to_owned(),
        ("steps", _) => "[7]".to_owned(),
        (_, Value::Bool(flag)) => (!flag).to_string(),
        (_, Value::Number(number)) if number.is_f64() => "0.125".to_owned(),
        (_, Value::Number(_)) => "17".to_owned(),
        _ => "other".to_owned(),
    }
}

#[test]
fn preset_goes_over_the_groups_in_any_order() {
    let config = train(&["preset=cpu", "model=upstream"]);
    assert_eq!(config, train(&["model=upstream", "preset=cpu"]));
    assert_eq!(config.model.refine_reduction, RefineReduction::Mean);
    assert_eq!((config.model.n_layer, config.model.n_embd, config.model.block_size), (4, 128, 64));
    assert_eq!((config.data.batch_size, config.train.max_steps, config.train.beta2), (12, 2000, 0.99));
    assert_eq!(train(&["preset=cpu"]), train(&["model=cpu", "data=cpu", "train=cpu"]));
}

#[test]
fn keys_go_over_presets_in_any_order() {
    assert_eq!(train(&["train.max_steps=7", "preset=cpu"]).train.max_steps, 7);
    assert_eq!(train(&["preset=cpu", "train.max_steps=7"]).train.max_steps, 7);
}

#[test]
fn a_preset_can_be_left_out_again() {
    for none in ["preset=null", "~preset"] {
        assert_eq!(train(&["preset=cpu", none]), Config::default());
    }
    assert_eq!(train(&["+preset=cpu"]), train(&["preset=cpu"]));
}

#[test]
fn unknown_options_list_the_known_ones() {
    refused(&[
        (
            &["model=gpu"],
            &["group `model` has no option `gpu`", "default, cpu, ebt, linear, mixture, reread, upstream"],
        ),
        (&["preset=../data/cpu"], &["group `preset`", "cpu"]),
        (&["train="], &["group `train`", "default, cpu"]),
        (&["~model"], &["~model", "needs an option"]),
        (&["model=default,upstream"], &["one of default, cpu, ebt, linear, mixture, reread, upstream", "-m"]),
    ]);
}
