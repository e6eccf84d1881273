//! The server: one POST at a time, what its answer means, and which failures are worth another try, and when.

use std::time::{Duration, SystemTime};

use reqwest::blocking::Client;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use serde_json::{Value, json};

use crate::key::ApiKey;
use crate::settings::Settings;

/// Longest wait for the answer to a post of lines.
const POST_TIMEOUT: Duration = Duration::from_secs(180);

/// A request that failed.
#[derive(Debug)]
pub enum Failure {
    /// Another try would fail as well.
    Final(String),
    /// Another try may succeed; the server may have said when.
    Passing(String, Option<Duration>),
    /// `WANDB_RESUME` forbids it.
    Resume(String),
}

/// A server, with the key for it.
pub struct Api {
    client: Client,
    base: String,
    host: String,
    key: ApiKey,
}

impl Api {
    pub fn new(settings: &Settings, key: ApiKey) -> Result<Self, String> {
        // reqwest panics without a provider; an error means that the process has one already
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(settings.client.as_str())
            .redirect(Policy::none()) // the key goes to no other server
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(|e| format!("no HTTP client: {}", causes(&e)))?;
        Ok(Self { client, base: settings.base_url.clone(), host: settings.machine.clone(), key })
    }

    /// The lines of a run; the answer is whatever JSON the server says, or null.
    pub fn file_stream(&self, path: &str, body: String) -> Result<Value, Failure> {
        let text = self.post(path, body, POST_TIMEOUT)?;
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

/// Whether a status stays what it is, however often one asks; every other may pass. Redirections are final, for a post does
/// not follow them.
pub fn is_final(status: u16) -> bool {
    matches!(status, 0..=401 | 403 | 404 | 409 | 410 | 413 | 422 | 501)
}

/// Waits between tries: each twice the one before, up to a limit, and up to a quarter more, so that a server that comes
/// back is not met by all at once.
#[derive(Debug)]
pub struct Backoff {
    wait: Duration,
    longest: Duration,
    pub failures: u32,
}

impl Backoff {
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { wait: first, longest, failures: 0 }
    }

    pub fn next(&mut self) -> Duration {
        let wait = self.wait.min(self.longest);
        self.wait = wait * 2;
        self.failures += 1;
        wait.mul_f64(1.0 + 0.25 * fastrand::f64()).min(self.longest)
    }
}

/// The wait that a `Retry-After` header asks for: seconds, or a date. An hour at most.
pub fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let wait = match header.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(header).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(Duration::from_secs(3600)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit() {
        let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));
        let waits: Vec<f64> = (0..8).map(|_| backoff.next().as_secs_f64()).collect();
        for (wait, least) in waits.iter().zip([2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]) {
            assert!((least..=60f64.min(least * 1.25)).contains(wait), "{waits:?}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("99999999999", now), Some(Duration::from_secs(3600)));
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn a_refusal_is_final_and_a_bad_day_is_not() {
        assert!([302, 400, 401, 403, 404, 409, 410, 413, 422, 501].into_iter().all(is_final));
        assert!(![408, 418, 429, 500, 502, 503, 504].into_iter().any(is_final));
    }
}
