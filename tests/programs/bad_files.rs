//! Texts, devices and checkpoints that are not there or not fit, and a training that diverges.

use torch_pt::{Archive, DType, Object};

use super::desk::{Desk, fixture, list, names};

#[test]
fn a_text_that_cannot_be_used_is_named_with_the_reason() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("folder")).unwrap();
    desk.write("empty.txt", "");
    desk.write("short.txt", "0123456789abcdef");
    desk.write("latin.txt", b"caf\xe9 ".repeat(100));
    desk.write("cut.txt", &"é".repeat(400).as_bytes()[..799]);
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
        desk.refuses(desk.train(&[&format!("data.data_path={path}")]), 1, &[path, reason]);
    }
}

#[test]
fn a_text_shorter_than_the_windows_says_what_to_change() {
    let desk = Desk::new();
    desk.refuses(desk.train(&["data.block_size=5400"]), 1, &["text.txt", "train split", "data.block_size"]);
    desk.refuses(desk.train(&["data.batch_size=6000"]), 1, &["text.txt", "train split", "data.batch_size"]);
    let evaluated = ["data.block_size=700", "train.eval_interval=1"];
    desk.refuses(desk.train(&evaluated), 1, &["text.txt", "val split", "600 characters"]);
}

#[test]
fn a_device_that_is_absent_is_an_error() {
    let desk = Desk::new();
    desk.train(&[]).succeeds();
    let checkpoint = desk.arg("checkpoint", "final.pt");
    desk.refuses(desk.train(&["train.device=cuda"]).env("CUDA_VISIBLE_DEVICES", ""), 1, &["cuda", "not available"]);
    desk.refuses(desk.train(&["train.device=cuda:4096"]), 1, &["cuda:4096"]);
    desk.refuses(desk.sample(&[&checkpoint, "device=cuda:4096"]), 1, &["cuda:4096"]);
    desk.refuses(desk.eval(&[&checkpoint, "device=cuda:4096"]), 1, &["cuda:4096"]);
}

#[test]
fn without_a_checkpoint_it_says_what_to_do() {
    let desk = Desk::new();
    desk.refuses(desk.sample(&[]), 1, &["no checkpoint under out_ebt", "--bin train", "checkpoint=FILE"]);
    desk.refuses(desk.eval(&["out_dir=elsewhere"]), 1, &["no checkpoint under elsewhere"]);
}

#[test]
fn a_text_that_the_model_cannot_read_is_an_error() {
    let desk = Desk::new();
    desk.train(&[]).succeeds();
    desk.write("other.txt", "жизнь ".repeat(100));
    let checkpoint = desk.arg("checkpoint", "final.pt");
    desk.refuses(desk.eval(&[&checkpoint, "data_path=other.txt"]), 1, &["other.txt", "vocabulary"]);
    desk.refuses(desk.eval(&[&checkpoint, "data_path=absent.txt"]), 1, &["absent.txt"]);
    desk.refuses(desk.eval(&[&checkpoint, "model.n_layer=2"]), 1, &["final.pt", "transformer.h.1"]);
    desk.refuses(desk.sample(&[&checkpoint, "prompt=@absent.txt"]), 1, &["absent.txt"]);
    let theirs = format!("checkpoint={}", fixture("a/checkpoint.pt").display());
    desk.refuses(desk.sample(&[&theirs, "data_path=other.txt"]), 1, &["other.txt", "65 characters"]);
    desk.refuses(desk.sample(&[&theirs, "data_path=absent.txt"]), 1, &["absent.txt"]);
}

#[test]
fn a_model_that_is_too_large_for_the_memory_is_an_error() {
    let desk = Desk::new();
    let too_large = ["parameters", "to train it takes at least ", " GB of memory, and ", " GB are available"];
    desk.refuses(desk.train(&["model.n_embd=2000000"]), 1, &too_large);
    desk.refuses(desk.train(&["model.n_layer=1000000", "model.n_embd=4096"]), 1, &too_large);
    desk.train(&[]).succeeds();
    let larger = [&desk.arg("checkpoint", "final.pt"), "model.n_layer=1000000", "model.n_embd=4096"];
    desk.refuses(desk.eval(&larger), 1, &["to read it takes at least "]);
    desk.refuses(desk.sample(&larger), 1, &["to read it takes at least "]);
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
    let desk = Desk::new();
    let good = Archive::read(&fixture("b/checkpoint.pt")).unwrap();
    for (key, claim) in [("n_embd", 1 << 20), ("n_layer", 1 << 30), ("block_size", 1 << 30), ("vocab_size", 1 << 30)] {
        let mut archive = good.clone();
        *entry(&mut archive.root, &["config", "model", key]) = Object::Int(claim);
        archive.write(&desk.path("claims.pt")).unwrap();
        desk.refuses(desk.sample(&["checkpoint=claims.pt"]), 1, &["claims.pt", "parameters", "exhaust the memory"]);
    }
    // Many tensors over one storage are one storage's worth of weights.
    let mut archive = good.clone();
    *entry(&mut archive.root, &["config", "model", "n_layer"]) = Object::Int(100);
    archive.write(&desk.path("claims.pt")).unwrap();
    desk.refuses(desk.sample(&["checkpoint=claims.pt"]), 1, &["claims.pt", "parameters"]);
    let mut archive = good;
    *entry(&mut archive.root, &["step"]) = Object::Int(-1);
    archive.write(&desk.path("claims.pt")).unwrap();
    desk.refuses(desk.sample(&["checkpoint=claims.pt"]), 1, &["claims.pt", "step"]);
}

/// A learning rate that no training survives.
const DIVERGING: [&str; 5] =
    ["train.grad_clip=0", "train.decay_lr=false", "train.learning_rate=1e20", "save_interval=1", "train.max_steps=20"];

#[test]
fn a_loss_that_is_no_number_stops_the_run() {
    let desk = Desk::new();
    let failed = desk.train(&DIVERGING).fails(1);
    failed.stderr_has("at step ").stderr_has("learning rate 1.000e20").stderr_has("train.learning_rate");
    assert!(!names(&desk.run()).contains(&"final.pt".to_owned()));
    assert_only_numbers(&desk);
}

#[test]
fn weights_that_are_no_numbers_are_not_saved() {
    // The loss of the first step is fine; the step itself overflows every weight.
    for interval in ["save_interval=1", "save_interval=0"] {
        let desk = Desk::new();
        let overflow = [&DIVERGING[..], &["train.learning_rate=1e39", "train.max_steps=1", interval]].concat();
        desk.train(&overflow).fails(1).stderr_has("step 0").stderr_has("learning rate 1.000e39");
        assert!(!names(&desk.run()).contains(&"final.pt".to_owned()));
        assert_only_numbers(&desk);
    }
}

#[test]
fn a_diverging_run_keeps_the_checkpoints_from_before() {
    let desk = Desk::new();
    desk.train(&["save_interval=3", "train.max_steps=6"]).succeeds();
    let resume = [&desk.arg("load_checkpoint", "final.pt"), "train.max_steps=20"];
    desk.train(&[&DIVERGING[..4], &resume].concat()).fails(1).stderr_has(".pt");
    desk.eval(&[&desk.arg("checkpoint", "final.pt"), "max_windows=2"]).succeeds();
    desk.train(&resume).succeeds();
}

/// Every checkpoint can be read, and its weights are finite.
fn assert_only_numbers(desk: &Desk) {
    for path in list(&desk.run()).iter().filter(|path| path.extension().is_some_and(|e| e == "pt")) {
        for storage in Archive::read(path).unwrap().storages {
            assert_eq!(storage.dtype, DType::F32);
            let values = storage.bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            assert!(values.into_iter().all(f32::is_finite), "{} holds what is no number", path.display());
        }
    }
}
