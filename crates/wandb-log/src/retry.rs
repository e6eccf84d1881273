//! Which failures are worth another try, and when.

use std::time::{Duration, SystemTime};

/// Statuses that stay what they are, however often one asks; every other 4xx and 5xx may pass.
const FINAL: [u16; 9] = [400, 401, 403, 404, 409, 410, 413, 422, 501];

/// Whether a status will be the same the next time. Redirections count as final: a post does not follow them.
pub fn is_final(status: u16) -> bool {
    status < 400 || FINAL.contains(&status)
}

/// Waits between tries: each twice the one before, up to a limit, and up to a quarter more, so that a server that comes
/// back is not met by all at once.
#[derive(Debug)]
pub struct Backoff {
    wait: Duration,
    longest: Duration,
    /// Failures so far
    pub failures: u32,
}

impl Backoff {
    /// Starts with a wait of `first`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { wait: first, longest, failures: 0 }
    }

    /// The wait before the next try.
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
