//! What a file holds once it is read: a tree of Python values, whose tensors are views into storages.

use crate::tensor::TensorRef;

/// A Python value of the kinds that a `.pt` file is made of.
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
    pub(crate) fn each_tensor(&self, f: &mut impl FnMut(&TensorRef)) {
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
        if let Object::Dict(pairs) = self { Some(pairs) } else { None }
    }

    /// The items of a list or a tuple.
    pub fn as_list(&self) -> Option<&[Object]> {
        if let Object::List(items) | Object::Tuple(items) = self { Some(items) } else { None }
    }

    /// A tensor.
    pub fn as_tensor(&self) -> Option<&TensorRef> {
        if let Object::Tensor(tensor) = self { Some(tensor) } else { None }
    }

    /// A string.
    pub fn as_str(&self) -> Option<&str> {
        if let Object::Str(text) = self { Some(text) } else { None }
    }

    /// An int; not a bool, which Python would also take for one.
    pub fn as_i64(&self) -> Option<i64> {
        if let Object::Int(value) = self { Some(*value) } else { None }
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
        if let Object::Bool(value) = self { Some(*value) } else { None }
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
