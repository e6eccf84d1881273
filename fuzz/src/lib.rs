//! What hostile input is tried on: one function for each kind of it. The fuzzer calls them with what it makes up, and
//! `cargo test --test untrusted_files` with the seeds and with what was found before.
//!
//! A function returns whatever the input is. It panics where the library does, where the library took much more memory than the
//! input is long, or where what was read is not what is read again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a target reports")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use nanoebm::checkpoint::Checkpoint;
use nanoebm::config::{self, Config, Override, Program};
use nanoebm::data::batches::{Batches, Position};
use nanoebm::data::{Corpus, Split, Vocab};
use nanoebm::ebm::Ebm;
use nanoebm::nn::optim::AdamW;
use nanoebm::processes::Processes;
use tch::Device;
use torch_pt::{Archive, Object};

// What reads a `.pt` is tried in its own crate, and from there comes the count of the memory.
#[path = "../../crates/torch-pt/tests/targets/mod.rs"]
#[allow(dead_code, reason = "one of its targets is not tried here")]
mod pt;
pub use pt::within_bounds;

/// What tries an input.
pub type Target = fn(&[u8]);

/// Every target under the name of its folder of seeds.
pub const TARGETS: [(&str, Target); 4] =
    [("checkpoint", checkpoint), ("config", configuration), ("overrides", overrides), ("data", data)];

const PROGRAM: Program = Program { name: "train", about: "Train.", flags: &[("quiet", "Print errors only")] };

/// The buffer that a text is read through, and the table of all characters.
const READER: usize = (1 << 20) + (char::MAX as usize + 1);

/// A whole `.pt`, and on to a model with its optimizer where it is one of ours.
pub fn checkpoint(bytes: &[u8]) {
    let Some(archive) = pt::archive(bytes) else { return };
    each_tensor(&archive, &archive.root);
    if let Ok(checkpoint) = within_bounds(bytes.len(), || Checkpoint::understand(Path::new("fuzz.pt"), archive)) {
        let ebm = Ebm::new(&checkpoint.model, Device::Cpu);
        let _ = checkpoint.load_model(&ebm);
        let _ = checkpoint.load_optimizer(&mut AdamW::new(ebm.params(), &CONFIG.train, &checkpoint.model));
        let _ = checkpoint.vocab();
    }
}

fn each_tensor(archive: &Archive, object: &Object) {
    match object {
        Object::Tensor(tensor) if archive.dtype(tensor).kind().is_some() => {
            let made = archive.tensor(tensor).expect("a tensor that was read is whole");
            assert_eq!(made.numel(), tensor.numel());
        }
        Object::List(items) | Object::Tuple(items) => items.iter().for_each(|item| each_tensor(archive, item)),
        Object::Dict(pairs) => pairs.iter().for_each(|(_, value)| each_tensor(archive, value)),
        _ => {}
    }
}

static CONFIG: LazyLock<Config> = LazyLock::new(Config::default);
/// Where inputs that must be files are written.
static DIR: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// A `config.yaml` of the user's own.
pub fn configuration(bytes: &[u8]) {
    fs::write(DIR.path().join("config.yaml"), bytes).unwrap();
    let args = [OsString::from("--config-dir"), DIR.path().into(), "--cfg".into()];
    let _ = within_bounds(bytes.len(), || config::parse::<Config>(&PROGRAM, args));
}

/// A command line, an argument to a line.
pub fn overrides(bytes: &[u8]) {
    let args = bytes.split(|&byte| byte == b'\n');
    for arg in args.clone().filter_map(|arg| std::str::from_utf8(arg).ok()) {
        if let Ok(parsed) = Override::parse(arg) {
            assert_eq!(Override::parse(&parsed.to_string()).expect("it was read before"), parsed);
        }
    }
    let args: Vec<OsString> = args.map(|arg| OsString::from_vec(arg.to_vec())).collect();
    let _ = config::parse::<Config>(&PROGRAM, args);
}

/// A text, after two bytes for the length of a window and the size of a batch.
pub fn data(bytes: &[u8]) {
    let Some((&[block_size, batch_size], text)) = bytes.split_first_chunk() else { return };
    let path = DIR.path().join("text.txt");
    fs::write(&path, text).unwrap();
    let corpus = within_bounds(text.len() + READER / pt::TIMES, || Corpus::read(&path));
    let _ = Corpus::read_with(&path, &Vocab::new("ab\n".chars()));
    let Ok(corpus) = corpus else { return };
    let ids = |split| corpus.ids(split, 0, corpus.len(split)).into_iter();
    let read: String = ids(Split::Train).chain(ids(Split::Val)).map(|id| corpus.vocab.char(id).unwrap()).collect();
    assert_eq!(read, String::from_utf8(text.to_vec()).unwrap().replace("\r\n", "\n").replace('\r', "\n"));

    let mut config = CONFIG.clone();
    (config.data.block_size, config.data.batch_size) = (block_size.max(1).into(), batch_size.max(1).into());
    let mut position = Position { window: text.len() as u64 / 2, ..Position::default() };
    let Ok(mut batches) = Batches::new(&Arc::new(corpus), &config, position, Device::Cpu, &Processes::alone()) else {
        return;
    };
    for _ in 0..3 {
        let (idx, targets) = batches.next(&mut position).unwrap();
        assert_eq!(idx.size(), [config.data.batch_size, config.data.block_size]);
        assert_eq!(idx.narrow(1, 1, config.data.block_size - 1), targets.narrow(1, 0, config.data.block_size - 1));
    }
}
