//! Hydra's own settings, `hydra.…`: where jobs write, and what references can ask of how they are run.

use std::path::PathBuf;

use chrono::{DateTime, Local};
use serde_yaml::Mapping;

use crate::error::ConfigError;
use crate::files::Group;
use crate::grammar::Element;
use crate::overrides::{Override, Verb};
use crate::python;
use crate::value::{Tree, Value};

/// How jobs are run.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// The texts that were set, and the name of the job.
    set: Tree,
    /// Whether `-m` was given.
    flag: bool,
    /// What `hydra.mode` was set to.
    mode: Option<bool>,
    /// Which job it is, from 0, of several.
    number: Option<usize>,
    /// The name of the program's own file.
    file: String,
    /// When the command line was read.
    pub now: DateTime<Local>,
}

/// The texts that can be set, and what Hydra starts them with; the program gives the name of a job.
const TEXTS: [(&str, &str); 4] = [
    ("hydra.run.dir", "outputs/${now:%Y-%m-%d}/${now:%H-%M-%S}"),
    ("hydra.sweep.dir", "multirun/${now:%Y-%m-%d}/${now:%H-%M-%S}"),
    ("hydra.sweep.subdir", "${hydra.job.num}"),
    ("hydra.job.name", ""),
];

/// The sections of these settings that may be set as a map.
const SECTIONS: [&str; 4] = ["hydra", "hydra.run", "hydra.sweep", "hydra.job"];

/// The options that Hydra starts with in groups of its own.
const GROUPS: [(&str, &str); 8] = [
    ("launcher", "basic"),
    ("sweeper", "basic"),
    ("output", "default"),
    ("help", "default"),
    ("hydra_help", "default"),
    ("hydra_logging", "default"),
    ("job_logging", "default"),
    ("env", "default"),
];

/// The release of Hydra whose rules these are.
const VERSION: &str = "1.3.2";

impl Launch {
    /// How a program runs jobs; `file` is its own file.
    pub fn new(name: &str, file: &str) -> Self {
        let set = Tree::from_iter([("hydra.job.name".to_owned(), Value::from(name))]);
        Self { set, flag: false, mode: None, number: None, file: file.to_owned(), now: Local::now() }
    }

    /// Whether several jobs are run: `-m` outweighs `hydra.mode`.
    pub fn multirun(&self) -> bool {
        self.flag || self.mode == Some(true)
    }

    /// That of a command line with or without `-m`.
    pub fn of_flag(self, multirun: bool) -> Self {
        Self { flag: multirun, ..self }
    }

    /// That of one job of several.
    pub fn of_job(&self, number: usize) -> Self {
        Self { number: Some(number), ..self.clone() }
    }

    /// Takes the settings that are Hydra's own from among the overrides.
    pub fn take(&mut self, overrides: Vec<Override>) -> Result<Vec<Override>, ConfigError> {
        let own =
            |item: &Override| item.key == "hydra" || item.key.starts_with("hydra.") || item.key.starts_with("hydra/");
        let (own, others): (Vec<_>, Vec<_>) = overrides.into_iter().partition(own);
        for item in own {
            for item in item.spread(|name| SECTIONS.contains(&name))? {
                self.typed(&item)?;
            }
        }
        Ok(others)
    }

    fn typed(&mut self, item: &Override) -> Result<(), ConfigError> {
        let refuse = |expected: String| Err(ConfigError::Malformed { text: item.to_string(), expected });
        let added = item.action == Verb::Add && !item.key.starts_with("hydra.job.env_set");
        match item.value().filter(|_| !item.drops() && !added && item.package.is_none()) {
            Some(value) => self.set(&item.key, value).or_else(refuse),
            None => refuse(ONE_TEXT.to_owned()),
        }
    }

    /// Sets one of Hydra's own settings. The error says what is wrong, as a clause.
    pub fn set(&mut self, key: &str, value: &Element) -> Result<(), String> {
        let text = value.python_str().unwrap_or_default();
        match key {
            _ if TEXTS.iter().any(|(name, _)| *name == key) => {
                let wanted = value.python_str().filter(|_| *value != Element::Null).ok_or(ONE_TEXT)?;
                self.set.insert(key.to_owned(), Value::from(wanted));
            }
            "hydra.mode" => self.mode = mode(value)?,
            "hydra.job.chdir" if *value == Element::Null || python::flag(&text) == Some(false) => {}
            "hydra.job.chdir" => {
                return Err(String::from(
                    "a program stays in the folder that it is started in; start it where it should be",
                ));
            }
            // No program writes such a folder, nor lines that Hydra's logging would shape.
            "hydra.output_subdir" | "hydra/job_logging" | "hydra/hydra_logging" => {}
            "hydra/launcher" | "hydra/sweeper" if text == "basic" => {}
            "hydra/launcher" | "hydra/sweeper" => {
                return Err(String::from("jobs run one after the other here; there is no other launcher or sweeper"));
            }
            "hydra.searchpath" => return Err(String::from("--config-dir DIR names a folder of configuration files")),
            _ if key.starts_with("hydra.job.env_set") => {
                return Err(String::from(
                    "write variables of the environment in front of the program, as in NAME=value PROGRAM",
                ));
            }
            _ => {
                return Err(String::from(
                    "of Hydra's own settings there are hydra.run.dir, hydra.sweep.dir, hydra.sweep.subdir, \
                     hydra.job.name and hydra.mode",
                ));
            }
        }
        Ok(())
    }

    /// What references can ask for, by its name from `hydra.` on: texts as they were set, or as Hydra starts them.
    pub fn tree(&self, choices: &[Group], overrides: &[Override]) -> Tree {
        let mut dirname: Vec<String> = overrides.iter().map(Override::to_string).collect();
        dirname.sort();
        let number = self.number.map_or(Value::Null, Value::from);
        let cwd = std::env::current_dir().map_or(Value::Null, |dir| dir.display().to_string().into());
        let mut tree: Tree = TEXTS.iter().map(|(name, text)| ((*name).to_owned(), Value::from(*text))).collect();
        tree.extend(self.set.clone());
        let facts = [
            ("mode", Value::from(format!("RunMode.{}", self.mode_name()))),
            ("output_subdir", ".hydra".into()),
            ("verbose", false.into()),
            ("job.num", number.clone()),
            ("job.id", number),
            ("job.config_name", self.file.as_str().into()),
            ("job.override_dirname", dirname.join(",").into()),
            ("job.chdir", Value::Null),
            ("runtime.version", VERSION.into()),
            ("runtime.cwd", cwd),
        ];
        tree.extend(facts.map(|(name, value)| (format!("hydra.{name}"), value)));
        let own = GROUPS.iter().map(|(group, option)| (format!("hydra/{group}"), Value::from(*option)));
        tree.extend(
            own.chain(options(choices)).map(|(group, option)| (format!("hydra.runtime.choices.{group}"), option)),
        );
        tree
    }

    /// The texts that every job needs, by name.
    pub fn texts() -> impl Iterator<Item = &'static str> {
        TEXTS.iter().map(|(name, _)| *name)
    }

    /// The settings whose texts make up the folder of a job.
    pub fn folder(&self) -> &'static [&'static str] {
        if self.multirun() { &["hydra.sweep.dir", "hydra.sweep.subdir"] } else { &["hydra.run.dir"] }
    }

    /// The folder that the job was told to write to; `tree` has the texts with their references replaced.
    pub fn dir(&self, tree: &Tree) -> Option<PathBuf> {
        let parts = self.folder();
        if !parts.iter().any(|name| self.set.contains_key(*name)) {
            return None;
        }
        let dir: PathBuf = parts.iter().filter_map(|name| tree.get(*name)?.as_str()).collect();
        // Nothing is the folder that the program is started in.
        Some(if dir.as_os_str().is_empty() { ".".into() } else { dir })
    }

    /// The settings as `--cfg hydra` shows them; `tree` has the texts with their references replaced.
    pub fn to_value(&self, choices: &[Group], tree: &Tree) -> Value {
        let map = |pairs: Vec<(&str, Value)>| -> Value {
            Value::Mapping(pairs.into_iter().map(|(key, value)| (Value::from(key), value)).collect())
        };
        let text = |name: &str| tree.get(name).cloned().unwrap_or_default();
        let choices: Mapping = options(choices).map(|(group, option)| (Value::from(group), option)).collect();
        map(vec![
            ("mode", Value::from(self.mode_name())),
            ("job", map(vec![("name", text("hydra.job.name")), ("chdir", false.into())])),
            ("run", map(vec![("dir", text("hydra.run.dir"))])),
            ("sweep", map(vec![("dir", text("hydra.sweep.dir")), ("subdir", text("hydra.sweep.subdir"))])),
            ("runtime", map(vec![("choices", choices.into())])),
        ])
    }

    fn mode_name(&self) -> &'static str {
        if self.multirun() { "MULTIRUN" } else { "RUN" }
    }
}

/// The option of each group as a value.
fn options(choices: &[Group]) -> impl Iterator<Item = (String, Value)> {
    choices.iter().map(|(group, option)| (group.clone(), option.as_deref().map_or(Value::Null, Value::from)))
}

const ONE_TEXT: &str = "this setting of Hydra's takes one text, as in hydra.run.dir=FOLDER";

/// What a value for `hydra.mode` stands for: whether several jobs are run.
fn mode(value: &Element) -> Result<Option<bool>, String> {
    let text = value.python_str().unwrap_or_default();
    match text.strip_prefix("RunMode.").unwrap_or(&text) {
        _ if *value == Element::Null => Ok(None),
        "RUN" => Ok(Some(false)),
        "MULTIRUN" => Ok(Some(true)),
        _ => Err("hydra.mode is RUN or MULTIRUN, in capitals".to_owned()),
    }
}
