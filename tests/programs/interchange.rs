//! PyTorch reads our files, trains on, and we read what it saves (`tests/python/interchange.py`).

use std::path::Path;

use nanoebm::checkpoint::Checkpoint;
use nanoebm::ebm::Ebm;
use nanoebm::nn::pass::Pass;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor, no_grad};

use super::python::TORCH;
use super::workdir::{Workdir, losses, metrics, shakespeare};

/// What PyTorch says about a checkpoint of ours.
fn pytorch(checkpoint: &Path, args: &[&str]) -> Value {
    TORCH.judge("interchange.py", checkpoint, args)
}

/// The energies of a file's model, by us.
fn energies(checkpoint: &Path, idx: &[i64]) -> Tensor {
    let checkpoint = Checkpoint::read(checkpoint).unwrap();
    let ebm = Ebm::new(&checkpoint.model, Device::Cpu);
    checkpoint.load_model(&ebm).unwrap();
    let (idx, pass) = (Tensor::from_slice(idx).unsqueeze(0), Pass::eval(Kind::Float));
    no_grad(|| ebm.energies(&ebm.hidden_states(&idx, pass), pass)).to_kind(Kind::Double)
}

fn flat(nested: &Value) -> Vec<f64> {
    match nested {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

fn assert_same_energies(checkpoint: &Path, theirs: &Value, idx: &[i64]) {
    let ours = energies(checkpoint, idx).reshape([-1]);
    let difference = (ours - Tensor::from_slice(&flat(&theirs["energies"]))).abs().max().double_value(&[]);
    assert!(difference < 1e-5, "the energies differ by {difference}");
}

const IDX: [i64; 16] = [0, 1, 5, 9, 2, 40, 54, 7, 7, 13, 21, 34, 3, 50, 6, 11];

#[test]
fn pytorch_goes_on_from_a_fresh_checkpoint_and_we_go_on_from_its() {
    let workdir = Workdir::new();
    workdir.train(&["train.max_steps=5"]).succeeds();
    let (ours, theirs, text) = (workdir.result("final.pt"), workdir.path("theirs.pt"), workdir.path("text.txt"));
    let idx = json!([IDX]).to_string();
    let [theirs_arg, text_arg] = [&theirs, &text].map(|path| path.to_str().unwrap());
    let seen = pytorch(&ours, &["--idx", &idx, "--text", text_arg, "--steps", "3", "--resave", theirs_arg]);
    assert_eq!(seen["step"], 5);
    assert_same_energies(&ours, &seen, &IDX);

    std::fs::remove_dir_all(workdir.path("out_ebt")).unwrap();
    let resume = workdir.train(&["load_checkpoint=theirs.pt", "train.max_steps=12", "model=upstream"]).succeeds();
    resume.says("at step 8").says("does not record the data order");
    assert_eq!(metrics(&workdir.run())[0]["step"], 8);
    assert_eq!(losses(&workdir.run()).len(), 4);
}

#[test]
fn pytorch_reads_a_resumed_checkpoint_and_we_read_a_compiled_models() {
    let workdir = Workdir::new();
    let upstream = ["model=upstream", "model.bias=false", "train.grad_accum_steps=2"];
    workdir.train(&[&upstream[..], &["train.max_steps=4"]].concat()).succeeds();
    let resume = [&workdir.arg("load_checkpoint", "final.pt"), "train.max_steps=10"];
    workdir.train(&[&upstream[..], &resume].concat()).succeeds();
    let (ours, compiled) = (workdir.result("final.pt"), workdir.path("compiled.pt"));
    let seen = pytorch(&ours, &["--idx", &json!([IDX]).to_string(), "--compile-prefix", compiled.to_str().unwrap()]);
    assert_eq!(seen["step"], 10);
    assert_same_energies(&ours, &seen, &IDX);

    let report = |checkpoint: &Path| {
        let checkpoint = format!("checkpoint={}", checkpoint.display());
        workdir.eval(&["--json", "data_path=text.txt", &checkpoint]).succeeds().stdout
    };
    assert_eq!(report(&compiled), report(&ours), "model=upstream is the original's behaviour");
}

#[test]
fn what_pytorch_would_run_is_refused_and_named() {
    let workdir = Workdir::new();
    let executed = TORCH.judge("foreign.py", workdir.dir(), &[]);
    for (file, asked) in
        [("system.pt", "posix.system"), ("eval.pt", "__builtin__.eval"), ("exec.pt", "__builtin__.exec")]
    {
        assert_eq!(executed[file], true, "PyTorch ran {file}");
        let asks = format!("asks for {asked}, ");
        workdir.refuses(workdir.sample(&[&format!("checkpoint={file}")]), 1, &[file, &asks]);
        workdir.refuses(workdir.train(&[&format!("load_checkpoint={file}")]), 1, &[file, &asks]);
    }
    assert!(!workdir.path("ran").exists());
    for (file, reason) in
        [("legacy.pt", "old format"), ("script.pt", "TorchScript"), ("имя.pt", "no usable \"config\"")]
    {
        workdir.refuses(workdir.sample(&[&format!("checkpoint={file}")]), 1, &[file, reason]);
    }
}

/// The example of the guide, as it is written there.
#[test]
fn the_guides_example_writes_in_pytorch_what_sample_writes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = std::fs::read_to_string(root.join("docs/guide.md")).unwrap();
    let mut blocks = guide.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let example = blocks.find(|block| block.contains("from nanoebm import load")).unwrap();
    assert!(example.lines().count() <= 10, "{example}");
    for family in ["model=default", "model=reread", "model=mixture", "model=ebt", "model=upstream"] {
        let workdir = Workdir::new();
        let data = format!("data.data_path={}", shakespeare().display());
        workdir.train(&[family, &data, "train.max_steps=30", "train.learning_rate=1e-2"]).succeeds();
        let mut python = TORCH.command();
        python.args(["-c", example]).env("PYTHONPATH", root.join("python")).env("OMP_NUM_THREADS", "1");
        let output = python.current_dir(workdir.dir()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{family}: {}", String::from_utf8_lossy(&output.stderr));
        let (numbers, text) = said.split_once("ROMEO:").unwrap();
        assert!(numbers.starts_with("torch.Size([1, 14, 65])\n"), "{family}: {numbers}");
        let ours = workdir.sample(&["--quiet"]).succeeds().stdout;
        assert_eq!(format!("ROMEO:{text}"), ours, "{family}");
    }
}

/// What is opened in PyTorch, and what is refused there, in words.
#[test]
fn pytorch_opens_wrapped_models_and_says_what_is_wrong_with_others() {
    let workdir = Workdir::new();
    workdir.train(&["train.max_steps=2"]).succeeds();
    let seen = TORCH.judge("variants.py", &workdir.result("final.pt"), &[]);
    let opened = seen["opened"].as_object().unwrap();
    assert_eq!(opened.keys().collect::<Vec<_>>(), ["compiled", "parallel", "both", "double", "original"]);
    assert!(opened.values().all(|difference| difference == 0.0), "{opened:?}");
    let refused = seen["refused"].as_object().unwrap();
    let expected = [
        ("text", "text.pt is no file of torch.save, or it is cut short."),
        ("cut", "cut.pt is no file of torch.save, or it is cut short."),
        ("flipped", "flipped.pt is damaged: the checksum of its entry "),
        ("layers", "layers.pt says n_layer=1000000000, and has the weights of 1 layers."),
        ("heads", "heads.pt says n_head=3, which does not divide n_embd=16."),
        ("width", "width.pt: transformer.transformer.wte.weight should have the shape ["),
        ("code", "code.pt is not a checkpoint that PyTorch reads without running code from it."),
        ("list", "list.pt is not a checkpoint of nanoebm: it has no \"model\"."),
        ("no_model", "no_model.pt is not a checkpoint of nanoebm: it has no \"model\"."),
        ("no_config", "no_config.pt is not a checkpoint of nanoebm: it has no \"config\"."),
        ("family", "family.pt has model.energy=cubic; this module knows linear, mixture, reread, ebt."),
        ("lacks", "lacks.pt lacks the tensor energy_head.weight."),
        ("belongs", "belongs.pt has a tensor other, which this model has no place for."),
        ("shape", "shape.pt: the tensor energy_head.weight has the shape [2, 3], and the model needs ["),
        ("nan", "nan.pt: the tensor energy_head.weight holds NaN or infinity."),
        ("untied", "untied.pt: transformer.lm_head.weight must be the same as"),
        ("vocabulary", "carries no vocabulary"),
        ("characters", "does not know these characters: 'é'."),
        ("window", "reads 16 tokens at once, and was given 32."),
        ("row", "A text is tokens (B, T) from 0 to "),
        ("steps", "There cannot be -1 steps of thinking."),
    ];
    assert_eq!(refused.len(), expected.len(), "{refused:?}");
    for (name, words) in expected {
        assert!(refused[name].as_str().unwrap().contains(words), "{name}: {}", refused[name]);
    }
}
