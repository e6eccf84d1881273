//! The vocabulary: a sorted set of characters, as in the original.

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
