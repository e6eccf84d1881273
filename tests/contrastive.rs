//! Contrastive divergence against PyTorch: loss, negatives, buffers after the call, and every gradient.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test stops where it stands

#[path = "common/golden.rs"]
mod golden;

use golden::{Golden, Ladder};
use nanoebm::config::{ContrastiveType, TrainConfig};
use nanoebm::contrastive::{Contrastive, Draw};
use nanoebm::optim::AdamW;
use nanoebm::transformer::Pass;
use tch::{Kind, Tensor};

const TRAIN: Pass = Pass { train: true, compute: Kind::Float, second_order: false };

/// The random choices that PyTorch made.
fn draw(golden: &Golden, case: &str, kind: ContrastiveType) -> Draw {
    let none = || Tensor::empty([0], (Kind::Int64, tch::Device::Cpu));
    let tensor = |name: &str| golden.tensor(&format!("{case}.{name}"));
    match kind {
        ContrastiveType::Cd => Draw { pick: none(), assign: none(), restart: vec![] },
        ContrastiveType::Pcd => Draw { pick: tensor("indices"), assign: none(), restart: vec![] },
        ContrastiveType::FastPcd => Draw { pick: tensor("pick"), assign: tensor("assign"), restart: vec![] },
    }
}

#[test]
fn loss_negatives_buffers_and_every_gradient() {
    for name in ["a", "b"] {
        let golden = Golden::open(name);
        let (idx, targets) = golden.batch();
        let mut ladder = Ladder::default();
        let cases = golden.cases("train.");
        let contrastive_cases: Vec<_> = cases.iter().filter(|(_, f)| !f["metrics"]["cd_loss"].is_null()).collect();
        assert!(contrastive_cases.len() >= 4);
        for (case, fields) in contrastive_cases {
            let ebm = golden.model(&fields["over"]);
            let mut contrastive = Contrastive::new(&ebm.config).unwrap();
            let kind = ebm.config.contrastive_type;
            let buffer = match kind {
                ContrastiveType::Cd => None,
                ContrastiveType::Pcd => Some("particles"),
                ContrastiveType::FastPcd => Some("chains"),
            };
            contrastive.chains = buffer.map(|b| golden.tensor(&format!("{case}.{b}_before")));
            let draw = draw(&golden, case, kind);
            let mut optimizer = AdamW::new(ebm.params(), &TrainConfig::default(), &ebm.config);
            let mut output = ebm.forward(&idx, &targets, Some(fields["steps"].as_i64().unwrap()), TRAIN);
            let (cd_loss, metrics) = contrastive.loss_with(&ebm, &targets, &output.energies, TRAIN, &draw);
            output.add_contrastive(&cd_loss, ebm.config.contrastive_weight, metrics);

            let label = |what: &str| format!("{name} {case} {what}");
            let theirs = |key: &str| fields["metrics"][key].as_f64().unwrap();
            for key in ["cd_loss", "nll_loss", "total_loss", "energy_gap"] {
                ladder.number(&label(key), output.metrics.get(key), theirs(key), 1e-5);
            }
            if let Some(b) = buffer {
                let after = golden.tensor(&format!("{case}.{b}_after"));
                ladder.close(&label("chains after"), contrastive.chains.as_ref().unwrap(), &after, 1e-5);
            }
            optimizer.backward(&output.loss);
            for (parameter, grad) in optimizer.grads() {
                let theirs = golden.tensor(&format!("{case}.grad.{parameter}"));
                ladder.relative(&label(&parameter), &grad, &theirs, 1e-4);
            }
        }
        ladder.finish();
    }
}

#[test]
fn negatives_after_k_steps() {
    for name in ["a", "b"] {
        let golden = Golden::open(name);
        let (_, targets) = golden.batch();
        let mut ladder = Ladder::default();
        for case in golden.names("train.").iter().filter_map(|n| n.strip_suffix(".negatives")) {
            let case = format!("train.{case}");
            let over = &golden.json["cases"][&case]["over"];
            if over["contrastive_energy"] == "next_token" {
                continue; // its energies are those of idx; the gradients above cover it
            }
            let ebm = golden.model(over);
            let mut contrastive = Contrastive::new(&ebm.config).unwrap();
            let kind = ebm.config.contrastive_type;
            let before = if kind == ContrastiveType::Pcd { "particles_before" } else { "chains_before" };
            contrastive.chains = (kind != ContrastiveType::Cd).then(|| golden.tensor(&format!("{case}.{before}")));
            let energies = ebm.energies(&ebm.hidden_states(&targets, TRAIN), TRAIN);
            let ours = contrastive.negatives(&energies, &draw(&golden, &case, kind)).logits;
            ladder.close(&format!("{name} {case}"), &ours, &golden.tensor(&format!("{case}.negatives")), 1e-5);
        }
        ladder.finish();
    }
}
