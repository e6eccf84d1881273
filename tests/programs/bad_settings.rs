//! Command lines that cannot be right: exit status 2, one line, nothing on disk.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::command::nanoebm;
use super::workdir::Workdir;

/// A program refuses each command line in a line that holds the parts.
fn refuses_all(program: &str, cases: &[(&[&str], &[&str])]) {
    let workdir = Workdir::new();
    for (args, parts) in cases {
        workdir.refuses(nanoebm(program).args(*args), 2, parts);
    }
}

#[test]
fn a_typo_is_named_with_what_was_meant() {
    refuses_all(
        "train",
        &[
            (&["model.n_layers=2"], &["model.n_layers", "model.n_layer"]),
            (&["outdir=x"], &["outdir", "out_dir"]),
            (&["n_layer=2"], &["n_layer", "model.n_layer"]),
            (&["model=upstraem"], &["upstraem", "upstream", "default"]),
            (&["--lr=3"], &["--lr", "key=value"]),
        ],
    );
    refuses_all("sample", &[(&["promt=x"], &["promt", "prompt"]), (&["model.n_layers=2"], &["model.n_layer"])]);
    refuses_all("eval", &[(&["max_window=2"], &["max_window", "max_windows"]), (&["--jsn"], &["--jsn"])]);
}

#[test]
fn a_wrong_type_names_key_value_and_type() {
    refuses_all(
        "train",
        &[
            (&["model.n_layer=two"], &["model.n_layer", "two", "integer"]),
            (&["model.bias=maybe"], &["model.bias", "maybe", "true or false"]),
            (&["model.contrastive_type=cdd"], &["model.contrastive_type", "cdd", "fast_pcd"]),
            (&["train.device=gpu"], &["gpu", "cuda"]),
        ],
    );
}

#[test]
fn a_value_out_of_range_names_the_range() {
    refuses_all(
        "train",
        &[
            (&["data.block_size=0"], &["block_size=0", "1"]),
            (&["model.dropout=1.5"], &["model.dropout=1.5", "[0, 1)"]),
            (&["train.learning_rate=nan"], &["train.learning_rate", "finite"]),
            (&["model.n_embd=10", "model.n_head=3"], &["n_embd=10", "n_head=3", "divisible"]),
            (&["model.think_steps=3", "model.refine_steps=4"], &["think_steps", "refine_steps"]),
            (&["model.block_size=8", "data.block_size=16"], &["model.block_size=8", "data.block_size=16"]),
            (&["model.n_layer=99999999999999999999"], &["model.n_layer"]),
        ],
    );
    refuses_all(
        "sample",
        &[
            (&["topk=0"], &["topk=0"]),
            (&["sample_top_p=1.5"], &["sample_top_p=1.5"]),
            (&["mode=fast", "use_thinking=true"], &["mode", "use_thinking"]),
        ],
    );
    refuses_all("eval", &[(&["split=test"], &["split", "val"]), (&["batch_size=0"], &["batch_size=0"])]);
}

#[test]
fn what_is_no_override_is_explained() {
    refuses_all(
        "train",
        &[
            (&["nonsense"], &["nonsense", "key=value"]),
            (&["+model.n_layer"], &["model.n_layer"]),
            (&["~model.n_layer"], &["model.n_layer"]),
            (&["--config-dir"], &["--config-dir"]),
            (&["--config-dir", "nowhere"], &["nowhere"]),
            (&["out_dir=${nothing}"], &["nothing"]),
            (&["model.n_layer=1\n2"], &["model.n_layer"]),
            (&["two\nlines"], &["lines"]),
        ],
    );
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let workdir = Workdir::new();
    workdir.refuses(nanoebm("train").arg(OsStr::from_bytes(b"model.n_layer=\xff")), 2, &[]);
}

#[test]
fn a_file_of_settings_that_is_wrong_is_named() {
    let workdir = Workdir::new();
    std::fs::create_dir_all(workdir.path("mine/model")).unwrap();
    workdir.write("mine/model/torn.yaml", "n_layer: [1,\n");
    workdir.write("mine/model/typo.yaml", "defaults: [default]\nn_layers: 3\n");
    workdir.write("mine/model/text.yaml", "just a text\n");
    for (option, part) in [("torn", "torn.yaml"), ("typo", "n_layers"), ("text", "text.yaml")] {
        let args = ["--config-dir", "mine", &format!("model={option}")];
        workdir.refuses(nanoebm("train").args(args), 2, &[part]);
    }
}
