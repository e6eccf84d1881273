//! The files of `conf/`, which are part of the programs, and what they lead to.

use hydra_conf::{Package, Root};

/// Every file of `conf/`: its name without `.yaml`, and its text.
pub const SHIPPED: &[(&str, &str)] = hydra_conf::embed!(
    "conf": "config",
    "model/upstream", "model/linear", "model/mixture", "model/reread", "model/ebt", "model/cpu",
    "data/cpu", "data/addition",
    "train/cpu",
    "preset/cpu", "preset/nanogpt",
);

/// What all programs share.
pub(super) const PACKAGE: Package = Package { version: env!("CARGO_PKG_VERSION"), files: SHIPPED };

/// The configuration of these overrides, which must be right.
pub(super) fn shipped<T: Root>(overrides: &[&str]) -> T {
    match hydra_conf::composed(overrides) {
        Ok(config) => config,
        // The files are part of the program, and tests compose every one.
        Err(error) => unreachable!("shipped configuration: {error}"),
    }
}
