//! What hostile input is tried on: one function for each kind of it. The fuzzer calls them with what it makes up, and
//! `cargo test` with the seeds. A function returns whatever the input is, and panics where the library does.

#![allow(clippy::unwrap_used, reason = "a panic is how a target reports")]

use std::ffi::OsString;
use std::path::PathBuf;

use hydra_conf::{Override, Package, Program, Root};

const PROGRAM: Program = Program { name: "fuzz", about: "Be fuzzed", flags: &[("quiet", "Say nothing")] };

hydra_conf::choice! {
    /// A colour.
    pub enum Colour {
        /// As a rose.
        Red = "red",
        /// As a violet.
        Blue = "blue",
    }
}

hydra_conf::section! {
    /// A section with every kind of key.
    pub struct Kinds {
        /// a flag
        flag: bool = true;
        /// an integer
        int: i64 = 3, in 1..=100;
        /// integers
        ints: Option<Vec<u8>>;
        /// a float
        float: f64 = 0.5, in 0.0..1.0;
        /// a text
        text: String = "at ${path}";
        /// a path
        path: PathBuf = "somewhere";
        /// a colour
        colour: Option<Colour> = "red";
    }
}

hydra_conf::section! {
    /// A program's settings.
    pub struct Settings {
        /// every kind
        #[section]
        kinds: Kinds;
        /// as the flag
        flag: bool = "${kinds.flag}";
    }
}

impl Root for Settings {
    const FILE: &'static str = "config";
    const PACKAGE: Package = Package {
        version: "1",
        files: &[
            ("config", "defaults:\n  - kinds: default # every kind\n  - preset: null\n"),
            ("kinds/other", "defaults: [default]\nint: 4\n"),
            ("preset/small", "defaults:\n  - kinds: other\nflag: false\n"),
        ],
    };
}

/// A command line, an argument to a line.
pub fn overrides(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for arg in text.split('\n') {
        if let Ok(parsed) = Override::parse(arg) {
            assert_eq!(Override::parse(&parsed.to_string()).unwrap(), parsed);
            for one in parsed.sweep(&["red".to_owned()]).into_iter().flatten() {
                assert_eq!(Override::parse(&one.to_string()).unwrap(), one);
            }
        }
    }
    // A folder that the input names is none of its business.
    let args = text.split('\n').filter(|arg| !arg.starts_with("--config-dir"));
    let _ = hydra_conf::parse::<Settings>(&PROGRAM, args.map(OsString::from));
}

/// A `config.yaml` of the user's own.
pub fn config(bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.yaml"), bytes).unwrap();
    for flag in ["--cfg", "--help"] {
        let args = [OsString::from("--config-dir"), dir.path().into(), flag.into()];
        let _ = hydra_conf::parse::<Settings>(&PROGRAM, args);
    }
}
