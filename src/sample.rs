//! Writing text: one token after another, by System 1 (fast) or System 2 (thinking).

use serde::Serialize;
use tch::{Kind, Tensor, no_grad};

use crate::config::{FullWindow, Mode, SampleConfig};
use crate::data::Vocab;
use crate::ebm::Ebm;
use crate::energy::Reading;
use crate::nn::cache::Cache;
use crate::nn::pass::{Pass, Wanted};

/// How a token is chosen from logits (temperature, then top-k, then top-p, then a draw or the best).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chooser {
    /// Logits are divided by it
    pub temperature: f64,
    /// Only the k best tokens; ties with the k-th stay
    pub top_k: Option<i64>,
    /// The fewest best tokens whose probabilities reach p
    pub top_p: Option<f64>,
    /// Draw at random, or take the best
    pub sample: bool,
}

impl Chooser {
    /// What a configuration asks for: unset, `sample` means drawing when thinking and the best token when not.
    pub fn new(config: &SampleConfig) -> Self {
        Self {
            temperature: config.sample_temp,
            top_k: config.topk,
            top_p: config.sample_top_p,
            sample: config.sample.unwrap_or(config.mode == Mode::Think),
        }
    }

    /// logits (N, V) → token ids (N, 1)
    pub fn choose(&self, logits: &Tensor) -> Tensor {
        if !self.sample {
            return logits.argmax(-1, true);
        }
        let mut logits = logits / self.temperature;
        if let Some(k) = self.top_k {
            let (best, _) = logits.topk(k.min(logits.size()[1]), -1, true, true); // (N, k)
            let kth = best.slice(-1, -1, None, 1); // (N, 1)
            logits = logits.masked_fill(&logits.less_tensor(&kth), f64::NEG_INFINITY);
        }
        let mut probs = logits.softmax(-1, None); // (N, V)
        if let Some(p) = self.top_p {
            let (sorted, order) = probs.sort(-1, true);
            let before = sorted.cumsum(-1, None::<Kind>) - &sorted; // probability of all better tokens
            let kept = sorted.masked_fill(&before.ge(p), 0.0);
            probs = probs.zeros_like().scatter(-1, &order, &kept); // multinomial normalises
        }
        probs.multinomial(1, false)
    }
}

/// A text being written, or several at once from one prompt.
#[derive(Debug)]
pub struct Generation<'a> {
    ebm: &'a Ebm,
    pass: Pass,
    think_steps: Option<i64>,
    chooser: Chooser,
    context: FullWindow,
    /// Everything so far (N, T)
    idx: Tensor,
    /// How much of it was read: the window ends there
    read: i64,
    cache: Cache,
    /// What was read of the window, where all of its positions think
    reading: Option<Reading>,
}

impl<'a> Generation<'a> {
    /// Starts `num_samples` texts from the ids of a prompt, which must not be empty. `think_steps` = None is System 1.
    pub fn new(
        ebm: &'a Ebm,
        prompt: &[i64],
        num_samples: i64,
        think_steps: Option<i64>,
        chooser: Chooser,
        compute: Kind,
    ) -> Self {
        let idx = Tensor::from_slice(prompt).to_device(ebm.device()).unsqueeze(0).repeat([num_samples, 1]); // (N, T)
        let cache = ebm.cache();
        let pass = Pass::eval(compute);
        let context = FullWindow::Sliding;
        Self { ebm, pass, think_steps, chooser, context, idx, read: 0, cache, reading: None }
    }

    /// With another answer to a full window; the original's slides.
    pub fn with_context(self, context: FullWindow) -> Self {
        Self { context, ..self }
    }

    /// The next token of each text.
    pub fn next_tokens(&mut self) -> Vec<i64> {
        let thought = self.think();
        self.write(&thought)
    }

    /// Thinks about the next token of each text, and writes nothing yet. Where positions think on their own, only the last does.
    pub fn think(&mut self) -> Thought {
        no_grad(|| {
            let whole = self.think_steps.is_some() && self.ebm.thinks_of_all();
            let reading = self.read(if whole { Wanted::All } else { Wanted::Last }); // of (N, T or 1) positions
            let predictions = match self.think_steps {
                Some(steps) if whole => self.ebm.trajectory(&reading, steps, self.pass),
                Some(steps) => self.ebm.trajectory_alone(&reading, steps, self.pass),
                None => vec![-&reading.energies],
            };
            let last = |x: &Tensor| x.select(1, -1); // the last position: (N, T, V) → (N, V)
            let trajectory = Tensor::stack(&predictions.iter().map(last).collect::<Vec<_>>(), 1); // (N, K + 1, V)
            Thought { energies: last(&reading.energies), trajectory }
        })
    }

    /// Chooses the next token of each text from what was thought of it, and appends it.
    pub fn write(&mut self, thought: &Thought) -> Vec<i64> {
        let next = no_grad(|| self.chooser.choose(&thought.logits())); // (N, 1)
        self.idx = Tensor::cat(&[&self.idx, &next], 1);
        Vec::<i64>::try_from(next.reshape([-1])).unwrap_or_default() // read from the device: it is printed
    }

    /// Appends a given token to each text instead.
    pub fn append(&mut self, token: i64) {
        let next = self.idx.narrow(1, 0, 1).full_like(token); // (N, 1)
        self.idx = Tensor::cat(&[&self.idx, &next], 1);
    }

    /// What is known after the window's positions (N, T) or the last of them (N, 1). Only what is new is read, until the window is full.
    fn read(&mut self, wanted: Wanted) -> Reading {
        let (t, block_size) = (self.idx.size()[1], self.ebm.config.block_size);
        if !self.cache.has_room(t - self.read) {
            let kept = match self.context {
                FullWindow::Rolling if !self.cache.is_empty() => (block_size / 2).max(1),
                _ => block_size,
            };
            (self.cache, self.reading, self.read) = (self.ebm.cache(), None, t - kept);
        }
        let new = self.idx.narrow(1, self.read, t - self.read);
        self.read = t;
        let new = self.ebm.read_cached(&new, wanted, &mut self.cache, self.pass);
        if wanted == Wanted::Last {
            return new;
        }
        let all = self.reading.take().map_or_else(|| new.shallow_clone(), |read| read.then(&new));
        self.reading = Some(all.shallow_clone());
        all
    }
}

/// What the model thinks of the next token of N texts.
#[derive(Debug)]
pub struct Thought {
    /// Energy of every token (N, V)
    pub energies: Tensor,
    /// The prediction before thinking and after each of the K steps taken (N, K + 1, V), System 1's first
    pub trajectory: Tensor,
}

impl Thought {
    /// The final prediction (N, V).
    pub fn logits(&self) -> Tensor {
        self.trajectory.select(1, -1)
    }
}

/// A text of `len` characters by System 2 as trained, for a look at a model: from a newline, drawn without restrictions.
pub fn sample_text(ebm: &Ebm, vocab: &Vocab, len: usize, compute: Kind) -> String {
    let (prompt, _) = encode_prompt(vocab, "");
    let chooser = Chooser { temperature: 1.0, top_k: None, top_p: None, sample: true };
    let mut text = Generation::new(ebm, &prompt, 1, Some(ebm.config.refine_steps), chooser, compute);
    (0..len).filter_map(|_| vocab.char(*text.next_tokens().first()?)).collect()
}

/// The ids of a prompt and the characters that the model does not know. An empty prompt starts from a newline.
pub fn encode_prompt(vocab: &Vocab, prompt: &str) -> (Vec<i64>, String) {
    let (mut ids, dropped) = vocab.encode(prompt);
    if ids.is_empty() {
        ids.push(vocab.id('\n').unwrap_or_default());
    }
    (ids, dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chooser(top_k: Option<i64>, top_p: Option<f64>) -> Chooser {
        Chooser { temperature: 1.0, top_k, top_p, sample: true }
    }

    /// The tokens that come up in many draws from probabilities ½, ¼, ⅛, ⅛.
    fn drawn(chooser: &Chooser) -> Vec<i64> {
        tch::manual_seed(1);
        let logits = Tensor::from_slice(&[0.125f32, 0.5, 0.125, 0.25]).log().unsqueeze(0).repeat([500, 1]);
        let mut ids = Vec::<i64>::try_from(chooser.choose(&logits).reshape([-1])).unwrap();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    #[test]
    fn k_then_p() {
        assert_eq!(drawn(&chooser(None, None)), [0, 1, 2, 3]);
        assert_eq!(drawn(&chooser(Some(2), None)), [1, 3]);
        assert_eq!(drawn(&chooser(Some(3), None)), [0, 1, 2, 3], "ties with the third stay, as in the original");
        assert_eq!(drawn(&chooser(None, Some(0.6))), [1, 3]);
        // after k = 2 the best token has ⅔, which alone reaches 0.6
        assert_eq!(drawn(&chooser(Some(2), Some(0.6))), [1]);
        assert_eq!(drawn(&Chooser { sample: false, ..chooser(None, None) }), [1]);
    }

    #[test]
    fn an_empty_prompt_starts_from_a_newline() {
        let vocab = Vocab::new("ab\n".chars());
        assert_eq!(encode_prompt(&vocab, ""), (vec![0], String::new()));
        assert_eq!(encode_prompt(&vocab, "axé"), (vec![1], "xé".to_owned()));
    }
}
