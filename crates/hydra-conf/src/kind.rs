//! What a key accepts: a kind, which follows from the type of its field, and a limit, where one is declared.

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::path::PathBuf;

/// A range of floats; infinities and NaN are outside of every one. Rust's own ranges are limits too; this one can leave
/// out its lower end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    low: Bound<f64>,
    high: Bound<f64>,
}

impl Interval {
    /// Above 0.
    pub const POSITIVE: Self = Self::new(Bound::Excluded(0.0), Bound::Unbounded);

    /// From one bound to another.
    pub const fn new(low: Bound<f64>, high: Bound<f64>) -> Self {
        Self { low, high }
    }

    pub(crate) fn holds(self, x: f64) -> bool {
        x.is_finite() && self.contains(&x)
    }
}

impl RangeBounds<f64> for Interval {
    fn start_bound(&self) -> Bound<&f64> {
        self.low.as_ref()
    }

    fn end_bound(&self) -> Bound<&f64> {
        self.high.as_ref()
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = match self.low {
            Bound::Included(low) => format!("[{low}"),
            Bound::Excluded(low) => format!("({low}"),
            Bound::Unbounded => "(-∞".to_owned(),
        };
        match (self.low, self.high) {
            (Bound::Unbounded, Bound::Unbounded) => f.write_str("a finite number"),
            (Bound::Included(low), Bound::Unbounded) => write!(f, "a finite number of at least {low}"),
            (Bound::Excluded(low), Bound::Unbounded) => write!(f, "a finite number above {low}"),
            (_, Bound::Included(high)) => write!(f, "a number in {left}, {high}]"),
            (_, Bound::Excluded(high)) => write!(f, "a number in {left}, {high})"),
        }
    }
}

/// What a key accepts.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the bounds have one name each")]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// An integer from `min` to `max`.
    Int { min: i64, max: i64 },
    /// One or more integers, each from `min` to `max`: `[0, 1, 2]` or `0,1,2`.
    Ints { min: i64, max: i64 },
    /// A float in an interval.
    Float(Interval),
    /// Any text, taken as typed.
    Text,
    /// A path, taken as typed; a leading `~/` is the home directory.
    Path,
    /// A text of a certain form.
    Checked(Checked),
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// A form of text: a limit for a `String`.
#[derive(Debug, Clone, Copy)]
pub struct Checked {
    /// The form in words, after "expected".
    pub wanted: &'static str,
    /// Whether a text has it.
    pub accepts: fn(&str) -> bool,
}

impl Kind {
    /// Whether the text typed is the value.
    pub(crate) fn is_textual(self) -> bool {
        matches!(self, Self::Text | Self::Path)
    }

    /// Lists of it, for integers.
    const fn listed(self) -> Self {
        match self {
            Self::Int { min, max } => Self::Ints { min, max },
            other => other,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("true or false"),
            Self::Int { .. } => f.write_str("an integer"),
            Self::Ints { .. } => f.write_str("integers, as in 0,1,2"),
            Self::Float(_) => f.write_str("a number"),
            Self::Text => f.write_str("text"),
            Self::Path => f.write_str("a path"),
            Self::Checked(form) => f.write_str(form.wanted),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
        }
    }
}

/// A type that a key can have.
pub trait Setting {
    /// What such a key accepts.
    const KIND: Kind;
    /// Whether null is accepted too.
    const OPTIONAL: bool = false;
}

/// What can stand after `in` for a key of type `T`: a range for numbers, [`Checked`] for text.
pub trait Limit<T> {
    /// What the key accepts within the limit.
    fn kind(self) -> Kind;
}

impl Setting for bool {
    const KIND: Kind = Kind::Bool;
}

impl Setting for String {
    const KIND: Kind = Kind::Text;
}

impl Setting for PathBuf {
    const KIND: Kind = Kind::Path;
}

impl<T: Setting> Setting for Option<T> {
    const KIND: Kind = T::KIND;
    const OPTIONAL: bool = true;
}

impl<T, L: Limit<T>> Limit<Option<T>> for L {
    fn kind(self) -> Kind {
        self.kind()
    }
}

impl Limit<String> for Checked {
    fn kind(self) -> Kind {
        Kind::Checked(self)
    }
}

/// Implements both traits for types of integers, and lists of them.
macro_rules! integers {
    ($($int:ty)+) => {$(
        impl Setting for $int {
            const KIND: Kind = {
                // The file format has integers of 64 bits with a sign.
                let max = if (<$int>::MAX as u128) < i64::MAX as u128 { <$int>::MAX as i64 } else { i64::MAX };
                Kind::Int { min: <$int>::MIN as i64, max }
            };
        }

        impl Setting for Vec<$int> {
            const KIND: Kind = <$int>::KIND.listed();
        }

        impl<R: RangeBounds<$int>> Limit<$int> for R {
            fn kind(self) -> Kind {
                let int = |n: $int| i64::try_from(n).unwrap_or(i64::MAX);
                let min = match self.start_bound() {
                    Bound::Included(&low) => int(low),
                    Bound::Excluded(&low) => int(low).saturating_add(1),
                    Bound::Unbounded => int(<$int>::MIN),
                };
                let max = match self.end_bound() {
                    Bound::Included(&high) => int(high),
                    Bound::Excluded(&high) => int(high).saturating_sub(1),
                    Bound::Unbounded => int(<$int>::MAX),
                };
                Kind::Int { min, max }
            }
        }

        impl<R: RangeBounds<$int>> Limit<Vec<$int>> for R {
            fn kind(self) -> Kind {
                Limit::<$int>::kind(self).listed()
            }
        }
    )+};
}

integers! { i8 i16 i32 i64 isize u8 u16 u32 u64 usize }

impl Setting for f64 {
    const KIND: Kind = Kind::Float(Interval::new(Bound::Unbounded, Bound::Unbounded));
}

impl Setting for f32 {
    const KIND: Kind = f64::KIND;
}

impl<R: RangeBounds<f64>> Limit<f64> for R {
    fn kind(self) -> Kind {
        Kind::Float(Interval::new(self.start_bound().cloned(), self.end_bound().cloned()))
    }
}
