//! Where a training step's time goes.

use std::time::{Duration, Instant};

use tch::{Cuda, Device};

/// A stopwatch that sums up the phases of many steps.
#[derive(Debug)]
pub struct Profile {
    phases: Vec<(&'static str, Duration)>,
    last: Instant,
    /// With `train.profile`: the GPU to wait for, so that its work counts in the phase that asked for it
    wait_for: Option<usize>,
}

impl Profile {
    /// Starts the watch; `exact` waits for a GPU at the end of each phase.
    pub fn start(device: Device, exact: bool) -> Self {
        let wait_for = match device {
            Device::Cuda(index) if exact => Some(index),
            _ => None,
        };
        Self { phases: Vec::new(), last: Instant::now(), wait_for }
    }

    /// A phase ends here: its seconds.
    pub fn lap(&mut self, phase: &'static str) -> f64 {
        if let Some(index) = self.wait_for {
            Cuda::synchronize(index as i64);
        }
        let took = self.last.elapsed();
        self.last += took;
        match self.phases.iter_mut().find(|(name, _)| *name == phase) {
            Some((_, sum)) => *sum += took,
            None => self.phases.push((phase, took)),
        }
        took.as_secs_f64()
    }

    /// Lines for people: every phase's time per step in ms and its share, in order.
    pub fn summary(&self, steps: i64) -> Vec<String> {
        let total: f64 = self.phases.iter().map(|(_, sum)| sum.as_secs_f64()).sum();
        let line = |(name, sum): &(&str, Duration)| {
            let sum = sum.as_secs_f64();
            format!(
                "Time: {name:<12} {:>10.2} ms a step {:>6.1} %",
                1e3 * sum / steps.max(1) as f64,
                100.0 * sum / total
            )
        };
        self.phases.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_add_up_in_order() {
        let mut profile = Profile::start(Device::Cpu, true);
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(30));
            assert!(profile.lap("long") >= 0.03);
            profile.lap("short");
        }
        let lines = profile.summary(2);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains("long") && lines[1].contains("short"), "{lines:?}");
        let share = |line: &str| line.split_whitespace().rev().nth(1).unwrap().parse::<f64>().unwrap();
        assert!(share(&lines[0]) > 90.0 && (share(&lines[0]) + share(&lines[1]) - 100.0).abs() < 0.11, "{lines:?}");
    }
}
