//! Addition as a language: `012+345=7530`, a sum of two numbers with its answer in reverse, as in minGPT's adder (Karpathy, MIT). Without
//! `data.reverse` the first digit of the answer comes first, which is harder: it may hang on a carry from the last.
//!
//! Nothing is stored: the n-th problem of a split is computed. Problems with the same two numbers, in either order, are in the
//! same split, which a hash of them decides, so that the validation split holds none that training saw.

use crate::config::{ADDITION, DataConfig, MOST_DIGITS, Split, block_size_of_addition};
use crate::data::shuffle::mix;
use crate::data::vocab::Vocab;

/// Characters of the language, sorted.
const CHARS: &str = "+0123456789=";
/// Problems of each split: as many as a training may want, and enough to measure.
const PROBLEMS: (usize, usize) = (1 << 20, 5000);
/// One pair of numbers in so many is a validation problem.
const VAL_SHARE: u64 = 10;

/// Sums of two numbers of up to `digits` digits, written with leading zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addition {
    digits: u32,
    /// Whether answers begin with their last digit
    pub reverse: bool,
}

/// Two numbers to add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    /// The first
    pub a: u64,
    /// The second
    pub b: u64,
}

impl Problem {
    /// Digits of the larger number.
    pub fn digits(self) -> usize {
        self.a.max(self.b).max(1).ilog10() as usize + 1
    }

    /// Carries that adding by hand takes.
    pub fn carries(self) -> usize {
        let (mut a, mut b, mut carry, mut carries) = (self.a, self.b, 0, 0);
        while a > 0 || b > 0 {
            carry = (a % 10 + b % 10 + carry) / 10;
            carries += carry as usize;
            (a, b) = (a / 10, b / 10);
        }
        carries
    }
}

impl Addition {
    /// Where a configuration asks for it.
    pub fn of(data: &DataConfig) -> Option<Self> {
        (data.dataset == ADDITION).then(|| Self::new(data.digits, data.reverse))
    }

    /// Of numbers of 1 to `digits` digits, 1 to [`MOST_DIGITS`].
    pub fn new(digits: i64, reverse: bool) -> Self {
        Self { digits: digits.clamp(1, MOST_DIGITS) as u32, reverse }
    }

    /// Characters that a model reads of a problem: all of it but the answer's last digit.
    pub fn block_size(self) -> i64 {
        block_size_of_addition(self.digits.into())
    }

    /// Digits of an answer, one more than those of a number.
    pub fn answer_len(self) -> i64 {
        i64::from(self.digits) + 1
    }

    /// The characters.
    pub fn vocab() -> Vocab {
        Vocab::new(CHARS.chars())
    }

    /// Problems of a split.
    pub fn problems(split: Split) -> usize {
        match split {
            Split::Train => PROBLEMS.0,
            Split::Val => PROBLEMS.1,
        }
    }

    /// The n-th problem of a split. Each number is uniform below a power of ten, of which all are as likely; problems repeat where
    /// there are few.
    pub fn problem(self, split: Split, n: usize) -> Problem {
        let stream = match split {
            Split::Train => 1,
            Split::Val => 2,
        };
        let mut seed = mix(n as u64 ^ mix(stream));
        loop {
            let number = |seed: u64| {
                let digits = mix(seed) % u64::from(self.digits) + 1;
                mix(seed ^ u64::MAX) % 10u64.pow(digits as u32)
            };
            let problem = Problem { a: number(mix(seed ^ 1)), b: number(mix(seed ^ 2)) };
            if split_of(problem) == split {
                return problem;
            }
            seed = mix(seed);
        }
    }

    /// A question as a model reads it: `012+345=`.
    pub fn question(self, p: Problem) -> String {
        let n = self.digits as usize;
        format!("{:0n$}+{:0n$}=", p.a, p.b)
    }

    /// An answer as a model writes it.
    pub fn answer(self, p: Problem) -> String {
        self.turned(format!("{:0n$}", p.a + p.b, n = self.answer_len() as usize))
    }

    fn turned(self, digits: String) -> String {
        if self.reverse { digits.chars().rev().collect() } else { digits }
    }

    /// The numbers of a question as people write it: `12+345`, with or without zeros, spaces and `=`. None if it is no such sum.
    pub fn parse(self, question: &str) -> Option<Problem> {
        let (a, b) = question.trim().trim_end_matches('=').split_once('+')?;
        let number = |text: &str| digits(text.trim()).filter(|&n| n < 10u64.pow(self.digits));
        Some(Problem { a: number(a)?, b: number(b)? })
    }

    /// What an answer says.
    pub fn read_answer(self, answer: &str) -> Option<u64> {
        digits(&self.turned(answer.to_owned()))
    }
}

/// A number of nothing but digits.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The split that a problem belongs to.
fn split_of(p: Problem) -> Split {
    let hash = mix(p.a.min(p.b) ^ mix(p.a.max(p.b)));
    if hash.is_multiple_of(VAL_SHARE) { Split::Val } else { Split::Train }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_by_hand() {
        let adder = Addition::new(3, true);
        let p = Problem { a: 12, b: 989 };
        assert_eq!((adder.question(p), adder.answer(p)), ("012+989=".to_owned(), "1001".to_owned()));
        assert_eq!((p.digits(), p.carries()), (3, 3));
        assert_eq!(Problem { a: 0, b: 0 }.digits(), 1);
        assert_eq!(Problem { a: 95, b: 15 }.carries(), 2);
        assert_eq!(adder.block_size(), (adder.question(p) + &adder.answer(p)).len() as i64 - 1);
        assert_eq!(adder.read_answer("3570"), Some(753));
        let straight = Addition::new(3, false);
        assert_eq!((straight.answer(p).as_str(), straight.read_answer("1001")), ("1001", Some(1001)));
        assert_eq!(straight.answer(Problem { a: 12, b: 345 }), "0357");
    }

    #[test]
    fn questions_as_people_write_them() {
        let adder = Addition::new(3, true);
        for text in ["12+345", " 012+345=", "12 + 345 ="] {
            assert_eq!(adder.parse(text), Some(Problem { a: 12, b: 345 }), "{text}");
        }
        for text in ["", "12", "12+", "1200+1", "a+b", "1+2+3", "12-3", "12++3", "+12+3"] {
            assert_eq!(adder.parse(text), None, "{text}");
        }
    }

    #[test]
    fn no_validation_problem_is_trained_on_in_either_order() {
        let adder = Addition::new(2, true);
        let one = Addition::new(1, true);
        assert!(one.problem(Split::Val, 3).a < 10 && one.problem(Split::Train, 3).b < 10, "both splits have some");
        let pairs = |split, n| -> std::collections::BTreeSet<(u64, u64)> {
            (0..n).map(|i| adder.problem(split, i)).map(|p| (p.a.min(p.b), p.a.max(p.b))).collect()
        };
        let (train, val) = (pairs(Split::Train, 20_000), pairs(Split::Val, 5000));
        assert!(train.is_disjoint(&val));
        assert!(train.len() > 3000 && val.len() > 400, "{} and {} of 5050 pairs", train.len(), val.len());
    }

    #[test]
    fn every_length_and_every_number_of_carries_comes_up() {
        let adder = Addition::new(3, true);
        let problems: Vec<Problem> = (0..2000).map(|i| adder.problem(Split::Val, i)).collect();
        for digits in 1..=3 {
            assert!(problems.iter().filter(|p| p.digits() == digits).count() > 100, "{digits} digits");
            assert!(problems.iter().any(|p| p.carries() == digits), "{digits} carries");
        }
    }
}
