//! Everything that can be wrong with a configuration. Programs exit with status 2 on any of these.

use std::path::PathBuf;

use crate::suggest::did_you_mean;

/// What is wrong, where, and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A flag that does not exist, or was used wrongly.
    #[error("{0}")]
    Usage(String),

    /// An argument that is not an override.
    #[error("`{text}` is not an override: {expected}")]
    Malformed {
        /// The argument.
        text: String,
        /// The form that is expected.
        expected: String,
    },

    /// A key that does not exist.
    #[error("unknown key `{key}`{}{}", in_place(.place), or_help(.nearest))]
    UnknownKey {
        /// The key.
        key: String,
        /// The file it stands in; none for the command line.
        place: Option<String>,
        /// The nearest known ones.
        nearest: Vec<String>,
    },

    /// A group without the option asked for.
    #[error("group `{group}` has no option `{option}`; its options are {}", .options.join(", "))]
    UnknownOption {
        /// The group.
        group: String,
        /// The option.
        option: String,
        /// The options it has.
        options: Vec<String>,
    },

    /// A value of the wrong type.
    #[error("{key}={value}: expected {wanted}{hint}")]
    WrongType {
        /// The key.
        key: String,
        /// The value that was given.
        value: String,
        /// The type wanted.
        wanted: String,
        /// What else may help; empty or a clause that starts with a semicolon.
        hint: String,
    },

    /// A value of the right type outside of its range.
    #[error("{key}={value} is out of range: expected {range}")]
    OutOfRange {
        /// The key.
        key: String,
        /// The value that was given.
        value: String,
        /// The range.
        range: String,
    },

    /// Two keys that contradict one another, or a relation between keys that does not hold.
    #[error("{0}")]
    Relation(String),

    /// `+key=value` where nothing can be added.
    #[error("`+{key}` adds nothing: {reason}")]
    NotAdded {
        /// The key.
        key: String,
        /// Why not.
        reason: String,
    },

    /// `~key` on a key that must have a value.
    #[error("`~{key}` cannot be dropped: {reason}")]
    NotDropped {
        /// The key.
        key: String,
        /// Why not.
        reason: String,
    },

    /// `${…}` that cannot be resolved.
    #[error("{key}: {problem}")]
    Interpolation {
        /// The key whose value holds it.
        key: String,
        /// What is wrong.
        problem: String,
    },

    /// A key that no file sets.
    #[error(
        "no value for `{key}`: {file} and the groups it names do not set it; a group file can start from the defaults with `defaults: [default]`"
    )]
    Missing {
        /// The key.
        key: String,
        /// The program's own file.
        file: String,
    },

    /// A key without a value at the start, which nobody has set.
    #[error("no value for `{key}`: it must be given, as in {key}=VALUE")]
    NotGiven {
        /// The key.
        key: String,
    },

    /// A configuration file that does not read as one.
    #[error("{file}: {problem}")]
    File {
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },

    /// A configuration file or directory that cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },

    /// A value that does not fit its struct.
    #[error("the configuration does not fit: {0}")]
    Yaml(#[from] serde_yaml::Error),
}

impl ConfigError {
    /// A key that does not exist, with the known ones that look like it.
    pub(crate) fn unknown_key(key: &str, nearest: Vec<String>) -> Self {
        Self::UnknownKey { key: key.to_owned(), place: None, nearest }
    }
}

fn in_place(place: &Option<String>) -> String {
    place.as_ref().map_or_else(String::new, |file| format!(" in {file}"))
}

fn or_help(nearest: &[String]) -> String {
    match nearest {
        [] => "; --help lists the keys".to_owned(),
        _ => did_you_mean(nearest),
    }
}
