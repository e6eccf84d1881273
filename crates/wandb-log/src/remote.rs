//! A run on the server: it is created or gone on with, and the answer says where its lines go.

use std::time::Duration;

use reqwest::Url;
use serde_json::{Value, json};

use crate::api::{Api, Failure};
use crate::row::Row;
use crate::settings::{Resume, Settings};

const STATUS: &str = "\
query RunResumeStatus($project: String, $entity: String, $name: String!) {
  model(name: $project, entityName: $entity) {
    bucket(name: $name, missingOk: true) {
      id name displayName config summaryMetrics tags notes
      historyLineCount eventsLineCount logLineCount historyTail
    }
  }
}";

const UPSERT: &str = "\
mutation UpsertBucket($id: String, $name: String, $project: String, $entity: String, $displayName: String,
  $notes: String, $groupName: String, $jobType: String, $config: JSONString, $tags: [String!],
  $host: String, $program: String) {
  upsertBucket(input: {id: $id, name: $name, modelName: $project, entityName: $entity,
    displayName: $displayName, notes: $notes, groupName: $groupName, jobType: $jobType, config: $config,
    tags: $tags, host: $host, jobProgram: $program}) {
    bucket { id name displayName historyLineCount project { name entity { name } } }
    inserted
  }
}";

/// A run that the server knows.
#[derive(Clone, Debug, Default)]
pub struct Remote {
    /// Where its lines are posted
    pub path: String,
    /// Its page
    pub url: String,
    /// The name people see
    pub name: String,
    /// Lines that the server has of the history, of the machine's samples, of the console
    pub history: u64,
    pub events: u64,
    pub output: u64,
    /// The last line of the history
    pub tail: Option<Row>,
    pub summary: Row,
    /// It was there before
    pub resumed: bool,
}

/// Creates the run `id`, or goes on with it where `asks` is set and the server has it.
pub fn upsert(api: &Api, settings: &Settings, id: &str, asks: bool, timeout: Duration) -> Result<Remote, Failure> {
    let old = if asks { status(api, settings, id, timeout)? } else { Value::Null };
    match (settings.resume, old.is_null()) {
        (Resume::Must, true) => Err(Failure::Resume(format!("WANDB_RESUME=must, and the project has no run {id}"))),
        (Resume::Never, false) => Err(Failure::Resume(format!("WANDB_RESUME=never, and the run {id} exists"))),
        _ => Ok(()),
    }?;
    let or_old = |ours: &Option<String>, key: &str| ours.clone().map_or_else(|| old[key].clone(), Value::String);
    let program = std::env::args().next().unwrap_or_default();
    let variables = json!({
        "id": old["id"],
        "name": id,
        "project": settings.project,
        "entity": settings.entity,
        "displayName": or_old(&settings.name, "displayName"),
        "notes": or_old(&settings.notes, "notes"),
        "groupName": settings.group,
        "jobType": settings.job_type,
        "config": merged_config(&old["config"], &settings.config).to_string(),
        "tags": if settings.tags.is_empty() { old["tags"].clone() } else { json!(settings.tags) },
        "host": settings.host,
        "program": std::path::Path::new(&program).file_name().map(|name| name.to_string_lossy().into_owned()),
    });
    let mut answer = api.graphql("UpsertBucket", UPSERT, &variables, timeout)?;
    let bucket = answer["upsertBucket"]["bucket"].take();
    remote(settings, &old, &bucket)
        .ok_or_else(|| Failure::Final("the server's answer to UpsertBucket names no run".to_owned()))
}

/// What the server says of a run; null where it has none.
fn status(api: &Api, settings: &Settings, id: &str, timeout: Duration) -> Result<Value, Failure> {
    let variables = json!({"project": settings.project, "entity": settings.entity, "name": id});
    let mut answer = api.graphql("RunResumeStatus", STATUS, &variables, timeout)?;
    Ok(answer["model"]["bucket"].take())
}

fn remote(settings: &Settings, old: &Value, bucket: &Value) -> Option<Remote> {
    let (id, project) = (bucket["name"].as_str()?, bucket["project"]["name"].as_str()?);
    let entity = bucket["project"]["entity"]["name"].as_str()?;
    let count = |key: &str| old[key].as_u64().unwrap_or(0);
    Some(Remote {
        path: joined(&settings.base_url, &["files", entity, project, id, "file_stream"])?,
        url: joined(&settings.app_url, &[entity, project, "runs", id]).map(|p| settings.app_url.clone() + &p)?,
        name: bucket["displayName"].as_str().unwrap_or(id).to_owned(),
        history: count("historyLineCount").max(bucket["historyLineCount"].as_u64().unwrap_or(0)),
        events: count("eventsLineCount"),
        output: count("logLineCount"),
        tail: tail(&old["historyTail"]),
        summary: old["summaryMetrics"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default(),
        resumed: !old.is_null(),
    })
}

/// The parts, percent-encoded, as the path under an address.
fn joined(base: &str, parts: &[&str]) -> Option<String> {
    let base = Url::parse(base).ok()?;
    let mut url = base.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(parts);
    url.path().strip_prefix(base.path().trim_end_matches('/')).map(str::to_owned)
}

/// The last of the lines, a JSON list of JSON texts in a string.
fn tail(lines: &Value) -> Option<Row> {
    let lines: Vec<String> = serde_json::from_str(lines.as_str()?).ok()?;
    serde_json::from_str(lines.last()?).ok()
}

/// The server's form of a configuration, `{"name": {"value": tree}}`: the old one with ours over it.
fn merged_config(old: &Value, config: &Value) -> Value {
    let mut merged: Row = old.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    for (key, value) in config.as_object().into_iter().flatten() {
        merged.insert(key.clone(), json!({"value": value}));
    }
    // by this the official client knows a run that it may go on with
    if !merged.get("_wandb").is_some_and(|wandb| wandb["value"]["t"].is_object()) {
        merged.insert("_wandb".to_owned(), json!({"value": {"t": {}}}));
    }
    merged.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_address_are_encoded() {
        assert_eq!(joined("http://h/base", &["a b", "ü"]).unwrap(), "/a%20b/%C3%BC");
        assert_eq!(joined("https://api.wandb.ai", &["files", "e"]).unwrap(), "/files/e");
    }

    #[test]
    fn only_the_top_of_a_configuration_is_wrapped() {
        let old = json!(r#"{"a": {"value": 1}, "b": {"value": 2}}"#);
        let merged = merged_config(&old, &json!({"b": {"c.d": 3}}));
        let expected = json!({"a": {"value": 1}, "b": {"value": {"c.d": 3}}, "_wandb": {"value": {"t": {}}}});
        assert_eq!(merged, expected);
    }
}
