//! Where a run goes: Hydra's settings of folders.

use std::path::Path;

use super::workdir::{Workdir, names};

#[test]
fn a_run_goes_where_hydra_run_dir_says() {
    let workdir = Workdir::new();
    workdir.train(&["hydra.run.dir=runs/seed-${train.seed}", "train.seed=5"]).succeeds();
    let run = workdir.path("runs/seed-5");
    assert!(names(&run).contains(&"final.pt".to_owned()), "{:?}", names(&run));
    assert_eq!(workdir.runs(), Vec::<std::path::PathBuf>::new());
    workdir.refuses(workdir.train(&["hydra.run.dir=runs/seed-5"]), 1, &["runs/seed-5", "exists"]);
    let resume = ["hydra.run.dir=runs/seed-5", "load_checkpoint=runs/seed-5/final.pt", "train.max_steps=8"];
    workdir.train(&resume).succeeds().says("Run directory: runs/seed-5");
    workdir.refuses(workdir.sample(&["hydra.run.dir=x"]), 2, &["hydra.run.dir", "train and viz"]);
}

#[test]
fn the_jobs_of_a_multirun_go_below_hydra_sweep_dir() {
    let workdir = Workdir::new();
    workdir.train(&["-m", "hydra.sweep.dir=swept", "train.seed=1,2"]).succeeds();
    assert_eq!(names(&workdir.path("swept")), ["0", "1", "final.pt"]);
    let subdir = "hydra.sweep.subdir=${train.seed}";
    workdir.train(&["-m", "hydra.sweep.dir=named", subdir, "train.seed=range(1,3)"]).succeeds();
    assert_eq!(names(&workdir.path("named")), ["1", "2", "final.pt"]);
    assert!(!Path::new(&workdir.path("out_ebt")).exists());
}
