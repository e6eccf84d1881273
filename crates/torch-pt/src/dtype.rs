//! Element types, each declared once.

use std::fmt;

#[cfg(feature = "tch")]
use tch::Kind;

/// Declares [`DType`]: the variant, torch's name for it, its size in bytes, the class that a file names for a storage of it, and
/// libtorch's name. Types that came after PyTorch 2.0 have no such class: their storages are untyped, and each tensor says what it
/// is. Some are unknown to `tch`.
macro_rules! dtypes {
    ($($(#[$doc:meta])* $variant:ident: $name:literal, $size:literal, $class:expr, $kind:expr;)*) => {
        /// The type of a tensor's elements.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum DType {
            $($(#[$doc])* #[doc = concat!("`torch.", $name, "`")] $variant,)*
        }

        impl DType {
            /// Every type that is read and written.
            pub const ALL: &[DType] = &[$(DType::$variant),*];

            /// torch's name for it, as in `float32`.
            pub fn name(self) -> &'static str {
                match self { $(DType::$variant => $name,)* }
            }

            /// Bytes per element.
            pub fn size(self) -> usize {
                match self { $(DType::$variant => $size,)* }
            }

            /// The class in module `torch` that a file names for a storage of this type, as in `FloatStorage`; none for
            /// types that came after PyTorch 2.0, whose storages are untyped.
            pub fn storage_class(self) -> Option<&'static str> {
                match self { $(DType::$variant => $class,)* }
            }

            /// libtorch's name for it; none where `tch` has no such kind.
            #[cfg(feature = "tch")]
            pub fn kind(self) -> Option<Kind> {
                match self { $(DType::$variant => $kind,)* }
            }
        }
    };
}

dtypes! {
    F32: "float32", 4, Some("FloatStorage"), Some(Kind::Float);
    F64: "float64", 8, Some("DoubleStorage"), Some(Kind::Double);
    F16: "float16", 2, Some("HalfStorage"), Some(Kind::Half);
    BF16: "bfloat16", 2, Some("BFloat16Storage"), Some(Kind::BFloat16);
    I64: "int64", 8, Some("LongStorage"), Some(Kind::Int64);
    I32: "int32", 4, Some("IntStorage"), Some(Kind::Int);
    I16: "int16", 2, Some("ShortStorage"), Some(Kind::Int16);
    U8: "uint8", 1, Some("ByteStorage"), Some(Kind::Uint8);
    I8: "int8", 1, Some("CharStorage"), Some(Kind::Int8);
    /// A byte of 0 or 1:
    Bool: "bool", 1, Some("BoolStorage"), Some(Kind::Bool);
    /// Real part, then imaginary part:
    C64: "complex64", 8, Some("ComplexFloatStorage"), Some(Kind::ComplexFloat);
    /// Real part, then imaginary part:
    C128: "complex128", 16, Some("ComplexDoubleStorage"), Some(Kind::ComplexDouble);
    /// Real part, then imaginary part:
    C32: "complex32", 4, None, Some(Kind::ComplexHalf);
    U16: "uint16", 2, None, None;
    U32: "uint32", 4, None, None;
    U64: "uint64", 8, None, None;
    F8E4M3FN: "float8_e4m3fn", 1, None, Some(Kind::Float8e4m3fn);
    F8E5M2: "float8_e5m2", 1, None, Some(Kind::Float8e5m2);
    F8E4M3FNUZ: "float8_e4m3fnuz", 1, None, Some(Kind::Float8e4m3fnuz);
    F8E5M2FNUZ: "float8_e5m2fnuz", 1, None, Some(Kind::Float8e5m2fnuz);
    F8E8M0FNU: "float8_e8m0fnu", 1, None, None;
    /// Two 4-bit floats, which count as one element:
    F4E2M1FNX2: "float4_e2m1fn_x2", 1, None, None;
}

impl DType {
    /// The type behind a storage class of module `torch`, if there is one.
    pub fn from_storage_class(class: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|dtype| dtype.storage_class() == Some(class))
    }

    /// The type that torch calls so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|dtype| dtype.name() == name)
    }

    /// The type that libtorch calls so; none for quantized ones.
    #[cfg(feature = "tch")]
    pub fn from_kind(kind: Kind) -> Option<Self> {
        Self::ALL.iter().copied().find(|dtype| dtype.kind() == Some(kind))
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
