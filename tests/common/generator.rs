//! libtorch's generator of random numbers.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// It is one for the whole process: where some tests seed it, each test of the suite has it alone.
pub fn alone() -> MutexGuard<'static, ()> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    GENERATOR.lock().unwrap_or_else(PoisonError::into_inner)
}
