//! What the user set: environment over local over global settings file, as in the official client.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;

use super::secret::{ApiKey, netrc_password, netrc_path};
use super::{RunInfo, WandbError};

/// Environment variables.
pub type Vars = HashMap<String, String>;

const DEFAULT_BASE_URL: &str = "https://api.wandb.ai";

/// Whether a run is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Sent while it trains
    Online,
    /// Kept in a directory for `wandb sync`
    Offline,
    /// Neither
    Disabled,
}

/// What to do about a run of the same id that the server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Do not ask; a resumed training goes on with its run
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
pub enum Voice {
    /// Nothing
    Silent,
    /// Only what went wrong
    Quiet,
    /// The run's address as well
    Normal,
}

/// Waits and limits.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Between posts
    pub post: Duration,
    /// Without a post, until an empty one says that the run lives
    pub heartbeat: Duration,
    /// Before the first retry; it doubles from there
    pub first_retry: Duration,
    /// Before any retry
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

/// Everything that was set, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether it is sent
    pub mode: Mode,
    /// The server, without a slash at the end
    pub base_url: String,
    /// The pages people look at
    pub app_url: String,
    /// The key, or why there is none
    pub key: Result<ApiKey, String>,
    /// User or team
    pub entity: Option<String>,
    /// Project
    pub project: String,
    /// The name people see
    pub name: Option<String>,
    /// The id, where it is given
    pub run_id: Option<String>,
    /// What to do about a run of that id
    pub resume: Resume,
    /// Tags
    pub tags: Vec<String>,
    /// Notes
    pub notes: Option<String>,
    /// Group
    pub group: Option<String>,
    /// Job type
    pub job_type: Option<String>,
    /// Machine
    pub host: String,
    /// The `wandb` directory
    pub dir: PathBuf,
    /// How much is said
    pub voice: Voice,
    /// Waits and limits
    pub pace: Pace,
}

/// Where a setting is looked for.
struct Sources<'a> {
    vars: &'a Vars,
    /// Local, then global
    files: Vec<HashMap<String, String>>,
}

impl Sources<'_> {
    /// A setting by its name in the files: `base_url` there is `WANDB_BASE_URL` here. What is empty is not set.
    fn get(&self, name: &str) -> Option<String> {
        let var = self.vars.get(&format!("WANDB_{}", name.to_uppercase())).filter(|value| !value.is_empty());
        var.or_else(|| self.files.iter().find_map(|file| file.get(name))).cloned()
    }

    /// A setting that only the environment has.
    fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).filter(|value| !value.is_empty()).cloned()
    }

    fn flag(&self, name: &str) -> Result<bool, WandbError> {
        match self.get(name).unwrap_or_default().to_lowercase().as_str() {
            "" | "0" | "false" => Ok(false),
            "1" | "true" => Ok(true),
            other => Err(wrong(&name.to_uppercase(), other, "true or false")),
        }
    }

    fn seconds(&self, name: &str, default: f64) -> Result<Duration, WandbError> {
        let Some(text) = self.get(name) else { return Ok(Duration::from_secs_f64(default)) };
        let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        // a wait that no clock can hold is as good as a year
        let seconds = seconds.map(|seconds| seconds.min(Duration::from_secs(365 * 86400)));
        seconds.ok_or_else(|| wrong(&name.to_uppercase(), &text, "a number of seconds"))
    }
}

/// The error of a setting.
fn wrong(name: &str, value: &str, expected: &str) -> WandbError {
    let name = if name.starts_with("WANDB") { name.to_owned() } else { format!("WANDB_{name}") };
    WandbError::Setting { name, value: value.to_owned(), expected: expected.to_owned() }
}

impl Settings {
    /// Reads and checks what is set. What the caller says of the run goes before the environment.
    pub fn read(run: &RunInfo, vars: &Vars) -> Result<Self, WandbError> {
        let dir = wandb_dir(vars);
        let files = [Some(dir.join("settings")), global_file(vars)];
        let files = files.into_iter().flatten().map(|path| settings_file(&path)).collect::<Result<_, _>>()?;
        let sources = Sources { vars, files };
        let base_url = sources.get("base_url").unwrap_or(DEFAULT_BASE_URL.to_owned());
        let base_url = base_url.trim_end_matches('/').to_owned();
        let url = Url::parse(&base_url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = url.ok_or_else(|| wrong("BASE_URL", &base_url, "an address such as https://api.wandb.ai"))?;
        let app_url = sources.get("app_url").unwrap_or_else(|| app_url(&base_url));
        let mode = mode(&sources)?;
        if mode != Mode::Disabled {
            check_project(run.project)?;
        }
        let voice = match (sources.flag("silent")?, sources.flag("quiet")?) {
            (true, _) => Voice::Silent,
            (false, true) => Voice::Quiet,
            (false, false) => Voice::Normal,
        };
        let host = sources.var("WANDB_HOST").or_else(sysinfo::System::host_name).unwrap_or_default();
        Ok(Self {
            mode,
            key: find_key(&sources, &url),
            base_url,
            app_url: app_url.trim_end_matches('/').to_owned(),
            entity: sources.get("entity"),
            project: run.project.to_owned(),
            name: run.name.map(str::to_owned).or_else(|| sources.var("WANDB_NAME")),
            run_id: run_id(vars)?,
            resume: resume(&sources)?,
            tags: tags(&sources)?,
            notes: sources.var("WANDB_NOTES"),
            group: sources.var("WANDB_RUN_GROUP"),
            job_type: sources.var("WANDB_JOB_TYPE"),
            host,
            dir,
            voice,
            pace: pace(&sources)?,
        })
    }

    /// The server's name for people.
    pub fn host_of_base(&self) -> String {
        Url::parse(&self.base_url).map_or_else(|_| self.base_url.clone(), |url| machine(&url))
    }
}

fn mode(sources: &Sources) -> Result<Mode, WandbError> {
    match sources.get("mode").as_deref() {
        None | Some("online" | "run") => Ok(Mode::Online),
        Some("offline" | "dryrun") => Ok(Mode::Offline),
        Some("disabled") => Ok(Mode::Disabled),
        Some(other) => Err(wrong("MODE", other, "online, offline or disabled")),
    }
}

fn resume(sources: &Sources) -> Result<Resume, WandbError> {
    match sources.get("resume").as_deref() {
        None => Ok(Resume::Unset),
        Some("allow") => Ok(Resume::Allow),
        Some("must") => Ok(Resume::Must),
        Some("never") => Ok(Resume::Never),
        Some("auto") => Ok(Resume::Auto),
        Some(other) => Err(wrong("RESUME", other, "allow, must, never or auto")),
    }
}

fn check_project(project: &str) -> Result<(), WandbError> {
    let bad = project.is_empty() || project.chars().count() > 128 || project.contains(['/', '\\', '#', '?', '%', ':']);
    if bad {
        return Err(WandbError::Setting {
            name: "wandb_project".to_owned(),
            value: project.to_owned(),
            expected: "1 to 128 characters without / \\ # ? % :".to_owned(),
        });
    }
    Ok(())
}

fn run_id(vars: &Vars) -> Result<Option<String>, WandbError> {
    let Some(id) = vars.get("WANDB_RUN_ID") else { return Ok(None) };
    if id.is_empty() || id.trim() != id || id.contains([':', ';', ',', '#', '?', '/', '\'', '\\', '\0']) {
        return Err(wrong("RUN_ID", id, "an id without blanks around it and without : ; , # ? / ' \\"));
    }
    Ok(Some(id.clone()))
}

fn tags(sources: &Sources) -> Result<Vec<String>, WandbError> {
    let Some(text) = sources.var("WANDB_TAGS") else { return Ok(Vec::new()) };
    let tags: Vec<String> = text.split(',').map(str::to_owned).collect();
    if tags.iter().any(|tag| tag.is_empty() || tag.chars().count() > 64) {
        return Err(wrong("TAGS", &text, "tags of 1 to 64 characters with a comma between them"));
    }
    Ok(tags)
}

fn pace(sources: &Sources) -> Result<Pace, WandbError> {
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

/// `$WANDB_DIR/wandb`; a `.wandb` that is there already is taken instead.
fn wandb_dir(vars: &Vars) -> PathBuf {
    let parent = PathBuf::from(vars.get("WANDB_DIR").filter(|dir| !dir.is_empty()).map_or(".", String::as_str));
    let hidden = parent.join(".wandb");
    if hidden.is_dir() { hidden } else { parent.join("wandb") }
}

fn global_file(vars: &Vars) -> Option<PathBuf> {
    match vars.get("WANDB_CONFIG_DIR") {
        Some(dir) => Some(Path::new(dir).join("settings")),
        None => Some(Path::new(vars.get("HOME")?).join(".config/wandb/settings")),
    }
}

/// The `[default]` section of a settings file; one that is not there has no settings.
fn settings_file(path: &Path) -> Result<HashMap<String, String>, WandbError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(HashMap::new());
        }
        Err(source) => return Err(WandbError::Io { path: path.to_owned(), source }),
    };
    let mut settings = HashMap::new();
    let mut section = "";
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((key, value)) = line.split_once(['=', ':']).filter(|_| section == "default") {
            settings.insert(key.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    Ok(settings)
}

/// Where the pages of a server are.
fn app_url(base_url: &str) -> String {
    if base_url == DEFAULT_BASE_URL {
        return "https://wandb.ai".to_owned();
    }
    base_url.replacen("://api.", "://app.", 1)
}

/// Host, with the port where the address has one: the name in a netrc file.
fn machine(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

/// Environment, netrc, settings files, in this order.
fn find_key(sources: &Sources, url: &Url) -> Result<ApiKey, String> {
    let machine = machine(url);
    let netrc = netrc_path(sources.vars);
    let in_netrc = || netrc_password(&fs::read_to_string(netrc.as_ref()?).ok()?, &machine);
    match sources.var("WANDB_API_KEY").or_else(in_netrc).or_else(|| sources.get("api_key")) {
        Some(key) => ApiKey::new(&key),
        None => Err(format!("no API key for {machine}: set WANDB_API_KEY or run `wandb login`")),
    }
}
