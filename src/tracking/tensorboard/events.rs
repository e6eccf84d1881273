//! The messages in an event file, as far as we write them. Numbers are those of TensorFlow's event.proto, summary.proto,
//! histogram.proto and tensor.proto.

use prost::Message;

/// `SessionLog.SessionStatus.START`
const START: i32 = 1;
/// `DataType.DT_STRING`
const STRING: i32 = 7;

/// One record: a version, the start of a session, or a summary.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    #[prost(int64, tag = "2")]
    pub step: i64,
    #[prost(string, optional, tag = "3")]
    pub file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    pub summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    pub session_log: Option<SessionLog>,
}

/// A session begins: readers drop what they have of its step and later ones.
#[derive(Clone, PartialEq, Message)]
pub struct SessionLog {
    #[prost(int32, tag = "1")]
    pub status: i32,
}

/// What there is to show of a step.
#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Value>,
}

/// One of a number, a histogram and a tensor. Numbers and histograms are in the older style, which needs no metadata: it is
/// the one that TensorBoard's readers in Python and in Rust, and scripts that read the files by themselves, all understand.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(string, tag = "1")]
    pub tag: String,
    #[prost(float, optional, tag = "2")]
    pub simple_value: Option<f32>,
    #[prost(message, optional, tag = "5")]
    pub histo: Option<Histogram>,
    #[prost(message, optional, tag = "8")]
    pub tensor: Option<Tensor>,
    #[prost(message, optional, tag = "9")]
    pub metadata: Option<Metadata>,
}

/// Counts in buckets: `bucket[i]` values lie between `bucket_limit[i - 1]` (`min` for the first) and `bucket_limit[i]`.
#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    #[prost(double, tag = "1")]
    pub min: f64,
    #[prost(double, tag = "2")]
    pub max: f64,
    #[prost(double, tag = "3")]
    pub num: f64,
    #[prost(double, tag = "4")]
    pub sum: f64,
    #[prost(double, tag = "5")]
    pub sum_squares: f64,
    #[prost(double, repeated, tag = "6")]
    pub bucket_limit: Vec<f64>,
    #[prost(double, repeated, tag = "7")]
    pub bucket: Vec<f64>,
}

/// A scalar tensor that holds a string.
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    #[prost(string, repeated, tag = "8")]
    pub string_val: Vec<String>,
}

/// Names the plugin that shows a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct Metadata {
    #[prost(message, optional, tag = "1")]
    pub plugin_data: Option<PluginData>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PluginData {
    #[prost(string, tag = "1")]
    pub plugin_name: String,
}

impl Event {
    /// The version that every file begins with; readers heed session logs from 2 on.
    pub fn version() -> Self {
        Self { file_version: Some("brain.Event:2".to_owned()), ..Self::now(0) }
    }

    pub fn start(step: i64) -> Self {
        Self { session_log: Some(SessionLog { status: START }), ..Self::now(step) }
    }

    pub fn summary(step: i64, value: Vec<Value>) -> Self {
        Self { summary: Some(Summary { value }), ..Self::now(step) }
    }

    fn now(step: i64) -> Self {
        Self { wall_time: chrono::Utc::now().timestamp_micros() as f64 / 1e6, step, ..Self::default() }
    }
}

impl Value {
    /// A point of a curve. The format has single precision: a number beyond it (about 3e38) becomes infinite.
    pub fn scalar(tag: &str, value: f64) -> Self {
        Self { tag: tag.to_owned(), simple_value: Some(value as f32), ..Self::default() }
    }

    pub fn histogram(tag: &str, histogram: Histogram) -> Self {
        Self { tag: tag.to_owned(), histo: Some(histogram), ..Self::default() }
    }

    /// A text in Markdown.
    pub fn text(tag: &str, markdown: String) -> Self {
        let plugin_data = Some(PluginData { plugin_name: "text".to_owned() });
        Self {
            tag: tag.to_owned(),
            tensor: Some(Tensor { dtype: STRING, string_val: vec![markdown] }),
            metadata: Some(Metadata { plugin_data }),
            ..Self::default()
        }
    }
}
