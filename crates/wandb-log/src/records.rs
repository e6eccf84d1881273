//! The records of a `.wandb` file: the part of W&B's protobuf schema that a run of ours needs.

use prost::{Message, Oneof};
use serde_json::Value;

use crate::metrics::Row;

/// One record of the file.
#[derive(Clone, PartialEq, Message)]
pub struct Record {
    /// What it is
    #[prost(oneof = "Kind", tags = "2, 3, 7, 13, 17, 18, 21")]
    pub kind: Option<Kind>,
}

/// The kinds of records that are written; any other reads as none.
#[derive(Clone, PartialEq, Oneof)]
pub enum Kind {
    /// A line of the history
    #[prost(message, tag = "2")]
    History(Items),
    /// New values of the summary
    #[prost(message, tag = "3")]
    Summary(Items),
    /// A sample of the machine
    #[prost(message, tag = "7")]
    Stats(Stats),
    /// A line of the console
    #[prost(message, tag = "13")]
    Output(Output),
    /// The run; before everything but the header
    #[prost(message, tag = "17")]
    Run(Box<Run>),
    /// The end
    #[prost(message, tag = "18")]
    Exit(Exit),
    /// The versions
    #[prost(message, tag = "21")]
    Header(Header),
}

/// Names with values.
#[derive(Clone, PartialEq, Message)]
pub struct Items {
    /// The pairs
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<Item>,
}

/// A name with a value.
#[derive(Clone, PartialEq, Message)]
pub struct Item {
    /// The name
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value, as JSON
    #[prost(string, tag = "16")]
    pub value_json: String,
}

/// A sample of the machine.
#[derive(Clone, PartialEq, Message)]
pub struct Stats {
    /// When
    #[prost(message, optional, tag = "2")]
    pub timestamp: Option<Timestamp>,
    /// The figures, without the `system.` that the server's names begin with
    #[prost(message, repeated, tag = "3")]
    pub items: Vec<Item>,
}

/// A line of the console.
#[derive(Clone, PartialEq, Message)]
pub struct Output {
    /// 0 is standard error, 1 is standard output
    #[prost(int32, tag = "1")]
    pub output_type: i32,
    /// When
    #[prost(message, optional, tag = "2")]
    pub timestamp: Option<Timestamp>,
    /// The line with its newline
    #[prost(string, tag = "3")]
    pub line: String,
}

/// The run.
#[derive(Clone, PartialEq, Message)]
pub struct Run {
    /// Its id
    #[prost(string, tag = "1")]
    pub run_id: String,
    /// User or team; empty lets the server choose
    #[prost(string, tag = "2")]
    pub entity: String,
    /// Project
    #[prost(string, tag = "3")]
    pub project: String,
    /// Configuration: top-level names, each with its whole tree
    #[prost(message, optional, tag = "4")]
    pub config: Option<Items>,
    /// Group
    #[prost(string, tag = "6")]
    pub run_group: String,
    /// Job type
    #[prost(string, tag = "7")]
    pub job_type: String,
    /// The name people see; empty lets the server invent one
    #[prost(string, tag = "8")]
    pub display_name: String,
    /// Notes
    #[prost(string, tag = "9")]
    pub notes: String,
    /// Tags
    #[prost(string, repeated, tag = "10")]
    pub tags: Vec<String>,
    /// Machine
    #[prost(string, tag = "13")]
    pub host: String,
    /// Start
    #[prost(message, optional, tag = "17")]
    pub start_time: Option<Timestamp>,
    /// The server knows an earlier part: what is in the file is appended to it
    #[prost(bool, tag = "24")]
    pub resume: bool,
}

/// The end of a run.
#[derive(Clone, PartialEq, Message)]
pub struct Exit {
    /// 0 is success
    #[prost(int32, tag = "1")]
    pub exit_code: i32,
    /// Seconds
    #[prost(int32, tag = "2")]
    pub runtime: i32,
}

/// The first record.
#[derive(Clone, PartialEq, Message)]
pub struct Header {
    /// Versions
    #[prost(message, optional, tag = "1")]
    pub version_info: Option<VersionInfo>,
}

/// Versions.
#[derive(Clone, PartialEq, Message)]
pub struct VersionInfo {
    /// Who wrote the file
    #[prost(string, tag = "1")]
    pub producer: String,
}

/// A time.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Timestamp {
    /// Since 1970
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// And nanoseconds
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Timestamp {
    /// The present.
    pub fn now() -> Self {
        let now = chrono::Utc::now();
        Self { seconds: now.timestamp(), nanos: now.timestamp_subsec_nanos().cast_signed() }
    }

    /// Seconds since 1970.
    pub fn seconds_f64(self) -> f64 {
        self.seconds as f64 + f64::from(self.nanos) * 1e-9
    }
}

impl From<Kind> for Record {
    fn from(kind: Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

impl Items {
    /// The pairs of a JSON object; nested objects stay nested.
    pub fn new(row: &Row) -> Self {
        let item = |(key, value): (&String, &Value)| Item { key: key.clone(), value_json: value.to_string() };
        Self { items: row.iter().map(item).collect() }
    }

    /// The JSON object again.
    pub fn row(&self) -> Row {
        let value = |item: &Item| serde_json::from_str(&item.value_json).unwrap_or(Value::Null);
        self.items.iter().map(|item| (item.key.clone(), value(item))).collect()
    }
}
