//! What values keys accept, beside what follows from their types.

use std::ops::{Bound, RangeInclusive};

use hydra_conf::{Checked, Interval};

/// 1 or more; the ceiling keeps products of two inside 64 bits.
pub const COUNT: RangeInclusive<i64> = 1..=i32::MAX as i64;

/// 0 or more.
pub const COUNT_OR_ZERO: RangeInclusive<i64> = 0..=i32::MAX as i64;

/// Above 0.
pub const POSITIVE: Interval = Interval::POSITIVE;

/// Above 0, up to 1.
pub const SHARE: Interval = Interval::new(Bound::Excluded(0.0), Bound::Included(1.0));

/// A name of a device.
pub const DEVICE: Checked = Checked { wanted: "auto, cpu, cuda, cuda:N or mps", accepts: is_device };

fn is_device(name: &str) -> bool {
    let number = name.strip_prefix("cuda:");
    matches!(name, "auto" | "cpu" | "cuda" | "mps")
        || number.is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()) && n.parse::<u16>().is_ok())
}
