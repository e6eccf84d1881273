//! The families of energies: each step, the loss and every gradient against PyTorch (tests/python/energies.py), gradients against
//! finite differences, and thinking after a cache against thinking without.

use std::path::Path;

use nanoebm::checkpoint::provenance::Provenance;
use nanoebm::checkpoint::{self, Checkpoint, Extra};
use nanoebm::config::{Config, EnergyFamily, EvalConfig, FastWeightsConfig, ModelConfig};
use nanoebm::ebm::Ebm;
use nanoebm::fast_weights::FastWeights;
use nanoebm::nn::optim::AdamW;
use nanoebm::nn::pass::{Pass, Wanted};
use safetensors::tensor::TensorView;
use tch::{Device, Kind, Tensor, no_grad};

use super::generator::alone;
use super::python::TORCH;

pub const EVAL: Pass = Pass { train: false, compute: Kind::Float, second_order: false, remat: false };
const TRAIN: Pass = Pass { train: true, ..EVAL };
/// As shares of the largest number: predictions and loss, gradients.
const TOLERANCES: (f64, f64) = (1e-5, 1e-4);

/// A small model of a family, far enough from its start that every part matters; nothing in it is random.
pub fn model(energy: EnergyFamily, over: impl Fn(&mut ModelConfig)) -> Ebm {
    let mut config = ModelConfig { energy, n_layer: 2, n_head: 2, n_embd: 8, block_size: 10, ..ModelConfig::default() };
    (config.vocab_size, config.dropout, config.alpha_jitter, config.langevin_noise) = (11, 0.0, 0.0, 0.0);
    (config.refine_steps, config.alpha_value, config.energy_convergence_threshold) = (3, 0.4, 0.0);
    (config.aux_ce_weight, config.reread_chars) = (0.2, 3);
    over(&mut config);
    tch::manual_seed(5);
    let ebm = Ebm::new(&config, Device::Cpu);
    no_grad(|| {
        for param in ebm.params().iter() {
            let _ = param.tensor.shallow_clone().g_add_(&(param.tensor.randn_like() * 0.2));
        }
    });
    ebm
}

pub fn batch(ebm: &Ebm) -> (Tensor, Tensor) {
    tch::manual_seed(6);
    let text = Tensor::randint(ebm.config.vocab_size, [4, ebm.config.block_size + 1], (Kind::Int64, Device::Cpu));
    let t = ebm.config.block_size;
    (text.narrow(1, 0, t).contiguous(), text.narrow(1, 1, t).contiguous())
}

/// What PyTorch makes of a checkpoint and of what we found: {name: difference}.
fn judge(ebm: &Ebm) -> serde_json::Map<String, serde_json::Value> {
    let (idx, targets) = batch(ebm);
    let mut found = vec![("idx".to_owned(), idx.shallow_clone()), ("targets".to_owned(), targets.shallow_clone())];
    // The noise that EBT starts from is the first thing drawn.
    tch::manual_seed(7);
    let path = ebm.trajectory(&ebm.read(&idx, TRAIN), ebm.config.refine_steps, TRAIN);
    found.extend(path.iter().enumerate().map(|(k, x)| (format!("x.{k}"), x.detach())));
    let config = Config { model: ebm.config.clone(), ..Config::default() };
    let mut optimizer = AdamW::new(ebm.params(), &config.train, &config.model);
    tch::manual_seed(7);
    let output = ebm.forward(&idx, &targets, Some(ebm.config.refine_steps), TRAIN);
    optimizer.backward(&output.loss);
    found.push(("loss".to_owned(), output.loss.detach().reshape([1])));
    found.extend(optimizer.grads().into_iter().map(|(name, grad)| (format!("grad.{name}"), grad)));

    let dir = tempfile::tempdir().unwrap();
    let (file, ours) = (dir.path().join("model.pt"), dir.path().join("ours.safetensors"));
    save(&file, ebm, &optimizer);
    write(&ours, &found);
    TORCH.judge("energies.py", &file, &[ours.to_str().unwrap()]).as_object().unwrap().clone()
}

pub fn save(file: &Path, ebm: &Ebm, optimizer: &AdamW) {
    let extra = Extra {
        made_by: Provenance::here("none"),
        vocab: "abcdefghijk".to_owned(),
        position: Default::default(),
        best_val_nll: None,
        nonfinite: 0,
        config: Config { model: ebm.config.clone(), ..Config::default() },
    };
    checkpoint::save(file, ebm, optimizer, None, optimizer.step, &extra).unwrap();
}

pub fn write(path: &Path, tensors: &[(String, Tensor)]) {
    let bytes = |tensor: &Tensor| -> Vec<u8> {
        let flat = tensor.contiguous().reshape([-1]);
        match tensor.kind() {
            Kind::Int64 => Vec::<i64>::try_from(flat).unwrap().iter().flat_map(|n| n.to_le_bytes()).collect(),
            _ => Vec::<f32>::try_from(flat).unwrap().iter().flat_map(|n| n.to_le_bytes()).collect(),
        }
    };
    let held: Vec<(Vec<usize>, Vec<u8>)> =
        tensors.iter().map(|(_, t)| (t.size().iter().map(|&n| n as usize).collect(), bytes(t))).collect();
    let views = tensors.iter().zip(&held).map(|((name, tensor), (shape, bytes))| {
        let dtype = if tensor.kind() == Kind::Int64 { safetensors::Dtype::I64 } else { safetensors::Dtype::F32 };
        (name.clone(), TensorView::new(dtype, shape.clone(), bytes).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn agrees_with_pytorch(ebm: &Ebm) {
    let found = judge(ebm);
    assert!(found.len() > 20);
    let mut failures = Vec::new();
    for (name, difference) in found {
        let difference = difference.as_f64().unwrap();
        let tolerance = if name.starts_with("grad") { TOLERANCES.1 } else { TOLERANCES.0 };
        println!("{name:<60} {difference:.1e} of {tolerance:.0e}");
        if difference.is_nan() || difference > tolerance {
            failures.push(format!("{name}: {difference:.2e}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn mixture_is_pytorchs_term_by_term() {
    let _alone = alone();
    agrees_with_pytorch(&model(EnergyFamily::Mixture, |_| {}));
    agrees_with_pytorch(&model(EnergyFamily::Mixture, |c| c.mixture_stopgrad = true));
    agrees_with_pytorch(&model(EnergyFamily::Mixture, |c| {
        (c.softmax_temperature, c.entropy_weight, c.alpha_learnable) = (0.7, 0.3, true);
    }));
}

#[test]
fn reread_is_pytorchs_term_by_term() {
    let _alone = alone();
    agrees_with_pytorch(&model(EnergyFamily::Reread, |_| {}));
    agrees_with_pytorch(&model(EnergyFamily::Reread, |c| c.alpha_learnable = true));
}

#[test]
fn ebt_is_pytorchs_term_by_term() {
    let _alone = alone();
    agrees_with_pytorch(&model(EnergyFamily::Ebt, |c| c.alpha_value = 20.0));
}

/// The slope of the energy along a direction, by its values on both sides of x, against what its gradient says. `along_p`: the gradient
/// is by p, and x = log p.
fn slope_agrees(ebm: &Ebm, along_p: bool) {
    let (idx, _) = batch(ebm);
    no_grad(|| {
        let reading = ebm.read(&idx, EVAL);
        let energy = ebm.thinking_energy(&reading, EVAL);
        tch::manual_seed(8);
        let x = reading.energies.randn_like();
        let direction = x.randn_like() * 1e-2;
        let (before, after) = if along_p {
            let p = x.softmax(-1, None);
            let direction = (&direction - direction.mean_dim([-1i64].as_slice(), true, None::<Kind>)) * p.min() * 10.0;
            ((&p - &direction).log(), (&p + &direction).log())
        } else {
            (&x - &direction, &x + &direction)
        };
        let step = if along_p { after.exp() - before.exp() } else { &after - &before };
        let (_, grad) = energy.value_and_grad(&x);
        let expected = (grad * step).sum_dim_intlist([-1i64].as_slice(), true, None::<Kind>); // (B, T, 1)
        let found = energy.value(&after) - energy.value(&before);
        let difference = (&found - &expected).abs().max().double_value(&[]);
        let size = expected.abs().max().double_value(&[]);
        println!("{}: {difference:.1e} of {size:.1e}", ebm.config.energy);
        assert!(difference < 0.02 * size, "{}: {difference} of {size}", ebm.config.energy);
    });
}

#[test]
fn gradients_are_the_slopes_of_the_values() {
    let _alone = alone();
    slope_agrees(&model(EnergyFamily::Linear, |_| {}), false);
    slope_agrees(&model(EnergyFamily::Mixture, |_| {}), false);
    slope_agrees(&model(EnergyFamily::Mixture, |c| c.entropy_weight = 0.3), false);
    slope_agrees(&model(EnergyFamily::Reread, |_| {}), true);
    slope_agrees(&model(EnergyFamily::Ebt, |_| {}), false);
}

#[test]
fn thinking_after_a_cache_is_thinking_without() {
    let _alone = alone();
    for energy in [EnergyFamily::Linear, EnergyFamily::Mixture, EnergyFamily::Reread, EnergyFamily::Ebt] {
        let ebm = model(energy, |_| {});
        let (idx, _) = batch(&ebm);
        no_grad(|| {
            let whole = ebm.trajectory(&ebm.read(&idx, EVAL), 3, EVAL);
            let mut cache = ebm.cache();
            let first = ebm.read_cached(&idx.narrow(1, 0, 4), Wanted::Last, &mut cache, EVAL);
            let same = |t: i64, reading: &nanoebm::energy::Reading| {
                let last = ebm.trajectory(reading, 3, EVAL);
                for (k, (ours, theirs)) in last.iter().zip(&whole).enumerate() {
                    let difference = (ours - theirs.narrow(1, t, 1)).abs().max().double_value(&[]);
                    assert!(difference < 1e-5, "{energy}, position {t}, step {k}: {difference}");
                }
            };
            same(3, &first);
            for t in 4..ebm.config.block_size {
                let reading = ebm.read_cached(&idx.narrow(1, t, 1), Wanted::Last, &mut cache, EVAL);
                same(t, &reading);
            }
            // In two parts, all of whose positions think.
            let mut cache = ebm.cache();
            let parts = [(0, 6), (6, 1)]
                .map(|(from, n)| ebm.read_cached(&idx.narrow(1, from, n), Wanted::All, &mut cache, EVAL));
            let both = ebm.system2(&parts[0].then(&parts[1]), 3, EVAL);
            let difference = (both - whole[3].narrow(1, 0, 7)).abs().max().double_value(&[]);
            assert!(difference < 1e-5, "{energy}, in two parts: {difference}");
        });
    }
}

/// Weights that follow a text score a chunk, System 2 included, before they have seen it; then they come down its energy.
#[test]
fn fast_weights_of_each_family_score_before_they_move() {
    let _alone = alone();
    for energy in [EnergyFamily::Mixture, EnergyFamily::Reread, EnergyFamily::Ebt] {
        let ebm = model(energy, |_| {});
        let (idx, targets) = batch(&ebm);
        let mut optimizer = AdamW::new(ebm.params(), &Config::default().train, &ebm.config);
        optimizer.backward(&ebm.forward(&idx, &targets, Some(2), TRAIN).loss);
        optimizer.step(1e-3);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("model.pt");
        save(&file, &ebm, &optimizer);
        let checkpoint = Checkpoint::read(&file).unwrap();
        let frozen = Ebm::new(&ebm.config, Device::Cpu);
        checkpoint.load_model(&frozen).unwrap();
        let settings = FastWeightsConfig { context_steps: 1, context_alpha: Some(0.02), ..EvalConfig::default().fast };
        let mut fast = FastWeights::new(&ebm, &checkpoint, settings, Kind::Float).unwrap();
        let chunk = |i: i64| (idx.narrow(0, i, 1), targets.narrow(0, i, 1));
        let mut scores = |order: [i64; 3]| -> Vec<Tensor> {
            fast.forget();
            let mut scores = Vec::new();
            for (idx, targets) in order.map(chunk) {
                fast.read(&idx, &targets, |reading| scores.push(ebm.system2(reading, 3, EVAL))).unwrap();
            }
            scores
        };
        let (one, other) = (scores([0, 1, 2]), scores([0, 1, 3]));
        assert_eq!(one[..2], other[..2], "{energy}");
        assert_eq!(one[0], no_grad(|| frozen.system2(&frozen.read(&chunk(0).0, EVAL), 3, EVAL)), "{energy}");
        assert_ne!(scores([1, 0, 2])[1], one[0], "{energy}: what was read before counts");
        fast.forget();
        let falls: Vec<f64> = (0..4).map(|_| fast.score(&idx, &targets).unwrap()).collect();
        assert!(falls.windows(2).all(|pair| pair[1] < pair[0]), "{energy}: {falls:?}");
    }
}

/// What a position thinks depends on nothing after it.
#[test]
fn no_family_looks_ahead() {
    let _alone = alone();
    for energy in [EnergyFamily::Mixture, EnergyFamily::Reread, EnergyFamily::Ebt] {
        let ebm = model(energy, |_| {});
        let (idx, _) = batch(&ebm);
        let other = idx.copy();
        let _ = other.narrow(1, 6, 4).fill_(0);
        no_grad(|| {
            let [one, two] = [&idx, &other].map(|idx| ebm.system2(&ebm.read(idx, EVAL), 3, EVAL));
            assert_eq!(one.narrow(1, 0, 6), two.narrow(1, 0, 6), "{energy}");
            assert_ne!(one.narrow(1, 6, 4), two.narrow(1, 6, 4), "{energy}");
        });
    }
}

/// Each position takes the steps that it would take alone: until one changes its energy by less than the threshold.
#[test]
fn positions_stop_on_their_own() {
    let _alone = alone();
    const THRESHOLD: f64 = 0.05;
    let ebm = model(EnergyFamily::Reread, |c| c.grad_clamp = 100.0);
    let adaptive = model(EnergyFamily::Reread, |c| {
        (c.grad_clamp, c.adaptive, c.energy_convergence_threshold) = (100.0, true, THRESHOLD);
    });
    let (idx, targets) = batch(&ebm);
    no_grad(|| {
        let reading = ebm.read(&idx, EVAL);
        let (all, ours) =
            (ebm.trajectory(&reading, 8, EVAL), adaptive.trajectory_alone(&adaptive.read(&idx, EVAL), 8, EVAL));
        let energy = ebm.thinking_energy(&reading, EVAL);
        let values: Vec<Vec<f64>> = all
            .iter()
            .map(|x| Vec::<f64>::try_from(energy.value(x).to_kind(Kind::Double).reshape([-1])).unwrap())
            .collect();
        let (b, t) = (idx.size()[0], idx.size()[1]);
        let mut taken = Vec::new();
        for position in 0..b * t {
            let value = |k: usize| values[k][position as usize];
            let steps = (1..8).find(|&k| (value(k - 1) - value(k)).abs() < THRESHOLD).unwrap_or(8);
            taken.push(steps);
            for (k, x) in ours.iter().enumerate() {
                let at = |x: &Tensor| x.get(position / t).get(position % t);
                let difference = (at(x) - at(&all[k.min(steps)])).abs().max().double_value(&[]);
                assert!(difference < 1e-5, "position {position}, step {k} of {steps}: {difference}");
            }
        }
        assert!(taken.iter().any(|&k| k < 3) && taken.iter().any(|&k| k > 3), "{taken:?}");
        let mut scores = nanoebm::eval::scores::Scores::default();
        scores.add(&ours[8], &targets, &nanoebm::eval::scores::Base::new(&reading.energies));
        scores.count_steps(&ours);
        let mean = taken.iter().sum::<usize>() as f64 / taken.len() as f64;
        assert!((scores.mean_steps().unwrap() - mean).abs() < 1e-9);
    });
}

/// The energy of `reread` is convex: it falls with every step of a small α, and twice the steps end where many more do.
#[test]
fn longer_descent_of_a_convex_energy_comes_closer_to_its_minimum() {
    let _alone = alone();
    let ebm = model(EnergyFamily::Reread, |c| (c.alpha_value, c.grad_clamp) = (0.1, 100.0));
    let (idx, _) = batch(&ebm);
    no_grad(|| {
        let reading = ebm.read(&idx, EVAL);
        let energy = ebm.thinking_energy(&reading, EVAL);
        let path = ebm.trajectory(&reading, 400, EVAL);
        let values: Vec<f64> = path.iter().map(|x| energy.value(x).mean(Kind::Double).double_value(&[])).collect();
        assert!(values.windows(2).all(|pair| pair[1] <= pair[0] + 1e-5), "{values:?}");
        assert!(values[0] - values[400] > 0.1, "{values:?}");
        // From anywhere else the descent ends at the same prediction.
        let other = Tensor::randn_like(&path[0]);
        let plain = nanoebm::energy::Descent::new(400, ebm.alpha.shallow_clone());
        let descent = nanoebm::energy::Descent { grad_clamp: 100.0, center: true, ..plain };
        let end = nanoebm::energy::descend(energy.as_ref(), other, &descent).x;
        let apart = (end.softmax(-1, None) - path[400].softmax(-1, None)).abs().max().double_value(&[]);
        assert!(apart < 1e-3, "{apart}");
    });
}

#[test]
fn parameters_are_counted_as_they_are_made() {
    let _alone = alone();
    for energy in [EnergyFamily::Mixture, EnergyFamily::Reread, EnergyFamily::Ebt] {
        let ebm = model(energy, |_| {});
        assert_eq!(Ebm::parameters(&ebm.config), ebm.params().numel() as u128, "{energy}");
    }
}
