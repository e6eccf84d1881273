//! libtorch's names for element types.

use tch::Kind;

use crate::dtype::DType;

const KINDS: [(DType, Kind); 17] = [
    (DType::F32, Kind::Float),
    (DType::F64, Kind::Double),
    (DType::F16, Kind::Half),
    (DType::BF16, Kind::BFloat16),
    (DType::I64, Kind::Int64),
    (DType::I32, Kind::Int),
    (DType::I16, Kind::Int16),
    (DType::U8, Kind::Uint8),
    (DType::I8, Kind::Int8),
    (DType::Bool, Kind::Bool),
    (DType::C32, Kind::ComplexHalf),
    (DType::C64, Kind::ComplexFloat),
    (DType::C128, Kind::ComplexDouble),
    (DType::F8E4M3FN, Kind::Float8e4m3fn),
    (DType::F8E5M2, Kind::Float8e5m2),
    (DType::F8E4M3FNUZ, Kind::Float8e4m3fnuz),
    (DType::F8E5M2FNUZ, Kind::Float8e5m2fnuz),
];

impl DType {
    /// libtorch's name for it; none where `tch` has no such kind.
    pub fn kind(self) -> Option<Kind> {
        KINDS.iter().find(|(dtype, _)| *dtype == self).map(|(_, kind)| *kind)
    }

    /// The type that libtorch calls so; none for quantized ones.
    pub fn from_kind(kind: Kind) -> Option<Self> {
        KINDS.iter().find(|(_, found)| *found == kind).map(|(dtype, _)| *dtype)
    }
}
