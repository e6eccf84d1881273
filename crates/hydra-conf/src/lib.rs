#![doc = include_str!("../README.md")]

mod choice;
mod choose;
mod cli;
mod completion;
mod compose;
mod error;
mod files;
mod flags;
mod grammar;
mod help;
mod info;
mod interpolate;
mod key;
mod kind;
mod launch;
mod overrides;
mod python;
mod resolvers;
mod root;
mod schema;
mod section;
mod suggest;
mod sweep;
mod value;

pub use cli::{Action, Flags, Program, parse};
pub use compose::{Job, composed};
pub use error::ConfigError;
pub use help::help_of;
pub use key::Key;
pub use kind::{Checked, Interval, Kind, Limit, Setting};
pub use overrides::{Override, Verb, quote};
pub use root::{Package, Root};
pub use schema::Schema;
pub use section::Section;
pub use value::{Tree, Value, show, to_yaml};
