//! Problems that are answered right, from the first digit to the last: by all, by number of digits and by number of carries.
//!
//! Each digit is predicted after the right ones before it. Where all of them are the likeliest, they are what a model writes that does
//! not draw, and the other way round: so one pass over the answers finds what writing them one by one would.

use crate::data::addition::Problem;
use crate::eval::measure::Prediction;
use crate::eval::scores::Scores;
use crate::eval::table::{self, Column, Format};
use crate::eval::windows::Windows;
use crate::metrics::Row;

/// A row for all problems and for each of their kinds: `name`, `problems`, and for each prediction its share of right answers.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(transparent)]
pub struct Exact(pub Vec<Row>);

/// Counts right answers; None where the windows are those of a text.
pub fn exact(windows: &Windows, predictions: &[Prediction], scores: &[Scores]) -> Option<Exact> {
    let adder = windows.corpus.problems()?;
    let problems: Vec<Problem> = windows.offsets.iter().map(|&n| adder.problem(windows.split, n)).collect();
    let row = |name: String, of: &dyn Fn(Problem) -> bool| {
        let chosen: Vec<usize> = (0..problems.len()).filter(|&i| of(problems[i])).collect();
        let mut row = table::row([("name", name.into()), ("problems", chosen.len().into())]);
        for (prediction, scores) in predictions.iter().zip(scores) {
            let right = chosen.iter().filter(|&&i| scores.is_exact(i)).count();
            row.insert(prediction.to_string(), (right as f64 / chosen.len() as f64).into());
        }
        (!chosen.is_empty()).then_some(row)
    };
    let most = adder.answer_len() as usize; // one more than the digits of a number
    let digits = (1..most).map(|n| row(plural(n, "digit"), &move |p| p.digits() == n));
    let carries = (0..most).map(|n| row(plural(n, "carry"), &move |p| p.carries() == n));
    Some(Exact(std::iter::once(row("all".to_owned(), &|_| true)).chain(digits).chain(carries).flatten().collect()))
}

fn plural(n: usize, name: &str) -> String {
    match (n, name.strip_suffix('y')) {
        (1, _) => format!("1 {name}"),
        (_, Some(stem)) => format!("{n} {stem}ies"),
        _ => format!("{n} {name}s"),
    }
}

impl Exact {
    /// A table with a column for each prediction.
    pub fn table(&self) -> String {
        let with_count = |row: &Row| {
            let name = format!("{} ({})", row["name"].as_str().unwrap_or_default(), row["problems"]);
            let mut row = row.clone();
            row.insert("name".to_owned(), name.into());
            row
        };
        let rows: Vec<Row> = self.0.iter().map(with_count).collect();
        let predictions = rows.first().into_iter().flat_map(Row::keys).skip(2); // after name and problems
        let titles: Vec<(&str, String)> =
            predictions.map(|name| (name.as_str(), name.replace("System ", "S"))).collect();
        let columns: Vec<Column> =
            titles.iter().map(|(key, title)| (*key, title.as_str(), title.len().max(9) + 2, Format::Percent)).collect();
        "\nAnswers that are right in every digit, by digits of the larger number and by carries\n".to_owned()
            + &table::table(&rows, &columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::addition::Addition;
    use crate::data::{Corpus, Split};
    use crate::eval::scores::Base;
    use tch::{Device, Kind};

    #[test]
    fn right_answers_are_counted_by_kind() {
        let corpus = Corpus::addition(Addition::new(2, true));
        let mut windows = Windows::consecutive(&corpus, Split::Val, Addition::new(2, true).block_size()).unwrap();
        windows.offsets.truncate(400);
        // Wrong in one digit wherever there are two carries.
        let mut scores = Scores::default();
        for (&n, (_, targets)) in windows.offsets.iter().zip(windows.batches(1, Device::Cpu)) {
            let predicted = targets.copy();
            if Addition::new(2, true).problem(Split::Val, n).carries() == 2 {
                let _ = predicted.narrow(1, 1, 1).fill_(0); // a plus
            }
            let logits = predicted.one_hot(corpus.vocab.len() as i64).to_kind(Kind::Float); // (1, A, V)
            scores.add(&logits, &targets, &Base::new(&-&logits));
        }
        let found = exact(&windows, &[Prediction::Steps(0)], &[scores]).unwrap();
        let share = |name: &str| {
            let row = found.0.iter().find(|row| row["name"] == name).unwrap();
            row["System 1"].as_f64().unwrap()
        };
        assert_eq!((share("0 carries"), share("1 carry"), share("2 carries")), (1.0, 1.0, 0.0));
        assert!(share("all") > 0.5 && share("all") < 1.0);
        assert!(found.table().contains("2 carries ("), "{}", found.table());
    }
}
