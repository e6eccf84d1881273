//! Devices by name, as in PyTorch: `auto`, `cpu`, `cuda`, `cuda:N`, `mps`.
//!
//! libtorch's CUDA part is a library of its own that nothing links to: loading it costs 0.15 s and 350 MB, so it is loaded
//! at run time, and only where a CUDA device could be. libtorch looks for its CUDA part once, at the first call that has
//! to do with devices or seeds; **resolve the device before anything else is done with tensors**.

use std::ffi::CStr;
use std::path::Path;
use std::sync::OnceLock;

use tch::{Cuda, Device};

/// The names [`resolve`] knows.
pub const NAMES: &str = "auto, cpu, cuda, cuda:N, mps";

/// Why a device cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// A device that exists elsewhere, but not here.
    #[error("device `{name}` is not available: {reason}")]
    Absent {
        /// The device as it was asked for.
        name: String,
        /// Why it is not there.
        reason: String,
    },
    /// Not the name of a device.
    #[error("unknown device `{name}`: expected one of {NAMES}")]
    Unknown {
        /// The name as it was given.
        name: String,
    },
}

/// The device called `name`; `auto` takes CUDA, then MPS, then the CPU.
///
/// # Errors
/// The name is unknown, or the device is absent.
pub fn resolve(name: &str) -> Result<Device, DeviceError> {
    match name {
        "auto" => Ok(best()),
        "cpu" => Ok(Device::Cpu),
        "cuda" => cuda(name, 0),
        "mps" if tch::utils::has_mps() => Ok(Device::Mps),
        "mps" => Err(absent(name, "this libtorch sees no Apple GPU".to_owned())),
        _ => {
            let index = name.strip_prefix("cuda:").and_then(|n| n.parse().ok());
            let unknown = || DeviceError::Unknown { name: name.to_owned() };
            cuda(name, index.ok_or_else(unknown)?)
        }
    }
}

/// The same for one of several processes on a host, where `auto` and `cuda` are each one's own GPU.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_for(name: &str, local_rank: usize) -> Result<Device, DeviceError> {
    match resolve(name)? {
        Device::Cuda(_) if ["auto", "cuda"].contains(&name) => cuda(name, local_rank),
        device => Ok(device),
    }
}

/// How many CUDA devices there are, at least one, or a line that says why there is none.
///
/// # Errors
/// There is no CUDA device.
pub fn cuda_devices() -> Result<usize, String> {
    load_cuda()?;
    match usize::try_from(Cuda::device_count()) {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(no_cuda_device()),
    }
}

fn best() -> Device {
    if cuda_is_possible() && cuda_devices().is_ok() {
        Device::Cuda(0)
    } else if tch::utils::has_mps() {
        Device::Mps
    } else {
        Device::Cpu
    }
}

fn cuda(name: &str, index: usize) -> Result<Device, DeviceError> {
    let count = cuda_devices().map_err(|reason| absent(name, reason))?;
    if index < count {
        return Ok(Device::Cuda(index));
    }
    Err(absent(name, format!("there are {count} CUDA devices, counted from cuda:0")))
}

fn absent(name: &str, reason: String) -> DeviceError {
    DeviceError::Absent { name: name.to_owned(), reason }
}

/// Whether an NVIDIA driver shows itself: natively, in a container, or under WSL.
fn cuda_is_possible() -> bool {
    ["/dev/nvidiactl", "/proc/driver/nvidia", "/dev/dxg"].iter().any(|path| Path::new(path).exists())
}

/// Why a loaded CUDA library counts no device.
fn no_cuda_device() -> String {
    if !cuda_is_possible() {
        return "no NVIDIA driver runs here (no /dev/nvidiactl)".to_owned();
    }
    match std::env::var("CUDA_VISIBLE_DEVICES") {
        Ok(visible) => format!("libtorch counts no CUDA device (CUDA_VISIBLE_DEVICES is `{visible}`)"),
        Err(_) => "libtorch counts no CUDA device (is the driver new enough for this libtorch?)".to_owned(),
    }
}

/// Loads libtorch's CUDA part, once; it registers itself with the rest.
fn load_cuda() -> Result<(), String> {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    let load = || {
        open_library(c"libtorch_cuda.so").map_err(|why| match in_libtorch("libtorch_cuda.so") {
            true => format!("libtorch's CUDA library does not load: {why}"),
            false => "this libtorch was built without CUDA (it has no libtorch_cuda.so)".to_owned(),
        })
    };
    LOADED.get_or_init(load).clone()
}

fn in_libtorch(library: &str) -> bool {
    Path::new(env!("NANOEBM_LIBTORCH")).join("lib").join(library).exists()
}

/// Opens a shared library for good, found as the program's own libraries are.
#[expect(unsafe_code, reason = "the linker drops a library nothing refers to; only dlopen brings it in")]
fn open_library(name: &CStr) -> Result<(), String> {
    // SAFETY: `name` ends in NUL. Opening runs the library's initialisers, which is what `import torch` does with the
    // same file; the handle is never closed, so nothing registered by them dangles. dlerror returns NULL or a string
    // that ends in NUL and lives until this thread's next dl call, and it is copied before that.
    unsafe {
        if !libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_GLOBAL).is_null() {
            return Ok(());
        }
        let why = libc::dlerror();
        Err(if why.is_null() { "no reason given".into() } else { CStr::from_ptr(why).to_string_lossy().into() })
    }
}

/// Whether bfloat16 is computed by way of fp32 on a device, and so more slowly than that: on CPUs without units for it.
pub fn emulates_bfloat16(device: Device) -> bool {
    #[cfg(target_arch = "x86_64")]
    let has_units = is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    let has_units = true; // not known
    device == Device::Cpu && !has_units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there() {
        assert_eq!(resolve("cpu"), Ok(Device::Cpu));
        assert!(resolve("auto").is_ok());
    }

    #[test]
    fn a_name_that_is_no_device_is_unknown() {
        for name in ["", "gpu", "CPU", "cuda:", "cuda:x", "cuda:-1", "cpu:0"] {
            assert_eq!(resolve(name), Err(DeviceError::Unknown { name: name.to_owned() }));
        }
        let message = resolve("gpu").unwrap_err().to_string();
        assert_eq!(message, "unknown device `gpu`: expected one of auto, cpu, cuda, cuda:N, mps");
    }

    #[test]
    fn an_absent_device_is_an_error_with_its_reason() {
        let error = resolve("cuda:4096").unwrap_err();
        let reason = match cuda_devices() {
            Ok(count) => format!("there are {count} CUDA devices, counted from cuda:0"),
            Err(reason) => reason,
        };
        assert!(!reason.is_empty());
        assert_eq!(error, absent("cuda:4096", reason));
    }

    #[test]
    fn a_library_that_is_not_there_names_itself() {
        let why = open_library(c"libnanoebm_absent.so").unwrap_err();
        assert!(why.contains("libnanoebm_absent.so"), "{why}");
    }
}
