//! The memory that a file's values may take. A few bytes of pickle can name one value over and over, so it is counted.

use super::Result;
use crate::error::Fault;

/// Bytes still to be had, of so many.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    left: usize,
    limit: usize,
}

impl Budget {
    /// What the values of a file this long may take beside its storages: a mebibyte, and four times the file.
    pub(super) fn of_file(length: u64) -> Self {
        const FLOOR: usize = 1 << 20;
        let limit = usize::try_from(length).map_or(usize::MAX, |length| length.saturating_mul(4).saturating_add(FLOOR));
        Budget { left: limit, limit }
    }

    pub(super) fn spend(&mut self, bytes: usize) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or(Fault::TooLarge { limit: self.limit })?;
        Ok(())
    }
}
