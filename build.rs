//! Facts fixed at build time: where libtorch is (and what to do when it is nowhere), an rpath to it, and the git commit.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The rest of the message names the folder that was tried.
const NOT_SET_UP: &str = "libtorch is not set up. Run scripts/setup once, then repeat your command.";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=Cargo.lock");
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    export_git_commit();
    export("NANOEBM_TCH_VERSION", &locked_version("tch"));

    // Cargo's own configuration sets LIBTORCH to the link that scripts/setup makes.
    let named = env::var_os("LIBTORCH").map_or_else(|| PathBuf::from(".libtorch"), PathBuf::from);
    match fs::canonicalize(&named) {
        Ok(libtorch) if libtorch.join("lib").is_dir() => use_libtorch(&named, &libtorch),
        _ if env::var_os("CARGO_FEATURE_DOC_ONLY").is_some() => {
            export("NANOEBM_LIBTORCH", "nowhere");
            export("NANOEBM_LIBTORCH_VERSION", "none");
        }
        _ => println!("cargo::error={NOT_SET_UP} (No libtorch in {})", named.display()),
    }
}

/// Lets every binary, test and bench find the shared libraries without LD_LIBRARY_PATH.
fn use_libtorch(named: &Path, libtorch: &Path) {
    let lib = libtorch.join("lib");
    // Separate arguments, because -Wl would split a path at its commas.
    // A program in target/PROFILE of a clone that was moved finds the link of that clone, as it stands now.
    for (whose, folder) in [("", &*lib.to_string_lossy()), ("-bins", "$ORIGIN/../../.libtorch/lib")] {
        for arg in ["-Xlinker", "-rpath", "-Xlinker", folder] {
            println!("cargo::rustc-link-arg{whose}={arg}");
        }
    }
    export("NANOEBM_LIBTORCH", &libtorch.to_string_lossy());
    export("NANOEBM_LIBTORCH_VERSION", &libtorch_version(named));
}

/// `2.11.0+cpu`, from the file that the Python wheel or the zip archive of libtorch carries.
fn libtorch_version(libtorch: &Path) -> String {
    for file in ["version.py", "build-version"] {
        let path = libtorch.join(file);
        if let Ok(text) = fs::read_to_string(&path) {
            println!("cargo::rerun-if-changed={}", path.display());
            let assigned = text.lines().find_map(|line| line.strip_prefix("__version__ = "));
            return assigned.unwrap_or(&text).trim().trim_matches('\'').to_owned();
        }
    }
    "of unknown version".to_owned()
}

/// The version of a dependency in Cargo.lock.
fn locked_version(package: &str) -> String {
    let lock = fs::read_to_string("Cargo.lock").unwrap_or_default();
    let entry = format!("name = \"{package}\"\nversion = \"");
    let version = lock.split_once(&entry).and_then(|(_, rest)| rest.split_once('"'));
    version.map_or("unknown", |(version, _)| version).to_owned()
}

/// Sets NANOEBM_GIT_COMMIT where the sources are a git checkout with a commit, and leaves it unset elsewhere. Sources that are not
/// the commit's make it end in `-dirty`.
fn export_git_commit() {
    // A tarball unpacked inside somebody else's repository is not that repository's commit.
    if !Path::new(".git").exists() {
        return;
    }
    // HEAD changes with the branch, the folder of heads with each commit on it.
    for watched in ["HEAD", "refs/heads"] {
        if let Some(path) = git(&["rev-parse", "--git-path", watched]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    const SOURCES: [&str; 6] = ["src", "crates", "conf", "build.rs", "Cargo.toml", "Cargo.lock"];
    for watched in SOURCES {
        println!("cargo::rerun-if-changed={watched}");
    }
    let changes = git(&[&["--no-optional-locks", "status", "--porcelain", "--"], &SOURCES[..]].concat());
    let dirty = if changes.is_some_and(|changes| !changes.is_empty()) { "-dirty" } else { "" };
    if let Some(commit) = git(&["rev-parse", "--short=12", "--verify", "HEAD"]) {
        export("NANOEBM_GIT_COMMIT", &format!("{commit}{dirty}"));
    }
}

/// What git prints, or nothing when it fails or is not installed.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Makes a value available to the crate as `env!(name)`.
fn export(name: &str, value: &str) {
    println!("cargo::rustc-env={name}={value}");
}
