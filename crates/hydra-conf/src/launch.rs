//! Hydra's own settings, `hydra.…`: where jobs write, and what references can ask of how they are run.

use std::path::PathBuf;

use chrono::{DateTime, Local};

use crate::error::ConfigError;
use crate::files::Group;
use crate::grammar::Element;
use crate::overrides::{Override, Verb};
use crate::value::Value;

/// How jobs are run.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// `hydra.job.name`.
    name: String,
    /// `hydra.run.dir`.
    run_dir: Option<String>,
    /// `hydra.sweep.dir`.
    sweep_dir: Option<String>,
    /// `hydra.sweep.subdir`.
    sweep_subdir: Option<String>,
    /// Whether `-m` or `hydra.mode=MULTIRUN` was given.
    pub multirun: bool,
    /// Which job it is, from 0, of several.
    number: Option<usize>,
    /// The groups and their options.
    choices: Vec<Group>,
    /// When the command line was read.
    pub now: DateTime<Local>,
}

/// Where a multirun goes if only the folders of its jobs are named, and those if only it is: as in Hydra.
const SWEEP: &str = "multirun/${now:%Y-%m-%d}/${now:%H-%M-%S}";
const JOB: &str = "${hydra:job.num}";

impl Launch {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            run_dir: None,
            sweep_dir: None,
            sweep_subdir: None,
            multirun: false,
            number: None,
            choices: Vec::new(),
            now: Local::now(),
        }
    }

    /// That of one job of several.
    pub fn of_job(&self, number: usize) -> Self {
        Self { number: Some(number), ..self.clone() }
    }

    /// That of a job with these options.
    pub fn with_choices(&self, choices: &[Group]) -> Self {
        Self { choices: choices.to_vec(), ..self.clone() }
    }

    /// Takes the settings that are Hydra's own from among the overrides.
    pub fn take(&mut self, overrides: Vec<Override>) -> Result<Vec<Override>, ConfigError> {
        let own =
            |item: &Override| item.key == "hydra" || item.key.starts_with("hydra.") || item.key.starts_with("hydra/");
        let (own, others): (Vec<_>, Vec<_>) = overrides.into_iter().partition(own);
        own.iter().try_for_each(|item| self.set(item))?;
        Ok(others)
    }

    fn set(&mut self, item: &Override) -> Result<(), ConfigError> {
        let refuse =
            |expected: &str| Err(ConfigError::Malformed { text: item.to_string(), expected: expected.to_owned() });
        let text = item.value().and_then(Element::python_str).filter(|text| !text.is_empty());
        let text =
            text.filter(|_| !matches!(item.action, Verb::Drop | Verb::DropIf | Verb::Add) && item.package.is_none());
        let Some(text) = text.filter(|_| item.value() != Some(&Element::Null)) else {
            return refuse("Hydra's own settings take one text, as in hydra.run.dir=FOLDER");
        };
        match (item.key.as_str(), text.as_str()) {
            ("hydra.run.dir", _) => self.run_dir = Some(text),
            ("hydra.sweep.dir", _) => self.sweep_dir = Some(text),
            ("hydra.sweep.subdir", _) => self.sweep_subdir = Some(text),
            ("hydra.job.name", _) => self.name = text,
            ("hydra.mode", "RUN") => self.multirun = false,
            ("hydra.mode", "MULTIRUN") => self.multirun = true,
            ("hydra.job.chdir", "False") | ("hydra/launcher" | "hydra/sweeper", "basic") => {}
            ("hydra.job.chdir", _) => {
                return refuse("a program stays in the folder that it is started in; start it where it should be");
            }
            ("hydra/launcher" | "hydra/sweeper", _) => {
                return refuse("jobs run one after the other here; there is no other launcher or sweeper");
            }
            ("hydra.searchpath", _) => return refuse("--config-dir DIR names a folder of configuration files"),
            _ => {
                return refuse(
                    "of Hydra's own settings there are hydra.run.dir, hydra.sweep.dir, hydra.sweep.subdir, \
                     hydra.job.name and hydra.mode",
                );
            }
        }
        Ok(())
    }

    /// The texts that may hold references, with their names.
    pub fn texts(&mut self) -> impl Iterator<Item = (&'static str, &mut String)> {
        if self.multirun && (self.sweep_dir.is_some() || self.sweep_subdir.is_some()) {
            self.sweep_dir.get_or_insert_with(|| SWEEP.to_owned());
            self.sweep_subdir.get_or_insert_with(|| JOB.to_owned());
        }
        let named = [
            ("hydra.run.dir", self.run_dir.as_mut()),
            ("hydra.sweep.dir", self.sweep_dir.as_mut()),
            ("hydra.sweep.subdir", self.sweep_subdir.as_mut()),
        ];
        named.into_iter().filter_map(|(name, text)| Some((name, text?)))
    }

    /// The folder that the job was told to write to.
    pub fn dir(&self) -> Option<PathBuf> {
        match self.multirun {
            true => Some(PathBuf::from(self.sweep_dir.as_ref()?).join(self.sweep_subdir.as_ref()?)),
            false => self.run_dir.as_ref().map(PathBuf::from),
        }
    }

    /// The settings as `--cfg hydra` shows them.
    pub fn to_value(&self) -> Value {
        let map = |pairs: Vec<(&str, Value)>| -> Value {
            Value::Mapping(pairs.into_iter().map(|(key, value)| (Value::from(key), value)).collect())
        };
        let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::from);
        let choices = self.choices.iter().map(|(group, option)| (group.as_str(), text(option))).collect();
        map(vec![
            ("mode", Value::from(self.mode())),
            ("job", map(vec![("name", self.name.clone().into()), ("chdir", false.into())])),
            ("run", map(vec![("dir", text(&self.run_dir))])),
            ("sweep", map(vec![("dir", text(&self.sweep_dir)), ("subdir", text(&self.sweep_subdir))])),
            ("runtime", map(vec![("choices", map(choices))])),
        ])
    }

    fn mode(&self) -> &'static str {
        if self.multirun { "MULTIRUN" } else { "RUN" }
    }

    /// What `${hydra:key}` stands for.
    pub fn known(&self, key: &str) -> Option<Element> {
        let text = |text: &Option<String>| text.clone().map_or(Element::Null, Element::Text);
        Some(match key {
            "job.name" => Element::Text(self.name.clone()),
            "job.num" => self.number.map_or(Element::Null, |number| Element::Int(number as i128)),
            "mode" => Element::Text(self.mode().to_owned()),
            "run.dir" => text(&self.run_dir),
            "sweep.dir" => text(&self.sweep_dir),
            "sweep.subdir" => text(&self.sweep_subdir),
            "runtime.cwd" => Element::Text(std::env::current_dir().ok()?.display().to_string()),
            _ => {
                let group = key.strip_prefix("runtime.choices.")?;
                text(&self.choices.iter().find(|(name, _)| name == group)?.1)
            }
        })
    }
}
