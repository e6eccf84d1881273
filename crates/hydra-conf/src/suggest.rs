//! The known names that an unknown one may have meant.

/// How alike two names must be to be worth suggesting (Jaro-Winkler).
const ALIKE: f64 = 0.8;

/// How far behind the best a suggestion may be.
const BEHIND: f64 = 0.06;

/// How many names are suggested at most.
const MOST: usize = 3;

/// What the right last part in another section counts.
const ELSEWHERE: f64 = 0.97;

/// The known names nearest to `typed`, best first. The last parts are compared, so that `learning_rate` finds
/// `train.learning_rate`.
pub(crate) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let known: Vec<&str> = known.into_iter().collect();
    let abbreviated = abbreviated(typed, &known);
    let mut scored: Vec<(f64, &str)> =
        known.into_iter().map(|name| (likeness(typed, name), name)).filter(|(score, _)| *score >= ALIKE).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    if scored.is_empty() {
        return abbreviated;
    }
    let best = scored.first().map_or(0.0, |(score, _)| *score);
    // A name that is right but for its section leaves no room for guesses.
    let least = if best >= ELSEWHERE { best } else { best - BEHIND };
    scored.into_iter().filter(|(score, _)| *score >= least).take(MOST).map(|(_, name)| name.to_owned()).collect()
}

/// ` did you mean …?` after a message; empty where there is nothing to suggest.
pub(crate) fn did_you_mean(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        _ => format!("; did you mean {}?", nearest.join(" or ")),
    }
}

/// The known names that `typed` is a part of, or the initials: `lr` is short for `learning_rate`.
fn abbreviated(typed: &str, known: &[&str]) -> Vec<String> {
    let short = last(typed);
    if short.len() < 2 {
        return Vec::new();
    }
    let initials = |name: &str| name.split('_').filter_map(|word| word.chars().next()).collect::<String>();
    let ways: [&dyn Fn(&str) -> bool; 3] =
        [&|name| initials(name) == short, &|name| name.starts_with(short), &|name| name.contains(short)];
    let found = ways.iter().find_map(|way| {
        let names: Vec<String> = known.iter().filter(|name| way(last(name))).map(|name| (*name).to_owned()).collect();
        (!names.is_empty()).then_some(names)
    });
    found.unwrap_or_default().into_iter().take(MOST).collect()
}

/// The last part of a dotted name.
fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn likeness(typed: &str, name: &str) -> f64 {
    let (section, leaf) = typed.rsplit_once('.').unwrap_or(("", typed));
    let (home, name) = name.rsplit_once('.').unwrap_or(("", name));
    let factor = if section.is_empty() || section == home { 1.0 } else { ELSEWHERE };
    factor * strsim::jaro_winkler(leaf, name)
}
