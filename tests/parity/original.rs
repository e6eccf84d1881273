//! The parity ladder: from one checkpoint of the original, each rung must agree with PyTorch before the next can.
//!
//! Hidden states and energies 1e-5 · every refinement trajectory 1e-5 · losses and metrics 1e-5 · every gradient of every named
//! parameter 1e-4 relative · three AdamW steps 1e-5 · learning rates exact · greedy texts identical.
//! The fixture `original` is the original's own; `other_shape` has other sizes, no biases, and the switches that are ours.

use nanoebm::config::{Config, SampleConfig, TrainConfig};
use nanoebm::data::{Corpus, Split};
use nanoebm::eval::scores::{Base, Scores};
use nanoebm::nn::optim::{AdamW, learning_rate};
use nanoebm::nn::pass::Pass;
use nanoebm::run::step::Step;
use nanoebm::sample::{Chooser, Generation};
use serde_json::{Value, json};
use tch::{Kind, no_grad};

use super::golden::{Golden, Ladder};

const FIXTURES: [&str; 2] = ["original", "other_shape"];
const EVAL: Pass = Pass { train: false, compute: Kind::Float, second_order: false, remat: false };
const TRAIN: Pass = Pass { train: true, compute: Kind::Float, second_order: false, remat: false };

fn f64_of(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn hidden_states_and_energies() {
    for name in FIXTURES {
        let golden = Golden::open(name);
        let (idx, _) = golden.batch();
        let ebm = golden.model(&json!({}));
        let mut ladder = Ladder::default();
        no_grad(|| {
            let h = ebm.hidden_states(&idx, EVAL);
            ladder.close(&format!("{name} hidden"), &h, &golden.tensor("hidden"), 1e-5);
            ladder.close(&format!("{name} energies"), &ebm.energies(&h, EVAL), &golden.tensor("energies"), 1e-5);
            ladder.close(&format!("{name} system 1"), &ebm.system1(&idx, EVAL), &-golden.tensor("energies"), 1e-5);
        });
        ladder.finish();
    }
}

#[test]
fn refinement_step_by_step() {
    for name in FIXTURES {
        let golden = Golden::open(name);
        let (idx, _) = golden.batch();
        let mut ladder = Ladder::default();
        for (case, fields) in golden.cases("refine.") {
            let mut over = fields["over"].as_object().cloned().unwrap_or_default();
            over.insert("use_soft_tokens".into(), fields["soft"].clone());
            over.insert("energy_convergence_threshold".into(), fields["threshold"].clone());
            over.insert("alpha_value".into(), fields["alpha"].clone());
            let ebm = golden.model(&Value::Object(over));
            let steps = fields["steps"].as_i64().unwrap();
            let ours = no_grad(|| ebm.trajectory(&ebm.read(&idx, EVAL), steps, EVAL));
            let theirs = golden.tensor(&case);
            assert_eq!(ours.len() as i64, fields["trajectory_len"].as_i64().unwrap(), "{name} {case}: steps taken");
            for (k, x) in ours.iter().enumerate() {
                // α = 5e4 enlarges the last bit of System 1's energies by more than the tolerance elsewhere.
                let tolerance = if case.ends_with("a5e4_clamp") { 1e-4 } else { 1e-5 };
                ladder.close(&format!("{name} {case} x_{k}"), x, &theirs.get(k as i64), tolerance);
            }
        }
        ladder.finish();
    }
}

/// Evaluation descends every text of a batch as if it were alone. In the golden batch a mean energy is over the positions of all B
/// texts, which α / B makes up for; a text that has stopped stays.
#[test]
fn each_text_of_a_batch_descends_alone() {
    for name in FIXTURES {
        let golden = Golden::open(name);
        let (idx, _) = golden.batch();
        let b = idx.size()[0];
        let mut ladder = Ladder::default();
        for (case, fields) in golden.cases("refine.") {
            let mut over = fields["over"].as_object().cloned().unwrap_or_default();
            let is_mean = over.get("refine_reduction").is_none_or(|reduction| reduction == "mean");
            let alpha = f64_of(&fields["alpha"]) / if is_mean { b as f64 } else { 1.0 };
            over.insert("use_soft_tokens".into(), fields["soft"].clone());
            over.insert("energy_convergence_threshold".into(), fields["threshold"].clone());
            over.insert("alpha_value".into(), alpha.into());
            let ebm = golden.model(&Value::Object(over));
            let steps = fields["steps"].as_i64().unwrap();
            let ours = no_grad(|| ebm.trajectory_alone(&ebm.read(&idx, EVAL), steps, EVAL));
            assert_eq!(ours.len() as i64, steps + 1);
            let theirs = golden.tensor(&case);
            let last = fields["trajectory_len"].as_i64().unwrap() - 1;
            for (k, x) in ours.iter().enumerate() {
                let tolerance = if case.ends_with("a5e4_clamp") { 1e-4 } else { 1e-5 };
                ladder.close(&format!("{name} {case} x_{k} alone"), x, &theirs.get(last.min(k as i64)), tolerance);
            }
            for row in 0..b {
                let alone = no_grad(|| ebm.trajectory(&ebm.read(&idx.narrow(0, row, 1), EVAL), steps, EVAL));
                let x = ours[steps as usize].narrow(0, row, 1);
                ladder.close(&format!("{name} {case} row {row}"), &x, &alone[alone.len() - 1], 1e-4);
            }
        }
        ladder.finish();
    }
}

/// What `eval` reports of a trajectory are the original's metrics of it.
#[test]
fn measures_of_the_golden_trajectories() {
    for name in FIXTURES {
        let golden = Golden::open(name);
        let (idx, targets) = golden.batch();
        let mut ladder = Ladder::default();
        for (case, fields) in golden.cases("train.s2") {
            if !fields["metrics"]["cd_loss"].is_null() {
                continue;
            }
            let ebm = golden.model(&fields["over"]);
            let steps = fields["steps"].as_i64().unwrap();
            let (mut s1, mut s2) = (Scores::default(), Scores::default());
            no_grad(|| {
                let reading = ebm.read(&idx, EVAL);
                let (base, trajectory) = (Base::new(&reading.energies), ebm.trajectory(&reading, steps, EVAL));
                s1.add(&trajectory[0], &targets, &base);
                s2.add(&trajectory[trajectory.len() - 1], &targets, &base);
            });
            let (s1, s2) = (s1.summary(), s2.summary());
            let ours = [
                ("nll_s1", s1.nll),
                ("nll_s2", s2.nll),
                ("initial_energy", s1.energy),
                ("final_energy", s2.energy),
                ("energy_gap", s2.energy_gap),
            ];
            for (metric, value) in ours {
                ladder.number(&format!("{name} {case} {metric}"), value, f64_of(&fields["metrics"][metric]), 1e-5);
            }
        }
        ladder.finish();
    }
}

/// Losses, metrics, logits and every gradient of the training cases without a contrastive loss.
#[test]
fn training_loss_and_every_gradient() {
    for name in FIXTURES {
        let golden = Golden::open(name);
        let (idx, targets) = golden.batch();
        let mut ladder = Ladder::default();
        for (case, fields) in golden.cases("train.") {
            if !fields["metrics"]["cd_loss"].is_null() {
                continue; // contrastive.rs
            }
            let ebm = golden.model(&fields["over"]);
            let mut optimizer = AdamW::new(ebm.params(), &TrainConfig::default(), &ebm.config);
            let steps = fields["use_refine"].as_bool().unwrap().then(|| fields["steps"].as_i64().unwrap());
            let step = Step::new(ebm.forward(&idx, &targets, steps, TRAIN));
            let output = &step.output;
            ladder.number(&format!("{name} {case} loss"), output.loss.double_value(&[]), f64_of(&fields["loss"]), 1e-5);
            for (metric, value) in step.metrics(&targets).read() {
                if let Some(theirs) = fields["metrics"].get(&metric) {
                    ladder.number(&format!("{name} {case} {metric}"), value, f64_of(theirs), 1e-5);
                }
            }
            ladder.close(
                &format!("{name} {case} logits"),
                &output.logits,
                &golden.tensor(&format!("{case}.logits")),
                1e-5,
            );
            optimizer.backward(&output.loss);
            let grads = optimizer.grads();
            let ours: std::collections::BTreeSet<_> = grads.iter().map(|(n, _)| n.clone()).collect();
            assert_eq!(ours.into_iter().collect::<Vec<_>>(), golden.names(&format!("{case}.grad.")), "{name} {case}");
            for (parameter, grad) in grads {
                let theirs = golden.tensor(&format!("{case}.grad.{parameter}"));
                ladder.relative(&format!("{name} {case} ∂/∂ {parameter}"), &grad, &theirs, 1e-4);
            }
        }
        ladder.finish();
    }
}

#[test]
fn three_optimizer_steps_from_the_originals_state() {
    for name in FIXTURES {
        let golden = Golden::open(name);
        let (idx, targets) = golden.batch();
        let case = &golden.json["cases"]["adamw3"];
        let ebm = golden.model(&golden.json["cases"]["train.s2_hard_a500"]["over"]);
        let train = TrainConfig { beta1: 0.9, beta2: 0.95, weight_decay: 0.1, ..TrainConfig::default() };
        let mut optimizer = AdamW::new(ebm.params(), &train, &ebm.config);
        golden.checkpoint().load_optimizer(&mut optimizer).unwrap();
        let mut ladder = Ladder::default();
        for (step, expected) in case["losses_and_grad_norms"].as_array().unwrap().iter().enumerate() {
            let output = ebm.forward(&idx, &targets, Some(4), TRAIN);
            optimizer.backward(&output.loss);
            let norm = optimizer.grad_norm();
            optimizer.clip_grad_norm(&norm, 1.0);
            let norm = norm.double_value(&[]);
            optimizer.step(f64_of(&case["lr"]));
            let loss = output.loss.double_value(&[]);
            ladder.number(&format!("{name} step {step} loss"), loss, f64_of(&expected[0]), 1e-5);
            ladder.number(&format!("{name} step {step} gradient norm"), norm, f64_of(&expected[1]), 1e-4);
        }
        for parameter in ebm.params().iter() {
            let (ours, theirs) = (&parameter.tensor, golden.tensor(&format!("adamw3.param.{}", parameter.name)));
            // The key third of this bias has a true gradient of zero (softmax does not see it): Adam makes steps of its rounding.
            let keys = parameter.name.ends_with("c_attn.bias");
            ladder.close(
                &format!("{name} after 3 steps {}", parameter.name),
                ours,
                &theirs,
                if keys { 5e-5 } else { 1e-5 },
            );
        }
        ladder.finish();
    }
}

#[test]
fn learning_rates_exact() {
    for name in FIXTURES {
        for pair in Golden::open(name).json["lr_schedule"].as_array().unwrap() {
            let config = TrainConfig::default();
            assert_eq!(learning_rate(pair[0].as_i64().unwrap(), &config), f64_of(&pair[1]), "step {}", pair[0]);
        }
    }
}

#[test]
fn greedy_texts_identical() {
    for name in FIXTURES {
        let golden = Golden::open(name);
        let vocab = Corpus::read(&text_of(&golden)).unwrap().vocab;
        let ebm = golden.model(&json!({}));
        let chooser = Chooser::new(&SampleConfig { topk: Some(1), sample: Some(true), ..SampleConfig::default() });
        let cases = golden.cases("generate.top1.");
        assert!(cases.len() >= 6);
        for (case, text) in cases {
            let (mode, prompt) = case.strip_prefix("generate.top1.").unwrap().split_once('.').unwrap();
            let (ids, _) = vocab.encode(prompt);
            let think_steps = (mode == "think").then_some(4);
            let mut generation = Generation::new(&ebm, &ids, 1, think_steps, chooser.clone(), Kind::Float);
            let new = text.as_str().unwrap().chars().count() - prompt.chars().count();
            let ours: String = (0..new).map(|_| vocab.char(generation.next_tokens()[0]).unwrap()).collect();
            assert_eq!(format!("{prompt}{ours}"), text.as_str().unwrap(), "{name} {case}");
        }
    }
}

#[test]
fn validation_windows() {
    for name in FIXTURES {
        let golden = Golden::open(name);
        let corpus = Corpus::read(&text_of(&golden)).unwrap();
        let ebm = golden.model(&json!({}));
        let case = &golden.json["cases"]["val_first_200_windows"];
        let mut windows = nanoebm::eval::Windows::consecutive(&corpus, Split::Val, ebm.config.block_size).unwrap();
        windows.offsets.truncate(200);
        let mut ladder = Ladder::default();
        for batch_size in [1, 16] {
            let report = nanoebm::eval::evaluate(&ebm, &windows, 4, (batch_size, Kind::Float), None, |_| {}).unwrap();
            for (key, value) in [("nll_s1", report.nll_s1), ("nll_s2", report.nll_s2)] {
                ladder.number(&format!("{name} {key}, {batch_size} at a time"), value, f64_of(&case[key]), 1e-6);
            }
            assert_eq!(report.windows, 200);
        }
        ladder.finish();
    }
}

fn text_of(golden: &Golden) -> std::path::PathBuf {
    let own = golden.dir.join("text.txt");
    if own.exists() { own } else { std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shakespeare.txt") }
}

/// The names, shapes and order of our parameters are PyTorch's: the optimizer's state is stored by position.
#[test]
fn parameters_are_named_as_in_pytorch() {
    for name in FIXTURES {
        let golden = Golden::open(name);
        let ebm = golden.model(&json!({}));
        let mut ours: Vec<String> = ebm.params().iter().map(|p| p.name.clone()).collect();
        for parameter in ebm.params().iter() {
            let theirs = golden.tensor(&format!("train.s1.grad.{}", parameter.name));
            assert_eq!(parameter.tensor.size(), theirs.size(), "{}", parameter.name);
        }
        ours.sort();
        assert_eq!(ours, golden.names("train.s1.grad."));
    }
}

/// The default descends each position's own energy: from the same checkpoint, thinking now moves.
#[test]
fn the_default_moves_where_the_original_stands_still() {
    let golden = Golden::open("original");
    let (idx, targets) = golden.batch();
    let gap = |reduction: &str| {
        let ebm = golden.model(&json!({"refine_reduction": reduction}));
        ebm.set_alpha(Config::default().model.alpha_value);
        Step::new(no_grad(|| ebm.forward(&idx, &targets, Some(4), EVAL))).metrics(&targets).get("energy_gap")
    };
    assert!(gap("mean") < 1e-3, "{}", gap("mean"));
    assert!(gap("sum") > 50.0 * gap("mean"), "{} against {}", gap("sum"), gap("mean"));
}
