//! `data.pkl`: the values, in Python's little language for them.
//!
//! Reading is a pickle machine that knows a few instructions and a few names, and calls nothing. Its values may share and even
//! contain each other ([`node`]); [`tree`] makes plain ones of them. [`encode()`] writes.

mod budget;
mod encode;
mod input;
mod machine;
mod node;
mod rebuild;
mod stack;
mod tree;

use budget::Budget;
pub(crate) use encode::encode;

use crate::error::Fault;
use crate::object::Object;
use crate::record::StorageRecord;

type Result<T> = std::result::Result<T, Fault>;

/// The values in a pickle and the storages they need, in order of first use. The memory that values may take grows with the
/// length of the file that the pickle is in.
pub(crate) fn decode(bytes: &[u8], file_length: u64) -> Result<(Object, Vec<StorageRecord>)> {
    let decoded = machine::run(bytes, Budget::of_file(file_length))?;
    let root = tree::build(&decoded)?;
    Ok((root, decoded.storages))
}
