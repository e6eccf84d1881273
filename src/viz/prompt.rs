//! A prompt and what System 2 thinks of it: the material of most pictures.

use tch::{Kind, Tensor, no_grad};

use super::draw::style;
use super::numbers::numbers_of;
use super::step_size::StepSize;
use crate::config::VizConfig;
use crate::data::Vocab;
use crate::data::vocab::dropped_from;
use crate::ebm::Ebm;
use crate::energy::{Reading, centred, expected_energy};
use crate::error::Error;
use crate::nn::pass::Pass;

/// A prompt, and what System 2 did with it.
pub struct Prompt<'a> {
    /// The model
    pub ebm: &'a Ebm,
    /// Its characters
    pub vocab: Vocab,
    /// The prompt's characters that the model reads (T)
    pub ids: Vec<i64>,
    /// What was read: System 1's energies (1, T, V) among it
    pub reading: Reading,
    /// What it thought with
    pub step_size: StepSize,
    /// Predictions x₀, x₁, … (1, T, V), as the loop has them
    pub trajectory: Vec<Tensor>,
    /// The position whose prediction is looked at
    pub position: i64,
    /// Steps that were asked for; fewer were taken where the model's early stop ended the loop
    pub think_steps: i64,
    /// What was decided on the user's behalf, in words
    pub notes: Vec<String>,
    pass: Pass,
}

impl<'a> Prompt<'a> {
    /// Thinks about the prompt of a configuration. An error when no character of it is known, or the position is outside of it.
    pub fn new(ebm: &'a Ebm, vocab: &Vocab, config: &VizConfig, pass: Pass) -> Result<Self, Error> {
        let mut notes = Vec::new();
        let (mut ids, dropped) = vocab.encode(&config.prompt);
        if ids.is_empty() {
            let why = if config.prompt.is_empty() { "is empty" } else { "has no character that the model knows" };
            return Err(Error::Request(format!(
                "the prompt {why}; viz looks at what follows a text: prompt=\"ROMEO:\""
            )));
        }
        if !dropped.is_empty() {
            notes.push(dropped_from("the prompt", &dropped));
        }
        let (typed, block_size) = (ids.len(), ebm.config.block_size as usize);
        if typed > block_size {
            ids.drain(..typed - block_size);
            notes.push(format!("The model reads {block_size} characters: the last ones of the prompt's {typed}"));
        }
        let last = ids.len() as i64 - 1;
        let position = config.position.unwrap_or(last);
        if position > last {
            return Err(Error::Request(format!(
                "position={position} is outside of the prompt, whose characters have positions 0 to {last}"
            )));
        }
        if ebm.config.use_soft_tokens && last > 0 {
            notes.push("Soft tokens: landscape and bowl hold the other positions where thinking left them".to_owned());
        }
        let (reading, step_size, trajectory) = no_grad(|| {
            let idx = Tensor::from_slice(&ids).to_device(ebm.device()).unsqueeze(0); // (1, T)
            let reading = fine(ebm, &ebm.read(&idx, pass));
            let think = || ebm.trajectory(&reading, config.think_steps, pass);
            let energy = |x: &Tensor| energy_of(ebm, &reading, x, pass).double_value(&[0, position]);
            let step_size = StepSize::choose(ebm, config, || think().iter().map(energy).collect());
            let trajectory = step_size.during(ebm, think);
            (reading, step_size, trajectory)
        });
        notes.extend(step_size.note());
        let think_steps = config.think_steps;
        let vocab = vocab.clone();
        let mut prompt = Self { ebm, vocab, ids, reading, step_size, trajectory, position, think_steps, notes, pass };
        prompt.notes.extend(prompt.early_stop());
        Ok(prompt)
    }

    /// Steps that were taken.
    pub fn steps(&self) -> usize {
        self.trajectory.len() - 1
    }

    /// How long was thought, and with which step size, in words.
    pub fn effort(&self) -> String {
        format!("{} of thinking with {}", style::steps(self.steps()), self.step_size.words())
    }

    /// A sentence where the loop ended before the steps that were asked for.
    fn early_stop(&self) -> Option<String> {
        let (taken, asked) = (self.steps() as i64, self.think_steps);
        let threshold = self.ebm.config.energy_convergence_threshold;
        let why =
            if self.ebm.config.adaptive { "every position's last change" } else { "two changes of the mean energy" };
        (taken < asked).then(|| format!("early stop after {taken} of {asked} steps: {why} below {threshold}"))
    }

    /// The same, to end a summary with.
    pub fn stopped(&self) -> String {
        self.early_stop().map_or_else(String::new, |stop| format!("; {stop}"))
    }

    /// The energy J that the loop descends, of each x (N, V) at the position that is looked at; with soft tokens the other
    /// positions stay where thinking left them. Read from the device.
    pub fn energy_at(&self, xs: &Tensor) -> Vec<f64> {
        const CHUNK: i64 = 128; // predictions at a time: (128, T, V) stays small
        let energy = self.ebm.thinking_energy(&self.reading, self.pass);
        let rest = &self.trajectory[self.steps()]; // (1, T, V)
        let n = xs.size()[0];
        let mut values = Vec::with_capacity(n as usize);
        no_grad(|| {
            for start in (0..n).step_by(CHUNK as usize) {
                let chunk = xs.narrow(0, start, CHUNK.min(n - start)).to_kind(rest.kind());
                let x = rest.repeat([chunk.size()[0], 1, 1]); // (n, T, V)
                x.select(1, self.position).copy_(&chunk);
                let value = energy.value(&x); // (n, T, 1)
                values.extend(numbers_of::<f64>(&value.select(1, self.position))); // (n)
            }
        });
        values
    }

    /// The gradient (V) of the energy at x (V) of the position that is looked at.
    pub fn gradient_at(&self, x: &Tensor) -> Tensor {
        no_grad(|| {
            let all = self.trajectory[self.steps()].copy(); // (1, T, V)
            all.select(1, self.position).copy_(&x.unsqueeze(0).to_kind(all.kind()));
            let (_, grad) = self.ebm.thinking_energy(&self.reading, self.pass).value_and_grad(&all);
            grad.select(1, self.position).squeeze_dim(0).to_kind(Kind::Double) // (V)
        })
    }

    /// The path of the position that is looked at, each x less its mean over V, which softmax does not see: (K + 1, V), float64.
    pub fn path(&self) -> Tensor {
        let own: Vec<Tensor> = self.trajectory.iter().map(|x| x.select(1, self.position)).collect(); // (1, V) each
        centred(&Tensor::cat(&own, 0).to_kind(Kind::Double))
    }

    /// The characters read up to the position that is looked at, for titles.
    pub fn context(&self) -> String {
        let read = &self.ids[..=self.position as usize];
        let text: String = read.iter().filter_map(|&id| self.vocab.char(id)).collect();
        style::quoted(&text, 32)
    }

    /// What is descended, in words for an axis.
    pub fn energy_name(&self) -> &'static str {
        self.ebm.family.name(&self.ebm.config)
    }
}

/// The energy (B, T) of a prediction x (B, T, V): its expected energy, or for the other families what thinking descends.
pub fn energy_of(ebm: &Ebm, reading: &Reading, x: &Tensor, pass: Pass) -> Tensor {
    if ebm.family.is_linear() {
        expected_energy(x, &reading.energies)
    } else {
        ebm.thinking_energy(reading, pass).value(x).squeeze_dim(-1)
    }
}

/// In float64 where the descent can be repeated in it: the original's steps of 10⁻⁶ logits are steps then, and no rounding. Every
/// other energy than the expected one has weights of float32.
pub fn fine(ebm: &Ebm, reading: &Reading) -> Reading {
    let table = ebm.family.is_linear() && !ebm.config.use_soft_tokens;
    if table { reading.fine() } else { reading.shallow_clone() }
}
