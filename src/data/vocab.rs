//! The vocabulary: a sorted set of characters, as in the original.

use std::collections::BTreeMap;

/// What some programs write at the start of a UTF-8 file; it is no character of the text.
pub const BYTE_ORDER_MARK: char = '\u{feff}';

/// The characters of a model, sorted; a character's id is its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocab {
    chars: Vec<char>,
}

impl Vocab {
    /// A vocabulary of the given characters, which are sorted and made unique.
    pub fn new(chars: impl IntoIterator<Item = char>) -> Self {
        let mut chars: Vec<char> = chars.into_iter().collect();
        chars.sort_unstable();
        chars.dedup();
        Self { chars }
    }

    /// All characters in the order of their ids.
    pub fn chars(&self) -> &[char] {
        &self.chars
    }

    /// Number of characters.
    pub fn len(&self) -> usize {
        self.chars.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.chars.is_empty()
    }

    /// The id of a character.
    pub fn id(&self, c: char) -> Option<i64> {
        self.chars.binary_search(&c).ok().map(|i| i as i64)
    }

    /// The character of an id.
    pub fn char(&self, id: i64) -> Option<char> {
        self.chars.get(usize::try_from(id).ok()?).copied()
    }

    /// The ids of the known characters of `text`, and the unknown ones, which were dropped.
    pub fn encode(&self, text: &str) -> (Vec<i64>, String) {
        let mut dropped = String::new();
        let ids = text
            .chars()
            .filter_map(|c| {
                let id = self.id(c);
                if id.is_none() {
                    dropped.push(c);
                }
                id
            })
            .collect();
        (ids, dropped)
    }
}

/// A sentence about the characters of a text (`the prompt`) that a vocabulary does not know.
pub fn dropped_from(text: &str, dropped: &str) -> String {
    format!("The model does not know these characters of {text}; they are dropped: {}", counted(dropped))
}

/// Characters, each once with how often it came, the most frequent ten: `'ж' (3 times), '€'`.
fn counted(dropped: &str) -> String {
    const MOST: usize = 10;
    let mut counts = BTreeMap::new();
    dropped.chars().for_each(|c| *counts.entry(c).or_insert(0) += 1);
    let mut counts: Vec<(char, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let named = counts.iter().take(MOST).map(|(c, count)| match count {
        1 => format!("{c:?}"),
        _ => format!("{c:?} ({count} times)"),
    });
    let named = named.collect::<Vec<_>>().join(", ");
    match counts.len().saturating_sub(MOST) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_characters_are_named_once() {
        assert_eq!(counted("€жж"), "'ж' (2 times), '€'");
        let many: String = ('α'..='ρ').chain(['ω'; 5000]).collect();
        let named = counted(&many);
        assert!(named.starts_with("'ω' (5000 times), 'α', ") && named.ends_with("'ι' and 8 more"), "{named}");
    }
}
