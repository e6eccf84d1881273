//! The command line of every program: a few flags, then overrides.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValuesRef;
use clap::{ArgMatches, Command};

use crate::completion::{self, Request};
use crate::compose::{Job, compose};
use crate::error::ConfigError;
use crate::files::Files;
use crate::launch::Launch;
use crate::overrides::Override;
use crate::root::Root;
use crate::schema::Schema;
use crate::value::{Value, to_yaml};
use crate::{flags, help, info, interpolate};

/// What a program tells about itself.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// Flags of its own: name without dashes, and a line of help.
    pub flags: &'static [(&'static str, &'static str)],
}

/// Which of the program's own flags were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags(BTreeSet<&'static str>);

impl Flags {
    /// Whether a flag was given, by its name without dashes.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Action<T> {
    /// Print this and stop: `--help`, `--version` or `--cfg`.
    Print(String),
    /// Run these jobs, one after the other.
    Run {
        /// The jobs; one without `-m`.
        jobs: Vec<Job<T>>,
        /// Whether `-m` was given, so that each job gets a directory of its own.
        multirun: bool,
        /// The program's own flags.
        flags: Flags,
    },
}

/// Reads a command line without the program's name.
pub fn parse<T: Root>(
    program: &Program,
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<Action<T>, ConfigError> {
    let mut command = flags::command(program);
    let args = flags::normal(args.into_iter().map(Into::into))?;
    let matches = command.try_get_matches_from_mut(args).map_err(|error| usage(&error))?;
    flags::refuse(&matches)?;
    if matches.get_flag("version") {
        return Ok(Action::Print(format!("{} {}\n", program.name, T::PACKAGE.version)));
    }
    let known = T::schema();
    let text = |flag: &str| matches.get_one::<String>(flag).map(String::as_str);
    let dir = matches.get_one::<PathBuf>("config-dir").cloned();
    let own = text("config-name").map_or(T::FILE, |name| name.strip_suffix(".yaml").unwrap_or(name));
    let files = Files::new(dir, T::PACKAGE.files, own, &known)?;
    if own != T::FILE && !files.has_own() {
        let problem = format!("--config-name {own} names no file; --config-dir DIR says where {own}.yaml is");
        return Err(ConfigError::Usage(problem));
    }
    let mut launch = Launch::new(program.name, own).of_flag(matches.get_flag("multirun"));
    if matches.get_flag("hydra-help") {
        return Ok(Action::Print(help::grammar(program.name)));
    }
    if matches.get_flag("shell-completion") {
        return completed::<T>(program, &command, &files, matches.get_many("overrides")).map(Action::Print);
    }
    let root = files.root()?;
    for (name, value) in root.settings() {
        let set = launch.set(&name, &interpolate::element(&value));
        set.map_err(|problem| ConfigError::in_file(&root.label, format!("{name}: {problem}")))?;
    }
    let overrides = overrides(&matches, &known).and_then(|overrides| launch.take(overrides));
    if matches.get_flag("help") {
        return help::page::<T>(command, &files, &overrides.unwrap_or_default(), &launch).map(Action::Print);
    }
    let overrides = overrides?;
    if let Some(topic) = text("info") {
        let composed = compose::<T>(&files, &overrides, &launch)?;
        let job = to_yaml(&composed.job::<T>(&known, &overrides)?.config);
        return Ok(Action::Print(info::page(topic, &files, &composed, &job)));
    }
    let runs = runs(&files, overrides, &launch)?;
    let jobs = runs.iter().map(|(run, launch)| {
        let composed = compose::<T>(&files, run, launch)?;
        Ok((composed.job(&known, run)?, composed.hydra))
    });
    let jobs = jobs.collect::<Result<Vec<(Job<T>, Value)>, ConfigError>>()?;
    if let Some(part) = text("cfg") {
        let documents = jobs.into_iter().enumerate().map(|(number, (job, hydra))| {
            let text = info::configuration(part, text("package"), hydra, serde_yaml::to_value(&job.config)?)?;
            let head = format!("# job {number}: {}\n", job.overrides.join(" "));
            Ok(if launch.multirun() { head + &text } else { text })
        });
        return documents.collect::<Result<Vec<_>, ConfigError>>().map(|all| Action::Print(all.join("---\n")));
    }
    let given = program.flags.iter().map(|(name, _)| *name);
    let flags = Flags(given.filter(|name| matches.get_flag(name)).collect());
    let jobs = jobs.into_iter().map(|(job, _)| job).collect();
    Ok(Action::Run { jobs, multirun: launch.multirun(), flags })
}

/// What `--shell-completion` prints.
fn completed<T: Root>(
    program: &Program,
    command: &Command,
    files: &Files,
    words: Option<ValuesRef<String>>,
) -> Result<String, ConfigError> {
    let mut words = words.unwrap_or_default();
    let request = Request::parse(words.next().map(String::as_str))?;
    if request != Request::Query {
        return Ok(completion::script(program.name, request));
    }
    // Hydra's own scripts give the line in the environment.
    let line = words.next().cloned().or_else(|| std::env::var("COMP_LINE").ok()).unwrap_or_default();
    // What stands before the word may choose a group's option, or be wrong as yet.
    let before = line.rsplit_once([' ', '\t']).map_or("", |(before, _)| before);
    let typed: Vec<Override> = before.split_whitespace().filter_map(|arg| Override::parse(arg).ok()).collect();
    let launch = Launch::new(program.name, T::FILE);
    let composed = compose::<T>(files, &typed, &launch).or_else(|_| compose::<T>(files, &[], &launch))?;
    Ok(completion::words(&line, command, files, &composed.tree, &composed.groups))
}

fn overrides(matches: &ArgMatches, known: &Schema) -> Result<Vec<Override>, ConfigError> {
    let typed = matches.get_many::<String>("overrides");
    let holds_text =
        |name: &str| known.key(name).is_some_and(|key| key.kind.is_textual()) || name.starts_with("hydra.");
    typed.unwrap_or_default().map(|arg| Override::read(arg, holds_text)).collect()
}

/// A mistake in the flags. nanoGPT's `--key=value` gets a hint.
fn usage(error: &clap::Error) -> ConfigError {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let dashed = error
        .get(clap::error::ContextKind::InvalidArg)
        .filter(|_| error.kind() == clap::error::ErrorKind::UnknownArgument)
        .map(ToString::to_string);
    ConfigError::Usage(match dashed {
        Some(arg) => {
            format!("unknown flag `{arg}`; settings are written without dashes, as in key=value (--help lists both)")
        }
        None => text.lines().next().unwrap_or_default().to_owned(),
    })
}

/// What each job is made of: one, or with `-m` every combination of the values that are swept over.
fn runs(files: &Files, overrides: Vec<Override>, launch: &Launch) -> Result<Vec<(Vec<Override>, Launch)>, ConfigError> {
    if !launch.multirun() {
        return Ok(vec![(overrides, launch.clone())]);
    }
    let runs = product(files, &overrides)?;
    Ok(runs.into_iter().enumerate().map(|(number, run)| (run, launch.of_job(number))).collect())
}

/// Every combination of the values; the last override changes fastest.
fn product(files: &Files, overrides: &[Override]) -> Result<Vec<Vec<Override>>, ConfigError> {
    const MOST: usize = 1_000;
    let mut kept: Vec<&Override> = Vec::new();
    for item in overrides {
        // A later override of the same key takes the place of this one; sweeping both would only repeat jobs.
        match kept.iter_mut().find(|other| other.same_key(item)) {
            Some(place) => *place = item,
            None => kept.push(item),
        }
    }
    let mut runs = vec![Vec::new()];
    for item in kept {
        let values = item.sweep(&files.options(&item.key))?;
        if runs.len() * values.len() > MOST {
            return Err(ConfigError::Usage(format!("-m would make more than {MOST} runs; sweep fewer values at once")));
        }
        runs = runs
            .iter()
            .flat_map(|run| values.iter().map(|value| [run.as_slice(), std::slice::from_ref(value)].concat()))
            .collect();
    }
    Ok(runs)
}
