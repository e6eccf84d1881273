//! What a checkpoint holds once it is read: a tree of Python values, whose tensors are views into storages.

use std::borrow::Cow;

use tch::Kind;

use super::TensorFault;

/// Element type of a storage, as `torch` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DType {
    /// `float32`
    F32,
    /// `float64`
    F64,
    /// `float16`
    F16,
    /// `bfloat16`
    BF16,
    /// `int64`
    I64,
    /// `int32`
    I32,
    /// `int16`
    I16,
    /// `uint8`
    U8,
    /// `int8`
    I8,
    /// `bool`, a byte of 0 or 1
    Bool,
}

impl DType {
    const CLASSES: [(DType, &'static str); 10] = [
        (DType::F32, "FloatStorage"),
        (DType::F64, "DoubleStorage"),
        (DType::F16, "HalfStorage"),
        (DType::BF16, "BFloat16Storage"),
        (DType::I64, "LongStorage"),
        (DType::I32, "IntStorage"),
        (DType::I16, "ShortStorage"),
        (DType::U8, "ByteStorage"),
        (DType::I8, "CharStorage"),
        (DType::Bool, "BoolStorage"),
    ];

    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 => 8,
            DType::F32 | DType::I32 => 4,
            DType::F16 | DType::BF16 | DType::I16 => 2,
            DType::U8 | DType::I8 | DType::Bool => 1,
        }
    }

    /// The class in module `torch` that a file names for this type, e.g. `FloatStorage`.
    pub fn storage_class(self) -> &'static str {
        let found = Self::CLASSES.iter().find(|(dtype, _)| *dtype == self);
        found.map_or("", |(_, class)| class)
    }

    /// libtorch's name for it.
    pub(super) fn kind(self) -> Kind {
        match self {
            DType::F32 => Kind::Float,
            DType::F64 => Kind::Double,
            DType::F16 => Kind::Half,
            DType::BF16 => Kind::BFloat16,
            DType::I64 => Kind::Int64,
            DType::I32 => Kind::Int,
            DType::I16 => Kind::Int16,
            DType::U8 => Kind::Uint8,
            DType::I8 => Kind::Int8,
            DType::Bool => Kind::Bool,
        }
    }

    /// The type behind a storage class of module `torch`, if it is one we read.
    pub fn from_storage_class(class: &str) -> Option<Self> {
        let found = Self::CLASSES.iter().find(|(_, name)| *name == class);
        found.map(|(dtype, _)| *dtype)
    }
}

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

impl TensorRef {
    /// torch's own limit on dimensions.
    pub(super) const MAX_RANK: usize = 64;

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
    pub(super) fn check(&self, available: usize) -> Result<(), TensorFault> {
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
    pub(super) fn gather<'a>(&self, storage: &'a Storage) -> Result<Cow<'a, [u8]>, TensorFault> {
        let size = storage.dtype.size();
        let available = storage.bytes.len() / size;
        self.check(available)?;
        if self.shape.contains(&0) {
            return Ok(Cow::Borrowed(&[]));
        }
        if self.is_row_major() {
            let start = self.offset * size;
            return Ok(Cow::Borrowed(&storage.bytes[start..start + self.numel() * size]));
        }
        let mut bytes = Vec::with_capacity(self.numel() * size);
        let mut index = vec![0; self.shape.len()];
        let mut at = self.offset;
        for _ in 0..self.numel() {
            bytes.extend_from_slice(&storage.bytes[at * size..(at + 1) * size]);
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

/// A Python value of the kinds a checkpoint is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// `None`
    None,
    /// `True` or `False`
    Bool(bool),
    /// An int of up to 64 bits.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    Str(String),
    /// A list.
    List(Vec<Object>),
    /// A tuple; a `torch.Size` is read as one.
    Tuple(Vec<Object>),
    /// In file order; keys are `Str` or `Int`, each once. An `OrderedDict` is read as one of these.
    Dict(Vec<(Object, Object)>),
    /// A tensor or parameter.
    Tensor(TensorRef),
}

impl Object {
    /// How deep lists, tuples and dicts may nest: far more than a checkpoint needs, and safe to recurse through.
    pub const MAX_DEPTH: usize = 64;

    /// Calls `f` with every tensor in it, in order.
    pub(super) fn each_tensor(&self, f: &mut impl FnMut(&TensorRef)) {
        match self {
            Object::Tensor(tensor) => f(tensor),
            Object::List(items) | Object::Tuple(items) => items.iter().for_each(|item| item.each_tensor(f)),
            Object::Dict(pairs) => pairs.iter().for_each(|(_, value)| value.each_tensor(f)),
            _ => {}
        }
    }

    /// A dict with string keys, in the order given.
    pub fn dict<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Object)>) -> Self {
        let pairs = pairs.into_iter();
        Object::Dict(pairs.map(|(key, value)| (Object::Str(key.into()), value)).collect())
    }

    /// The value under a string key, if this is a dict that has it.
    pub fn get(&self, key: &str) -> Option<&Object> {
        let mut pairs = self.as_dict()?.iter();
        pairs.find(|(found, _)| found.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// The pairs of a dict.
    pub fn as_dict(&self) -> Option<&[(Object, Object)]> {
        match self {
            Object::Dict(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The items of a list or a tuple.
    pub fn as_list(&self) -> Option<&[Object]> {
        match self {
            Object::List(items) | Object::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// A tensor.
    pub fn as_tensor(&self) -> Option<&TensorRef> {
        match self {
            Object::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// A string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Object::Str(text) => Some(text),
            _ => None,
        }
    }

    /// An int; not a bool, which Python would also take for one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Object::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// A float, or an int where Python code wrote `0` for `0.0`.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Object::Float(value) => Some(*value),
            Object::Int(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// A bool.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Object::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The Python name of this value's type, for messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Object::None => "None",
            Object::Bool(_) => "bool",
            Object::Int(_) => "int",
            Object::Float(_) => "float",
            Object::Str(_) => "str",
            Object::List(_) => "list",
            Object::Tuple(_) => "tuple",
            Object::Dict(_) => "dict",
            Object::Tensor(_) => "tensor",
        }
    }
}

macro_rules! object_from {
    ($($from:ty => $variant:ident),* $(,)?) => {$(
        impl From<$from> for Object {
            fn from(value: $from) -> Self {
                Object::$variant(value.into())
            }
        }
    )*};
}

object_from! {
    bool => Bool, i64 => Int, f64 => Float, &str => Str, String => Str, TensorRef => Tensor,
}
