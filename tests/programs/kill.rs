//! kill -9 and power cuts: a `.pt` is whole, or it is not there.

use std::thread::sleep;
use std::time::Duration;

use nanoebm::checkpoint::Archive;

use super::desk::{Desk, list, names};

#[test]
fn a_killed_run_leaves_only_whole_checkpoints() {
    for moment in [0, 1, 3, 6, 11] {
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
        let saved = names(&desk.run());
        if let Some(newest) = (0..500).rev().find(|n| saved.contains(&format!("ckpt_step_{n}.pt"))) {
            let resume = desk.arg("load_checkpoint", &format!("ckpt_step_{newest}.pt"));
            desk.train(&saving).arg(resume).arg(format!("train.max_steps={}", newest + 3)).succeeds();
        }
    }
}
