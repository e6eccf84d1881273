//! The settings of the programs that read a checkpoint: `sample`, `eval`, `viz` and `compare`.

use std::path::PathBuf;

use hydra_conf::{ConfigError, Package, Root, Schema, Tree, Value, show};

use super::choice::{Dtype, FullWindow, Mode, MovingWeights, PictureFormat, Split, VizMode};
use super::limits::{COUNT, COUNT_OR_ZERO, DEVICE, POSITIVE, SHARE};
use super::model::{self, ModelConfig, ModelOverrides};
use super::package::{PACKAGE, shipped};

hydra_conf::section! {
    /// Where a model comes from.
    pub struct FromConfig {
        /// checkpoint (.pt) to read; null is the newest under out_dir
        checkpoint: Option<PathBuf>;
        /// folder in which the newest checkpoint is looked for
        out_dir: PathBuf = "out_ebt";
    }
}

hydra_conf::section! {
    /// What a model runs on.
    pub struct ComputeConfig {
        /// auto (CUDA, then MPS, then CPU), cpu, cuda, cuda:N or mps
        device: String = "auto", in DEVICE;
        /// precision of the forward pass: float32 or bfloat16
        dtype: Dtype = "float32";
    }
}

hydra_conf::section! {
    /// How the weights follow the text that is read (fast weights).
    #[derive(Copy)]
    pub struct FastWeightsConfig {
        /// steps down the energy of each chunk of text after it was read (dynamic evaluation); 0 leaves the weights as
        /// trained
        context_steps: i64 = 0, in COUNT_OR_ZERO;
        /// windows of a chunk
        context_chunk: i64 = 4, in COUNT;
        /// step size of these steps, compared with a step of the training at its highest rate; null is 0.08, 0.04 in a model
        /// that thinks, and 0.3 for the head
        context_alpha: Option<f64>, in POSITIVE;
        /// weights that move: all, or head (the energy head alone, cheap)
        context_weights: MovingWeights = "all";
        /// share of the way back to the trained weights after each step
        context_decay: f64 = 0.0, in 0.0..=1.0;
        /// standard deviation of the noise of each step
        context_noise: f64 = 0.0, in 0.0..;
    }
}

hydra_conf::section! {
    /// Settings of `sample`.
    pub struct SampleConfig {
        /// which checkpoint
        #[flatten]
        from: FromConfig;
        /// text whose characters are the vocabulary of a checkpoint that carries none
        data_path: PathBuf = "shakespeare.txt";
        /// text to continue; @file reads a file and - standard input
        prompt: String = "ROMEO:";
        /// characters to generate
        max_new_tokens: i64 = 200, in COUNT_OR_ZERO;
        /// think refines the logits before each character, fast does not
        mode: Mode = "think";
        /// the mode by its other name: true is think, false is fast
        use_thinking: Option<bool>;
        /// refinement steps per character when thinking
        think_steps: i64 = 4, in COUNT_OR_ZERO;
        /// draw among this many likeliest characters; null is all
        topk: Option<i64> = 50, in COUNT;
        /// true draws, false takes the likeliest; null draws when thinking only
        sample: Option<bool>;
        /// temperature of the draw
        sample_temp: f64 = 1.0, in POSITIVE;
        /// draw among the likeliest characters that hold this much probability; null is all
        sample_top_p: Option<f64>, in SHARE;
        /// when the window is full: sliding reads all of it again for each character, rolling keeps the newest half
        context: FullWindow = "sliding";
        /// text to read first, with context_steps; @file reads a file, null is the prompt
        context_text: Option<String>;
        /// texts to generate
        num_samples: i64 = 1, in COUNT;
        /// seed of the draws
        seed: i64 = 1337;
        /// what it runs on
        #[flatten]
        compute: ComputeConfig;
        /// how the weights follow the text
        #[flatten]
        fast: FastWeightsConfig;
        /// replaces a key of the checkpoint's model; `train --help` lists them
        #[open(ModelConfig)]
        model: ModelOverrides;
    }
}

impl Root for SampleConfig {
    const FILE: &'static str = "sample";
    const PACKAGE: Package = PACKAGE;

    fn schema() -> Schema {
        steps(model::aliases(Schema::of::<Self>(), ""), "", "think_steps", "refine_steps")
    }

    fn settle(typed: &mut Tree, base: &Tree) -> Result<Vec<String>, ConfigError> {
        let flag = typed.get("use_thinking").or_else(|| base.get("use_thinking"));
        let Some(flag) = flag.and_then(Value::as_bool) else {
            return Ok(Vec::new());
        };
        let wanted = if flag { Mode::Think } else { Mode::Fast }.as_str();
        match typed.get("mode") {
            Some(mode) if mode.as_str() != Some(wanted) && typed.contains_key("use_thinking") => {
                Err(ConfigError::Relation(format!(
                    "use_thinking={flag} and mode={} contradict one another: they are one setting with two names; give one",
                    show(mode)
                )))
            }
            // What is typed beats what a file says under the other name.
            Some(_) => {
                typed.entry("use_thinking".to_owned()).or_insert(Value::Null);
                Ok(Vec::new())
            }
            None => {
                typed.insert("mode".to_owned(), wanted.into());
                Ok(Vec::new())
            }
        }
    }
}

hydra_conf::section! {
    /// Settings of `eval`.
    pub struct EvalConfig {
        /// which checkpoint
        #[flatten]
        from: FromConfig;
        /// text to evaluate on; null is the checkpoint's own
        data_path: Option<PathBuf>;
        /// part of the text: val (the last tenth) or train
        split: Split = "val";
        /// refinement steps; null is the checkpoint's
        refine_steps: Option<i64>, in COUNT_OR_ZERO;
        /// numbers of steps to measure side by side, as in 0,1,2,4; null is refine_steps alone
        steps: Option<Vec<i64>>, in COUNT_OR_ZERO;
        /// characters from one window to the next, of each of which the last so many are scored; null is the window's
        /// length
        stride: Option<i64>, in COUNT;
        /// windows to evaluate; null is all
        max_windows: Option<i64>, in COUNT;
        /// also tell text from corrupted text by its energy: AUROC
        separation: bool = false;
        /// windows at a time; the numbers do not depend on it
        batch_size: i64 = 16, in COUNT;
        /// what it runs on
        #[flatten]
        compute: ComputeConfig;
        /// how the weights follow the text
        #[flatten]
        fast: FastWeightsConfig;
        /// replaces a key of the checkpoint's model; `train --help` lists them
        #[open(ModelConfig)]
        model: ModelOverrides;
    }
}

impl Root for EvalConfig {
    const FILE: &'static str = "eval";
    const PACKAGE: Package = PACKAGE;

    fn schema() -> Schema {
        steps(model::aliases(Schema::of::<Self>(), ""), "", "refine_steps", "think_steps")
    }

    fn relations(&self) -> Result<(), ConfigError> {
        if let (Some(steps), Some(refine_steps)) = (&self.steps, self.refine_steps) {
            let steps: Vec<String> = steps.iter().map(i64::to_string).collect();
            return Err(ConfigError::Relation(format!(
                "steps={} and refine_steps={refine_steps} both say how many steps to measure; give one",
                steps.join(",")
            )));
        }
        Ok(())
    }
}

hydra_conf::section! {
    /// Settings of `viz`.
    pub struct VizConfig {
        /// which checkpoint
        #[flatten]
        from: FromConfig;
        /// text whose validation part is measured; null is the checkpoint's own
        data_path: Option<PathBuf>;
        /// landscape, gap, trajectories, bowl, positions, training, negatives, report, or all of these with a page;
        /// context
        mode: VizMode = "all";
        /// text that is thought about; @file reads a file and - standard input
        prompt: String = "To be or not to ";
        /// steps of thinking
        think_steps: i64 = 16, in COUNT;
        /// thinks with the checkpoint's own step size; else pictures take the smallest multiple of it that shows a path,
        /// where model.alpha_value names none
        trained_alpha: bool = false;
        /// characters that the report writes after the prompt; 0 scores the prompt alone
        max_new_tokens: i64 = 240, in COUNT_OR_ZERO;
        /// likeliest characters whose paths are drawn
        topk: i64 = 8, in COUNT;
        /// character of the prompt, from 0, whose successor is predicted; null is the last
        position: Option<i64>, in COUNT_OR_ZERO;
        /// points along each side of the landscape; null is 61, or 31 with soft tokens, which are read again at each
        grid: Option<i64>, in 5..=201;
        /// half width of the wide landscape in logits; null follows the path
        extent: Option<f64>, in POSITIVE;
        /// validation windows to measure, spread evenly; with mode=context the first ones
        max_windows: i64 = 64, in COUNT;
        /// run directories for the training curves, as in runs='a,b'; null is the checkpoint's own, else the newest
        runs: Option<String>;
        /// logged rows that a training curve is averaged over; 1 draws the rows as they are
        smooth: i64 = 9, in COUNT;
        /// folder that the pictures are written to
        out: PathBuf = "out_viz";
        /// png, svg or both
        format: PictureFormat = "both";
        /// seed of samples, chains and noise
        seed: i64 = 1337;
        /// what it runs on
        #[flatten]
        compute: ComputeConfig;
        /// replaces a key of the checkpoint's model; `train --help` lists them
        #[open(ModelConfig)]
        model: ModelOverrides;
    }
}

impl Root for VizConfig {
    const FILE: &'static str = "viz";
    const PACKAGE: Package = PACKAGE;

    fn schema() -> Schema {
        let schema = Schema::of::<Self>()
            .describe("out_dir", "folder in which the newest checkpoint and the newest run are looked for");
        steps(model::aliases(schema, ""), "", "think_steps", "refine_steps")
    }
}

hydra_conf::section! {
    /// Settings of `compare`.
    pub struct CompareConfig {
        /// the first: a=FILE, then a.refine_steps=N and a.model.KEY=VALUE for it alone
        #[open]
        a: Candidate;
        /// the second: b=FILE and so on; differences are taken to a
        #[open]
        b: Candidate;
        /// a third, likewise
        #[open]
        c: Candidate;
        /// a fourth
        #[open]
        d: Candidate;
        /// a fifth
        #[open]
        e: Candidate;
        /// a sixth
        #[open]
        f: Candidate;
        /// text to evaluate on; null is that of a
        data_path: Option<PathBuf>;
        /// part of the text: val (the last tenth) or train
        split: Split = "val";
        /// refinement steps of all, 0 being System 1; null is each checkpoint's
        refine_steps: Option<i64>, in COUNT_OR_ZERO;
        /// length of the windows; null is the checkpoints', which must then agree
        block_size: Option<i64>, in COUNT;
        /// windows to evaluate; null is all
        max_windows: Option<i64>, in COUNT;
        /// windows at a time; the numbers do not depend on it
        batch_size: i64 = 16, in COUNT;
        /// folder to write a picture of the differences to
        out: Option<PathBuf>;
        /// what it runs on
        #[flatten]
        compute: ComputeConfig;
        /// replaces a key of every checkpoint's model; `train --help` lists them
        #[open(ModelConfig)]
        model: ModelOverrides;
    }
}

hydra_conf::section! {
    /// One of the models that `compare` compares: a checkpoint and settings of its own.
    #[derive(Default)]
    pub struct Candidate {
        /// its checkpoint
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checkpoint: Option<PathBuf>;
        /// its refinement steps
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refine_steps: Option<i64>, in COUNT_OR_ZERO;
        /// keys that replace the checkpoint's, as `model.KEY`
        #[serde(flatten)]
        #[open(ModelConfig)]
        model: ModelOverrides;
    }
}

impl Root for CompareConfig {
    const FILE: &'static str = "compare";
    const PACKAGE: Package = PACKAGE;

    fn schema() -> Schema {
        let schema = Self::NAMES.iter().fold(Schema::of::<Self>(), |schema, name| {
            let prefix = format!("{name}.");
            let schema = schema.alias(name, &format!("{name}.checkpoint"));
            steps(model::aliases(schema, &prefix), &prefix, "refine_steps", "think_steps")
        });
        steps(model::aliases(schema, ""), "", "refine_steps", "think_steps")
    }
}

/// Makes the number of steps a setting of the program, or of what `prefix` names: every other name, the model's too,
/// leads to `own`.
fn steps(schema: Schema, prefix: &str, own: &str, other: &str) -> Schema {
    let own = format!("{prefix}{own}");
    schema.alias(&format!("{prefix}{other}"), &own).alias(&format!("{prefix}model.refine_steps"), &own)
}

/// The defaults of a program are what it does without any override.
macro_rules! defaults {
    ($($name:ident)+) => {$(
        impl Default for $name {
            fn default() -> Self {
                shipped(&[])
            }
        }
    )+};
}

defaults! { SampleConfig EvalConfig VizConfig CompareConfig }

impl CompareConfig {
    /// The names of the candidates.
    pub const NAMES: [&'static str; 6] = ["a", "b", "c", "d", "e", "f"];

    /// The candidates that were given, each under its name, with the settings of all beneath its own. Two at least, the
    /// first of them `a`; one with settings needs a checkpoint.
    pub fn candidates(&self) -> Result<Vec<(&'static str, Candidate)>, ConfigError> {
        let all = [&self.a, &self.b, &self.c, &self.d, &self.e, &self.f];
        let mut given = Vec::new();
        for (name, own) in Self::NAMES.into_iter().zip(all) {
            if own.checkpoint.is_none() && *own != Candidate::default() {
                let problem = format!("{name} has settings but no checkpoint; add {name}=FILE");
                return Err(ConfigError::Relation(problem));
            }
            if own.checkpoint.is_some() {
                let mut candidate = own.clone();
                candidate.refine_steps = own.refine_steps.or(self.refine_steps);
                candidate.model =
                    self.model.iter().map(|(key, value)| (format!("model.{key}"), value.clone())).collect();
                candidate.model.extend(own.model.clone());
                given.push((name, candidate));
            }
        }
        if self.a.checkpoint.is_none() || given.len() < 2 {
            let problem = "compare needs two checkpoints or more: a=FILE b=FILE";
            return Err(ConfigError::Relation(problem.to_owned()));
        }
        Ok(given)
    }
}

hydra_conf::section! {
    /// What `doctor` may be told: nothing.
    pub struct DoctorConfig {}
}

impl Root for DoctorConfig {
    const FILE: &'static str = "doctor";
    const PACKAGE: Package = PACKAGE;
}
