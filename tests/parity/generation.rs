//! Writing with a cache against reading the whole window for every token.

use nanoebm::config::{FullWindow, SampleConfig};
use nanoebm::ebm::Ebm;
use nanoebm::nn::pass::{Pass, Wanted};
use nanoebm::sample::{Chooser, Generation};
use serde_json::json;
use tch::{Kind, Tensor, no_grad};

use super::golden::{Golden, Ladder};

const EVAL: Pass = Pass { train: false, compute: Kind::Float, second_order: false, remat: false };

/// The models that a cache must serve: refinement as in the original and as here, early stop on and off, soft tokens.
fn models(golden: &Golden) -> Vec<(&'static str, Ebm)> {
    let sum = json!({"refine_reduction": "sum"});
    let never = json!({"refine_reduction": "sum", "energy_convergence_threshold": 0.0});
    let large = json!({"refine_reduction": "sum", "alpha_value": 2.0, "energy_convergence_threshold": 0.5});
    let soft = json!({"use_soft_tokens": true});
    let named = [("original", json!({})), ("sum", sum), ("never stops", never), ("stops", large), ("soft", soft)];
    named.map(|(name, over)| (name, golden.model(&over))).into()
}

/// The text that `num` greedy generations of `new` tokens give when every token reads its whole window.
fn uncached(ebm: &Ebm, prompt: &[i64], num: i64, new: usize, think_steps: Option<i64>) -> Vec<Vec<i64>> {
    let mut idx = Tensor::from_slice(prompt).unsqueeze(0).repeat([num, 1]); // (N, T)
    let mut tokens = Vec::new();
    for _ in 0..new {
        let (t, block_size) = (idx.size()[1], ebm.config.block_size);
        let window = idx.narrow(1, (t - block_size).max(0), t.min(block_size));
        let logits = no_grad(|| ebm.predict(&ebm.read(&window, EVAL), think_steps.unwrap_or(0), EVAL));
        let next = logits.select(1, -1).argmax(-1, true); // (N, 1)
        tokens.push(Vec::<i64>::try_from(next.reshape([-1])).unwrap());
        idx = Tensor::cat(&[idx, next], 1);
    }
    tokens
}

fn generate(ebm: &Ebm, prompt: &[i64], num: i64, new: usize, think: Option<i64>, context: FullWindow) -> Vec<Vec<i64>> {
    let greedy = Chooser::new(&SampleConfig { sample: Some(false), ..SampleConfig::default() });
    let mut generation = Generation::new(ebm, prompt, num, think, greedy, Kind::Float).with_context(context);
    (0..new).map(|_| generation.next_tokens()).collect()
}

#[test]
fn texts_are_those_of_reading_everything_for_each_token() {
    for name in ["original", "other_shape"] {
        let golden = Golden::open(name);
        let (idx, _) = golden.batch();
        let long = Vec::<i64>::try_from(idx.reshape([-1])).unwrap();
        for (model, ebm) in models(&golden) {
            let block_size = ebm.config.block_size as usize;
            // from a short prompt, past a full window, and from a prompt that is longer than one
            for (prompt, new) in [(5, 8), (block_size - 3, 8), (block_size + 7, 4)] {
                for think_steps in [None, Some(4)] {
                    let prompt = &long[..prompt];
                    let ours = generate(&ebm, prompt, 2, new, think_steps, FullWindow::Sliding);
                    let theirs = uncached(&ebm, prompt, 2, new, think_steps);
                    assert_eq!(ours, theirs, "{name} {model} {think_steps:?} from {} characters", prompt.len());
                }
            }
        }
    }
}

#[test]
fn energies_after_a_cache_are_those_without() {
    for name in ["original", "other_shape"] {
        let golden = Golden::open(name);
        let (idx, _) = golden.batch(); // (B, T)
        let ebm = golden.model(&json!({}));
        let whole = no_grad(|| ebm.energies(&ebm.hidden_states(&idx, EVAL), EVAL)); // (B, T, V)
        let mut cache = ebm.cache();
        let first = idx.size()[1] / 2;
        let mut ladder = Ladder::default();
        no_grad(|| {
            let mut read = |from: i64, n: i64| {
                let new = ebm.read_cached(&idx.narrow(1, from, n), Wanted::All, &mut cache, EVAL);
                ladder.close(&format!("{name} {from}"), &new.energies, &whole.narrow(1, from, n), 1e-5);
            };
            read(0, first);
            (first..idx.size()[1]).for_each(|t| read(t, 1));
        });
        assert_eq!(cache.len(), idx.size()[1]);
        ladder.finish();
    }
}

#[test]
fn a_rolling_window_keeps_its_newest_half() {
    let golden = Golden::open("original");
    let ebm = golden.model(&json!({}));
    let block_size = ebm.config.block_size as usize;
    let (idx, _) = golden.batch();
    let prompt = &Vec::<i64>::try_from(idx.reshape([-1])).unwrap()[..5];
    let rolling = generate(&ebm, prompt, 1, block_size + 10, None, FullWindow::Rolling);
    let sliding = generate(&ebm, prompt, 1, block_size + 10, None, FullWindow::Sliding);
    let same = block_size - prompt.len() + 1; // the last one of them is predicted by a full window
    assert_eq!(rolling[..same], sliding[..same]);
    let text: Vec<i64> = prompt.iter().copied().chain(rolling.iter().map(|tokens| tokens[0])).collect();
    let window = &text[text.len() - 1 - 9 - block_size / 2..text.len() - 1]; // half a window, and nine tokens since
    assert_eq!(uncached(&ebm, window, 1, 1, None)[0][0], text[text.len() - 1]);
}

#[test]
fn thinking_about_the_last_position_is_thinking_about_it_among_all() {
    for name in ["original", "other_shape"] {
        let golden = Golden::open(name);
        let ids = Vec::<i64>::try_from(golden.batch().0.reshape([-1])).unwrap();
        let mut ladder = Ladder::default();
        for (model, ebm) in
            models(&golden).into_iter().filter(|(model, _)| ["original", "never stops", "soft"].contains(model))
        {
            let prompt = &ids[..ebm.config.block_size as usize - 2];
            let chooser = Chooser::new(&SampleConfig::default());
            let ours = Generation::new(&ebm, prompt, 1, Some(4), chooser, Kind::Float).think();
            let window = Tensor::from_slice(prompt).unsqueeze(0); // (1, T)
            let all = no_grad(|| ebm.trajectory(&ebm.read(&window, EVAL), 4, EVAL));
            for (step, x) in all.iter().enumerate() {
                let theirs = x.select(1, -1); // (1, V)
                ladder.close(
                    &format!("{name} {model} step {step}"),
                    &ours.trajectory.select(1, step as i64),
                    &theirs,
                    1e-5,
                );
            }
        }
        ladder.finish();
    }
}
