//! Checkpoints of every family, and of every setting that changes an energy or a thought, open in PyTorch
//! (`python/nanoebm.py`): the same energies and predictions, and the same text.

use std::path::Path;

use nanoebm::config::{Config, EnergyFamily, ModelConfig, RefineReduction, SampleConfig};
use nanoebm::ebm::Ebm;
use nanoebm::nn::optim::AdamW;
use nanoebm::sample::{Chooser, Generation};
use tch::{Kind, Tensor, no_grad};

use super::families::{EVAL, batch, model, save, write};
use super::generator::alone;
use super::python::TORCH;

const TOLERANCE: f64 = 1e-5;
/// Steps of thinking: none, as in training, and more than a model was trained with.
const STEPS: [i64; 4] = [0, 1, 3, 8];
/// More characters than the window has places.
const WRITTEN: usize = 24;

/// A change of the settings, by its name.
type Setting = (&'static str, fn(&mut ModelConfig));

/// Opens a family in PyTorch with each of the settings, and compares.
fn opens_with(energy: EnergyFamily, settings: &[Setting]) {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let models: Vec<Ebm> = settings.iter().map(|(_, change)| model(energy, change)).collect();
    let ours: Vec<(Tensor, Vec<i64>)> =
        models.iter().enumerate().map(|(n, ebm)| write_down(ebm, &dir.path().join(n.to_string()))).collect();
    let theirs = TORCH.judge("opened.py", dir.path(), &[]);
    assert_eq!(theirs.as_array().unwrap().len(), settings.len());
    for (n, (setting, _)) in settings.iter().enumerate() {
        let (what, (thought, text)) = (format!("{energy} {setting}"), &ours[n]);
        assert!(n == 0 || *thought != ours[0].0, "{what} changes nothing");
        let differences = theirs[n]["differences"].as_object().unwrap();
        assert_eq!(differences.len(), 3 + STEPS.len());
        for (name, difference) in differences {
            let difference = difference.as_f64().unwrap();
            println!("{what:<40} {name:<13} {difference:.1e} of {TOLERANCE:.0e}");
            assert!(difference <= TOLERANCE, "{what} {name}: {difference:.1e}");
        }
        assert_eq!(theirs[n]["written"], serde_json::json!(text), "{what}: the text");
    }
}

/// A checkpoint, and beside it what we compute with it: the last thoughts and a text are given as well.
fn write_down(ebm: &Ebm, stem: &Path) -> (Tensor, Vec<i64>) {
    let (idx, _) = batch(ebm);
    let prompt = idx.narrow(0, 0, 1).narrow(1, 0, 4); // (1, 4)
    let reading = no_grad(|| ebm.read(&idx, EVAL));
    let thought = |steps: i64| no_grad(|| ebm.trajectory_alone(&reading, steps, EVAL)).remove(steps as usize);
    let next = generation(ebm, &prompt, STEPS[STEPS.len() - 1]).think().logits(); // (1, V)
    let mut generation = generation(ebm, &prompt, 3);
    let text: Vec<i64> = (0..WRITTEN).map(|_| generation.next_tokens()[0]).collect();
    let mut found = vec![("energies".to_owned(), reading.energies.shallow_clone())];
    found.push(("system1".to_owned(), -&reading.energies));
    found.extend(STEPS.map(|steps| (format!("system2.{steps}"), thought(steps))));
    found.push((format!("next_logits.{}", STEPS[STEPS.len() - 1]), next));
    found.extend([("idx".to_owned(), idx), ("prompt".to_owned(), prompt)]);
    found.push(("written".to_owned(), Tensor::from_slice(&text)));
    write(&stem.with_extension("safetensors"), &found);
    let optimizer = AdamW::new(ebm.params(), &Config::default().train, &ebm.config);
    save(&stem.with_extension("pt"), ebm, &optimizer);
    (thought(STEPS[STEPS.len() - 1]), text)
}

/// A text that goes on from a prompt (1, T) with the likeliest tokens.
fn generation<'a>(ebm: &'a Ebm, prompt: &Tensor, steps: i64) -> Generation<'a> {
    let greedy = Chooser::new(&SampleConfig { sample: Some(false), ..SampleConfig::default() });
    let prompt = Vec::<i64>::try_from(prompt.reshape([-1])).unwrap();
    Generation::new(ebm, &prompt, 1, Some(steps), greedy, Kind::Float)
}

/// What any family knows.
const SETTINGS: [Setting; 8] = [
    ("as it comes", |_| {}),
    ("refine_reduction=mean", |c| (c.refine_reduction, c.alpha_value) = (RefineReduction::Mean, 3.0)),
    ("think_max_move, grad_clamp", |c| (c.think_max_move, c.grad_clamp) = (0.05, 0.2)),
    ("early stop", |c| c.energy_convergence_threshold = 0.1),
    ("early stop of a mean", |c| {
        (c.refine_reduction, c.alpha_value, c.energy_convergence_threshold) = (RefineReduction::Mean, 3.0, 0.01);
    }),
    ("adaptive", |c| (c.adaptive, c.energy_convergence_threshold) = (true, 0.02)),
    ("adaptive mean", |c| {
        (c.adaptive, c.energy_convergence_threshold) = (true, 0.02);
        (c.refine_reduction, c.alpha_value) = (RefineReduction::Mean, 3.0);
    }),
    ("bias=false, alpha_learnable", |c| (c.bias, c.alpha_learnable) = (false, true)),
];
/// What expected energies know as well.
const EXPECTED: [Setting; 2] = [
    ("softmax_temperature", |c| c.softmax_temperature = 0.7),
    ("entropy_weight", |c| (c.entropy_weight, c.softmax_temperature) = (0.3, 1.5)),
];

#[test]
fn linear_opens_in_pytorch() {
    let soft: [Setting; 3] = [
        ("use_soft_tokens", |c| c.use_soft_tokens = true),
        ("soft tokens, mean", |c| {
            (c.use_soft_tokens, c.refine_reduction, c.alpha_value) = (true, RefineReduction::Mean, 3.0);
            c.energy_convergence_threshold = 0.01;
        }),
        ("soft tokens, stopgrad", |c| (c.use_soft_tokens, c.mixture_stopgrad) = (true, true)),
    ];
    opens_with(EnergyFamily::Linear, &[&SETTINGS[..], &EXPECTED, &soft].concat());
}

#[test]
fn mixture_opens_in_pytorch() {
    let stopgrad: [Setting; 1] = [("mixture_stopgrad", |c| c.mixture_stopgrad = true)];
    opens_with(EnergyFamily::Mixture, &[&SETTINGS[..], &EXPECTED, &stopgrad].concat());
}

#[test]
fn reread_opens_in_pytorch() {
    let chars: [Setting; 2] =
        [("reread_chars=0", |c| c.reread_chars = 0), ("reread_chars beyond the text", |c| c.reread_chars = 12)];
    opens_with(EnergyFamily::Reread, &[&SETTINGS[..], &chars].concat());
}

#[test]
fn ebt_opens_in_pytorch() {
    opens_with(EnergyFamily::Ebt, &SETTINGS);
}
