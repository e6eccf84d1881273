//! Everything that can be wrong with a configuration. Programs exit with status 2 on any of these.

use std::path::PathBuf;

use crate::suggest::did_you_mean;

/// What is wrong, where, and what would be right.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says what its fields are")]
pub enum ConfigError {
    /// A flag that does not exist, or was used wrongly.
    #[error("{0}")]
    Usage(String),

    /// An argument that is not an override.
    #[error("`{text}` is not an override: {expected}")]
    Malformed { text: String, expected: String },

    /// A key that does not exist, in a file or, without a `place`, on the command line; `nearest` are known ones.
    #[error("unknown key `{key}`{}{}", in_place(.place), or_help(.nearest))]
    UnknownKey { key: String, place: Option<String>, nearest: Vec<String> },

    /// A group without the option asked for.
    #[error("group `{group}` has no option `{option}`{}", instead(.options))]
    UnknownOption { group: String, option: String, options: Vec<String> },

    /// A value of the wrong type; `hint` is empty or a clause that starts with a semicolon.
    #[error("{key}={value}: expected {wanted}{hint}")]
    WrongType { key: String, value: String, wanted: String, hint: String },

    /// A value of the right type outside of its range.
    #[error("{key}={value} is out of range: expected {range}")]
    OutOfRange { key: String, value: String, range: String },

    /// Two keys that contradict one another, or a relation between keys that does not hold.
    #[error("{0}")]
    Relation(String),

    /// `+key=value` where nothing can be added.
    #[error("`+{key}` adds nothing: {reason}")]
    NotAdded { key: String, reason: String },

    /// `~key` on a key that must have a value.
    #[error("`~{key}` cannot be dropped: {reason}")]
    NotDropped { key: String, reason: String },

    /// `${…}` that cannot be resolved.
    #[error("{key}: {problem}")]
    Interpolation { key: String, problem: String },

    /// A key that no file sets; `file` is the one that could, and what to do.
    #[error("no value for `{key}`: {file}")]
    Missing { key: String, file: String },

    /// A key without a value at the start, which nobody has set.
    #[error("no value for `{key}`: it must be given, as in {key}=VALUE")]
    NotGiven { key: String },

    /// A configuration file that does not read as one.
    #[error("{file}: {problem}")]
    File { file: String, problem: String },

    /// A configuration file or directory that cannot be read.
    #[error("cannot read {}", .path.display())]
    Read { path: PathBuf, source: std::io::Error },

    /// A value that does not fit its struct.
    #[error("the configuration does not fit: {0}")]
    Yaml(#[from] serde_yaml::Error),
}

impl ConfigError {
    pub(crate) fn in_file(file: &str, problem: impl Into<String>) -> Self {
        Self::File { file: file.to_owned(), problem: problem.into() }
    }
}

fn in_place(place: &Option<String>) -> String {
    place.as_ref().map_or_else(String::new, |file| format!(" in {file}"))
}

fn instead(options: &[String]) -> String {
    match options {
        [] => ", nor any other".to_owned(),
        _ => format!("; its options are {}", options.join(", ")),
    }
}

fn or_help(nearest: &[String]) -> String {
    match nearest {
        [] => "; --help lists the keys".to_owned(),
        _ => did_you_mean(nearest),
    }
}
