//! Rust's types that elements are read as and written from.

use crate::dtype::DType;

/// A Rust type that is a tensor's element type.
pub trait Element: Copy + sealed::Sealed {
    /// The element type of tensors that hold it.
    const DTYPE: DType;

    /// An element from exactly [`DType::size`] bytes, little-endian.
    #[doc(hidden)]
    fn from_bytes(bytes: &[u8]) -> Self;

    /// Appends its bytes, little-endian.
    #[doc(hidden)]
    fn append(self, bytes: &mut Vec<u8>);
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($element:ty => $dtype:ident),* $(,)?) => {$(
        impl sealed::Sealed for $element {}

        impl Element for $element {
            const DTYPE: DType = DType::$dtype;

            fn from_bytes(bytes: &[u8]) -> Self {
                let mut array = [0; size_of::<Self>()];
                array.copy_from_slice(bytes);
                Self::from_le_bytes(array)
            }

            fn append(self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }
        }
    )*};
}

elements! {
    f32 => F32, f64 => F64, i64 => I64, i32 => I32, i16 => I16, i8 => I8, u64 => U64, u32 => U32, u16 => U16, u8 => U8,
}

impl sealed::Sealed for bool {}

impl Element for bool {
    const DTYPE: DType = DType::Bool;

    fn from_bytes(bytes: &[u8]) -> Self {
        bytes != [0]
    }

    fn append(self, bytes: &mut Vec<u8>) {
        bytes.push(self.into());
    }
}

/// A `float16` as a `f32`, which has all its values.
pub(crate) fn widen_f16(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10 & 0x1f), u32::from(bits & 0x3ff));
    match exponent {
        0 => (fraction as f32 * 2f32.powi(-24)).copysign(f32::from_bits(sign | 1)),
        0x1f => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// A `bfloat16` as a `f32`, whose upper half it is.
pub(crate) fn widen_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_float16_is_widened_to_its_value() {
        for bits in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
            let magnitude = match exponent {
                0 => fraction / 1024.0 * 2f64.powi(-14),
                0x1f if fraction == 0.0 => f64::INFINITY,
                0x1f => f64::NAN,
                exponent => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
            };
            let widened = widen_f16(bits);
            assert_eq!(widened.is_sign_negative(), bits >> 15 == 1, "{bits:#x}");
            assert_eq!(widened.is_nan(), magnitude.is_nan(), "{bits:#x}");
            assert!(magnitude.is_nan() || f64::from(widened.abs()) == magnitude, "{bits:#x}");
        }
    }
}
