//! The grammar of one override: `key=value`, `+key=value`, `~key`; what quotes, brackets and commas mean in a value.

use crate::error::ConfigError;

/// One override as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// What it does.
    pub action: Verb,
    /// The dotted key, or a group.
    pub key: String,
    /// The text after the first `=`; empty for a drop.
    pub text: String,
}

/// What an override does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `key=value`, or Hydra's `++key=value`.
    Set,
    /// `+key=value`.
    Add,
    /// `~key`.
    Drop,
}

impl Override {
    /// Reads one argument.
    pub fn parse(arg: &str) -> Result<Self, ConfigError> {
        let malformed = |expected: &str| ConfigError::Malformed { text: arg.to_owned(), expected: expected.to_owned() };
        if let Some(key) = arg.strip_prefix('~') {
            return match is_key(key) {
                true => Ok(Self::new(Verb::Drop, key, "")),
                false => Err(malformed("expected ~key")),
            };
        }
        let (action, rest) = match (arg.strip_prefix("++"), arg.strip_prefix('+')) {
            (Some(rest), _) => (Verb::Set, rest),
            (None, Some(rest)) => (Verb::Add, rest),
            (None, None) => (Verb::Set, arg),
        };
        let forms = "expected key=value, +key=value, ~key or group=name";
        let (key, text) = rest.split_once('=').ok_or_else(|| malformed(forms))?;
        if !is_key(key) {
            return Err(malformed(&format!(
                "{forms}, the key of letters, digits, _ and dots, without spaces around ="
            )));
        }
        Ok(Self::new(action, key, text))
    }

    fn new(action: Verb, key: &str, text: &str) -> Self {
        Self { action, key: key.to_owned(), text: text.to_owned() }
    }

    /// This override once for each of its comma-separated values.
    pub fn sweep(&self) -> Vec<Self> {
        split(&self.text).into_iter().map(|text| Self::new(self.action, &self.key, text)).collect()
    }
}

impl std::fmt::Display for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { key, text, .. } = self;
        match self.action {
            Verb::Set => write!(f, "{key}={text}"),
            Verb::Add => write!(f, "+{key}={text}"),
            Verb::Drop => write!(f, "~{key}"),
        }
    }
}

fn is_key(key: &str) -> bool {
    key.split('.').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

/// The values between the commas of `text`; commas inside a quoted value, brackets or braces do not count.
pub(crate) fn split(text: &str) -> Vec<&str> {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        let end = quoted_value(rest).unwrap_or_else(|| bare_value(rest));
        values.push(&rest[..end]);
        match rest.get(end + 1..) {
            Some(after) => rest = after,
            None => return values,
        }
    }
}

/// The length of a quoted string that makes up the first value.
fn quoted_value(text: &str) -> Option<usize> {
    let end = closing_quote(text)? + 1;
    (end == text.len() || text[end..].starts_with(',')).then_some(end)
}

/// The length up to the first comma outside of brackets and braces.
fn bare_value(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

/// Where the quote that opens `text` is closed: `''` and `\"` do not close.
fn closing_quote(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if quote == '"' && c == '\\' {
            chars.next();
        } else if c == quote {
            let doubled = quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == quote);
            if !doubled {
                return Some(at);
            }
            chars.next();
        }
    }
    None
}

/// What stands between the quotes of a value that is quoted as a whole; none for any other text, so that
/// `'Tis nobler` stays what it is. `''` is a quote within single ones; `\n`, `\t`, `\r`, `\"` and `\\` work within
/// double ones, any other backslash stands for itself.
pub(crate) fn unquote(text: &str) -> Option<String> {
    let end = closing_quote(text)?;
    if end + 1 != text.len() {
        return None;
    }
    let inner = &text[1..end];
    if text.starts_with('\'') {
        return Some(inner.replace("''", "'"));
    }
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some(same @ ('"' | '\\')) => plain.push(same),
            other => plain.extend(std::iter::once('\\').chain(other)),
        }
    }
    Some(plain)
}
