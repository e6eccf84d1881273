//! How Python reads numbers and flags in text, on which OmegaConf's types rest.

/// Python's `int(text)`.
pub(crate) fn int(text: &str) -> Option<i128> {
    without_underscores(text.trim())?.parse().ok()
}

/// Python's `float(text)`.
pub(crate) fn float(text: &str) -> Option<f64> {
    without_underscores(text.trim())?.parse().ok()
}

/// OmegaConf's flag: a number, or one of these words.
pub(crate) fn flag(text: &str) -> Option<bool> {
    if let Some(int) = int(text) {
        return Some(int != 0);
    }
    match text.to_ascii_lowercase().as_str() {
        "yes" | "y" | "on" | "true" => Some(true),
        "no" | "n" | "off" | "false" => Some(false),
        _ => None,
    }
}

/// Underscores may stand between two digits.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let misplaced = (0..bytes.len()).any(|at| bytes[at] == b'_' && !(digit(at.checked_sub(1)) && digit(Some(at + 1))));
    (!misplaced).then(|| text.replace('_', ""))
}
