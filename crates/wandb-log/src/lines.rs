//! From records to the lines of a file_stream post.

use std::io;
use std::path::Path;

use chrono::DateTime;
use serde_json::{Value, json};

use crate::datastore::Reader;
use crate::past::Sent;
use crate::records::{Item, Items, Kind, Output, Stats};
use crate::remote::Remote;
use crate::row::{Row, last_values, older, runtime, step};

/// The server takes about 10 MiB a post, and a line that is a little shorter.
const MAX_BYTES: usize = 10 * 1024 * 1024 - 100 * 1024;

/// Numbers the lines of a run, and keeps the summary of those that were made.
#[derive(Debug)]
pub struct Lines {
    /// Next line of each file
    history: u64,
    output: u64,
    events: u64,
    /// The last step that the server has
    pub step: Option<i64>,
    /// The last line of the history, where it is known
    last: Option<Row>,
    summary: Row,
    /// The first post has the summary even without rows: `wandb sync` goes on with no run that lacks one
    first: bool,
    /// Lines of this part that the server took in, although its answer was lost
    skip_output: u64,
    skip_events: u64,
    /// Begin of the run, for the age of samples
    started: f64,
    /// What the server's run is older than ours
    pub age: f64,
}

/// What one post carries.
#[derive(Debug, Default)]
pub struct Chunk {
    /// What the server has once it has taken this in
    pub sent: Sent,
    /// Lines that no server would take
    pub too_long: u64,
    history_at: u64,
    history: Vec<Row>,
    output: Vec<String>,
    events: Vec<String>,
    summary: Option<Row>,
    bytes: usize,
}

impl Lines {
    /// Goes on after what the server has. `sent` is what we know of that, `known_age` what our own times already
    /// include.
    pub fn new(remote: &Remote, sent: Option<Sent>, started: f64, known_age: f64) -> Self {
        let tail = remote.tail.as_ref();
        let age = tail.and_then(runtime).or(runtime(&remote.summary));
        let last_step = tail.and_then(step).or(step(&remote.summary));
        Self {
            history: remote.history,
            output: remote.output,
            events: remote.events,
            step: last_step.filter(|_| remote.resumed),
            last: remote.tail.clone(),
            summary: remote.summary.clone(),
            first: true,
            skip_output: sent.map_or(0, |sent| remote.output.saturating_sub(sent.output)),
            skip_events: sent.map_or(0, |sent| remote.events.saturating_sub(sent.events)),
            started: started - known_age,
            age: if known_age > 0.0 { 0.0 } else { age.unwrap_or(0.0) },
        }
    }

    /// Lines that the server has once it has taken in everything up to `position`.
    pub fn sent(&self, position: u64) -> Sent {
        Sent { position, output: self.output, events: self.events }
    }

    /// The lines between two places of a file, or as many as a post takes.
    pub fn read(&mut self, store: &Path, from: u64, to: u64) -> io::Result<Chunk> {
        let mut chunk = Chunk::default();
        let (mut at, mut upto) = (from, to);
        for record in Reader::open(store, from, Some(to))? {
            let (Some(kind), end) = record? else { continue };
            let size = size(&kind);
            if size > MAX_BYTES {
                chunk.too_long += 1;
            } else if chunk.bytes + size > MAX_BYTES {
                upto = at;
                break;
            } else {
                chunk.bytes += size;
                self.add(&mut chunk, kind);
            }
            at = end;
        }
        let wanted = std::mem::take(&mut self.first) || !chunk.history.is_empty();
        chunk.summary = wanted.then(|| self.summary.clone());
        chunk.sent = self.sent(upto);
        Ok(chunk)
    }

    fn add(&mut self, chunk: &mut Chunk, kind: Kind) {
        match kind {
            Kind::History(items) => self.add_row(chunk, items.row()),
            Kind::Output(_) if self.skip_output > 0 => self.skip_output -= 1,
            Kind::Output(line) => {
                self.output += 1;
                chunk.output.push(output_line(&line));
            }
            Kind::Stats(_) if self.skip_events > 0 => self.skip_events -= 1,
            Kind::Stats(stats) => {
                self.events += 1;
                chunk.events.push(self.event_line(&stats));
            }
            _ => {}
        }
    }

    /// A row of a later step is the next line. One of the last step joins its line, which is sent again in its place.
    /// One of an earlier step is on the server already: the program was resumed before that step, and came by it again.
    fn add_row(&mut self, chunk: &mut Chunk, row: Row) {
        let step = step(&row);
        let mut row = older(row, self.age);
        if step < self.step {
            return;
        }
        if step == self.step {
            let Some(last) = &self.last else { return };
            if row.keys().all(|key| last.contains_key(key)) {
                return;
            }
            row.extend(last.clone()); // what the server has stays as it is
            chunk.history.pop();
            self.history = self.history.saturating_sub(1);
        }
        if chunk.history.is_empty() {
            chunk.history_at = self.history;
        }
        self.history += 1;
        self.step = step;
        self.summary.extend(last_values(&row));
        self.last = Some(row.clone());
        chunk.history.push(row);
    }

    fn event_line(&self, stats: &Stats) -> String {
        let time = stats.timestamp.unwrap_or_default().seconds_f64();
        let mut line = json!({"_wandb": true, "_timestamp": time, "_runtime": time - self.started + self.age});
        for (key, value) in (Items { items: stats.items.clone() }).row() {
            line[format!("system.{key}")] = value;
        }
        line.to_string()
    }
}

impl Chunk {
    pub fn is_empty(&self) -> bool {
        self.history.is_empty() && self.output.is_empty() && self.events.is_empty()
    }

    /// The post; with an exit code it is the run's last.
    pub fn body(&self, exit: Option<i32>) -> String {
        let text = |row: &Row| Value::Object(row.clone()).to_string();
        let files = [
            ("wandb-history.jsonl", self.history_at, self.history.iter().map(text).collect()),
            ("wandb-summary.json", 0, self.summary.iter().map(text).collect()),
            ("wandb-events.jsonl", self.sent.events - self.events.len() as u64, self.events.clone()),
            ("output.log", self.sent.output - self.output.len() as u64, self.output.clone()),
        ];
        let mut body = json!({});
        for (file, offset, lines) in files {
            if !lines.is_empty() {
                body["files"][file] = json!({"offset": offset, "content": lines});
            }
        }
        if let Some(code) = exit {
            body["complete"] = true.into();
            body["exitcode"] = code.into();
        }
        body.to_string()
    }
}

/// Bytes in a post, at most: a line is a string there, whose quotes are escaped.
fn size(kind: &Kind) -> usize {
    let items = |items: &[Item]| {
        let escaped = |text: &str| text.len() + text.bytes().filter(|b| matches!(b, b'"' | b'\\')).count();
        100 + items.iter().map(|item| escaped(&item.key) + escaped(&item.value_json) + 16).sum::<usize>()
    };
    match kind {
        Kind::History(row) => items(&row.items),
        Kind::Stats(stats) => items(&stats.items),
        Kind::Output(output) => 40 + 6 * output.line.len(), // a control character becomes \u001b
        _ => 0,
    }
}

/// `2026-11-25T02:45:53.645751 text`, in UTC.
fn output_line(output: &Output) -> String {
    let time = output.timestamp.and_then(|t| DateTime::from_timestamp(t.seconds, t.nanos.unsigned_abs()));
    let time = time.unwrap_or_default().format("%Y-%m-%dT%H:%M:%S%.6f");
    format!("{time} {}", output.line.trim_end_matches('\n'))
}
