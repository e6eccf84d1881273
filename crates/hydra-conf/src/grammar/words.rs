//! The words of a value. The longest one that fits is read, as Hydra's lexer does.

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `(`, with the blanks around it.
    Open,
    /// `)`, with the blanks before it.
    Close,
    /// `,`, with the blanks around it.
    Comma,
    ListOpen,
    ListClose,
    DictOpen,
    DictClose,
    Colon,
    Equal,
    Float,
    Int,
    Bool,
    Null,
    /// A name: letters, digits, `_` and `-`.
    Id,
    /// Backslashes that each take the meaning off the character after it.
    Escape,
    Blank,
    Quoted,
    /// `${…}` up to the first closing brace.
    Reference,
    /// A character without a meaning. Hydra knows some of them only; that we read all of them as text is kinder.
    Char,
}

/// A word and its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub kind: Kind,
    pub text: &'a str,
}

/// Cuts a value into words.
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (kind, len) = word(rest);
        let (text, after) = rest.split_at(len);
        words.push(Word { kind, text });
        rest = after;
    }
    words
}

/// The first word of a text that is not empty: its kind and its length.
fn word(text: &str) -> (Kind, usize) {
    let first = text.chars().next().map_or(0, char::len_utf8);
    // In the order of Hydra's rules: of two of one length, the first counts.
    let candidates = [
        sign(text),
        float(text).map(|len| (Kind::Float, len)),
        int(text).map(|len| (Kind::Int, len)),
        keyword(text),
        Some((Kind::Id, id(text))),
        Some((Kind::Escape, escapes(text))),
        Some((Kind::Blank, blank(text))),
        quoted(text).map(|len| (Kind::Quoted, len)),
        reference(text).map(|len| (Kind::Reference, len)),
        Some((Kind::Char, first)),
    ];
    let longest = candidates.into_iter().flatten().reduce(|best, next| if next.1 > best.1 { next } else { best });
    longest.unwrap_or((Kind::Char, first))
}

/// The length of the blanks at the start.
fn blank(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

/// Brackets and separators with the blanks that belong to them.
fn sign(text: &str) -> Option<(Kind, usize)> {
    let before = blank(text);
    let rest = &text[before..];
    let after = || blank(&rest[1..]);
    Some(match rest.chars().next()? {
        '(' => (Kind::Open, before + 1 + after()),
        ',' => (Kind::Comma, before + 1 + after()),
        ':' => (Kind::Colon, before + 1 + after()),
        '=' => (Kind::Equal, before + 1 + after()),
        ')' => (Kind::Close, before + 1),
        ']' => (Kind::ListClose, before + 1),
        '}' => (Kind::DictClose, before + 1),
        '[' if before == 0 => (Kind::ListOpen, 1 + after()),
        '{' if before == 0 => (Kind::DictOpen, 1 + after()),
        _ => return None,
    })
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn id(text: &str) -> usize {
    match text.bytes().next().is_some_and(is_name_start) {
        true => text.bytes().take_while(|&b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-').count(),
        false => 0,
    }
}

fn keyword(text: &str) -> Option<(Kind, usize)> {
    let starts = |word: &str| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    [("true", Kind::Bool), ("false", Kind::Bool), ("null", Kind::Null)]
        .into_iter()
        .find(|(word, _)| starts(word))
        .map(|(word, kind)| (kind, word.len()))
}

/// The length of a sign, if there is one.
fn plus_or_minus(text: &str) -> usize {
    usize::from(text.starts_with(['+', '-']))
}

/// The length of digits with single underscores between them.
fn digits(text: &str) -> usize {
    let mut len = 0;
    let bytes = text.as_bytes();
    loop {
        let under = usize::from(len > 0 && bytes.get(len) == Some(&b'_'));
        match bytes.get(len + under) {
            Some(byte) if byte.is_ascii_digit() => len += under + 1,
            _ => return len,
        }
    }
}

/// The length of an integer without a sign: 0 alone, or digits that do not start with it.
fn unsigned(text: &str) -> usize {
    if text.starts_with('0') { 1 } else { digits(text) }
}

fn int(text: &str) -> Option<usize> {
    let sign = plus_or_minus(text);
    Some(unsigned(&text[sign..])).filter(|len| *len > 0).map(|len| sign + len)
}

fn float(text: &str) -> Option<usize> {
    let sign = plus_or_minus(text);
    let rest = &text[sign..];
    let named =
        ["inf", "nan"].into_iter().any(|name| rest.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(name)));
    if named {
        return Some(sign + 3);
    }
    let whole = unsigned(rest);
    let after = rest[whole..].strip_prefix('.');
    let fraction = after.map_or(0, digits);
    let point = match after {
        Some(_) if whole > 0 || fraction > 0 => Some(whole + 1 + fraction),
        _ => None,
    };
    let mantissa = point.unwrap_or(whole);
    let exponent = rest[mantissa..].strip_prefix(['e', 'E']).and_then(|text| {
        let sign = plus_or_minus(text);
        Some(digits(&text[sign..])).filter(|len| *len > 0).map(|len| 1 + sign + len)
    });
    match (point, exponent) {
        (_, Some(exponent)) if mantissa > 0 => Some(sign + mantissa + exponent),
        (Some(point), _) => Some(sign + point),
        _ => None,
    }
}

fn escapes(text: &str) -> usize {
    let mut len = 0;
    while let Some(c) = text[len..].strip_prefix('\\').and_then(|rest| rest.chars().next()) {
        if !"\\()[]{}:=, \t".contains(c) {
            break;
        }
        len += 2;
    }
    len
}

/// A quote closes where an even number of backslashes stands before it.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return Some(at + 1);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

fn reference(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("${")?;
    inner.find('}').filter(|len| *len > 0).map(|len| len + 3)
}
