//! What the user set, and what the program adds to it.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde_json::Value;

use crate::error::Error;
use crate::key::{ApiKey, netrc_password};
use crate::sources::{Sources, wandb_dir, wrong};

const DEFAULT_BASE_URL: &str = "https://api.wandb.ai";

/// Whether a run is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is sent while the program goes on
    Online,
    /// It is kept in a directory for `wandb sync`
    Offline,
    /// Neither: nothing is written or sent
    Disabled,
}

/// What to do about a run of the same id that the server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Do not ask the server, unless the [`resume_file`](Settings::resume_file) names a run to go on with
    Unset,
    /// Go on if it is there
    Allow,
    /// It must be there
    Must,
    /// It must not be there
    Never,
    /// Go on with the last run of the directory that did not finish
    Auto,
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) enum Voice {
    Silent,
    /// Only what went wrong
    Quiet,
    /// The run's address as well
    Normal,
}

/// Waits and limits.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// Between posts
    pub post: Duration,
    /// Without a post, until an empty one says that the run lives
    pub heartbeat: Duration,
    /// Before the first retry; it doubles from there
    pub first_retry: Duration,
    pub longest_retry: Duration,
    /// Between samples of the machine
    pub system: Duration,
    /// For the run to be created, retries included
    pub init: Duration,
    /// For an answer to a GraphQL request
    pub http: Duration,
    /// At the end, for as long as the server takes nothing in
    pub finish: Duration,
}

/// What is known of a run before it begins. The user's part comes from the environment and the settings files; what the
/// program sets in the fields goes before that, as arguments of `wandb.init` do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether the run is sent (`WANDB_MODE`)
    pub mode: Mode,
    /// User or team (`WANDB_ENTITY`); without it the server chooses
    pub entity: Option<String>,
    /// Project (`WANDB_PROJECT`, else `uncategorized`)
    pub project: String,
    /// The name people see (`WANDB_NAME`); without it the server invents one
    pub name: Option<String>,
    /// The id (`WANDB_RUN_ID`); without it the run gone on with has one, or a new one is made
    pub run_id: Option<String>,
    /// What to do about a run of that id (`WANDB_RESUME`)
    pub resume: Resume,
    /// Tags (`WANDB_TAGS`, with commas between them)
    pub tags: Vec<String>,
    /// Notes (`WANDB_NOTES`)
    pub notes: Option<String>,
    /// Group (`WANDB_RUN_GROUP`)
    pub group: Option<String>,
    /// Job type (`WANDB_JOB_TYPE`)
    pub job_type: Option<String>,
    /// The configuration: a JSON object
    pub config: Value,
    /// The directory of runs (`WANDB_DIR` is its parent)
    pub dir: PathBuf,
    /// A file for the run's id and for how much of it the server has. A program that starts again with the same file
    /// goes on with the same run; without one, only [`run_id`](Self::run_id) and [`resume`](Self::resume) tell which.
    pub resume_file: Option<PathBuf>,
    /// The program that writes, as `name/version`: the server and the readers of the file are told
    pub client: String,
    pub(crate) host: String,
    /// The server, without a slash at the end
    pub(crate) base_url: String,
    /// The server's name for people and in a netrc file: its host, with the port where the address has one
    pub(crate) machine: String,
    /// The pages people look at
    pub(crate) app_url: String,
    /// The key, or why there is none
    pub(crate) key: Result<ApiKey, String>,
    pub(crate) voice: Voice,
    pub(crate) pace: Pace,
}

impl Settings {
    /// What the user set in the environment and the settings files.
    pub fn from_env() -> Result<Self, Error> {
        let vars = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self::from_vars(&vars.collect())
    }

    /// The same, in this environment.
    pub fn from_vars(vars: &HashMap<String, String>) -> Result<Self, Error> {
        let dir = wandb_dir(vars);
        let sources = Sources::read(vars, &dir)?;
        let base_url = sources.get("base_url").unwrap_or(DEFAULT_BASE_URL.to_owned());
        let base_url = base_url.trim_end_matches('/').to_owned();
        let url = Url::parse(&base_url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = url.ok_or_else(|| wrong("base_url", &base_url, "an address such as https://api.wandb.ai"))?;
        let host = url.host_str().unwrap_or_default();
        let machine = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
        let app_url = sources.get("app_url").unwrap_or_else(|| match base_url.as_str() {
            DEFAULT_BASE_URL => "https://wandb.ai".to_owned(),
            _ => base_url.replacen("://api.", "://app.", 1),
        });
        let tags = sources.var("WANDB_TAGS").map(|text| text.split(',').map(str::to_owned).collect());
        Ok(Self {
            mode: mode(&sources)?,
            entity: sources.get("entity"),
            project: sources.get("project").unwrap_or_else(|| "uncategorized".to_owned()),
            name: sources.var("WANDB_NAME"),
            run_id: vars.get("WANDB_RUN_ID").cloned(),
            resume: resume(&sources)?,
            tags: tags.unwrap_or_default(),
            notes: sources.var("WANDB_NOTES"),
            group: sources.var("WANDB_RUN_GROUP"),
            job_type: sources.var("WANDB_JOB_TYPE"),
            config: Value::Null,
            dir,
            resume_file: None,
            client: concat!("wandb-log/", env!("CARGO_PKG_VERSION")).to_owned(),
            host: sources.var("WANDB_HOST").or_else(sysinfo::System::host_name).unwrap_or_default(),
            key: find_key(&sources, &machine),
            base_url,
            machine,
            app_url: app_url.trim_end_matches('/').to_owned(),
            voice: match (sources.flag("silent")?, sources.flag("quiet")?) {
                (true, _) => Voice::Silent,
                (false, true) => Voice::Quiet,
                (false, false) => Voice::Normal,
            },
            pace: pace(&sources)?,
        })
    }

    /// Whether a run may have these names.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let long = |text: &str, most: usize| text.is_empty() || text.chars().count() > most;
        let project = &self.project;
        if self.mode != Mode::Disabled && (long(project, 128) || project.contains(['/', '\\', '#', '?', '%', ':'])) {
            return Err(wrong("project", project, "1 to 128 characters without / \\ # ? % :"));
        }
        let bad = |id: &&String| {
            id.is_empty() || id.trim() != *id || id.contains([':', ';', ',', '#', '?', '/', '\'', '\\', '\0'])
        };
        if let Some(id) = self.run_id.as_ref().filter(bad) {
            return Err(wrong("run_id", id, "an id without blanks around it and without : ; , # ? / ' \\"));
        }
        if self.tags.iter().any(|tag| long(tag, 64)) {
            return Err(wrong("tags", &self.tags.join(","), "tags of 1 to 64 characters with a comma between them"));
        }
        Ok(())
    }

    /// With [`Resume::Auto`]: names the last run that did not finish.
    pub(crate) fn auto_file(&self) -> Option<PathBuf> {
        (self.resume == Resume::Auto).then(|| self.dir.join("wandb-resume.json"))
    }
}

fn mode(sources: &Sources) -> Result<Mode, Error> {
    match sources.get("mode").as_deref() {
        None | Some("online" | "run") => Ok(Mode::Online),
        Some("offline" | "dryrun") => Ok(Mode::Offline),
        Some("disabled") => Ok(Mode::Disabled),
        Some(other) => Err(wrong("mode", other, "online, offline or disabled")),
    }
}

fn resume(sources: &Sources) -> Result<Resume, Error> {
    match sources.get("resume").as_deref() {
        None => Ok(Resume::Unset),
        Some("allow") => Ok(Resume::Allow),
        Some("must") => Ok(Resume::Must),
        Some("never") => Ok(Resume::Never),
        Some("auto") => Ok(Resume::Auto),
        Some(other) => Err(wrong("resume", other, "allow, must, never or auto")),
    }
}

fn pace(sources: &Sources) -> Result<Pace, Error> {
    let post = sources.seconds("_file_stream_transmit_interval", 15.0)?;
    Ok(Pace {
        post,
        heartbeat: 2 * post,
        first_retry: sources.seconds("_file_stream_retry_wait_min_seconds", 2.0)?,
        longest_retry: sources.seconds("_file_stream_retry_wait_max_seconds", 60.0)?,
        system: sources.seconds("_stats_sampling_interval", 15.0)?.max(Duration::from_millis(100)),
        init: sources.seconds("init_timeout", 90.0)?,
        http: sources.seconds("http_timeout", 30.0)?,
        finish: sources.seconds("finish_timeout", 30.0)?,
    })
}

/// Environment, netrc, settings files, in this order.
fn find_key(sources: &Sources, machine: &str) -> Result<ApiKey, String> {
    let in_netrc = || netrc_password(&fs::read_to_string(sources.netrc()?).ok()?, machine);
    match sources.var("WANDB_API_KEY").or_else(in_netrc).or_else(|| sources.get("api_key")) {
        Some(key) => ApiKey::new(&key),
        None => Err(format!("no API key for {machine}: set WANDB_API_KEY or run `wandb login`")),
    }
}
