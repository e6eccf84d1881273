//! A tensor as the file has it: a view into a flat run of elements.

use std::borrow::Cow;

use crate::dtype::DType;
use crate::element::Element;
use crate::error::TensorFault;

/// A flat run of elements that one or more tensors view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// Type of every element.
    pub dtype: DType,
    /// The elements, little-endian.
    pub bytes: Vec<u8>,
}

/// A tensor: a strided view into the storage with this index. Tied tensors name the same storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorRef {
    /// Index into the archive's storages.
    pub storage: usize,
    /// First element, counted in elements.
    pub offset: usize,
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Elements between neighbours along each dimension.
    pub stride: Vec<usize>,
}

impl Storage {
    /// A storage of these values.
    pub fn of<T: Element>(values: &[T]) -> Self {
        let mut bytes = Vec::with_capacity(size_of_val(values));
        values.iter().for_each(|value| value.append(&mut bytes));
        Storage { dtype: T::DTYPE, bytes }
    }

    /// Whole elements.
    pub fn numel(&self) -> usize {
        self.bytes.len() / self.dtype.size()
    }
}

impl TensorRef {
    /// torch's own limit on dimensions.
    pub(crate) const MAX_RANK: usize = 64;

    /// The row-major view of a whole storage.
    pub fn contiguous(storage: usize, shape: &[usize]) -> Self {
        let stride = row_major(shape);
        let shape = shape.to_vec();
        TensorRef { storage, offset: 0, shape, stride }
    }

    /// Number of elements; a hand-made shape too large to count saturates.
    pub fn numel(&self) -> usize {
        self.shape.iter().fold(1, |count: usize, &extent| count.saturating_mul(extent))
    }

    /// Checks that the view stays inside a storage of `available` elements and needs no more of them than there are
    /// (an expanded tensor repeats elements, and a small file could claim any size).
    pub(crate) fn check(&self, available: usize) -> Result<(), TensorFault> {
        let (shape, stride) = (self.shape.len(), self.stride.len());
        if shape != stride || shape > Self::MAX_RANK {
            return Err(TensorFault::Rank { shape, stride });
        }
        let outside = TensorFault::OutOfBounds { available };
        if self.shape.contains(&0) {
            return if self.offset <= available { Ok(()) } else { Err(outside) };
        }
        let mut numel = 1usize;
        let mut last = self.offset;
        for (&extent, &stride) in self.shape.iter().zip(&self.stride) {
            let reach = (extent - 1).checked_mul(stride);
            let reached = reach.and_then(|reach| last.checked_add(reach));
            let (Some(count), Some(reached)) = (numel.checked_mul(extent), reached) else {
                return Err(outside);
            };
            (numel, last) = (count, reached);
        }
        if last >= available {
            return Err(outside);
        }
        if numel > available {
            return Err(TensorFault::Expanded { numel, available });
        }
        Ok(())
    }

    /// The view's elements in row-major order: borrowed where they already lie so, gathered where they do not.
    pub(crate) fn gather<'a>(&self, storage: &'a [u8], size: usize) -> Result<Cow<'a, [u8]>, TensorFault> {
        self.check(storage.len() / size)?;
        if self.shape.contains(&0) {
            return Ok(Cow::Borrowed(&[]));
        }
        if self.is_row_major() {
            let start = self.offset * size;
            return Ok(Cow::Borrowed(&storage[start..start + self.numel() * size]));
        }
        let mut bytes = Vec::with_capacity(self.numel() * size);
        let mut index = vec![0; self.shape.len()];
        let mut at = self.offset;
        for _ in 0..self.numel() {
            bytes.extend_from_slice(&storage[at * size..(at + 1) * size]);
            at = self.advance(&mut index, at);
        }
        Ok(Cow::Owned(bytes))
    }

    /// Moves `index` to the next position in row-major order, and `at` with it; the last position wraps to the first.
    fn advance(&self, index: &mut [usize], mut at: usize) -> usize {
        for dim in (0..index.len()).rev() {
            if index[dim] + 1 < self.shape[dim] {
                index[dim] += 1;
                return at + self.stride[dim];
            }
            at -= index[dim] * self.stride[dim];
            index[dim] = 0;
        }
        at
    }

    /// A dimension of one element may have any stride: it is never stepped along.
    fn is_row_major(&self) -> bool {
        let expected = row_major(&self.shape);
        let dims = self.shape.iter().zip(&self.stride).zip(&expected);
        dims.into_iter().all(|((&extent, stride), expected)| extent == 1 || stride == expected)
    }
}

/// Strides of a contiguous tensor; torch counts an empty dimension as one here.
fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut stride = vec![1usize; shape.len()];
    for dim in (1..shape.len()).rev() {
        stride[dim - 1] = stride[dim].saturating_mul(shape[dim].max(1));
    }
    stride
}
