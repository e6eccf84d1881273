#![doc = include_str!("../README.md")]

mod archive;
mod container;
mod dtype;
mod element;
mod error;
mod lazy;
mod object;
mod pickle;
mod tensor;
mod view;

pub use archive::Archive;
pub use dtype::DType;
pub use element::Element;
pub use error::{Error, Fault, TensorFault};
pub use lazy::LazyArchive;
pub use object::Object;
pub use tensor::{Storage, TensorRef};
pub use view::View;
