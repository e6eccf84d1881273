#![no_main]
#![allow(dead_code, reason = "each target is one function of several")]

#[path = "../../tests/targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::config(bytes));
