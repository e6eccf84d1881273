//! A Weights & Biases server for tests: it keeps what runs send, and misbehaves on request.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What to do with one request instead of answering it well.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status, with a `Retry-After` header where there is a text.
    Status(u16, Option<String>),
    /// Close without taking the request in.
    DropBefore,
    /// Take the request in, then close without an answer.
    DropAfter,
    /// Answer well, and say that the run was stopped.
    Stopped,
    /// A good status whose body is no JSON.
    Garbage,
    /// HTTP 200 with a GraphQL error of this text.
    Refuse(String),
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Request {
    pub at: Instant,
    pub path: String,
    pub auth: Option<String>,
    pub body: Value,
}

/// A run as the server knows it.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub upsert: Value,
    pub config: Value,
    pub files: BTreeMap<String, BTreeMap<u64, String>>,
    pub complete: bool,
    pub exit_code: Option<i64>,
}

impl Run {
    /// The lines of a file, which must be there without a hole.
    pub fn lines(&self, file: &str) -> Vec<String> {
        let lines = self.files.get(file).cloned().unwrap_or_default();
        assert!(lines.keys().copied().eq(0..lines.len() as u64), "{file} has holes: {:?}", lines.keys());
        lines.into_values().collect()
    }

    pub fn history(&self) -> Vec<Value> {
        self.lines("wandb-history.jsonl").iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn steps(&self) -> Vec<i64> {
        self.history().iter().map(|row| row["_step"].as_i64().unwrap()).collect()
    }

    pub fn summary(&self) -> Value {
        serde_json::from_str(&self.lines("wandb-summary.json")[0]).unwrap()
    }
}

#[derive(Default)]
pub struct State {
    pub requests: Vec<Request>,
    pub runs: BTreeMap<String, Run>,
    /// For the next file_stream posts, one each.
    pub stream_faults: VecDeque<Fault>,
    /// For the next GraphQL posts, one each.
    pub graphql_faults: VecDeque<Fault>,
    pub delay: Duration,
    pub down: bool,
}

pub struct Server {
    pub addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                thread::spawn(move || serve(stream, &state, addr));
            }
        });
        Self { addr, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The only run there is.
    pub fn run(&self) -> Run {
        let state = self.state();
        assert_eq!(state.runs.len(), 1, "{:?}", state.runs.keys());
        state.runs.values().next().unwrap().clone()
    }

    pub fn stream_posts(&self) -> Vec<Request> {
        self.state().requests.iter().filter(|r| r.path.ends_with("/file_stream")).cloned().collect()
    }

    /// Waits until `ready` holds.
    pub fn wait_for(&self, what: &str, ready: impl Fn(&State) -> bool) {
        let started = Instant::now();
        while !ready(&self.state()) {
            assert!(started.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>, addr: SocketAddr) {
    if state.lock().unwrap().down {
        return;
    }
    let mut reader = BufReader::new(stream);
    let Some((method, path, headers)) = read_head(&mut reader) else { return };
    let length = headers.get("content-length").map_or(0, |l| l.parse().unwrap());
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let body: Value = if method == "PUT" {
        Value::String(String::from_utf8_lossy(&body).into_owned())
    } else {
        serde_json::from_slice(&body).unwrap_or(Value::Null)
    };
    let (fault, delay) = {
        let mut state = state.lock().unwrap();
        let stream_post = path.ends_with("/file_stream");
        let fault = if stream_post { state.stream_faults.pop_front() } else { state.graphql_faults.pop_front() };
        let auth = headers.get("authorization").cloned();
        state.requests.push(Request { at: Instant::now(), path: path.clone(), auth, body: body.clone() });
        (fault, state.delay)
    };
    thread::sleep(delay);
    let (status, extra, answer) = match fault {
        Some(Fault::DropBefore) => return,
        Some(Fault::DropAfter) => return drop(answer(&mut state.lock().unwrap(), &path, &body, addr)),
        Some(Fault::Status(status, retry_after)) => {
            (status, retry_after.map(|t| format!("Retry-After: {t}\r\n")).unwrap_or_default(), "{}".to_owned())
        }
        Some(Fault::Refuse(message)) => (200, String::new(), json!({"errors": [{"message": message}]}).to_string()),
        Some(Fault::Garbage) => {
            answer(&mut state.lock().unwrap(), &path, &body, addr);
            (200, String::new(), "<html>".to_owned())
        }
        Some(Fault::Stopped) => {
            answer(&mut state.lock().unwrap(), &path, &body, addr);
            (200, String::new(), json!({"stopped": true}).to_string())
        }
        None => (200, String::new(), answer(&mut state.lock().unwrap(), &path, &body, addr).to_string()),
    };
    let _ = write!(
        reader.into_inner(),
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{extra}Connection: close\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len()
    );
}

fn read_head(reader: &mut impl BufRead) -> Option<(String, String, BTreeMap<String, String>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.trim().to_owned()),
            None => return Some((method, path, headers)),
        };
    }
}

fn answer(state: &mut State, path: &str, body: &Value, addr: SocketAddr) -> Value {
    if let Some(path) = path.strip_suffix("/file_stream") {
        return take_in(state.runs.entry(path.rsplit('/').next().unwrap().to_owned()).or_default(), body);
    }
    let variables = &body["variables"];
    let query = body["query"].as_str().unwrap_or_default();
    let data = if query.contains("upsertBucket(") {
        upsert(state, variables)
    } else if query.contains("missingOk") || query.contains("historyTail") {
        let run = state.runs.get(variables["name"].as_str().unwrap_or_default());
        json!({"model": {"id": "p", "name": "p", "entity": {"id": "e", "name": "stub-entity"},
            "bucket": run.map_or(Value::Null, |run| resume_status(variables["name"].as_str().unwrap(), run))}})
    } else if query.contains("createRunFiles") {
        let names = variables["files"].as_array().cloned().unwrap_or_default();
        let files: Vec<Value> = names
            .iter()
            .map(|name| json!({"name": name, "uploadUrl": format!("http://{addr}/put/{}", name.as_str().unwrap())}))
            .collect();
        json!({"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}})
    } else if query.contains("viewer") {
        json!({"viewer": {"id": "v", "entity": "stub-entity", "username": "u", "email": "e", "flags": "{}",
            "teams": {"edges": []}}})
    } else {
        json!({"serverInfo": {"features": []}})
    };
    json!({"data": data})
}

fn upsert(state: &mut State, variables: &Value) -> Value {
    let name = variables["name"].as_str().unwrap_or("invented").to_owned();
    let inserted = !state.runs.contains_key(&name);
    let run = state.runs.entry(name.clone()).or_default();
    if let Some(config) = variables["config"].as_str() {
        run.config = serde_json::from_str(config).unwrap();
    }
    // a variable that is null leaves what there is
    let old = run.upsert.as_object().cloned().unwrap_or_default();
    let new = variables.as_object().unwrap().iter().filter(|(_, v)| !v.is_null());
    run.upsert = old.into_iter().chain(new.map(|(k, v)| (k.clone(), v.clone()))).collect();
    let lines = |file: &str| run.files.get(file).map_or(0, |lines| lines.len());
    json!({"upsertBucket": {"bucket": {"id": format!("id-{name}"), "name": name,
        "displayName": run.upsert.get("displayName").cloned().unwrap_or(json!("stub-name-1")), "config": "{}",
        "historyLineCount": lines("wandb-history.jsonl"),
        "project": {"name": variables["project"], "entity": {"name": variables["entity"].as_str().unwrap_or("stub-entity")}}},
        "inserted": inserted}})
}

fn resume_status(name: &str, run: &Run) -> Value {
    let lines = |file: &str| run.files.get(file).cloned().unwrap_or_default().into_values().collect::<Vec<_>>();
    let tail = |file: &str| json!(lines(file).last().into_iter().collect::<Vec<_>>()).to_string();
    json!({"id": format!("id-{name}"), "name": name, "displayName": run.upsert["displayName"],
        "summaryMetrics": lines("wandb-summary.json").first(), "config": run.config.to_string(),
        "historyLineCount": lines("wandb-history.jsonl").len(), "historyTail": tail("wandb-history.jsonl"),
        "eventsLineCount": lines("wandb-events.jsonl").len(), "eventsTail": tail("wandb-events.jsonl"),
        "logLineCount": lines("output.log").len(), "tags": run.upsert["tags"], "notes": run.upsert["notes"],
        "wandbConfig": json!({"t": 1}).to_string()})
}

fn take_in(run: &mut Run, body: &Value) -> Value {
    for (file, chunk) in body["files"].as_object().into_iter().flatten() {
        let offset = chunk["offset"].as_u64().unwrap();
        for (i, line) in chunk["content"].as_array().unwrap().iter().enumerate() {
            run.files.entry(file.clone()).or_default().insert(offset + i as u64, line.as_str().unwrap().to_owned());
        }
    }
    run.complete |= body["complete"] == true;
    run.exit_code = body["exitcode"].as_i64().or(run.exit_code);
    json!({})
}
