//! Times training steps and sampling of a shape: `cargo run --release --bin bench -- preset=cpu model.use_contrastive=true`.
//!
//! It takes the overrides of `train`, and writes nothing. Times are medians; the share of the machine's peak is against a large
//! matrix product timed in the same run, since machines are noisy.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nanoebm::config::{Config, Flags, FullWindow, Job, Program};
use nanoebm::contrastive::Contrastive;
use nanoebm::data::Corpus;
use nanoebm::data::batches::{Batches, Position};
use nanoebm::ebm::Ebm;
use nanoebm::nn::optim::AdamW;
use nanoebm::nn::pass::{Pass, kind};
use nanoebm::processes::Processes;
use nanoebm::run::profile::Profile;
use nanoebm::run::ram;
use nanoebm::run::resume::read_corpus;
use nanoebm::run::step::Step;
use nanoebm::sample::{Chooser, Generation};
use nanoebm::{device, program};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

const PROGRAM: Program = Program {
    name: "bench",
    about: "Time training steps and sampling of a shape",
    flags: &[
        ("json", "Print one JSON object and nothing else"),
        ("training", "Only training: peak_memory_mb is then training's alone"),
        ("sampling", "Only sampling"),
        ("brief", "At most five timed steps"),
    ],
};
/// Steps that are not counted: they warm memory and caches up.
const WARM_UP: usize = 2;
/// At most this many timed steps, and no further one is begun after this time.
const STEPS: usize = 30;
const BRIEF: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);
const PHASES: [&str; 5] = ["batch", "forward", "contrastive", "backward", "optimizer"];

fn main() -> ExitCode {
    program::run(&PROGRAM, |job: &Job<Config>, call| {
        let result = measure(&job.config, &call.flags)?;
        program::print(&if call.flags.has("json") {
            format!("{result}\n")
        } else {
            table(&job.overrides.join(" "), &result)
        })
    })
}

/// The figures of one shape; those of the half that is not wanted are left out.
fn measure(config: &Config, flags: &Flags) -> anyhow::Result<Value> {
    let (training, sampling) = (flags.has("training"), flags.has("sampling"));
    let mut config = config.clone();
    let device = device::resolve(&config.train.device)?;
    let corpus = Arc::new(read_corpus(&config, None)?);
    config.model.vocab_size = corpus.vocab.len() as i64;
    ram::check_training(&config, device, &Processes::alone())?;
    tch::manual_seed(config.train.seed);
    let ebm = Ebm::new(&config.model, device);
    let compute = kind(config.train.dtype);
    let mut result = json!({
        "device": format!("{device:?}"), "threads": tch::get_num_threads(), "dtype": config.train.dtype.as_str(),
        "gemm_peak_gflops": gemm_gflops(compute, device),
    });
    if training || !sampling {
        let most = if flags.has("brief") { BRIEF } else { STEPS };
        training_figures(&mut result, &config, &training_steps(&config, &corpus, &ebm, most)?);
    }
    if sampling || !training {
        ebm.keep_weights_in(compute);
        result["sample_tokens_per_s"] = sampling_figures(&ebm, compute);
    }
    result["peak_memory_mb"] = json!(peak_memory_mb());
    Ok(result)
}

/// Medians over the timed steps, and their share of the machine's peak.
fn training_figures(result: &mut Value, config: &Config, steps: &[[f64; 5]]) {
    let step = median(steps.iter().map(|s| s.iter().sum()));
    let tokens = (config.data.batch_size * config.data.block_size) as f64;
    let gflops = flops_per_token(config) * tokens / step / 1e9;
    result["step_ms"] = json!(step * 1e3);
    result["steps_timed"] = json!(steps.len());
    result["tokens_per_s"] = json!(tokens / step);
    for (i, name) in PHASES.iter().enumerate() {
        result["phases_ms"][name] = json!(1e3 * median(steps.iter().map(|s| s[i])));
    }
    result["model_gflops"] = json!(gflops);
    result["share_of_peak"] = json!(gflops / result["gemm_peak_gflops"].as_f64().unwrap_or(f64::NAN));
}

/// Tokens per second with 4 steps of thinking: until the window is full, and then by each answer to a full one.
fn sampling_figures(ebm: &Ebm, compute: Kind) -> Value {
    let t = ebm.config.block_size;
    json!({
        "from_7_to_full": sampling_rate(ebm, (7, t - 7), FullWindow::Sliding, compute),
        "full_window_sliding": sampling_rate(ebm, (t, 16), FullWindow::Sliding, compute),
        "full_window_rolling": sampling_rate(ebm, (t, t), FullWindow::Rolling, compute),
    })
}

/// Seconds of each phase of each timed step.
fn training_steps(config: &Config, corpus: &Arc<Corpus>, ebm: &Ebm, most: usize) -> anyhow::Result<Vec<[f64; 5]>> {
    let (mut optimizer, mut position) = (AdamW::new(ebm.params(), &config.train, &config.model), Position::default());
    let mut contrastive = Contrastive::new(&config.model);
    let mut batches = Batches::new(corpus, config, position, ebm.device(), &ebm.processes)?;
    let pass = Pass { remat: config.train.remat, ..Pass::train(kind(config.train.dtype)) };
    let (mut steps, began) = (Vec::new(), Instant::now());
    let mut watch = Profile::start(ebm.device(), true);
    while steps.len() < WARM_UP + most && (steps.len() <= WARM_UP || began.elapsed() < PATIENCE) {
        watch.lap("between");
        let (idx, targets) = batches.next(&mut position)?;
        let batch = watch.lap("batch");
        let mut step = Step::new(ebm.forward(&idx, &targets, Some(config.model.refine_steps), pass));
        let forward = watch.lap("forward");
        if let Some(contrastive) = &mut contrastive {
            let phases = contrastive.phases(ebm, &targets, &step.output.energies, pass);
            step.add_contrastive(phases, config.model.contrastive_weight);
        }
        let contrast = watch.lap("contrastive");
        step.backward(ebm, &mut optimizer, 1);
        let backward = watch.lap("backward");
        let norm = optimizer.grad_norm();
        optimizer.clip_grad_norm(&norm, config.train.grad_clip);
        optimizer.step(config.train.learning_rate);
        steps.push([batch, forward, contrast, backward, watch.lap("optimizer")]);
    }
    Ok(steps.split_off(WARM_UP))
}

/// Matrix products of a training step in FLOP per token, forward and backward: 6 per weight of the linear layers, and causal
/// attention's 6·L·T·C.
fn flops_per_token(config: &Config) -> f64 {
    let m = &config.model;
    let (l, t, c, v) = (m.n_layer as f64, m.block_size as f64, m.n_embd as f64, m.vocab_size as f64);
    6.0 * (l * 12.0 * c * c + c * v) + 6.0 * l * t * c
}

/// Tokens per second with 4 steps of thinking, from a prompt of `prompt` characters on.
fn sampling_rate(ebm: &Ebm, (prompt, new): (i64, i64), context: FullWindow, compute: Kind) -> f64 {
    let chooser = Chooser { temperature: 1.0, top_k: Some(50), top_p: None, sample: true };
    let ids: Vec<i64> = (0..prompt).map(|i| i % ebm.config.vocab_size).collect();
    let rates = (0..3).map(|_| {
        let mut generation = Generation::new(ebm, &ids, 1, Some(4), chooser.clone(), compute).with_context(context);
        generation.next_tokens(); // reads the prompt
        let began = Instant::now();
        (1..new).for_each(|_| drop(generation.next_tokens()));
        (new - 1) as f64 / began.elapsed().as_secs_f64()
    });
    median(rates)
}

/// GFLOP/s of a large matrix product: what the machine can do just now.
fn gemm_gflops(kind: Kind, device: Device) -> f64 {
    let n = if device == Device::Cpu { 2048 } else { 8192 };
    let a = Tensor::randn([n, n], (Kind::Float, device)).to_kind(kind);
    let mut watch = Profile::start(device, true);
    let seconds = (0..6).map(|_| {
        let _ = a.matmul(&a);
        watch.lap("product")
    });
    let seconds = seconds.skip(1); // the first warms up
    2.0 * (n as f64).powi(3) / median(seconds) / 1e9
}

/// The most memory that the process has held so far, in MB; 0 where the system does not say.
fn peak_memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).map_or(0.0, |kb| kb / 1e3)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn table(overrides: &str, r: &Value) -> String {
    let number = |path: &str| r.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let mut text = format!(
        "{overrides}\n  {} × {} threads, {}: {:.0} GFLOP/s in a large matrix product\n",
        r["device"].as_str().unwrap_or_default(),
        r["threads"],
        r["dtype"].as_str().unwrap_or_default(),
        number("/gemm_peak_gflops"),
    );
    if r.get("step_ms").is_some() {
        let phases = PHASES.map(|name| format!("{name} {:.1}", number(&format!("/phases_ms/{name}"))));
        text += &format!(
            "  step     {:.1} ms: {} | {:.0} tokens/s | {:.0} GFLOP/s, {:.0} % of that\n",
            number("/step_ms"),
            phases.join(", "),
            number("/tokens_per_s"),
            number("/model_gflops"),
            100.0 * number("/share_of_peak"),
        );
    }
    if r.get("sample_tokens_per_s").is_some() {
        text += &format!(
            "  sampling {:.0} tokens/s up to a full window, then {:.1} sliding, {:.0} rolling\n",
            number("/sample_tokens_per_s/from_7_to_full"),
            number("/sample_tokens_per_s/full_window_sliding"),
            number("/sample_tokens_per_s/full_window_rolling"),
        );
    }
    text + &format!("  memory   {:.0} MB at most\n", number("/peak_memory_mb"))
}
