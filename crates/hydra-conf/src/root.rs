//! The configuration of a whole program.

use crate::error::ConfigError;
use crate::schema::Schema;
use crate::section::Section;
use crate::value::Tree;

/// What the programs of a package share.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    /// What `--version` prints after the name: `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// The files inside the program (see [`embed!`](crate::embed!)): each one's name without `.yaml`, and its text.
    pub files: &'static [(&'static str, &'static str)],
}

/// The struct that a program's settings end in.
pub trait Root: Section {
    /// The name of the program's own file, without `.yaml`.
    const FILE: &'static str;

    /// What it shares with its neighbours.
    const PACKAGE: Package;

    /// Its keys, and other names for them.
    fn schema() -> Schema {
        Schema::of::<Self>()
    }

    /// Lets what was typed for one key decide another; `base` is what the files say. Returns notices for the user.
    fn settle(_typed: &mut Tree, _base: &Tree) -> Result<Vec<String>, ConfigError> {
        Ok(Vec::new())
    }

    /// Checks how the keys go together; kinds and limits are checked before.
    fn relations(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Checks kinds, limits and relations.
    fn validate(&self) -> Result<(), ConfigError> {
        self.check("")?;
        self.relations()
    }
}

/// The texts of configuration files, for [`Package::files`]: those of a folder of the crate, by their names without
/// `.yaml`.
///
/// ```
/// const FILES: &[(&str, &str)] = hydra_conf::embed!("examples/conf": "shop", "db/memory", "db/server");
/// # assert!(FILES[1].1.contains("kind: memory"));
/// ```
#[macro_export]
macro_rules! embed {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder, "/", $name, ".yaml")))),+]
    };
}
