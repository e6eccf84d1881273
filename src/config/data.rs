//! The settings of the data, and the sizes of the data that is made up.

use std::path::PathBuf;

use super::limits::{COUNT, COUNT_OR_ZERO};

/// The `data.dataset` that makes up sums of two numbers.
pub const ADDITION: &str = "addition";

/// The most digits of such a number.
pub const MOST_DIGITS: i64 = 9;

/// Characters that a model reads of a sum of two numbers: all of it but the last digit of the answer, which has one
/// digit more than they have.
pub fn block_size_of_addition(digits: i64) -> i64 {
    3 * digits.clamp(1, MOST_DIGITS) + 2
}

hydra_conf::section! {
    /// The text and how it is cut into batches.
    #[serde(deny_unknown_fields)]
    pub struct DataConfig {
        /// name of the data in reports; addition makes up sums of two numbers and reads no file
        dataset: String = "shakespeare";
        /// UTF-8 text file
        data_path: PathBuf = "shakespeare.txt";
        /// characters per window T
        block_size: i64 = 256, in COUNT;
        /// windows per batch B
        batch_size: i64 = 64, in COUNT;
        /// batches that a thread keeps ready; 0 prepares them in the loop
        num_workers: i64 = 0, in COUNT_OR_ZERO;
        /// digits of the numbers that dataset=addition adds
        #[serde(default = "three")]
        digits: i64 = 3, in 1..=MOST_DIGITS;
        /// answers of dataset=addition begin with their last digit, which is easier: carries come from there
        #[serde(default = "yes")]
        reverse: bool = true;
    }
}

fn yes() -> bool {
    true
}

fn three() -> i64 {
    3
}
