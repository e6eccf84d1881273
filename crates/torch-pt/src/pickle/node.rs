//! What the pickle machine leaves and the tree is built from.

use crate::dtype::DType;
use crate::tensor::TensorRef;

/// Index of a node; values refer to each other by these, as Python's memo makes them shared.
pub(super) type Id = usize;

/// A value under construction.
pub(super) enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(&'a str),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(usize),
    /// Boxed: most values are numbers and texts, and every one is as large as the largest.
    Tensor(Box<TensorRef>),
}

/// The only names a pickle may ask for.
#[derive(Clone, Copy)]
pub(super) enum Global {
    OrderedDict,
    Size,
    /// `_rebuild_tensor_v2`: the storage says what its elements are.
    RebuildTensor,
    /// `_rebuild_tensor_v3`: the tensor says it, of an untyped storage.
    RebuildTypedTensor,
    RebuildParameter,
    /// A storage class; that of untyped storages names no type.
    Storage(Option<DType>),
    DType(DType),
}

impl Global {
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        let untyped = |dtype: &DType| dtype.storage_class().is_none();
        match (module, name) {
            ("collections", "OrderedDict") => Some(Global::OrderedDict),
            ("torch", "Size") => Some(Global::Size),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Global::RebuildTensor),
            ("torch._utils", "_rebuild_tensor_v3") => Some(Global::RebuildTypedTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Global::RebuildParameter),
            ("torch.storage", "UntypedStorage") => Some(Global::Storage(None)),
            ("torch", name) => DType::from_storage_class(name)
                .map(|dtype| Global::Storage(Some(dtype)))
                .or_else(|| DType::from_name(name).filter(untyped).map(Global::DType)),
            _ => None,
        }
    }
}
