//! A `.wandb` file may be damaged: it is read, or refused with an error.
#![no_main]

use std::cell::LazyCell;

use tempfile::NamedTempFile;

thread_local! {
    static FILE: LazyCell<NamedTempFile> = LazyCell::new(|| NamedTempFile::new().unwrap());
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    FILE.with(|file| {
        std::fs::write(file.path(), bytes).unwrap();
        if let Ok(rows) = wandb_log::read_history(file.path()) {
            assert!(rows.len() <= bytes.len());
        }
    });
});
