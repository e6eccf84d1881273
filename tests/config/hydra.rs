//! Hydra itself as the judge: on our own conf/, `train` means what it means to Hydra. The grammar's own judge is in
//! crates/hydra-conf/tests/hydra.

use std::collections::BTreeMap;

use nanoebm::config::{Action, Config};
use serde_yaml::Value;

use super::python::TRACKERS;
use crate::{leaves_of, parse};

/// One command line each, its arguments separated by ` | `.
const LINES: &str = r#"
model=cpu
model=reread | data=cpu | train=cpu
model=upstream | model.refine_steps=2
model=nope
model=cpu,upstream
-m | model=cpu,upstream | train.seed=1,2
-m | model=glob(*)
-m | model=glob([m*,r*]) | train=glob(*,exclude=d*)
-m | train.seed=range(1,4)
-m | train.learning_rate=choice(1e-3,3e-4)
-m | train.learning_rate=range(0.1,0.5,0.1)
-m | train.seed=sort(3,1,2,reverse=true)
-m | train.seed=interval(1,2)
-m | wandb_name='a,b',c\,d,e f
-m | wandb_name=run-${train.seed} | train.seed=1,2
-m | out_dir=null,x
train.seed=1,2
train.seed=1_000
train.seed=-3
train.seed='7'
train.seed=1.5
train.seed=1e3
train.seed=int(1e3)
train.seed=null
train.seed=
train.learning_rate=1
train.learning_rate=1E-3
train.learning_rate='1e-3'
train.learning_rate=true
model.bias=off
model.bias=FALSE
model.bias=0
model.bias=no
model.bias=maybe
model={n_layer:2,n_head:3}
model={n_layer:[2]}
out_dir=null
out_dir='null'
out_dir=a\ b
out_dir=a b
out_dir='it\'s'
out_dir=[a]
out_dir=runs/${data.dataset}_${train.seed}
out_dir='${data.dataset}/${train.${wandb_name}}' | wandb_name=seed
out_dir=${oc.env:NANOEBM_IS_NOT_SET,here}
out_dir=${oc.env:NANOEBM_IS_NOT_SET}
data.data_path=${.dataset}.txt
data.data_path=${..out_dir}
train.lr_decay_iters=${train.max_steps}
train.lr_decay_iters=${oc.select:train.nope,7}
train.seed=${out_dir}
wandb_name=true
wandb_name=1e3
wandb_name='1e3'
wandb_name=null
wandb_name=
wandb_name=a:b/c@d.e-f+g%h*i?j|k
wandb_name=f(x)
wandb_name="a\"b"
++train.seed=5
+train.seed=5
+wandb_name=x
trian.seed=5
train.sede=5
train.seed=5 | train.seed=6
foo
"#;

#[test]
fn train_means_what_it_means_to_hydra() {
    let lines: Vec<Vec<&str>> = LINES.lines().skip(1).map(|line| line.split(" | ").collect()).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    let conf = concat!(env!("CARGO_MANIFEST_DIR"), "/conf");
    let request = serde_json::json!({ "conf": conf, "start": Config::default(), "lines": lines });
    std::fs::write(file.path(), request.to_string()).unwrap();
    let answers = TRACKERS.judge("hydra_judge.py", file.path(), &[]);
    let start: BTreeMap<String, Value> = leaves_of(&Config::default()).into_iter().collect();
    let mut refused = 0;
    for (line, answer) in lines.iter().zip(answers.as_array().unwrap()) {
        let hydras: Option<Vec<BTreeMap<String, Value>>> = serde_json::from_value(answer.clone()).unwrap();
        let ours = parse::<Config>(line).ok().map(|action| match action {
            Action::Run { jobs, .. } => jobs.iter().map(|job| changes(&start, &job.config)).collect::<Vec<_>>(),
            Action::Print(text) => panic!("{line:?} printed {text}"),
        });
        assert_eq!(ours, hydras, "{line:?}");
        refused += usize::from(ours.is_none());
    }
    assert!(lines.len() > 60 && refused > 15 && refused < 30, "{refused} of {}", lines.len());
}

/// What differs from the start, but for `model.block_size`, which follows that of the data.
fn changes(start: &BTreeMap<String, Value>, config: &Config) -> BTreeMap<String, Value> {
    let leaves = leaves_of(config).into_iter();
    leaves.filter(|(key, value)| key != "model.block_size" && start[key] != *value).collect()
}
