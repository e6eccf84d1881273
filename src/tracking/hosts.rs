//! How busy the hosts of a training are, where there is more than one: each tells it, and rank 0 has it in its rows.

use sysinfo::System;
use tch::Tensor;

use crate::processes::Processes;

/// The hosts of a training.
#[derive(Debug)]
pub struct Hosts {
    system: System,
    processes: Processes,
    /// The first rank of each, and its name
    first: Vec<(usize, String)>,
}

impl Hosts {
    /// Those that the processes run on.
    pub fn new(processes: &Processes) -> Self {
        let mut first: Vec<(usize, String)> = Vec::new();
        for (rank, host) in processes.hosts().iter().enumerate() {
            if first.iter().all(|(_, other)| other != host) {
                first.push((rank, host.clone()));
            }
        }
        Self { system: System::new(), processes: processes.clone(), first }
    }

    /// `host/NAME/cpu_percent` and `host/NAME/memory_percent` of each host since the last call; nothing where there is one host.
    pub fn figures(&mut self) -> Vec<(String, f64)> {
        if self.first.len() < 2 {
            return Vec::new();
        }
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        let memory = 100.0 * self.system.used_memory() as f64 / self.system.total_memory().max(1) as f64;
        let own = Tensor::from_slice(&[f64::from(self.system.global_cpu_usage()), memory]).view([1, 2]);
        let all = self.processes.gather(&own); // (N, 2)
        let of = |(rank, host): &(usize, String)| {
            [("cpu_percent", 0), ("memory_percent", 1)]
                .map(|(name, column)| (format!("host/{host}/{name}"), all.double_value(&[*rank as i64, column])))
        };
        self.first.iter().flat_map(of).collect()
    }
}
