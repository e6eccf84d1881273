//! `--info` and `--cfg hydra`: where the configuration comes from, and what Hydra's own settings are.

use serde_yaml::{Mapping, Value};

use crate::compose::Composed;
use crate::error::ConfigError;
use crate::files::Files;
use crate::interpolate;
use crate::value::to_yaml;

/// What can follow `--info`.
pub(crate) const TOPICS: [&str; 6] = ["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"];

/// The page on a topic; `job` is the configuration as YAML.
pub(crate) fn page(topic: &str, files: &Files, composed: &Composed, job: &str) -> String {
    let wants = |own: &str| topic == own || topic == "all" || topic == "config" && own != "plugins";
    let mut sections = Vec::new();
    if wants("plugins") {
        sections.push("Plugins:\n  none; jobs run one after the other\n".to_owned());
    }
    if wants("searchpath") {
        sections.push(format!("Search path, the first wins:\n{}", lines(&files.places())));
    }
    if wants("defaults-tree") {
        let tree = composed.opened.iter().map(|(depth, name)| format!("{}{name}", "  ".repeat(*depth)));
        sections.push(format!("Defaults tree:\n{}", lines(&tree.collect::<Vec<_>>())));
    }
    if wants("defaults") {
        let list = composed.laid.iter().map(|(label, section)| match section.as_str() {
            "" => label.clone(),
            section => format!("{label}, below {section}"),
        });
        sections.push(format!("Defaults list, the last wins:\n{}", lines(&list.collect::<Vec<_>>())));
    }
    if wants("config") {
        sections.push(format!("Configuration:\n{}", lines(&job.lines().map(str::to_owned).collect::<Vec<_>>())));
    }
    sections.join("\n")
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

/// What `--cfg` prints of a job: its own configuration, Hydra's, or all; below a package where one is named.
pub(crate) fn configuration(
    part: &str,
    package: Option<&str>,
    hydra: Value,
    job: Value,
) -> Result<String, ConfigError> {
    let hydra = Mapping::from_iter([(Value::from("hydra"), hydra)]);
    let tree = match part {
        "job" => job,
        "hydra" => Value::Mapping(hydra),
        _ => Value::Mapping(hydra.into_iter().chain(job.as_mapping().cloned().unwrap_or_default()).collect()),
    };
    let Some(package) = package.filter(|package| *package != "_global_") else { return Ok(to_yaml(&tree)) };
    let below = package.split('.').try_fold(&tree, |tree, part| tree.get(part));
    match below {
        Some(value) if !value.is_mapping() && !value.is_sequence() => {
            Ok(format!("{}\n", interpolate::shown(&interpolate::element(value))))
        }
        Some(below) => Ok(format!("# @package {package}\n{}", to_yaml(below))),
        None => Err(ConfigError::Usage(format!("--package {package} names no section of the configuration"))),
    }
}
