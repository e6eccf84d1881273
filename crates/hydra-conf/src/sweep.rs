//! What a sweep stands for: its values, as Hydra's basic sweeper lists them.

use crate::grammar::{Element, Parsed, numbers, shuffle};

/// The values of a sweep; `options` are those of the group that is swept.
pub(crate) fn values(parsed: &Parsed, options: &[String], most: usize) -> Result<Vec<Element>, String> {
    let (mut values, shuffled) = match parsed {
        Parsed::One(element) => return Ok(vec![element.clone()]),
        Parsed::Choice { values, shuffled, .. } => (values.clone(), *shuffled),
        Parsed::Range { start, stop, step, shuffled } => (numbers(start, stop, step, most)?, *shuffled),
        Parsed::Interval => {
            return Err("an interval has no end of numbers; sweep some of them with range(…) or choice(…)".to_owned());
        }
        Parsed::Glob { include, exclude } => {
            let any = |patterns: &[String], name: &str| patterns.iter().any(|pattern| matches(pattern, name));
            let mut chosen: Vec<_> = options.iter().filter(|name| any(include, name) && !any(exclude, name)).collect();
            chosen.sort();
            (chosen.into_iter().map(|name| Element::Text(name.clone())).collect(), false)
        }
    };
    if values.is_empty() {
        return Err("it stands for no value at all".to_owned());
    }
    if shuffled {
        shuffle(&mut values);
    }
    Ok(values)
}

/// Whether a name fits a pattern of a shell: `*`, `?`, `[abc]` and `[!abc]`.
fn matches(pattern: &str, name: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return name.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    let mut after = name.chars();
    let next = after.next();
    match first {
        '*' => matches(rest, name) || next.is_some() && matches(pattern, after.as_str()),
        '?' => next.is_some() && matches(rest, after.as_str()),
        '[' if rest.get(1..).is_some_and(|rest| rest.contains(']')) => {
            // A bracket that closes at once is one of the characters.
            let end = 1 + rest[1..].find(']').unwrap_or(0);
            let (set, rest) = (&rest[..end], &rest[end + 1..]);
            let (set, wanted) = set.strip_prefix('!').map_or((set, true), |set| (set, false));
            next.is_some_and(|c| in_set(set, c) == wanted) && matches(rest, after.as_str())
        }
        c => next == Some(c) && matches(rest, after.as_str()),
    }
}

/// Whether a character is one of these, among which `a-z` is a range.
fn in_set(set: &str, c: char) -> bool {
    let set: Vec<char> = set.chars().collect();
    let mut at = 0;
    while at < set.len() {
        let range = set.get(at + 1) == Some(&'-') && at + 2 < set.len();
        let last = if range { set[at + 2] } else { set[at] };
        if (set[at]..=last).contains(&c) {
            return true;
        }
        at += if range { 3 } else { 1 };
    }
    false
}
