#![doc = include_str!("../README.md")]

mod error;
mod ffi;
mod group;
mod nccl;
mod rendezvous;
mod store;

pub use error::Error;
pub use group::Group;
pub use nccl::nccl;
pub use rendezvous::Rendezvous;
pub use store::Store;
