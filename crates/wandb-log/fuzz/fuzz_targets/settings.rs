//! A settings file, a netrc file and the variables, three parts of the input with a zero byte between them.
#![no_main]

use std::cell::LazyCell;
use std::collections::HashMap;

use tempfile::TempDir;

thread_local! {
    static HOME: LazyCell<TempDir> = LazyCell::new(|| tempfile::tempdir().unwrap());
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    HOME.with(|home| {
        let mut parts = bytes.splitn(3, |byte| *byte == 0);
        for name in ["settings", ".netrc"] {
            std::fs::write(home.path().join(name), parts.next().unwrap_or_default()).unwrap();
        }
        let lines = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        let lines = lines.lines().filter_map(|line| line.split_once('='));
        let mut vars: HashMap<String, String> = lines.map(|(k, v)| (format!("WANDB_{k}"), v.to_owned())).collect();
        let home = home.path().display().to_string();
        vars.extend(["HOME", "WANDB_CONFIG_DIR", "WANDB_DIR"].map(|name| (name.to_owned(), home.clone())));
        let _ = wandb_log::Settings::from_vars(&vars).map(|settings| format!("{settings:?}"));
    });
});
