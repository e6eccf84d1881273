//! The fuzzers' seeds and past findings.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::fs;
use std::path::Path;

#[path = "targets/mod.rs"]
mod targets;

/// Memory is counted for the whole process: one test at a time.
#[test]
fn seeds_and_past_findings_do_no_harm() {
    for name in ["pickle", "archive"] {
        let mut inputs = 0;
        for folder in ["tests/targets/seeds", "tests/fixtures/hostile"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
            for path in fs::read_dir(folder).into_iter().flatten().map(|file| file.unwrap().path()) {
                println!("{}", path.display());
                let bytes = fs::read(path).unwrap();
                match name {
                    "pickle" => targets::pickle(&bytes),
                    _ => _ = targets::archive(&bytes),
                }
                inputs += 1;
            }
        }
        assert!(inputs >= 4, "{name} has only {inputs}");
    }
}
