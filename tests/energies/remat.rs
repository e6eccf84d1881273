//! Gradients with activations computed again against gradients with activations kept.

use nanoebm::config::TrainConfig;
use nanoebm::contrastive::Contrastive;
use nanoebm::ebm::Ebm;
use nanoebm::nn::optim::AdamW;
use nanoebm::nn::pass::Pass;
use nanoebm::run::step::Step;
use serde_json::json;
use tch::{Kind, Tensor, no_grad};

use super::generator::alone;
use super::golden::{Golden, Ladder};

/// The loss of a contrastive training step, and the gradient of every parameter.
fn gradients(ebm: &Ebm, golden: &Golden, remat: bool) -> (f64, Vec<(String, Tensor)>) {
    let (idx, targets) = golden.batch();
    let pass = Pass { remat, ..Pass::train(Kind::Float) };
    tch::manual_seed(5);
    let mut step = Step::new(ebm.forward(&idx, &targets, Some(3), pass));
    if let Some(mut contrastive) = Contrastive::new(&ebm.config) {
        let phases = contrastive.phases(ebm, &targets, &step.output.energies, pass);
        step.add_contrastive(phases, 0.1);
    }
    let mut optimizer = AdamW::new(ebm.params(), &TrainConfig::default(), &ebm.config);
    assert_eq!(step.output.remat.is_some(), remat);
    step.backward(ebm, &mut optimizer, 1);
    (step.loss.double_value(&[]), optimizer.grads())
}

#[test]
fn gradients_are_those_of_kept_activations() {
    let _alone = alone();
    for name in ["original", "other_shape"] {
        let golden = Golden::open(name);
        let ours = json!({"refine_reduction": "sum", "share_hidden": true, "alpha_learnable": true});
        let contrastive = json!({"share_hidden": true, "use_contrastive": true, "contrastive_energy": "next_token"});
        let unshared = json!({"aux_ce_weight": 0.3});
        for over in [ours, contrastive, unshared, json!({})] {
            let ebm = golden.model(&over);
            let ((loss, kept), (again_loss, again)) = (gradients(&ebm, &golden, false), gradients(&ebm, &golden, true));
            let mut ladder = Ladder::default();
            ladder.number(&format!("{name} loss"), again_loss, loss, 1e-6);
            assert_eq!(kept.len(), again.len());
            for ((parameter, kept), (_, again)) in kept.iter().zip(&again) {
                ladder.relative(&format!("{name} {over} {parameter}"), again, kept, 1e-5);
            }
            ladder.finish();
        }
    }
}

#[test]
fn dropout_is_the_same_the_second_time() {
    let _alone = alone();
    let golden = Golden::open("original");
    let ebm = golden
        .model(&json!({"dropout": 0.3, "share_hidden": true, "refine_reduction": "sum", "use_contrastive": false}));
    let (_, grads) = gradients(&ebm, &golden, true);
    let (name, grad) = grads.into_iter().find(|(name, _)| name.ends_with("h.0.mlp.c_fc.weight")).unwrap();
    let parameter = ebm.params().iter().find(|p| p.name == name).unwrap().tensor.shallow_clone();
    let norm = grad.norm().double_value(&[]);
    let at = |distance: f64| {
        let _ = no_grad(|| parameter.shallow_clone().g_add_(&(&grad * (distance / norm))));
        let (loss, _) = gradients(&ebm, &golden, true);
        let _ = no_grad(|| parameter.shallow_clone().g_sub_(&(&grad * (distance / norm))));
        loss
    };
    let slope = (at(2e-3) - at(-2e-3)) / 4e-3;
    assert!((slope / norm - 1.0).abs() < 0.02, "{slope} and {norm}");
}
