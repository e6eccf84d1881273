//! Texts, devices and checkpoints that are not there or not fit, and a training that diverges.

use torch_pt::{Archive, DType, Object};

use super::workdir::{Workdir, fixture, list, names};

#[test]
fn a_text_that_cannot_be_used_is_named_with_the_reason() {
    let workdir = Workdir::new();
    std::fs::create_dir(workdir.path("folder")).unwrap();
    workdir.write("empty.txt", "");
    workdir.write("short.txt", "0123456789abcdef");
    workdir.write("latin.txt", b"caf\xe9 ".repeat(100));
    workdir.write("cut.txt", &"é".repeat(400).as_bytes()[..799]);
    let cases = [
        ("absent.txt", "No such file"),
        ("folder", "not a file"),
        ("/dev/zero", "not a file"),
        ("empty.txt", "is empty"),
        ("short.txt", "too few"),
        ("latin.txt", "not UTF-8 at byte 3"),
        ("cut.txt", "not UTF-8 at byte 798"),
        ("text.txt/text.txt", "Not a directory"),
    ];
    for (path, reason) in cases {
        workdir.refuses(workdir.train(&[&format!("data.data_path={path}")]), 1, &[path, reason]);
    }
}

#[test]
fn a_text_shorter_than_the_windows_says_what_to_change() {
    let workdir = Workdir::new();
    workdir.refuses(workdir.train(&["data.block_size=5400"]), 1, &["text.txt", "train split", "data.block_size"]);
    workdir.refuses(workdir.train(&["data.batch_size=6000"]), 1, &["text.txt", "train split", "data.batch_size"]);
    let evaluated = ["data.block_size=700", "train.eval_interval=1"];
    workdir.refuses(workdir.train(&evaluated), 1, &["text.txt", "val split", "600 characters"]);
}

#[test]
fn a_device_that_is_absent_is_an_error() {
    let workdir = Workdir::new();
    workdir.train(&[]).succeeds();
    let checkpoint = workdir.arg("checkpoint", "final.pt");
    workdir.refuses(
        workdir.train(&["train.device=cuda"]).env("CUDA_VISIBLE_DEVICES", ""),
        1,
        &["cuda", "not available"],
    );
    workdir.refuses(workdir.train(&["train.device=cuda:4096"]), 1, &["cuda:4096"]);
    workdir.refuses(workdir.sample(&[&checkpoint, "device=cuda:4096"]), 1, &["cuda:4096"]);
    workdir.refuses(workdir.eval(&[&checkpoint, "device=cuda:4096"]), 1, &["cuda:4096"]);
}

#[test]
fn without_a_checkpoint_it_says_what_to_do() {
    let workdir = Workdir::new();
    workdir.refuses(workdir.sample(&[]), 1, &["no checkpoint under out_ebt", "--bin train", "checkpoint=FILE"]);
    workdir.refuses(workdir.eval(&["out_dir=elsewhere"]), 1, &["no checkpoint under elsewhere"]);
}

#[test]
fn a_text_that_the_model_cannot_read_is_an_error() {
    let workdir = Workdir::new();
    workdir.train(&[]).succeeds();
    workdir.write("other.txt", "жизнь ".repeat(100));
    let checkpoint = workdir.arg("checkpoint", "final.pt");
    workdir.refuses(workdir.eval(&[&checkpoint, "data_path=other.txt"]), 1, &["other.txt", "vocabulary"]);
    workdir.refuses(workdir.eval(&[&checkpoint, "data_path=absent.txt"]), 1, &["absent.txt"]);
    workdir.refuses(workdir.eval(&[&checkpoint, "model.n_layer=2"]), 1, &["final.pt", "transformer.h.1"]);
    workdir.refuses(workdir.sample(&[&checkpoint, "prompt=@absent.txt"]), 1, &["absent.txt"]);
    let theirs = format!("checkpoint={}", fixture("original/checkpoint.pt").display());
    workdir.refuses(workdir.sample(&[&theirs, "data_path=other.txt"]), 1, &["other.txt", "65 characters"]);
    workdir.refuses(workdir.sample(&[&theirs, "data_path=absent.txt"]), 1, &["absent.txt"]);
}

/// The only run's last checkpoint, changed, under a new name.
fn damaged(workdir: &Workdir, name: &str, damage: impl FnOnce(&mut Archive)) -> String {
    let mut archive = Archive::read(&workdir.result("final.pt")).unwrap();
    damage(&mut archive);
    archive.write(&workdir.path(name)).unwrap();
    name.to_owned()
}

#[test]
fn nan_or_infinity_in_a_checkpoint_is_named_by_its_tensor() {
    let workdir = Workdir::new();
    workdir.train(&[]).succeeds();
    for (file, value) in [("nan.pt", f32::NAN), ("infinite.pt", f32::NEG_INFINITY)] {
        let file = damaged(&workdir, file, |archive| {
            let head = entry(&mut archive.root, &["model", "energy_head.weight"]).as_tensor().unwrap().storage;
            archive.storages[head].bytes[8..12].copy_from_slice(&value.to_le_bytes());
        });
        let said = [file.as_str(), "tensor energy_head.weight holds NaN or infinity"];
        let checkpoint = format!("checkpoint={file}");
        for thinking in ["use_thinking=true", "use_thinking=false"] {
            workdir.refuses(workdir.sample(&[&checkpoint, thinking, "--quiet"]), 1, &said);
        }
        workdir.refuses(workdir.eval(&[&checkpoint]), 1, &said);
        workdir.refuses(workdir.viz(&[&checkpoint]), 1, &said);
        workdir.refuses(workdir.compare(&[&format!("a={file}"), &format!("b={file}")]), 1, &said);
        workdir.refuses(workdir.train(&[&format!("load_checkpoint={file}"), "train.max_steps=9"]), 1, &said);
    }
}

#[test]
fn the_names_of_wrapped_models_are_understood_and_other_prefixes_are_named() {
    let workdir = Workdir::new();
    workdir.train(&[]).succeeds();
    let text = |file: &str| workdir.sample(&["--quiet", "max_new_tokens=9", &format!("checkpoint={file}")]);
    let prefixed = |file: &str, prefix: &str| {
        damaged(&workdir, file, |archive| {
            let Object::Dict(weights) = entry(&mut archive.root, &["model"]) else { panic!("no model") };
            for (name, _) in weights {
                *name = Object::Str(format!("{prefix}{}", name.as_str().unwrap()));
            }
        })
    };
    let plain = text(&prefixed("plain.pt", "")).succeeds().stdout;
    for (file, prefix) in
        [("parallel.pt", "module."), ("both.pt", "module._orig_mod."), ("turned.pt", "_orig_mod.module.")]
    {
        assert_eq!(text(&prefixed(file, prefix)).succeeds().stdout, plain, "{prefix}");
    }
    workdir.refuses(text(&prefixed("inner.pt", "net.")), 1, &["inner.pt", "begin with \"net.\"", "state_dict()"]);
}

#[test]
fn a_byte_order_mark_is_no_character() {
    let workdir = Workdir::new();
    let text = std::fs::read_to_string(workdir.path("text.txt")).unwrap();
    workdir.write("marked.txt", format!("\u{feff}{text}"));
    let marked =
        workdir.train(&["data.data_path=marked.txt"]).succeeds().says("marked.txt begins with a byte order mark");
    let plain = workdir.train(&[]).succeeds();
    let vocab =
        |stdout: &str| stdout.lines().find_map(|line| line.split_once("vocab_size=").map(|(_, n)| n.to_owned()));
    assert_eq!(vocab(&marked.stdout), vocab(&plain.stdout));
    assert!(!plain.stdout.contains("byte order mark"));
    let checkpoint = format!("checkpoint={}", workdir.runs()[0].join("final.pt").display());
    workdir.eval(&[&checkpoint, "max_windows=2"]).succeeds();
}

#[test]
fn a_text_that_teaches_nothing_is_doubted() {
    let workdir = Workdir::new();
    workdir.write("same.txt", "a".repeat(3000));
    workdir.train(&["data.data_path=same.txt"]).succeeds().says("same.txt has a single character again and again");
    workdir.write("ends.txt", "ab".repeat(1400) + &"cd".repeat(100));
    workdir.train(&["data.data_path=ends.txt"]).succeeds().says("has 2 characters that are not trained on: 'c', 'd'");
}

#[test]
fn a_model_that_is_too_large_for_the_memory_is_an_error() {
    let workdir = Workdir::new();
    let too_large = ["parameters", "to train it takes at least ", " GB of memory, and ", " GB are available"];
    workdir.refuses(workdir.train(&["model.n_embd=2000000"]), 1, &too_large);
    workdir.refuses(workdir.train(&["model.n_layer=1000000", "model.n_embd=4096"]), 1, &too_large);
    workdir.train(&[]).succeeds();
    let larger = [&workdir.arg("checkpoint", "final.pt"), "model.n_layer=1000000", "model.n_embd=4096"];
    workdir.refuses(workdir.eval(&larger), 1, &["to read it takes at least "]);
    workdir.refuses(workdir.sample(&larger), 1, &["to read it takes at least "]);
}

/// A value in a dict of dicts.
fn entry<'a>(object: &'a mut Object, path: &[&str]) -> &'a mut Object {
    path.iter().fold(object, |object, key| {
        let Object::Dict(pairs) = object else { panic!("{key} is in no dict") };
        &mut pairs.iter_mut().find(|(found, _)| found.as_str() == Some(key)).unwrap().1
    })
}

#[test]
fn a_small_file_cannot_ask_for_a_large_model() {
    let workdir = Workdir::new();
    let good = Archive::read(&fixture("other_shape/checkpoint.pt")).unwrap();
    for (key, claim) in [("n_embd", 1 << 20), ("n_layer", 1 << 30), ("block_size", 1 << 30), ("vocab_size", 1 << 30)] {
        let mut archive = good.clone();
        *entry(&mut archive.root, &["config", "model", key]) = Object::Int(claim);
        archive.write(&workdir.path("claims.pt")).unwrap();
        workdir.refuses(
            workdir.sample(&["checkpoint=claims.pt"]),
            1,
            &["claims.pt", "parameters", "exhaust the memory"],
        );
    }
    // Many tensors over one storage are one storage's worth of weights.
    let mut archive = good.clone();
    *entry(&mut archive.root, &["config", "model", "n_layer"]) = Object::Int(100);
    archive.write(&workdir.path("claims.pt")).unwrap();
    workdir.refuses(workdir.sample(&["checkpoint=claims.pt"]), 1, &["claims.pt", "parameters"]);
    let mut archive = good;
    *entry(&mut archive.root, &["step"]) = Object::Int(-1);
    archive.write(&workdir.path("claims.pt")).unwrap();
    workdir.refuses(workdir.sample(&["checkpoint=claims.pt"]), 1, &["claims.pt", "step"]);
}

/// A learning rate that no training survives.
const DIVERGING: [&str; 5] =
    ["train.grad_clip=0", "train.decay_lr=false", "train.learning_rate=1e20", "save_interval=1", "train.max_steps=20"];

#[test]
fn a_loss_that_is_no_number_stops_the_run() {
    let workdir = Workdir::new();
    let failed = workdir.train(&DIVERGING).fails(1);
    failed.stderr_has("at step ").stderr_has("learning rate 1.000e20").stderr_has("train.learning_rate");
    assert!(!names(&workdir.run()).contains(&"final.pt".to_owned()));
    assert_only_numbers(&workdir);
}

#[test]
fn weights_that_are_no_numbers_are_not_saved() {
    // The loss of the first step is fine; the step itself overflows every weight.
    for interval in ["save_interval=1", "save_interval=0"] {
        let workdir = Workdir::new();
        let overflow = [&DIVERGING[..], &["train.learning_rate=1e39", "train.max_steps=1", interval]].concat();
        workdir.train(&overflow).fails(1).stderr_has("step 0").stderr_has("learning rate 1.000e39");
        assert!(!names(&workdir.run()).contains(&"final.pt".to_owned()));
        assert_only_numbers(&workdir);
    }
}

#[test]
fn a_diverging_run_keeps_the_checkpoints_from_before() {
    let workdir = Workdir::new();
    workdir.train(&["save_interval=3", "train.max_steps=6"]).succeeds();
    let resume = [&workdir.arg("load_checkpoint", "final.pt"), "train.max_steps=20"];
    workdir.train(&[&DIVERGING[..4], &resume].concat()).fails(1).stderr_has(".pt");
    workdir.eval(&[&workdir.arg("checkpoint", "final.pt"), "max_windows=2"]).succeeds();
    workdir.train(&resume).succeeds();
}

/// Every checkpoint can be read, and its weights are finite.
fn assert_only_numbers(workdir: &Workdir) {
    for path in list(&workdir.run()).iter().filter(|path| path.extension().is_some_and(|e| e == "pt")) {
        for storage in Archive::read(path).unwrap().storages {
            assert_eq!(storage.dtype, DType::F32);
            let values = storage.bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            assert!(values.into_iter().all(f32::is_finite), "{} holds what is no number", path.display());
        }
    }
}

/// The numbers of a tensor of a checkpoint, all the same.
fn fill(archive: &mut Archive, keys: &[&str], value: f32) {
    let tensor = entry(&mut archive.root, keys).as_tensor().unwrap().storage;
    archive.storages[tensor].bytes.chunks_exact_mut(4).for_each(|number| number.copy_from_slice(&value.to_le_bytes()));
}

#[test]
fn a_model_that_computes_no_numbers_is_refused_by_every_program() {
    let workdir = Workdir::new();
    workdir.train(&["train.max_steps=2"]).succeeds();
    let layer = ["model", "transformer.transformer.h.0.mlp.c_fc.weight"];
    damaged(&workdir, "huge.pt", |archive| fill(archive, &layer, 1e38));
    let said = ["huge.pt", "its weights are numbers, but what they compute is NaN or infinity"];
    for program in [Workdir::sample, Workdir::eval, Workdir::viz] {
        workdir.refuses(program(&workdir, &["checkpoint=huge.pt", "data_path=text.txt"]), 1, &said);
    }
}

/// Adam remembers means of squares, and a number of steps.
#[test]
fn an_optimizer_that_cannot_have_been_is_refused() {
    let workdir = Workdir::new();
    workdir.train(&["train.max_steps=2"]).succeeds();
    for (key, value, said) in
        [("exp_avg_sq", -1.0, "holds negative numbers"), ("step", f32::INFINITY, "holds NaN or infinity")]
    {
        let change = |archive: &mut Archive| {
            let Some(Object::Dict(state)) = archive.root.get("optimizer").and_then(|o| o.get("state")) else {
                panic!("no state")
            };
            let Some(Object::Tensor(tensor)) = state[0].1.get(key) else { panic!("no {key}") };
            let bytes = &mut archive.storages[tensor.storage].bytes;
            bytes.chunks_exact_mut(4).for_each(|number| number.copy_from_slice(&f32::to_le_bytes(value)));
        };
        let bad = damaged(&workdir, &format!("{key}.pt"), change);
        workdir.refuses(workdir.train(&[&format!("load_checkpoint={bad}")]), 1, &[&bad, said]);
    }
}
