//! The families of energies: each step, the loss and every gradient against PyTorch (tests/python/energies.py), gradients against
//! finite differences, and thinking after a cache against thinking without.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test stops where it stands

#[path = "common/python.rs"]
#[allow(dead_code)] // each test crate uses its part
mod python;

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use nanoebm::checkpoint::{self, Extra};
use nanoebm::config::{Config, EnergyFamily, ModelConfig};
use nanoebm::ebm::Ebm;
use nanoebm::optim::AdamW;
use nanoebm::provenance::Provenance;
use nanoebm::transformer::{Pass, Wanted};
use safetensors::tensor::TensorView;
use tch::{Device, Kind, Tensor, no_grad};

const EVAL: Pass = Pass { train: false, compute: Kind::Float, second_order: false, remat: false };
const TRAIN: Pass = Pass { train: true, ..EVAL };
/// As shares of the largest number: predictions and loss, gradients.
const TOLERANCES: (f64, f64) = (1e-5, 1e-4);

/// The generator of random numbers is the process's: each test has it alone.
fn alone() -> MutexGuard<'static, ()> {
    static RANDOM: Mutex<()> = Mutex::new(());
    RANDOM.lock().unwrap_or_else(|failed| failed.into_inner())
}

/// A small model of a family, far enough from its start that every part matters; nothing in it is random.
fn model(energy: EnergyFamily, over: impl Fn(&mut ModelConfig)) -> Ebm {
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

fn batch(ebm: &Ebm) -> (Tensor, Tensor) {
    tch::manual_seed(6);
    let text = Tensor::randint(ebm.config.vocab_size, [3, ebm.config.block_size + 1], (Kind::Int64, Device::Cpu));
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
    let extra = Extra {
        made_by: Provenance::here("none"),
        vocab: "abcdefghijk".to_owned(),
        position: Default::default(),
        best_val_nll: None,
        nonfinite: 0,
        config,
    };
    let (file, ours) = (dir.path().join("model.pt"), dir.path().join("ours.safetensors"));
    checkpoint::save(&file, ebm, &optimizer, None, 0, &extra).unwrap();
    write(&ours, &found);
    python::TORCH.judge("energies.py", &file, &[ours.to_str().unwrap()]).as_object().unwrap().clone()
}

fn write(path: &Path, tensors: &[(String, Tensor)]) {
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
            let same = |t: i64, reading: &nanoebm::energies::Reading| {
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
        });
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

#[test]
fn parameters_are_counted_as_they_are_made() {
    let _alone = alone();
    for energy in [EnergyFamily::Mixture, EnergyFamily::Reread, EnergyFamily::Ebt] {
        let ebm = model(energy, |_| {});
        assert_eq!(Ebm::parameters(&ebm.config), ebm.params().numel() as u128, "{energy}");
    }
}
