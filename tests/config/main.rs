//! Configuration as users meet it: files, groups, overrides, errors and help.

// clippy.toml excuses the tests themselves, not their helpers.
#![allow(clippy::unwrap_used)]

mod errors;
mod flags;
mod hydra;
#[path = "../common/python.rs"]
mod python;
mod relations;
mod shipped;
mod values;

use nanoebm::config::{self, Action, Config, ConfigError, Job, Program, Root, SampleConfig};
use serde_yaml::Value;

const PROGRAM: Program = Program { name: "program", about: "A program.", flags: &[("quiet", "Print errors only")] };

fn parse<T: Root>(args: &[&str]) -> Result<Action<T>, ConfigError> {
    config::parse(&PROGRAM, args.iter().map(|arg| (*arg).to_owned()))
}

fn jobs<T: Root>(args: &[&str]) -> Vec<Job<T>> {
    match parse(args) {
        Ok(Action::Run { jobs, .. }) => jobs,
        Ok(Action::Print(text)) => panic!("{args:?} printed {text}"),
        Err(error) => panic!("{args:?}: {error}"),
    }
}

fn job<T: Root>(args: &[&str]) -> Job<T> {
    let mut jobs = jobs(args);
    assert_eq!(jobs.len(), 1);
    jobs.remove(0)
}

fn train(args: &[&str]) -> Config {
    job(args).config
}

fn sample(args: &[&str]) -> SampleConfig {
    job(args).config
}

fn printed<T: Root>(args: &[&str]) -> String {
    match parse::<T>(args) {
        Ok(Action::Print(text)) => text,
        Ok(Action::Run { .. }) => panic!("{args:?} printed nothing"),
        Err(error) => panic!("{args:?}: {error}"),
    }
}

fn error_of<T: Root>(args: &[&str]) -> String {
    match parse::<T>(args) {
        Ok(_) => panic!("{args:?} was accepted"),
        Err(error) => error.to_string(),
    }
}

/// Asserts that each command line of `train` fails with a message that holds each of the parts.
fn refused(cases: &[(&[&str], &[&str])]) {
    for (args, parts) in cases {
        let message = error_of::<Config>(args);
        for part in *parts {
            assert!(message.contains(part), "{args:?}: {message:?} lacks {part:?}");
        }
    }
}

/// The dotted keys of a configuration and their values.
fn leaves(tree: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (key, value) in tree.as_mapping().unwrap() {
        let key = key.as_str().unwrap();
        match value.as_mapping() {
            Some(_) => found.extend(leaves(value).into_iter().map(|(leaf, value)| (format!("{key}.{leaf}"), value))),
            None => found.push((key.to_owned(), value.clone())),
        }
    }
    found
}

fn leaves_of(config: &impl serde::Serialize) -> Vec<(String, Value)> {
    leaves(&serde_yaml::to_value(config).unwrap())
}
