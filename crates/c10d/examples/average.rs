//! Averages a tensor over processes. Start two of them with PyTorch's own launcher, from the top of a project:
//!
//! ```text
//! cargo build --example average
//! torchrun --standalone --no-python --nproc-per-node=2 target/debug/examples/average
//! ```

use std::time::Duration;

use c10d::{Error, Group, Rendezvous, Store};
use tch::Tensor;

fn main() -> Result<(), Error> {
    let timeout = Duration::from_secs(60);
    let group = match Rendezvous::from_env()? {
        Some(rendezvous) => Group::join(&Store::open(&rendezvous, timeout)?, timeout, false)?,
        None => Group::alone(),
    };
    let tensor = Tensor::from_slice(&[1.0, 10.0]) * group.rank() as f64;
    group.average(&tensor)?;
    let values = [tensor.double_value(&[0]), tensor.double_value(&[1])];
    println!("rank {} of {}: the mean is {values:?}", group.rank(), group.size());
    Ok(())
}
