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
mod record;
mod stack;
mod tree;

pub(crate) use encode::encode;
pub(crate) use machine::decode;
pub(crate) use record::StorageRecord;

type Result<T> = std::result::Result<T, crate::error::Fault>;
