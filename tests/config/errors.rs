//! Every way to be wrong, and what the message says.

use nanoebm::config::{Config, Root, SampleConfig};

use crate::{error_of, refused};

#[test]
fn unknown_keys_name_the_nearest() {
    refused(&[
        (&["learning_rate=1"], &["`learning_rate`", "did you mean train.learning_rate?"]),
        (&["model.learning_rate=1"], &["did you mean train.learning_rate?"]),
        (&["block_size=1"], &["model.block_size or data.block_size"]),
        (&["train.max_step=1"], &["train.max_steps"]),
        (&["trian.seed=1"], &["did you mean train.seed?"]),
        (&["model.n_layer.x=1"], &["`model.n_layer.x`"]),
        (&["presets=cpu"], &["did you mean preset?"]),
        (&["qqq=1"], &["`qqq`", "--help"]),
    ]);
}

#[test]
fn wrong_types_name_key_value_and_type() {
    refused(&[
        (&["train.seed=x"], &["train.seed=x", "an integer"]),
        (&["train.seed=1.5"], &["train.seed=1.5", "an integer"]),
        (&["train.seed="], &["train.seed=:", "an integer"]),
        (&["train.seed=null"], &["train.seed=null", "an integer"]),
        (&["model.bias=1.5"], &["model.bias=1.5", "true or false"]),
        (&["model.alpha_value=[1, 2]"], &["model.alpha_value=[1, 2]", "a number"]),
        (&["model.contrastive_type=xcd"], &["one of cd, pcd, fast_pcd"]),
        (&["train.device=gpu"], &["auto, cpu, cuda, cuda:N or mps"]),
        (&["train.device=cuda:"], &["cuda:N"]),
        (&["train.dtype=float16"], &["float32, bfloat16"]),
        (&["train.seed=1,2"], &["train.seed=1,2", "-m"]),
    ]);
    assert!(error_of::<SampleConfig>(&["topk=x"]).contains("an integer or null"));
}

#[test]
fn values_out_of_range_say_the_range() {
    refused(&[
        (&["model.n_head=5"], &["model.n_embd=384", "model.n_head=5", "divisible"]),
        (&["data.block_size=0"], &["data.block_size=0", "1 or more"]),
        (&["model.block_size=0"], &["model.block_size=0", "1 or more"]),
        (&["model.dropout=1"], &["model.dropout=1", "[0, 1)"]),
        (&["model.restart_prob=1.5"], &["model.restart_prob=1.5", "[0, 1]"]),
        (&["train.beta1=1"], &["[0, 1)"]),
        (&["train.learning_rate=0"], &["above 0"]),
        (&["train.learning_rate=nan"], &["train.learning_rate=nan", "finite"]),
        (&["train.weight_decay=inf"], &["train.weight_decay=inf", "finite"]),
        (&["model.softmax_temperature=0"], &["above 0"]),
        (&["data.batch_size=0"], &["1 or more"]),
        (&["train.grad_accum_steps=0"], &["1 or more"]),
        (&["think_steps=-1"], &["think_steps=-1", "0 or more"]),
        (&["train.max_steps=-1"], &["0 or more"]),
        (&["train.max_steps=99999999999"], &["at most"]),
        (&["train.seed=99999999999999999999"], &["64 bits"]),
        (&["out_dir="], &["out_dir", "not empty"]),
    ]);
    for (args, range) in [(["sample_top_p=0"], "(0, 1]"), (["sample_temp=0"], "above 0"), (["topk=0"], "1 or more")] {
        let message = error_of::<SampleConfig>(&args);
        assert!(message.contains(range), "{message}");
    }
}

#[test]
fn malformed_overrides_say_the_form() {
    for arg in ["foo", "=1", "a b=1", "seed =1", ".seed=1", "train..seed=1", "+seed", "~", "~a.=b", "tränen=1"] {
        let message = error_of::<Config>(&[arg]);
        assert!(message.contains(arg) && message.contains("expected"), "{message}");
    }
    refused(&[
        (&["--learning_rate=1"], &["--learning_rate", "without dashes"]),
        (&["--config-dir"], &["--config-dir"]),
        (&["--config-dir", "/no/such/dir"], &["/no/such/dir"]),
    ]);
    let message = error_of::<SampleConfig>(&["model=upstream"]);
    assert!(message.contains("model.key=value"), "{message}");
}

#[test]
fn what_would_grow_without_end_is_refused() {
    // Keys of text, each the one before ten times over.
    let chain = ["out_dir", "wandb_project", "wandb_name", "load_checkpoint", "data.data_path", "data.dataset"];
    let tenfold = chain.windows(2).map(|pair| format!("{}={}", pair[1], format!("${{{}}}", pair[0]).repeat(10)));
    let mut args = vec!["out_dir=0123456789".to_owned()];
    args.extend(tenfold);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let message = error_of::<Config>(&args);
    assert!(message.contains("more than 65536 bytes"), "{message}");
    // Naming a key twice, and that one twice, and so on, takes no longer where the texts are empty.
    let lines: Vec<String> =
        chain.windows(2).map(|pair| format!("{}={}", pair[1], format!("${{{}}}", pair[0]).repeat(99))).collect();
    let mut empty = vec!["out_dir=x", "wandb_project="];
    empty.extend(lines.iter().skip(1).map(String::as_str));
    let _ = error_of::<Config>(&empty); // load_checkpoint is a path, and empty
    let seeds = format!("train.seed={}", vec!["1"; 101].join(","));
    let steps = seeds.replace("train.seed", "train.max_steps");
    refused(&[(&["-m", &seeds, &steps], &["more than 1000 runs"])]);
}

#[test]
fn structs_built_in_code_are_checked_too() {
    let mut config = Config::default();
    config.validate().unwrap();
    config.model.block_size = 8;
    assert!(config.validate().unwrap_err().to_string().contains("data.block_size"));
    config.data.block_size = 8;
    config.train.learning_rate = f64::NAN;
    assert!(config.validate().unwrap_err().to_string().contains("train.learning_rate"));
}
