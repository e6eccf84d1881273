//! Compiles the shim against libtorch's headers, and its half for NCCL where the headers of CUDA and NCCL are found.

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    for part in ["build.rs", "cpp"] {
        println!("cargo::rerun-if-changed={part}");
    }
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-env-changed=C10D_CUDA_INCLUDE");
    if env::var_os("CARGO_FEATURE_DOC_ONLY").is_some() {
        println!("cargo::rustc-env=C10D_NO_NCCL=this was built for its documentation alone");
        return;
    }
    let Some(libtorch) = env::var_os("LIBTORCH").map(PathBuf::from) else {
        println!("cargo::error=LIBTORCH is not set: it names the folder of libtorch, as for the tch crate");
        return;
    };
    if !libtorch.join("include").is_dir() {
        println!("cargo::error=LIBTORCH names {}, where there is no libtorch", libtorch.display());
        return;
    }
    shim(&libtorch).include("cpp/stubs").file("cpp/shim.cpp").compile("c10d_shim");
    let lib = libtorch.join("lib");
    println!("cargo::rustc-link-search=native={}", lib.display());
    for library in ["torch_cpu", "c10"] {
        println!("cargo::rustc-link-lib={library}");
    }
    // For this crate's own tests and examples; a program says itself where it finds libtorch.
    for arg in ["-Xlinker", "-rpath", "-Xlinker", &lib.to_string_lossy()] {
        println!("cargo::rustc-link-arg={arg}");
    }
    match nccl(&libtorch) {
        Ok(library) => println!("cargo::rustc-env=C10D_NCCL={}", library.display()),
        Err(reason) => println!("cargo::rustc-env=C10D_NO_NCCL={reason}"),
    }
}

/// Thin wrappers: no optimiser would make them faster.
fn shim(libtorch: &Path) -> cc::Build {
    let include = libtorch.join("include");
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").opt_level(0).debug(false).warnings(false).pic(true);
    build.include("cpp").include(include.join("torch/csrc/api/include")).include(include);
    build
}

/// The shared library that is opened where a GPU is wanted, or why there is none.
fn nccl(libtorch: &Path) -> Result<PathBuf, String> {
    let lib = libtorch.join("lib");
    if !lib.join("libtorch_cuda.so").exists() {
        return Err("this libtorch has no CUDA".to_owned());
    }
    // PyTorch's wheels of CUDA lie beside it. C10D_CUDA_INCLUDE names more folders, as PATH does.
    let beside = libtorch.join("../nvidia");
    let more = env::var_os("C10D_CUDA_INCLUDE").unwrap_or_default();
    let folders: Vec<PathBuf> =
        [beside.join("nccl/include"), beside.join("cu13/include")].into_iter().chain(env::split_paths(&more)).collect();
    for header in ["nccl.h", "cuda_runtime.h", "crt/host_config.h", "nv/target"] {
        if !folders.iter().any(|folder| folder.join(header).exists()) {
            return Err(format!("{header} was not found when it was built; C10D_CUDA_INCLUDE names its folder"));
        }
    }
    let library = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("libc10d_nccl.so");
    let mut command = shim(libtorch).includes(&folders).get_compiler().to_command();
    command.args(["-w", "-shared", "cpp/nccl.cpp", "-o"]).arg(&library).arg("-L").arg(&lib);
    command.args(["-Wl,--no-as-needed", "-ltorch_cuda", "-lc10_cuda", "-ltorch_cpu", "-lc10"]);
    command.arg("-Xlinker").arg("-rpath").arg("-Xlinker").arg(&lib);
    match command.status() {
        Ok(status) if status.success() => Ok(library),
        _ => Err("its half for NCCL could not be compiled".to_owned()),
    }
}
