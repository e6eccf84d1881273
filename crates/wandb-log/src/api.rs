//! The server: one POST at a time, and what its answer means.

use std::time::{Duration, SystemTime};

use reqwest::blocking::Client;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use serde_json::{Value, json};

use super::retry::{is_final, retry_after};
use super::secret::ApiKey;
use super::settings::Settings;

/// A request that failed.
#[derive(Debug)]
pub enum Failure {
    /// Another try would fail as well.
    Final(String),
    /// Another try may succeed; the server may have said when.
    Passing(String, Option<Duration>),
}

/// A server, with the key for it.
pub struct Api {
    client: Client,
    base: String,
    host: String,
    key: ApiKey,
}

impl Api {
    /// Nothing is sent yet.
    pub fn new(settings: &Settings, key: ApiKey) -> Result<Self, String> {
        // reqwest panics without a provider; an error means that the process has one already
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("nanoebm/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none()) // the key goes to no other server
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(|e| format!("no HTTP client: {}", causes(&e)))?;
        Ok(Self { client, base: settings.base_url.clone(), host: settings.host_of_base(), key })
    }

    /// The lines of a run; the answer is whatever JSON the server says, or null.
    pub fn file_stream(&self, path: &str, body: String, timeout: Duration) -> Result<Value, Failure> {
        let text = self.post(path, body, timeout)?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// The `data` of a GraphQL answer.
    pub fn graphql(&self, name: &str, query: &str, variables: &Value, timeout: Duration) -> Result<Value, Failure> {
        let body = json!({"query": query, "variables": variables, "operationName": name}).to_string();
        let text = self.post("/graphql", body, timeout)?;
        let mut answer: Value = serde_json::from_str(&text)
            .map_err(|_| Failure::Final(format!("{} does not answer as a W&B server", self.host)))?;
        match errors(&answer) {
            Some(message) => Err(Failure::Final(format!("{} refuses: {}", self.host, self.key.scrub(&message)))),
            None => Ok(answer["data"].take()),
        }
    }

    fn post(&self, path: &str, body: String, timeout: Duration) -> Result<String, Failure> {
        let request = self
            .client
            .post(format!("{}{path}", self.base))
            .basic_auth("api", Some(self.key.expose()))
            .header(CONTENT_TYPE, "application/json")
            .timeout(timeout)
            .body(body);
        let failed = |e: reqwest::Error| {
            let reason = format!("{} cannot be reached: {}", self.host, self.key.scrub(&causes(&e.without_url())));
            Failure::Passing(reason, None)
        };
        let response = request.send().map_err(failed)?;
        let status = response.status();
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wait = wait.and_then(|text| retry_after(text, SystemTime::now()));
        if status.is_success() {
            return response.text().map_err(failed);
        }
        let answer = serde_json::from_str(&response.text().unwrap_or_default()).unwrap_or(Value::Null);
        let message = errors(&answer).map(|text| format!(": {}", self.key.scrub(&text))).unwrap_or_default();
        let advice = match status.as_u16() {
            401 | 403 => "; is the API key of this server, and may it write there?",
            404 => "; is WANDB_BASE_URL right?",
            _ => "",
        };
        let reason = format!("{} answers {status}{message}{advice}", self.host);
        Err(if is_final(status.as_u16()) { Failure::Final(reason) } else { Failure::Passing(reason, wait) })
    }
}

/// What a GraphQL answer complains of, on one line.
fn errors(answer: &Value) -> Option<String> {
    let errors = answer["errors"].as_array().filter(|errors| !errors.is_empty())?;
    let messages = errors.iter().map(|e| e["message"].as_str().map_or_else(|| e.to_string(), str::to_owned));
    let text = messages.collect::<Vec<_>>().join("; ");
    Some(text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect())
}

/// An error with its causes: the first alone says little.
fn causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(error.source(), |e| e.source());
    chain.last().map_or_else(|| error.to_string(), ToString::to_string)
}
