//! kill -9 and power cuts: a `.pt` is whole, or it is not there.

use std::thread::sleep;
use std::time::Duration;

use nanoebm::checkpoint::Archive;

use super::desk::{Desk, list, names};

#[test]
fn a_killed_run_leaves_only_whole_checkpoints() {
    for moment in [0, 1, 2, 3, 5, 8, 13] {
        let desk = Desk::new();
        let saving = ["train.max_steps=500", "save_interval=1", "train.eval_interval=2", "model.n_embd=64"];
        let running = desk.train(&saving).starts().until_step(moment);
        sleep(Duration::from_millis(u64::from(moment)));
        assert_eq!(running.gets("KILL").ends().code, None);
        let saved: Vec<_> =
            list(&desk.run()).into_iter().filter(|p| p.extension().is_some_and(|e| e == "pt")).collect();
        for path in &saved {
            Archive::read(path).unwrap_or_else(|error| panic!("killed at step {moment}: {error}"));
        }
        let newest = (0..500).rev().map(|n| format!("ckpt_step_{n}.pt")).find(|name| names(&desk.run()).contains(name));
        if let Some(newest) = newest {
            let resume = [&desk.arg("load_checkpoint", &newest), "train.max_steps=520", "save_interval=0"];
            desk.train(&saving).args(resume).succeeds();
        }
    }
}
