//! The numbers of the pictures against PyTorch's: energies by step and trajectories of tokens, as their JSON has them.

use nanoebm::data::Corpus;
use nanoebm::ebm::Ebm;
use nanoebm::nn::pass::Pass;
use nanoebm::viz::gap::{Gap, path_energies};
use nanoebm::viz::trajectories::trajectories;
use serde_json::Value;
use tch::{Kind, Tensor, no_grad};

use super::generator::alone;
use super::golden::{Golden, Ladder};

const EVAL: Pass = Pass { train: false, compute: Kind::Float, second_order: false, remat: false };

/// A case's own trajectory, in the precision of the pictures, with the tolerance that tests/parity grants it.
fn ours(golden: &Golden, case: &str, fields: &Value) -> (Vec<Tensor>, Tensor, f64) {
    let mut over = fields["over"].as_object().cloned().unwrap_or_default();
    over.insert("use_soft_tokens".into(), fields["soft"].clone());
    over.insert("energy_convergence_threshold".into(), fields["threshold"].clone());
    over.insert("alpha_value".into(), fields["alpha"].clone());
    let ebm: Ebm = golden.model(&Value::Object(over));
    let (idx, _) = golden.batch();
    let (trajectory, energies) = no_grad(|| {
        let reading = nanoebm::viz::prompt::fine(&ebm, &ebm.read(&idx, EVAL));
        (ebm.trajectory(&reading, fields["steps"].as_i64().unwrap(), EVAL), reading.energies)
    });
    let steep = case.ends_with("a5e4_clamp");
    (trajectory, energies, if steep { 1e-4 } else { 1e-5 })
}

#[test]
fn the_gap_is_pytorchs() {
    let _alone = alone();
    for name in ["original", "other_shape"] {
        let golden = Golden::open(name);
        let energies = golden.tensor("energies").to_kind(Kind::Double); // (2, T, V)
        let mut ladder = Ladder::default();
        for (case, fields) in golden.cases("refine.") {
            let (trajectory, own, tolerance) = ours(&golden, &case, &fields);
            let json = serde_json::to_value(Gap::new(
                &path_energies(&trajectory, |x| nanoebm::energy::expected_energy(x, &own)),
                2,
                0,
            ))
            .unwrap();
            let theirs = golden.tensor(&case).to_kind(Kind::Double); // (K + 1, 2, T, V)
            assert_eq!(json["energy"].as_array().unwrap().len() as i64, theirs.size()[0], "{name} {case}");
            let expected: Vec<f64> = (0..theirs.size()[0])
                .map(|k| {
                    let p = theirs.get(k).softmax(-1, None);
                    (p * &energies).sum_dim_intlist([-1i64].as_slice(), false, None::<Kind>).mean(Kind::Double)
                })
                .map(|mean| mean.double_value(&[]))
                .collect();
            for (k, mean) in expected.iter().enumerate() {
                let [energy, gap] = ["energy", "gap"].map(|key| json[key][k]["mean"].as_f64().unwrap());
                ladder.number(&format!("{name} {case} energy {k}"), energy, *mean, tolerance);
                ladder.number(&format!("{name} {case} gap {k}"), gap, expected[0] - mean, tolerance);
            }
        }
        ladder.finish();
    }
}

#[test]
fn trajectories_of_tokens_are_pytorchs() {
    let _alone = alone();
    for name in ["original", "other_shape"] {
        let golden = Golden::open(name);
        let own_text = golden.dir.join("text.txt");
        let shakespeare = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shakespeare.txt");
        let vocab = Corpus::read(if own_text.exists() { &own_text } else { &shakespeare }).unwrap().vocab;
        let mut ladder = Ladder::default();
        for (case, fields) in golden.cases("refine.") {
            let (trajectory, energies, tolerance) = ours(&golden, &case, &fields);
            let theirs = golden.tensor(&case).to_kind(Kind::Double); // (K + 1, 2, T, V)
            let row: Vec<Tensor> = trajectory.iter().map(|x| x.narrow(0, 1, 1)).collect(); // the second window
            for position in [0, theirs.size()[2] - 1] {
                let (path, tokens) = trajectories(&row, &energies.narrow(0, 1, 1), (position, 8), &vocab);
                let json = serde_json::to_value(&tokens).unwrap();
                let x = theirs.select(1, 1).select(1, position); // (K + 1, V)
                assert_eq!((path.len() as i64, tokens.len()), (x.size()[0], 8));
                let p = x.softmax(-1, None);
                for token in json.as_array().unwrap() {
                    let id = token["id"].as_i64().unwrap();
                    for (key, expected) in [("logits", &x), ("probabilities", &p)] {
                        let values: Vec<f64> = serde_json::from_value(token[key].clone()).unwrap();
                        let what = format!("{name} {case} t={position} {key} of {id}");
                        ladder.close(&what, &Tensor::from_slice(&values), &expected.select(1, id), tolerance);
                    }
                }
            }
        }
        ladder.finish();
    }
}
