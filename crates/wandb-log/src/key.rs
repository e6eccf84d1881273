//! The API key, of a type that does not show it, and the netrc file that may have it.

use std::fmt;

/// A key. Neither `{:?}` nor an error or a file of ours shows it.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// Refuses what no server would take; the reason does not quote it.
    pub fn new(text: &str) -> Result<Self, String> {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let parts: Vec<&str> = text.split('.').collect();
        let token = parts.len() == 3 && parts.iter().all(|part| !part.is_empty() && part.chars().all(word)); // a JWT
        if token || (text.len() >= 40 && text.chars().all(word)) {
            Ok(Self(text.to_owned()))
        } else if text.chars().all(word) {
            Err(format!("the API key has {} characters, and at least 40 are expected", text.len()))
        } else {
            Err("the API key has characters that are no letters, digits, - or _".to_owned())
        }
    }

    /// For the request's header, and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A server's text without the key in it.
    pub fn scrub(&self, text: &str) -> String {
        text.replace(&self.0, "***")
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(***)")
    }
}

/// The password of a machine in a netrc file's text, or the default's.
pub fn netrc_password(text: &str, machine: &str) -> Option<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut words = lines.flat_map(str::split_whitespace);
    let (mut ours, mut fallback) = (None, None);
    let mut entry = None; // where the password of the entry that is being read belongs
    while let Some(word) = words.next() {
        match word {
            "machine" => entry = (words.next()? == machine).then_some(&mut ours),
            "default" => entry = Some(&mut fallback),
            "password" => {
                let password = words.next()?;
                if let Some(entry) = entry.as_mut() {
                    entry.get_or_insert(password);
                }
            }
            "login" | "account" => drop(words.next()),
            _ => {}
        }
    }
    ours.or(fallback).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_with_its_port_or_the_default_has_the_key() {
        let text = "# machine a password no\nmachine a:80 login user password one\nmachine a\n  login password\n\
                    password two machine b password three";
        assert_eq!(netrc_password(text, "a:80").unwrap(), "one");
        assert_eq!(netrc_password(text, "a").unwrap(), "two");
        assert_eq!(netrc_password(text, "b").unwrap(), "three");
        assert_eq!(netrc_password(text, "c"), None);
        assert_eq!(netrc_password("default login u password d\nmachine a password x", "c").unwrap(), "d");
        assert_eq!(netrc_password("machine", "a"), None);
    }

    #[test]
    fn keys_are_checked_and_not_shown() {
        let key = ApiKey::new(&"k".repeat(40)).unwrap();
        assert!(!format!("{key:?}").contains('k'));
        assert_eq!(key.scrub(&format!("bad key {}", "k".repeat(40))), "bad key ***");
        assert!(ApiKey::new("local-wandb_v1_1234567890123456789012345678901234567890").is_ok());
        assert!(ApiKey::new("aaa.bbb.ccc").is_ok());
        for bad in ["secret", &format!(" {}", "k".repeat(40)), &"k".repeat(39), "a.b", "a.b."] {
            assert!(!ApiKey::new(bad).unwrap_err().contains(bad));
        }
    }
}
