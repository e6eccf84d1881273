//! Prints what this build runs on: versions, libtorch's folder, threads, the processor, and what each device says.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use nanoebm::config::{DoctorConfig, Job, Program};
use nanoebm::processes::{self, ProcessesError};
use nanoebm::{device, program};
use tch::{Device, Kind, TchError, Tensor};

/// Processor features that decide how fast libtorch is on the CPU, as /proc/cpuinfo spells them (x86, then ARM).
const FEATURES: [&str; 8] = ["avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16"];

const PROGRAM: Program = Program {
    name: "doctor",
    about: "Say what this build runs on: versions, libtorch, the processor, and what each device says",
    flags: &[],
};

fn main() -> ExitCode {
    program::run(&PROGRAM, |_: &Job<DoctorConfig>, _| {
        versions()?;
        // CUDA first: libtorch does not look for it again once another device has been used.
        cuda()?;
        match device::resolve("mps") {
            Ok(mps) => say("mps", trial(mps))?,
            Err(error) => say("mps", error)?,
        }
        say("cpu", trial(Device::Cpu))?;
        say("gloo", verdict(processes::try_gloo(), "works: several processes can train on the CPU"))?;
        say("nccl", verdict(processes::try_nccl(), "its library opens, for several processes on GPUs"))?;
        processor()?;
        Ok(0)
    })
}

fn say(what: &str, text: impl Display) -> io::Result<()> {
    writeln!(io::stdout(), "{what:<12} {text}")
}

fn versions() -> io::Result<()> {
    let commit = option_env!("NANOEBM_GIT_COMMIT").unwrap_or("unknown");
    say("nanoebm", format!("{}, commit {commit}", env!("CARGO_PKG_VERSION")))?;
    say("tch", env!("NANOEBM_TCH_VERSION"))?;
    say("libtorch", format!("{} in {}", env!("NANOEBM_LIBTORCH_VERSION"), env!("NANOEBM_LIBTORCH")))
}

fn cuda() -> io::Result<()> {
    match device::cuda_devices() {
        Ok(count) => (0..count).try_for_each(|n| say(&format!("cuda:{n}"), trial(Device::Cuda(n)))),
        Err(reason) => say("cuda", format!("device `cuda` is not available: {reason}")),
    }
}

fn verdict(tried: Result<(), ProcessesError>, good: &str) -> String {
    tried.map_or_else(|error| error.to_string(), |()| good.to_owned())
}

/// Computes something small on a device, and says what came of it.
fn trial(device: Device) -> String {
    match product(device) {
        Ok(32.0) => "works".to_owned(),
        Ok(value) => format!("computes wrongly: 1·4 + 2·5 + 3·6 = {value}"),
        Err(error) => format!("fails: {error}"),
    }
}

fn product(device: Device) -> Result<f64, TchError> {
    let a = Tensor::from_slice(&[1f32, 2., 3.]).f_to(device)?;
    let b = Tensor::from_slice(&[4f32, 5., 6.]).f_to(device)?;
    a.f_dot(&b)?.f_to_kind(Kind::Double)?.f_double_value(&[])
}

fn processor() -> io::Result<()> {
    let (within, between) = (tch::get_num_threads(), tch::get_num_interop_threads());
    say("threads", format!("{within} within an operation, {between} between operations"))?;
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |wanted: &str| {
        let value = |line: &str| Some(line.split_once(':')?.1.trim().to_owned());
        info.lines().find(|line| line.starts_with(wanted)).and_then(value)
    };
    if let Some(model) = field("model name") {
        say("processor", model)?;
    }
    if let Some(flags) = field("flags").or_else(|| field("Features")) {
        let has = |name: &&&str| flags.split(' ').any(|flag| flag == **name);
        let present: Vec<&str> = FEATURES.iter().filter(has).copied().collect();
        say("features", present.join(" "))?;
        let fast = ["avx512_bf16", "amx_bf16", "bf16"].iter().any(|name| present.contains(name));
        say("bfloat16", if fast { "in hardware" } else { "emulated on this CPU: float32 is faster" })?;
    }
    Ok(())
}
