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
    let mut scored: Vec<(f64, &str)> =
        known.into_iter().map(|name| (likeness(typed, name), name)).filter(|(score, _)| *score >= ALIKE).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
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

fn likeness(typed: &str, name: &str) -> f64 {
    let (section, leaf) = typed.rsplit_once('.').unwrap_or(("", typed));
    let (home, name) = name.rsplit_once('.').unwrap_or(("", name));
    let factor = if section.is_empty() || section == home { 1.0 } else { ELSEWHERE };
    factor * strsim::jaro_winkler(leaf, name)
}
