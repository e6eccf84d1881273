//! Keys that decide one another, and the model of a checkpoint.

use nanoebm::config::{Config, ContrastiveType, EvalConfig, Job, Mode, ModelConfig, SampleConfig};
use serde_yaml::Value;

use crate::{error_of, job, refused, sample, train};

#[test]
fn other_names_work() {
    assert_eq!(train(&["think_steps=7"]).model.refine_steps, 7);
    assert_eq!(train(&["model.think_steps=7", "model.refine_steps=7"]).model.refine_steps, 7);
    assert_eq!(train(&["model.think_lr=0.5"]).model.alpha_value, 0.5);
    assert!(train(&["think_lr_learnable=true"]).model.alpha_learnable);
    assert_eq!(sample(&["refine_steps=9"]).think_steps, 9);
    assert_eq!(sample(&["model.refine_steps=9"]).think_steps, 9);
    assert_eq!(sample(&["think_lr=9"]).model["alpha_value"], Value::from(9.0));
    assert_eq!(job::<EvalConfig>(&["think_steps=9"]).config.refine_steps, Some(9));
}

#[test]
fn two_names_with_two_values_are_an_error() {
    refused(&[
        (&["think_steps=3", "model.refine_steps=4"], &["think_steps=3", "model.refine_steps=4", "two names"]),
        (&["model.think_lr=1", "think_lr=2"], &["model.think_lr=1", "think_lr=2"]),
        (&["model.block_size=3", "data.block_size=4"], &["model.block_size=3", "data.block_size=4"]),
    ]);
    let message = error_of::<SampleConfig>(&["use_thinking=true", "mode=fast"]);
    assert!(message.contains("use_thinking=true") && message.contains("mode=fast"), "{message}");
}

#[test]
fn block_sizes_follow_one_another() {
    for args in [["data.block_size=32"], ["model.block_size=32"]] {
        let config = train(&args);
        assert_eq!((config.data.block_size, config.model.block_size), (32, 32));
    }
    assert_eq!(train(&["model.block_size=32", "data.block_size=32", "preset=cpu"]).data.block_size, 32);
}

#[test]
fn use_thinking_is_the_mode() {
    assert_eq!(sample(&["use_thinking=false"]).mode, Mode::Fast);
    assert_eq!(sample(&["use_thinking=true", "mode=think"]).mode, Mode::Think);
    assert_eq!(sample(&["mode=fast"]).use_thinking, None);
}

#[test]
fn naming_a_contrastive_type_switches_it_on() {
    let job: Job<Config> = job(&["model.contrastive_type=pcd"]);
    assert!(job.config.model.use_contrastive);
    assert!(job.notices[0].contains("model.use_contrastive=false"), "{:?}", job.notices);
    assert!(!train(&["model.contrastive_type=pcd", "model.use_contrastive=false"]).model.use_contrastive);
    assert!(crate::job::<Config>(&["model.contrastive_type=pcd", "model.use_contrastive=true"]).notices.is_empty());
    assert!(crate::job::<Config>(&[]).notices.is_empty());
}

#[test]
fn a_models_keys_are_set_by_name() {
    let mut model = ModelConfig::upstream();
    model.set("n_layer", &Value::from(2)).unwrap();
    model.set("model.think_lr", &Value::from(3)).unwrap();
    model.set("contrastive_type", &Value::from("fast_pcd")).unwrap();
    assert_eq!((model.n_layer, model.alpha_value, model.contrastive_type), (2, 3.0, ContrastiveType::FastPcd));
    let error = model.set("n_layers", &Value::from(2)).unwrap_err().to_string();
    assert!(error.contains("model.n_layer"), "{error}");
    let error = model.set("dropout", &Value::from("a lot")).unwrap_err().to_string();
    assert!(error.contains("model.dropout=a lot") && error.contains("a number"), "{error}");
    let error = model.set("n_embd", &Value::from(0)).unwrap_err().to_string();
    assert!(error.contains("1 or more"), "{error}");
}

#[test]
fn overrides_of_sample_reach_the_checkpoints_model() {
    let mut model = ModelConfig::upstream();
    model.apply(&sample(&["model.alpha_value=1", "model.bias=false"]).model).unwrap();
    assert_eq!((model.alpha_value, model.bias), (1.0, false));
    assert!(model.apply(&sample(&["model.n_head=5"]).model).is_err());
}
