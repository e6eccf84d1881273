//! The flags: `--cfg`, `--help`, `-m`, `--config-dir`.

use std::path::Path;

use nanoebm::config::{Action, Config, Job, ModelConfig, Root, SampleConfig, to_yaml};

use crate::{jobs, parse, printed, train};

/// A directory with these files, for `--config-dir`.
fn config_dir(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn with_dir(dir: &tempfile::TempDir, args: &[&str]) -> Result<Config, String> {
    let args = [&["--config-dir", dir.path().to_str().unwrap()], args].concat();
    match parse::<Config>(&args) {
        Ok(Action::Run { mut jobs, .. }) => Ok(jobs.remove(0).config),
        Ok(Action::Print(text)) => panic!("{args:?} printed {text}"),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn cfg_prints_what_can_be_read_back() {
    let text = printed::<Config>(&["preset=cpu", "--cfg", "wandb_name=1e3"]);
    let dir = config_dir(&[("config.yaml", &text)]);
    let config = with_dir(&dir, &[]).unwrap();
    assert_eq!(config, train(&["preset=cpu", "wandb_name=1e3"]));
    assert_eq!(text, to_yaml(&config));
    assert_eq!(with_dir(&dir, &["data.block_size=32"]).unwrap().model.block_size, 32);
    assert!(with_dir(&dir, &["model=upstream"]).unwrap_err().contains("no group"));
}

#[test]
fn multirun_is_the_cross_product() {
    let jobs: Vec<Job<Config>> = jobs(&["-m", "train.seed=1,2", "model=default,upstream", "wandb_name='a,b'"]);
    let typed: Vec<String> = jobs.iter().map(|job| job.overrides.join(" ")).collect();
    let expected = [
        "train.seed=1 model=default wandb_name='a,b'",
        "train.seed=1 model=upstream wandb_name='a,b'",
        "train.seed=2 model=default wandb_name='a,b'",
        "train.seed=2 model=upstream wandb_name='a,b'",
    ];
    assert_eq!(typed, expected);
    assert!(jobs.iter().all(|job| job.config.wandb_name.as_deref() == Some("a,b")));
    assert_eq!(jobs[3].config.train.seed, 2);
    assert_eq!(jobs[3].config.model, ModelConfig::upstream());
    assert_eq!(crate::jobs::<Config>(&["-m", "train.seed=1,2", "train.seed=3"]).len(), 1);
    assert_eq!(printed::<Config>(&["-m", "--cfg", "train.seed=1,2"]).matches("# job ").count(), 2);
}

#[test]
fn flags_stand_anywhere() {
    let action = parse::<Config>(&["train.seed=1", "--quiet", "train.max_steps=2", "--multirun"]).unwrap();
    let Action::Run { jobs, multirun, flags } = action else { panic!("{action:?}") };
    assert!(multirun && flags.has("quiet") && !flags.has("json"));
    assert_eq!((jobs[0].config.train.seed, jobs[0].config.train.max_steps), (1, 2));
    assert_eq!(printed::<Config>(&["-V"]), format!("program {}\n", env!("CARGO_PKG_VERSION")));
}

/// The help page with every gap one space wide: terminals differ in width.
fn help<T: Root>(args: &[&str]) -> String {
    let page = printed::<T>(&[&["--help"], args].concat());
    page.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn help_lists_groups_and_keys() {
    let page = help::<Config>(&[]);
    let parts = [
        "A program. Usage: program [FLAGS] [OVERRIDE]...",
        "--config-dir <DIR>",
        "--quiet Print errors only",
        "model=default one of default, cpu, ebt, linear, mixture, reread, upstream: the transformer",
        "preset=null one of cpu, nanogpt: ",
        "train.seed=1337 seed of everything random",
    ];
    for part in parts {
        assert!(page.contains(part), "{part:?} is not in {page}");
    }
    assert!(help::<Config>(&["preset=cpu"]).contains("model.n_layer=4 "));
    assert!(help::<Config>(&["train.sede=1"]).contains("train.seed=1337 "));
    assert!(help::<SampleConfig>(&[]).contains("prompt=ROMEO: text to continue"));
    assert!(help::<SampleConfig>(&["model.bias=false"]).contains("model.bias=false whether"));
}

#[test]
fn files_of_a_directory_win_and_add() {
    let dir = config_dir(&[
        ("model/tiny.yaml", "defaults: [default]\nn_layer: 1\nthink_steps: 2\n"),
        (
            "data/default.yaml",
            "dataset: mine\ndata_path: ${data.dataset}.txt\nblock_size: 8\nbatch_size: 2\nnum_workers: 0\ndigits: 3\nreverse: true\n",
        ),
        ("preset/mine.yaml", "defaults:\n  - model: tiny\nmodel:\n  n_head: 1\ntrain: {max_steps: 3}\nout_dir: here\n"),
    ]);
    let config = with_dir(&dir, &["model=tiny"]).unwrap();
    assert_eq!((config.model.n_layer, config.model.refine_steps, config.model.block_size), (1, 2, 8));
    assert_eq!(config.data.data_path, Path::new("mine.txt"));
    let config = with_dir(&dir, &["preset=mine", "model=upstream"]).unwrap();
    assert_eq!((config.model.n_layer, config.model.n_head, config.train.max_steps), (1, 1, 3));
    assert_eq!((config.out_dir.to_str(), config.model.share_hidden), (Some("here"), false));
    assert!(
        with_dir(&dir, &["model=nano"])
            .unwrap_err()
            .contains("default, cpu, ebt, linear, mixture, reread, tiny, upstream")
    );
}

#[test]
fn mistakes_in_files_name_the_file() {
    let dir = config_dir(&[
        ("model/typo.yaml", "defaults: [default]\nn_layers: 1\n"),
        ("model/type.yaml", "defaults: [default]\nn_layer: many\n"),
        ("model/part.yaml", "n_layer: 1\n"),
        ("model/loop.yaml", "defaults: [loop]\n"),
        ("model/list.yaml", "- 1\n"),
        ("model/yaml.yaml", "a: [\n"),
        ("model/twice.yaml", "defaults: [default]\nthink_lr: 1\nalpha_value: 2\n"),
        ("data/number.yaml", "defaults: [default]\nbatch_size: 1.5\n"),
    ]);
    let cases = [
        ("model=typo", ["typo.yaml", "model.n_layer"]),
        ("model=type", ["type.yaml", "model.n_layer=many: expected an integer"]),
        ("model=part", ["`model.vocab_size`", "defaults: [default]"]),
        ("model=loop", ["loop.yaml", "leads back to itself"]),
        ("model=list", ["list.yaml", "key: value"]),
        ("model=yaml", ["yaml.yaml", "line"]),
        ("model=twice", ["twice.yaml", "two names"]),
        ("data=number", ["number.yaml", "data.batch_size=1.5: expected an integer"]),
    ];
    for (arg, parts) in cases {
        let message = with_dir(&dir, &[arg]).unwrap_err();
        assert!(parts.iter().all(|part| message.contains(part)), "{arg}: {message}");
    }
}
