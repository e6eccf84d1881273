//! The records of a `.wandb` file: the part of W&B's protobuf schema that a run of ours needs.

use prost::{Message, Oneof};
use serde_json::Value;

use crate::row::Row;

#[derive(Clone, PartialEq, Message)]
pub struct Record {
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
    Run(Box<RunRecord>),
    #[prost(message, tag = "18")]
    Exit(Exit),
    #[prost(message, tag = "21")]
    Header(Header),
}

/// Names with values.
#[derive(Clone, PartialEq, Message)]
pub struct Items {
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<Item>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Item {
    #[prost(string, tag = "1")]
    pub key: String,
    /// In the place of a key, as the official client writes the metrics of a step
    #[prost(string, repeated, tag = "2")]
    pub nested_key: Vec<String>,
    #[prost(string, tag = "16")]
    pub value_json: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Stats {
    #[prost(message, optional, tag = "2")]
    pub timestamp: Option<Timestamp>,
    /// The figures, without the `system.` that the server's names begin with
    #[prost(message, repeated, tag = "3")]
    pub items: Vec<Item>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Output {
    /// 0 is standard error, 1 is standard output
    #[prost(int32, tag = "1")]
    pub output_type: i32,
    #[prost(message, optional, tag = "2")]
    pub timestamp: Option<Timestamp>,
    /// With its newline
    #[prost(string, tag = "3")]
    pub line: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct RunRecord {
    #[prost(string, tag = "1")]
    pub run_id: String,
    /// User or team; empty lets the server choose
    #[prost(string, tag = "2")]
    pub entity: String,
    #[prost(string, tag = "3")]
    pub project: String,
    /// Top-level names, each with its whole tree
    #[prost(message, optional, tag = "4")]
    pub config: Option<Items>,
    #[prost(string, tag = "6")]
    pub run_group: String,
    #[prost(string, tag = "7")]
    pub job_type: String,
    /// The name people see; empty lets the server invent one
    #[prost(string, tag = "8")]
    pub display_name: String,
    #[prost(string, tag = "9")]
    pub notes: String,
    #[prost(string, repeated, tag = "10")]
    pub tags: Vec<String>,
    #[prost(string, tag = "13")]
    pub host: String,
    #[prost(message, optional, tag = "17")]
    pub start_time: Option<Timestamp>,
    /// The server knows an earlier part: what is in the file is appended to it
    #[prost(bool, tag = "24")]
    pub resume: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct Exit {
    /// 0 is success
    #[prost(int32, tag = "1")]
    pub exit_code: i32,
    /// Seconds
    #[prost(int32, tag = "2")]
    pub runtime: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Header {
    #[prost(message, optional, tag = "1")]
    pub version_info: Option<VersionInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub struct VersionInfo {
    /// Who wrote the file
    #[prost(string, tag = "1")]
    pub producer: String,
}

/// Since 1970.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Timestamp {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Timestamp {
    pub fn now() -> Self {
        let now = chrono::Utc::now();
        Self { seconds: now.timestamp(), nanos: now.timestamp_subsec_nanos().cast_signed() }
    }

    pub fn seconds_f64(self) -> f64 {
        self.seconds as f64 + f64::from(self.nanos) * 1e-9
    }
}

impl Items {
    /// The pairs of a JSON object; nested objects stay nested.
    pub fn new(row: &Row) -> Self {
        let item = |(key, value): (&String, &Value)| Item {
            key: key.clone(),
            nested_key: Vec::new(),
            value_json: value.to_string(),
        };
        Self { items: row.iter().map(item).collect() }
    }

    /// The JSON object again; the parts of a nested key are joined by dots.
    pub fn row(&self) -> Row {
        let key = |item: &Item| if item.key.is_empty() { item.nested_key.join(".") } else { item.key.clone() };
        let value = |item: &Item| serde_json::from_str(&item.value_json).unwrap_or(Value::Null);
        self.items.iter().map(|item| (key(item), value(item))).collect()
    }
}
