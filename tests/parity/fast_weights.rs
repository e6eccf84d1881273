//! Fast weights: what they may see, and where they go.

use nanoebm::checkpoint::Checkpoint;
use nanoebm::config::{EvalConfig, FastWeightsConfig, MovingWeights, TrainConfig};
use nanoebm::ebm::{Ebm, cross_entropy};
use nanoebm::fast_weights::FastWeights;
use nanoebm::nn::optim::AdamW;
use nanoebm::nn::pass::Pass;
use serde_json::json;
use tch::{Kind, Tensor, no_grad};

use super::golden::{Golden, Ladder};

fn settings() -> FastWeightsConfig {
    FastWeightsConfig { context_steps: 1, ..EvalConfig::default().fast }
}

/// Chunks (2, T) of a golden text, and their next tokens.
fn chunks(golden: &Golden, ebm: &Ebm, n: i64) -> Vec<(Tensor, Tensor)> {
    let (idx, _) = golden.batch();
    let ids = idx.reshape([-1]);
    let ids = ids.repeat([1 + 2 * n * ebm.config.block_size / ids.size()[0]]);
    let chunk = |i: i64, shift: i64| {
        let t = ebm.config.block_size;
        ids.narrow(0, i * 2 * t + shift, 2 * t).view([2, t]) // (B, T)
    };
    (0..n).map(|i| (chunk(i, 0), chunk(i, 1))).collect()
}

fn weights(ebm: &Ebm) -> Vec<Tensor> {
    ebm.params().iter().map(|p| p.tensor.detach().copy()).collect()
}

/// The energies (B, T, V) by which a chunk is scored.
fn read(fast: &mut FastWeights, (idx, targets): &(Tensor, Tensor)) -> Tensor {
    let mut scored = None;
    fast.read(idx, targets, |reading| scored = Some(reading.energies.copy())).unwrap();
    scored.unwrap()
}

fn energies(ebm: &Ebm, idx: &Tensor) -> Tensor {
    let pass = Pass::eval(Kind::Float);
    no_grad(|| ebm.energies(&ebm.hidden_states(idx, pass), pass))
}

#[test]
fn a_score_depends_on_earlier_text_alone() {
    let golden = Golden::open("original");
    let ebm = golden.model(&json!({}));
    let chunks = chunks(&golden, &ebm, 5);
    for weights in [MovingWeights::All, MovingWeights::Head] {
        let settings = FastWeightsConfig { context_weights: weights, ..settings() };
        let mut fast = FastWeights::new(&ebm, &golden.checkpoint(), settings, Kind::Float).unwrap();
        let mut scores = |order: [usize; 5]| {
            fast.forget();
            order.map(|i| read(&mut fast, &chunks[i]))
        };
        let (straight, permuted) = (scores([0, 1, 2, 3, 4]), scores([0, 1, 4, 2, 3]));
        assert_eq!(straight[..2], permuted[..2], "{weights}: what comes later changes nothing");
        fast.forget();
        assert_eq!(straight[0], energies(&ebm, &chunks[0].0), "the first chunk is scored by the trained weights");
        assert_ne!(straight[2], permuted[3], "{weights}: what came before does");
    }
}

/// With soft tokens thinking reads the text again: by the weights that have not seen it yet, or a score would know its answers.
#[test]
fn thinking_is_scored_before_the_weights_move() {
    let golden = Golden::open("original");
    let soft = json!({"use_soft_tokens": true, "refine_reduction": "sum", "alpha_value": 1.0});
    let (ebm, other) = (golden.model(&soft), golden.model(&soft));
    let chunks = chunks(&golden, &ebm, 2);
    let pass = Pass::eval(Kind::Float);
    let mut fast = FastWeights::new(&ebm, &golden.checkpoint(), settings(), Kind::Float).unwrap();
    let mut thoughts = Vec::new();
    for (idx, targets) in &chunks {
        fast.read(idx, targets, |reading| thoughts.push(ebm.system2(reading, 2, pass))).unwrap();
    }
    let frozen = |i: usize| no_grad(|| other.system2(&other.read(&chunks[i].0, pass), 2, pass));
    assert_eq!(thoughts[0], frozen(0));
    assert_ne!(thoughts[1], frozen(1));
}

#[test]
fn one_step_is_the_preconditioned_gradient_step() {
    for name in ["original", "other_shape"] {
        let golden = Golden::open(name);
        let (ebm, other) = (golden.model(&json!({})), golden.model(&json!({})));
        let (idx, targets) = chunks(&golden, &ebm, 1).remove(0);
        let settings = FastWeightsConfig { context_alpha: Some(2.0), ..settings() };
        let checkpoint = golden.checkpoint();
        let mut fast = FastWeights::new(&ebm, &checkpoint, settings, Kind::Float).unwrap();
        fast.read(&idx, &targets, |_| {}).unwrap();

        // The same by hand, tensor by tensor.
        let squares = mean_squares(&other, &checkpoint);
        let rms: Vec<Tensor> = squares.iter().map(Tensor::sqrt).collect();
        let count: f64 = rms.iter().map(|r| r.numel() as f64).sum();
        let mean = |all: &[Tensor]| all.iter().map(|t| t.sum(Kind::Double).double_value(&[])).sum::<f64>() / count;
        let floor = 1e-2 * mean(&rms);
        let p: Vec<Tensor> = rms.iter().map(|r| (r + floor).reciprocal()).collect();
        let learning_rate = checkpoint.ours.as_ref().map_or(3e-4, |ours| ours.config.train.learning_rate);
        let max_norm = checkpoint.ours.as_ref().map_or(1.0, |ours| ours.config.train.grad_clip);
        let pass = Pass::eval(Kind::Float);
        let nll = cross_entropy(&-other.energies(&other.hidden_states(&idx, pass), pass), &targets);
        let tensors: Vec<&Tensor> = other.params().iter().map(|p| &p.tensor).collect();
        let grads = Tensor::run_backward(&[nll], &tensors, false, false);
        let norm = grads.iter().map(|grad| grad.square().sum(Kind::Double).double_value(&[])).sum::<f64>().sqrt();
        let scale = 2.0 * learning_rate * (max_norm / norm).min(1.0);
        let mut ladder = Ladder::default();
        for ((ours, param), (p, grad)) in weights(&ebm).iter().zip(other.params().iter()).zip(p.iter().zip(&grads)) {
            let theirs = &param.tensor.detach() - p * grad * scale;
            ladder.close(&format!("{name} {}", param.name), ours, &theirs, 1e-5);
        }
        ladder.finish();
    }
}

/// Adam's mean squared gradients of the file, by parameter.
fn mean_squares(ebm: &Ebm, checkpoint: &Checkpoint) -> Vec<Tensor> {
    let mut optimizer = AdamW::new(ebm.params(), &TrainConfig::default(), &ebm.config);
    checkpoint.load_optimizer(&mut optimizer).unwrap();
    optimizer.moments().iter().map(|m| m.exp_avg_sq.copy()).collect()
}

#[test]
fn the_heads_gradient_is_closed_form() {
    let golden = Golden::open("other_shape");
    let ebm = golden.model(&json!({}));
    let (idx, targets) = chunks(&golden, &ebm, 1).remove(0);
    let before = weights(&ebm);
    let settings = FastWeightsConfig { context_weights: MovingWeights::Head, context_alpha: Some(1.0), ..settings() };
    let mut fast = FastWeights::new(&ebm, &golden.checkpoint(), settings, Kind::Float).unwrap();
    let scored = read(&mut fast, &(idx.shallow_clone(), targets.shallow_clone())); // (B, T, V)
    let pass = Pass::eval(Kind::Float);
    let (v, c) = (ebm.config.vocab_size, ebm.config.n_embd);
    let h = no_grad(|| ebm.hidden_states(&idx, pass)).reshape([-1, c]); // (B·T, C)
    let p = (-scored).softmax(-1, None).reshape([-1, v]); // (B·T, V)
    let y = targets.reshape([-1]).one_hot(v).to_kind(Kind::Float);
    // logit = −energy: ∂NLL/∂W = −(p − y)ᵀ h, a mean over positions
    let grad = -(p - y).transpose(0, 1).matmul(&h) / h.size()[0] as f64; // (V, C)
    let mut moved = 0;
    for ((param, before), after) in ebm.params().iter().zip(&before).zip(weights(&ebm)) {
        let change = before - after;
        if param.name != "energy_head.weight" {
            assert_eq!(change.abs().max().double_value(&[]), 0.0, "{}", param.name);
            continue;
        }
        moved += 1;
        // The step is the gradient times a positive diagonal: where the one is, so is the other.
        let p = &change / &grad;
        let p = p.masked_select(&grad.abs().gt(1e-5));
        assert!(p.min().double_value(&[]) > 0.0);
    }
    assert_eq!(moved, 1);
}

#[test]
fn the_energy_of_a_text_falls_with_every_step_down_it() {
    for name in ["original", "other_shape"] {
        let golden = Golden::open(name);
        let ebm = golden.model(&json!({}));
        let (idx, targets) = chunks(&golden, &ebm, 1).remove(0);
        let settings = FastWeightsConfig { context_alpha: Some(0.02), ..settings() };
        let mut fast = FastWeights::new(&ebm, &golden.checkpoint(), settings, Kind::Float).unwrap();
        let path: Vec<f64> = (0..6).map(|_| fast.score(&idx, &targets).unwrap()).collect();
        assert!(path.windows(2).all(|pair| pair[1] < pair[0]), "{name}: {path:?}");
        // Five steps on one chunk are the same as five readings of it.
        fast.forget();
        let settings = FastWeightsConfig { context_steps: 5, ..settings };
        let mut fast = FastWeights::new(&ebm, &golden.checkpoint(), settings, Kind::Float).unwrap();
        fast.read(&idx, &targets, |_| {}).unwrap();
        let last = cross_entropy(&-energies(&ebm, &idx), &targets).double_value(&[]);
        assert!((last - path[5]).abs() < 1e-5, "{name}: {last} and {path:?}");
    }
}

#[test]
fn forgetting_gives_the_trained_weights_back() {
    let golden = Golden::open("original");
    let ebm = golden.model(&json!({}));
    let before = weights(&ebm);
    let mut fast = FastWeights::new(&ebm, &golden.checkpoint(), settings(), Kind::Float).unwrap();
    let ids = Vec::<i64>::try_from(golden.batch().0.reshape([-1]).repeat([3])).unwrap();
    let chunks = fast.read_text(&ids[..3 * ebm.config.block_size as usize + 5], |_| {}).unwrap();
    assert_eq!(chunks.len(), 2, "three windows are one chunk, and four characters the last");
    assert_ne!(weights(&ebm), before);
    fast.forget();
    assert_eq!(weights(&ebm), before);
}

#[test]
fn decay_keeps_the_weights_near_the_trained_ones() {
    let golden = Golden::open("original");
    let ebm = golden.model(&json!({}));
    let chunks = chunks(&golden, &ebm, 2);
    let run = |decay: f64, order: &[usize]| {
        let settings = FastWeightsConfig { context_decay: decay, ..settings() };
        let mut fast = FastWeights::new(&ebm, &golden.checkpoint(), settings, Kind::Float).unwrap();
        for &i in order {
            fast.score(&chunks[i].0, &chunks[i].1).unwrap();
        }
        let after = weights(&ebm);
        fast.forget();
        after
    };
    let distance = |a: &[Tensor], b: &[Tensor]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).square().sum(Kind::Double).double_value(&[])).sum::<f64>().sqrt()
    };
    let trained = weights(&ebm);
    let far = distance(&run(0.0, &[0, 1, 0, 1]), &trained);
    let near = distance(&run(0.5, &[0, 1, 0, 1]), &trained);
    assert!(near < 0.8 * far, "{near} and {far}");
}

#[test]
fn weights_that_run_away_are_an_error() {
    let golden = Golden::open("original");
    let ebm = golden.model(&json!({}));
    let chunks = chunks(&golden, &ebm, 3);
    let before = weights(&ebm);
    // The one makes the weights infinite, the other what they compute.
    for alpha in [1e38, 1e25] {
        let settings = FastWeightsConfig { context_alpha: Some(alpha), ..settings() };
        let mut fast = FastWeights::new(&ebm, &golden.checkpoint(), settings, Kind::Float).unwrap();
        let error = chunks.iter().find_map(|(idx, targets)| fast.score(idx, targets).err()).unwrap();
        assert!(error.to_string().contains(&format!("context_alpha={alpha};")), "{error}");
        assert_eq!(weights(&ebm), before, "the trained weights are back");
    }
}
