//! Samples of the machine, taken on a thread of their own: asking a GPU's driver may take a while.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use serde_json::Value;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::records::{Items, Kind, Stats, Timestamp};
use crate::row::Row;

const MIB: f64 = 1024.0 * 1024.0;

/// The samples as they come. Dropping it ends the thread.
#[derive(Debug)]
pub struct Monitor {
    samples: Receiver<Kind>,
    _alive: Sender<()>,
}

impl Monitor {
    /// A sample at once, then one every `interval`.
    pub fn start(interval: Duration) -> Self {
        let (send, samples) = channel();
        let (alive, ended) = channel();
        // Without a thread there are no samples, and nothing else is amiss.
        let _ = thread::Builder::new().name("wandb-system".to_owned()).spawn(move || {
            let mut machine = Machine::new();
            loop {
                let stats = Stats { timestamp: Some(Timestamp::now()), items: Items::new(&machine.sample()).items };
                let heard = send.send(Kind::Stats(stats)).is_ok();
                if !heard || ended.recv_timeout(interval) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Self { samples, _alive: alive }
    }

    /// What was sampled since the last call.
    pub fn take(&self) -> Vec<Kind> {
        self.samples.try_iter().collect()
    }
}

struct Machine {
    system: System,
    gpus: Option<Nvml>,
    /// The share of the processor is known from the second sample on
    sampled: bool,
}

impl Machine {
    fn new() -> Self {
        // Without NVIDIA's driver there is no library to load, and there are no figures of a GPU.
        Self { system: System::new(), gpus: Nvml::init().ok(), sampled: false }
    }

    /// The figures under the official client's names.
    fn sample(&mut self) -> Row {
        let mut row = Row::new();
        let mut add = |name: &str, value: f64| row.insert(name.to_owned(), Value::from(value));
        self.system.refresh_memory();
        let total = self.system.total_memory() as f64;
        add("memory_percent", 100.0 * self.system.used_memory() as f64 / total);
        add("proc.memory.availableMB", self.system.available_memory() as f64 / MIB);
        let pid = Pid::from_u32(std::process::id());
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory().with_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
        if let Some(process) = self.system.process(pid) {
            add("proc.memory.rssMB", process.memory() as f64 / MIB);
            add("proc.memory.percent", 100.0 * process.memory() as f64 / total);
            if let Some(tasks) = process.tasks() {
                add("proc.cpu.threads", tasks.len() as f64);
            }
            if self.sampled {
                let cores = thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
                add("cpu", f64::from(process.cpu_usage()) / cores);
            }
        }
        self.sampled = true;
        if let Some(nvml) = &self.gpus {
            sample_gpus(nvml, &mut add);
        }
        row.retain(|_, value| !value.is_null());
        row
    }
}

/// Figures that a GPU does not have are left out.
fn sample_gpus<T>(nvml: &Nvml, add: &mut impl FnMut(&str, f64) -> T) {
    for n in 0..nvml.device_count().unwrap_or(0) {
        let Ok(gpu) = nvml.device_by_index(n) else { continue };
        let mut add = |name: &str, value: f64| drop(add(&format!("gpu.{n}.{name}"), value));
        if let Ok(use_) = gpu.utilization_rates() {
            add("gpu", f64::from(use_.gpu));
            add("memory", f64::from(use_.memory));
        }
        if let Ok(memory) = gpu.memory_info() {
            add("memoryAllocated", 100.0 * memory.used as f64 / memory.total as f64);
            add("memoryAllocatedBytes", memory.used as f64);
        }
        if let Ok(celsius) = gpu.temperature(TemperatureSensor::Gpu) {
            add("temp", f64::from(celsius));
        }
        if let Ok(milliwatts) = gpu.power_usage() {
            add("powerWatts", f64::from(milliwatts) / 1000.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_the_official_names() {
        let mut machine = Machine::new();
        machine.sample();
        let row = machine.sample();
        for name in ["cpu", "memory_percent", "proc.memory.rssMB", "proc.memory.percent", "proc.memory.availableMB"] {
            assert!(row[name].as_f64().is_some_and(|value| value >= 0.0), "{name}: {row:?}");
        }
    }
}
