//! How long an all-reduce takes between these processes, by its size: what a model of their step time needs. Start it as they will be:
//!
//! ```text
//! cargo build --release --example allreduce
//! torchrun --standalone --no-python --nproc-per-node=2 target/release/examples/allreduce
//! ```

use std::time::{Duration, Instant};

use c10d::{Error, Group, Rendezvous, Store};
use tch::{Device, Kind, Tensor};

const ROUNDS: usize = 15;
/// Numbers of 4 bytes.
const SIZES: [i64; 5] = [1, 10_000, 100_000, 1_000_000, 10_000_000];

fn main() -> Result<(), Error> {
    let timeout = Duration::from_secs(60);
    let Some(rendezvous) = Rendezvous::from_env()? else {
        println!("A process that is alone has nobody to send to: start it with torchrun");
        return Ok(());
    };
    let group = Group::join(&Store::open(&rendezvous, timeout)?, timeout, false)?;
    for n in SIZES {
        let tensor = Tensor::zeros([n], (Kind::Float, Device::Cpu));
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            group.barrier()?;
            let began = Instant::now();
            group.average(&tensor)?;
            times.push(began.elapsed());
        }
        times.sort();
        if group.is_first() {
            println!("{:>10} bytes {:>9.3} ms", 4 * n, 1e3 * times[ROUNDS / 2].as_secs_f64());
        }
    }
    Ok(())
}
