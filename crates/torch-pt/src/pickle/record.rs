//! A storage as a file describes it, and whether its bytes fit that.

use super::Result;
use super::stack::nonsense;
use crate::dtype::DType;
use crate::error::{Fault, shown};

/// A storage that is described but not read.
#[derive(Debug)]
pub(crate) struct StorageRecord {
    key: String,
    /// The type its class names; none for an untyped storage.
    class: Option<DType>,
    /// The type its tensors say it has.
    viewed_as: Option<DType>,
    /// Elements, or bytes of an untyped storage.
    length: usize,
}

impl StorageRecord {
    pub(super) fn new(key: &str, class: Option<DType>, length: usize) -> Self {
        StorageRecord { key: key.to_owned(), class, viewed_as: None, length }
    }

    /// An error unless it is described so again.
    pub(super) fn check_same(&self, class: Option<DType>, length: usize) -> Result<()> {
        let same = (self.class, self.length) == (class, length);
        same.then_some(()).ok_or_else(|| Fault::StorageConflict { storage: shown(&self.key) })
    }

    /// Either the storage says what its elements are, or each tensor does, and then all of them the same.
    pub(super) fn view_as(&mut self, dtype: Option<DType>) -> Result<()> {
        let second = match (self.class, dtype) {
            (Some(_), None) => return Ok(()),
            (None, Some(dtype)) => dtype,
            _ => return Err(nonsense("a tensor whose element type is said twice or never")),
        };
        match *self.viewed_as.get_or_insert(second) {
            first if first == second => Ok(()),
            first => Err(Fault::StorageTypes { storage: shown(&self.key), first, second }),
        }
    }

    /// Type of every element; an untyped storage that no tensor views is bytes, as in torch.
    pub(crate) fn dtype(&self) -> DType {
        self.class.or(self.viewed_as).unwrap_or(DType::U8)
    }

    /// Whole elements.
    pub(super) fn numel(&self) -> usize {
        if self.class.is_some() { self.length } else { self.length / self.dtype().size() }
    }

    /// The entry that holds its bytes.
    pub(crate) fn entry(&self) -> String {
        format!("data/{}", self.key)
    }

    /// An error unless it is described to have so many bytes.
    pub(crate) fn check_size(&self, found: u64) -> Result<()> {
        let unit = self.class.map_or(1, DType::size);
        let expected = (self.length as u64).saturating_mul(unit as u64);
        match expected == found {
            true => Ok(()),
            false => Err(Fault::StorageSize { storage: shown(&self.key), expected, found }),
        }
    }

    /// A byte other than 0 and 1 would be a bool that is neither.
    pub(crate) fn check_values(&self, bytes: &[u8]) -> Result<()> {
        if self.dtype() == DType::Bool && bytes.iter().any(|&byte| byte > 1) {
            let reason = "a bool is neither 0 nor 1".to_owned();
            return Err(Fault::DamagedEntry { entry: shown(&self.entry()), reason });
        }
        Ok(())
    }
}
