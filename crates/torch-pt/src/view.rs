//! A tensor's elements, wherever its storage lies, and what can be made of them.

use std::borrow::Cow;

use crate::dtype::DType;
use crate::element::{Element, widen_bf16, widen_f16};
use crate::error::{Error, Fault, TensorFault};
use crate::tensor::TensorRef;

type Result<T> = std::result::Result<T, Error>;

/// A tensor's elements: contiguous, row-major, little-endian.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// Type of every element.
    pub dtype: DType,
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements; copied only where they do not lie so in their storage.
    pub bytes: Cow<'a, [u8]>,
    /// What errors say of it.
    file: &'a str,
    storage: usize,
}

impl<'a> View<'a> {
    pub(crate) fn new(file: &'a str, tensor: &TensorRef, dtype: DType, storage: &'a [u8]) -> Result<Self> {
        let bytes = tensor.gather(storage, dtype.size());
        let bytes = bytes.map_err(|fault| in_storage(file, tensor.storage, fault))?;
        Ok(View { dtype, shape: tensor.shape.clone(), bytes, file, storage: tensor.storage })
    }

    /// The elements as they are; an error where they are of another type than `T`.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        match self.dtype == T::DTYPE {
            true => Ok(self.elements(T::from_bytes)),
            false => Err(self.not(T::DTYPE.name())),
        }
    }

    /// The elements of any real type as `f32`; `float64` and large integers are rounded to the nearest. An error for complex
    /// numbers, and for floats of 8 bits and fewer, whose bytes are there to be had.
    pub fn to_vec_f32(&self) -> Result<Vec<f32>> {
        Ok(match self.dtype {
            DType::F32 => self.elements(f32::from_bytes),
            DType::F64 => self.elements(|bytes| f64::from_bytes(bytes) as f32),
            DType::F16 => self.elements(|bytes| widen_f16(u16::from_bytes(bytes))),
            DType::BF16 => self.elements(|bytes| widen_bf16(u16::from_bytes(bytes))),
            DType::I64 => self.elements(|bytes| i64::from_bytes(bytes) as f32),
            DType::I32 => self.elements(|bytes| i32::from_bytes(bytes) as f32),
            DType::I16 => self.elements(|bytes| i16::from_bytes(bytes).into()),
            DType::I8 => self.elements(|bytes| i8::from_bytes(bytes).into()),
            DType::U64 => self.elements(|bytes| u64::from_bytes(bytes) as f32),
            DType::U32 => self.elements(|bytes| u32::from_bytes(bytes) as f32),
            DType::U16 => self.elements(|bytes| u16::from_bytes(bytes).into()),
            DType::U8 | DType::Bool => self.elements(|bytes| bytes[0].into()),
            _ => return Err(self.not("a type that float32 can stand for")),
        })
    }

    fn elements<T>(&self, element: impl Fn(&[u8]) -> T) -> Vec<T> {
        self.bytes.chunks_exact(self.dtype.size()).map(element).collect()
    }

    fn not(&self, wanted: &'static str) -> Error {
        in_storage(self.file, self.storage, TensorFault::Type { found: self.dtype, wanted })
    }

    /// The elements as an array of `ndarray`; an error where they are of another type than `T`.
    #[cfg(feature = "ndarray")]
    pub fn to_array<T: Element>(&self) -> Result<ndarray::ArrayD<T>> {
        let array = ndarray::ArrayD::from_shape_vec(&self.shape[..], self.to_vec()?);
        array.map_err(|_| in_storage(self.file, self.storage, TensorFault::Extents))
    }

    /// The elements as a tensor of libtorch, on the CPU; an error where `tch` does not know the type.
    #[cfg(feature = "tch")]
    pub fn to_tensor(&self) -> Result<tch::Tensor> {
        let kind = self.dtype.kind().ok_or_else(|| self.not("a type that tch knows"))?;
        let shape: Vec<i64> = self.shape.iter().map(|&extent| extent as i64).collect();
        Ok(tch::Tensor::from_data_size(&self.bytes, &shape, kind))
    }
}

/// The storage of this index, whatever stands for one.
pub(crate) fn find_storage<'a, S>(file: &str, storages: &'a [S], storage: usize) -> Result<&'a S> {
    let missing = TensorFault::NoStorage { storage, storages: storages.len() };
    storages.get(storage).ok_or_else(|| in_storage(file, storage, missing))
}

fn in_storage(file: &str, storage: usize, fault: TensorFault) -> Error {
    Error::new(file, Fault::Tensor { tensor: format!("in storage {storage}"), fault })
}
