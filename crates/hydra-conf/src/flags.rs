//! The flags of every program: Hydra's, and those of the program itself.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::cli::Program;
use crate::error::ConfigError;
use crate::info::TOPICS;

/// What can follow `--cfg`.
const PARTS: [&str; 3] = ["job", "hydra", "all"];

/// Hydra's short flags of two letters.
const SHORT: [(&str, &str); 4] =
    [("-sc", "--shell-completion"), ("-cp", "--config-path"), ("-cn", "--config-name"), ("-cd", "--config-dir")];

pub(crate) fn command(program: &Program) -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let value =
        |name: &'static str, of: &'static str, help: &'static str| Arg::new(name).long(name).value_name(of).help(help);
    // `--cfg` alone is `--cfg job`: the word after it counts only if it is no override (see `normal`).
    let chosen = |name: &'static str, words: &'static [&'static str], help: &'static str| {
        value(name, "PART", help).num_args(0..=1).require_equals(true).default_missing_value(words[0])
    };
    Command::new(program.name)
        .about(program.about)
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .infer_long_args(true)
        .arg(flag("help", "Print this page").short('h'))
        .arg(flag("hydra-help", "Print what can be written in overrides"))
        .arg(flag("version", "Print the version").short('V'))
        .arg(chosen("cfg", &PARTS, "Print the composed configuration and stop: job, hydra or all").short('c'))
        .arg(value("package", "SECTION", "Print only this section of it").short('p'))
        .arg(flag("resolve", "Accepted for Hydra's sake: references are always replaced").hide(true))
        .arg(chosen("info", &TOPICS, "Print where the configuration comes from").short('i'))
        .arg(flag("run", "Accepted for Hydra's sake: run one job").short('r').hide(true).conflicts_with("multirun"))
        .arg(flag("multirun", "Run every combination of comma-separated values").short('m'))
        .arg(
            value("config-dir", "DIR", "Folder of YAML files that win over the shipped ones and add to them")
                .value_parser(clap::value_parser!(PathBuf)),
        )
        .arg(value("config-name", "NAME", "File to start from instead of the program's own"))
        .arg(value("config-path", "DIR", "").hide(true))
        .arg(value("experimental-rerun", "FILE", "").hide(true))
        .arg(flag("shell-completion", "Print a script that completes words: install=bash, zsh or fish"))
        .args(program.flags.iter().map(|(name, help)| flag(name, help)))
        .arg(Arg::new("overrides").value_name("OVERRIDE").num_args(0..).hide(true))
}

/// The arguments as clap reads them: Hydra's short flags in full, and `--cfg job` as `--cfg=job`.
pub(crate) fn normal(args: impl Iterator<Item = OsString>) -> Result<Vec<OsString>, ConfigError> {
    let mut normal: Vec<OsString> = Vec::new();
    let mut word_follows = false;
    let mut is_path = false;
    let mut plain = false;
    for arg in args {
        let Some(text) = arg.to_str() else {
            // A folder may have any name; the rest is text.
            let named = arg.to_string_lossy();
            if is_path || named.starts_with("--config-dir=") {
                normal.push(arg);
                continue;
            }
            return Err(ConfigError::Usage(format!("`{named}` holds bytes that are no text (it must be UTF-8)")));
        };
        plain |= text == "--";
        if plain {
            normal.push(arg); // what stands after `--` is no flag
            continue;
        }
        let is_word = word_follows && !text.contains('=') && !text.starts_with(['-', '~']);
        if let (true, Some(last)) = (is_word, normal.last_mut()) {
            last.push(format!("={text}"));
            word_follows = false;
            continue;
        }
        let long = SHORT.iter().find_map(|(short, long)| {
            let rest = text.strip_prefix(short)?;
            (rest.is_empty() || rest.starts_with('=')).then(|| format!("{long}{rest}"))
        });
        let glued = [("-c", "--cfg="), ("-i", "--info=")].iter().find_map(|(short, long)| {
            let rest = text.strip_prefix(short).filter(|rest| !rest.is_empty())?;
            Some(format!("{long}{}", rest.strip_prefix('=').unwrap_or(rest)))
        });
        let text = long.or(glued).unwrap_or_else(|| text.to_owned());
        word_follows = matches!(text.as_str(), "-c" | "--cf" | "--cfg" | "-i" | "--i" | "--in" | "--inf" | "--info");
        is_path = text == "--config-dir";
        normal.push(text.into());
    }
    Ok(normal)
}

/// Refuses what Hydra can and a compiled program cannot, and flags that do not go together.
pub(crate) fn refuse(matches: &ArgMatches) -> Result<(), ConfigError> {
    let given =
        |flag: &str| matches.value_source(flag).is_some_and(|source| source == clap::parser::ValueSource::CommandLine);
    let cases = [
        (
            given("config-path"),
            "--config-path is not there: the files are inside the program; --config-dir DIR adds to them",
        ),
        (given("experimental-rerun"), "--experimental-rerun is not there: type the overrides of that run again"),
        (given("cfg") && given("info"), "--cfg and --info print different things; give one"),
        (given("info") && given("multirun"), "--info tells about one job; leave -m out"),
        (given("resolve") && !given("cfg") && !given("help"), "--resolve goes with --cfg"),
    ];
    if let Some((_, problem)) = cases.into_iter().find(|(wrong, _)| *wrong) {
        return Err(ConfigError::Usage(problem.to_owned()));
    }
    for (flag, words) in [("cfg", &PARTS[..]), ("info", &TOPICS)] {
        if let Some(word) = matches.get_one::<String>(flag).filter(|word| !words.contains(&word.as_str())) {
            return Err(ConfigError::Usage(format!("--{flag} {word}: expected one of {}", words.join(", "))));
        }
    }
    Ok(())
}
