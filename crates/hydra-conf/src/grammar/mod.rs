//! Hydra's grammar of one override: the words of a value, what they are put together to, and the functions in it.

mod element;
mod functions;
mod parser;
mod range;
mod words;

pub(crate) use element::Element;
pub(crate) use functions::shuffle;
pub(crate) use parser::{Parsed, value};
pub(crate) use range::numbers;
