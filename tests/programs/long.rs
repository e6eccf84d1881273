//! A long run: memory stays, files do not pile up, and steps do not slow down.
//!
//! In earnest: `NANOEBM_LONG_STEPS=20000 cargo test --release --test programs long -- --nocapture`.

use std::fs;
use std::time::Instant;

use super::random::setting;
use super::workdir::{Workdir, list, metrics, names};

/// A process's memory in kB.
fn rss(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The slope of the line that fits points best.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (mx, my) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let covariance: f64 = points.iter().map(|(x, y)| (x - mx) * (y - my)).sum();
    covariance / points.iter().map(|(x, _)| (x - mx).powi(2)).sum::<f64>()
}

#[test]
fn a_long_run_stays_as_it_was() {
    let steps = setting("NANOEBM_LONG_STEPS", 1000u32);
    let (workdir, mark) = (Workdir::new(), (steps / 20).max(1));
    let settings = [
        format!("train.max_steps={steps}"),
        format!("train.log_interval={}", (mark / 10).max(1)),
        format!("save_interval={mark}"),
        format!("train.eval_interval={}", 2 * mark),
        "model.contrastive_type=pcd".to_owned(),
        "tensorboard=true".to_owned(),
    ];
    let mut running = workdir.train(&settings.each_ref().map(String::as_str)).starts();
    let (mut memory, mut times, mut files, mut began) = (Vec::new(), Vec::new(), Vec::new(), Instant::now());
    for step in (mark..steps).step_by(mark as usize) {
        running = running.until_step(step);
        memory.push((f64::from(step), rss(running.id())));
        times.push(1e3 * began.elapsed().as_secs_f64() / f64::from(mark));
        files.push(names(&workdir.run()).iter().filter(|name| name.ends_with(".pt")).count());
        began = Instant::now();
    }
    running.ends().exits(0);
    let settled = &memory[memory.len() / 4..]; // after the first allocations
    let (slope, last) = (slope(settled), memory[memory.len() - 1].1 / 1e3);
    let (first_ms, last_ms) = (times[1], times[times.len() - 1]); // the first mark has the start in it
    let run = workdir.run();
    let rows = metrics(&run).len();
    let bytes: u64 = list(&run).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    println!(
        "{steps} steps: {last:.0} MB, slope {:.1} kB per 1000 steps; {} files of {:.1} MB, {rows} rows; \
         {first_ms:.2} ms a step in the second {mark} steps, {last_ms:.2} in the last",
        1e3 * slope,
        list(&run).len(),
        bytes as f64 / 1e6
    );
    assert!(files.iter().all(|&n| n <= 5), "three on the way, the best, the last: {files:?}");
    assert_eq!(rows as u32, steps.div_ceil((mark / 10).max(1)) + steps / (2 * mark));
    // A leak of a single (B, T, V) tensor a step would be 14 kB.
    assert!(slope < 1.0, "memory grows by {slope:.2} kB a step: {memory:?}");
    assert!(last_ms < 2.0 * first_ms, "{times:?}");
}
