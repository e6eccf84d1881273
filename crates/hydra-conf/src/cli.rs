//! The command line of every program: a few flags, then overrides.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::compose::{Job, job};
use crate::error::ConfigError;
use crate::files::Files;
use crate::help;
use crate::launch::Launch;
use crate::overrides::Override;
use crate::root::Root;
use crate::value::to_yaml;

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
    let mut command = command(program);
    let matches = command.try_get_matches_from_mut(args).map_err(|error| usage(&error))?;
    if matches.get_flag("version") {
        return Ok(Action::Print(format!("{} {}\n", program.name, T::PACKAGE.version)));
    }
    let known = T::schema();
    let dir = matches.get_one::<PathBuf>("config-dir").cloned();
    let files = Files::new(dir, T::PACKAGE.files, T::FILE, &known)?;
    let mut launch = Launch::new(program.name);
    launch.multirun = matches.get_flag("multirun");
    let overrides = overrides(&matches).and_then(|overrides| launch.take(overrides));
    if matches.get_flag("help") {
        return help::page::<T>(command, &files, &overrides.unwrap_or_default(), &launch).map(Action::Print);
    }
    let jobs = jobs(&files, overrides?, &launch)?;
    let multirun = launch.multirun;
    if matches.get_flag("cfg") {
        return Ok(Action::Print(configurations(&jobs, multirun)));
    }
    let given = program.flags.iter().map(|(name, _)| *name);
    Ok(Action::Run { jobs, multirun, flags: Flags(given.filter(|name| matches.get_flag(name)).collect()) })
}

fn command(program: &Program) -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new(program.name)
        .about(program.about)
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(flag("help", "Print this page").short('h'))
        .arg(flag("version", "Print the version").short('V'))
        .arg(flag("cfg", "Print the composed configuration and stop"))
        .arg(flag("multirun", "Run every combination of comma-separated values").short('m'))
        .arg(
            Arg::new("config-dir")
                .long("config-dir")
                .value_name("DIR")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Folder of YAML files that win over the shipped ones and add to them"),
        )
        .args(program.flags.iter().map(|(name, help)| flag(name, help)))
        .arg(Arg::new("overrides").value_name("OVERRIDE").num_args(0..).hide(true))
}

fn overrides(matches: &ArgMatches) -> Result<Vec<Override>, ConfigError> {
    let typed = matches.get_many::<String>("overrides");
    typed.unwrap_or_default().map(|arg| Override::parse(arg)).collect()
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

/// The jobs of a command line: one, or with `-m` every combination of the values that are swept over.
fn jobs<T: Root>(files: &Files, overrides: Vec<Override>, launch: &Launch) -> Result<Vec<Job<T>>, ConfigError> {
    if !launch.multirun {
        return Ok(vec![job(files, &overrides, launch)?]);
    }
    let runs = product(files, &overrides)?;
    let one = |(number, run): (usize, &Vec<Override>)| job(files, run, &launch.of_job(number));
    runs.iter().enumerate().map(one).collect()
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

/// What `--cfg` prints: one YAML document a job.
fn configurations<T: Root>(jobs: &[Job<T>], multirun: bool) -> String {
    let documents: Vec<String> = jobs
        .iter()
        .enumerate()
        .map(|(number, job)| match multirun {
            true => format!("# job {number}: {}\n{}", job.overrides.join(" "), to_yaml(&job.config)),
            false => to_yaml(&job.config),
        })
        .collect();
    documents.join("---\n")
}
