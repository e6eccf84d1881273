//! Contrastive divergence against PyTorch: loss, negatives, buffers after the call, and every gradient.

use nanoebm::config::{ContrastiveType, TrainConfig};
use nanoebm::contrastive::{Contrastive, Draw};
use nanoebm::nn::optim::AdamW;
use nanoebm::nn::pass::Pass;
use nanoebm::processes::Processes;
use nanoebm::run::step::Step;
use tch::{Kind, Tensor};

use super::golden::{Golden, Ladder};

const TRAIN: Pass = Pass { train: true, compute: Kind::Float, second_order: false, remat: false };

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
    for name in ["original", "other_shape"] {
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
            let mut step = Step::new(ebm.forward(&idx, &targets, Some(fields["steps"].as_i64().unwrap()), TRAIN));
            let phases = contrastive.phases_with(&ebm, &targets, &step.output.energies, TRAIN, &draw);
            step.add_contrastive(phases, ebm.config.contrastive_weight);
            let metrics = step.metrics(&targets);

            let label = |what: &str| format!("{name} {case} {what}");
            let theirs = |key: &str| fields["metrics"][key].as_f64().unwrap();
            for key in ["cd_loss", "nll_loss", "total_loss", "energy_gap"] {
                ladder.number(&label(key), metrics.get(key), theirs(key), 1e-5);
            }
            if let Some(b) = buffer {
                let after = golden.tensor(&format!("{case}.{b}_after"));
                ladder.close(&label("chains after"), contrastive.chains.as_ref().unwrap(), &after, 1e-5);
            }
            optimizer.backward(&step.loss);
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
    for name in ["original", "other_shape"] {
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
            let ours = contrastive.negatives(&energies, &draw(&golden, &case, kind), &Processes::alone()).logits;
            ladder.close(&format!("{name} {case}"), &ours, &golden.tensor(&format!("{case}.negatives")), 1e-5);
        }
        ladder.finish();
    }
}

#[test]
fn the_squares_of_both_phases_are_part_of_the_loss() {
    let golden = Golden::open("original");
    let (idx, targets) = golden.batch();
    let over = serde_json::json!({
        "use_contrastive": true, "contrastive_energy": "next_token", "contrastive_positive_grad": true,
        "contrastive_l2": 0.5, "langevin_step_size": 1e-9, "langevin_noise_scale": 0.0, // negatives stay at System 1
    });
    let ebm = golden.model(&over);
    let mut step = Step::new(ebm.forward(&idx, &targets, None, TRAIN));
    let phases = Contrastive::new(&ebm.config).unwrap().phases(&ebm, &targets, &step.output.energies, TRAIN);
    step.add_contrastive(phases, 2.0);
    let e = step.output.energies.detach();
    let positive = e.gather(2, &targets.unsqueeze(-1), false);
    let negative = ((-&e).softmax(-1, None) * &e).sum_dim_intlist([-1i64].as_slice(), false, None::<Kind>);
    let number = |t: Tensor| t.mean(Kind::Float).double_value(&[]);
    let divergence = number(positive.shallow_clone()) - number(negative.shallow_clone());
    let squares = number(positive.square()) + number(negative.square());
    let metrics = step.metrics(&targets);
    let mut ladder = Ladder::default();
    ladder.number("cd_loss", metrics.get("cd_loss"), divergence, 1e-5);
    ladder.number("energy_l2", metrics.get("energy_l2"), squares, 1e-5);
    let total = metrics.get("nll_loss") + 2.0 * (divergence + 0.5 * squares);
    ladder.number("total_loss", metrics.get("total_loss"), total, 1e-5);
    ladder.finish();
}

#[test]
fn a_particle_that_is_picked_twice_keeps_what_the_later_row_did() {
    let golden = Golden::open("original");
    let over = serde_json::json!({
        "use_contrastive": true, "contrastive_type": "pcd", "n_persistent": 3, "langevin_noise_scale": 0.0,
        "contrastive_energy": "next_token", "langevin_step_size": 10.0,
    });
    let ebm = golden.model(&over);
    let (idx, _) = golden.batch();
    let energies = ebm.energies(&ebm.hidden_states(&idx, TRAIN), TRAIN).detach(); // (B, T, V)
    let b = energies.size()[0];
    let none = || Tensor::empty([0], (Kind::Int64, tch::Device::Cpu));
    // every row moves particle 1: all but the last row's way is forgotten
    let draw = Draw { pick: Tensor::ones([b], (Kind::Int64, tch::Device::Cpu)), assign: none(), restart: vec![] };
    let mut contrastive = Contrastive::new(&ebm.config).unwrap();
    let before = Tensor::randn([3, energies.size()[1], energies.size()[2]], (Kind::Float, tch::Device::Cpu));
    contrastive.chains = Some(before.copy());
    let logits = contrastive.negatives(&energies, &draw, &Processes::alone()).logits;
    let after = contrastive.chains.unwrap();
    let kept = (logits + &energies).get(b - 1); // its displacement from System 1
    assert_ne!((&kept - before.get(1)).abs().max().double_value(&[]), 0.0);
    assert_eq!(after.get(1), kept);
    assert_eq!((after.get(0), after.get(2)), (before.get(0), before.get(2)));
}
