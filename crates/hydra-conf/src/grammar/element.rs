//! A value as Hydra's grammar reads it, and how it is written so that the grammar reads the same again.

use std::fmt;

/// What a value can be before it meets the type of a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Element {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    /// Text without quotes.
    Text(String),
    /// What stands between these quotes.
    Quoted(String, char),
    List(Vec<Self>),
    Dict(Vec<(Self, Self)>),
}

impl Element {
    /// The text of a text, with or without quotes.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Quoted(text, _) => Some(text),
            _ => None,
        }
    }

    /// A text without its quotes; anything else as it is.
    pub fn unquoted(self) -> Self {
        match self {
            Self::Quoted(text, _) => Self::Text(text),
            other => other,
        }
    }

    /// What Python's `str` makes of it, which is what a key of text holds; none for lists and maps.
    pub fn python_str(&self) -> Option<String> {
        Some(match self {
            Self::Null => "None".to_owned(),
            Self::Bool(true) => "True".to_owned(),
            Self::Bool(false) => "False".to_owned(),
            Self::Int(int) => int.to_string(),
            Self::Float(float) => python_float(*float),
            Self::Text(text) | Self::Quoted(text, _) => text.clone(),
            Self::List(_) | Self::Dict(_) => return None,
        })
    }
}

/// A float as Python writes it: the shortest digits, with an exponent below 1e-4 and from 1e16 on.
pub(crate) fn python_float(float: f64) -> String {
    let size = float.abs();
    if float.is_nan() {
        return "nan".to_owned();
    }
    if size.is_infinite() || size == 0.0 || (1e-4..1e16).contains(&size) {
        return format!("{float:?}");
    }
    let text = format!("{float:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Text(text) => text.chars().try_for_each(|c| match c {
                '\\' | '(' | ')' | '[' | ']' | '{' | '}' | ':' | '=' | ',' | ' ' | '\t' => write!(f, "\\{c}"),
                c => write!(f, "{c}"),
            }),
            Self::Quoted(text, quote) => f.write_str(&quoted(text, *quote)),
            Self::List(items) => {
                f.write_str("[")?;
                separated(f, items, |f, item| write!(f, "{item}"))?;
                f.write_str("]")
            }
            Self::Dict(pairs) => {
                f.write_str("{")?;
                separated(f, pairs, |f, (key, value)| write!(f, "{key}:{value}"))?;
                f.write_str("}")
            }
            plain => f.write_str(&plain.python_str().unwrap_or_default()),
        }
    }
}

fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    items.iter().enumerate().try_for_each(|(at, item)| {
        f.write_str(if at > 0 { "," } else { "" })?;
        write(f, item)
    })
}

/// A text in quotes. Backslashes are doubled where they stand before a quote or the end, and only there.
fn quoted(text: &str, quote: char) -> String {
    let mut written = String::from(quote);
    let mut backslashes = 0;
    for c in text.chars() {
        if c == quote {
            written.extend(std::iter::repeat_n('\\', backslashes + 1));
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        written.push(c);
    }
    written.extend(std::iter::repeat_n('\\', backslashes));
    written.push(quote);
    written
}
