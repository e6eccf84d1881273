//! What Python does by a call is done here by construction: tensors, parameters, and the storages they view.

use std::collections::HashMap;

use super::Result;
use super::node::{Global, Id, Node};
use super::record::StorageRecord;
use super::stack::{Stack, nonsense};
use crate::dtype::DType;
use crate::tensor::TensorRef;

/// The storages so far, in order of first use, and where each key's is.
#[derive(Default)]
pub(super) struct Storages<'a> {
    pub(super) records: Vec<StorageRecord>,
    index: HashMap<&'a str, usize>,
}

impl<'a> Storages<'a> {
    /// REDUCE: a function and its arguments lie on the stack, and what it would return goes there.
    pub(super) fn reduce(&mut self, stack: &mut Stack<'a>) -> Result<()> {
        let arguments = stack.pop_tuple()?;
        let callee = stack.pop()?;
        let Node::Global(global) = stack.nodes[callee] else {
            return Err(nonsense("a value that is no function is called"));
        };
        match (global, arguments.as_slice()) {
            (Global::OrderedDict, []) => stack.push(Node::Dict(Vec::new())),
            (Global::Size, &[shape]) => {
                stack.items(shape)?;
                stack.push_id(shape)
            }
            // storage, offset, shape, stride, requires_grad, backward_hooks
            (Global::RebuildTensor, &[storage, offset, shape, stride, _, _]) => {
                self.tensor(stack, [storage, offset, shape, stride], None)
            }
            // the same, and dtype
            (Global::RebuildTypedTensor, &[storage, offset, shape, stride, _, _, dtype]) => match stack.nodes[dtype] {
                Node::Global(Global::DType(dtype)) => self.tensor(stack, [storage, offset, shape, stride], Some(dtype)),
                _ => Err(nonsense("a tensor without an element type")),
            },
            // data, requires_grad, backward_hooks
            (Global::RebuildParameter, &[data, _, _]) => match stack.nodes[data] {
                Node::Tensor(_) => stack.push_id(data),
                _ => Err(nonsense("a parameter without a tensor")),
            },
            _ => Err(nonsense("a function is called with the wrong arguments")),
        }
    }

    fn tensor(&mut self, stack: &mut Stack<'a>, view: [Id; 4], dtype: Option<DType>) -> Result<()> {
        let [storage, offset, shape, stride] = view;
        let Node::Storage(storage) = stack.nodes[storage] else {
            return Err(nonsense("a tensor without a storage"));
        };
        self.records[storage].view_as(dtype)?;
        let tensor = TensorRef {
            storage,
            offset: stack.unsigned(offset)?,
            shape: stack.unsigned_tuple(shape)?,
            stride: stack.unsigned_tuple(stride)?,
        };
        let extents = tensor.shape.len() + tensor.stride.len();
        stack.budget.spend(size_of::<TensorRef>() + extents * size_of::<usize>())?;
        stack.push(Node::Tensor(Box::new(tensor)))
    }

    /// BINPERSID: `("storage", class, key, device, length)`; the device it was on does not matter.
    pub(super) fn persistent(&mut self, stack: &mut Stack<'a>) -> Result<()> {
        let record = stack.pop_tuple()?;
        let &[kind, class, key, _, length] = record.as_slice() else {
            return Err(nonsense("a storage record has five fields"));
        };
        let Node::Global(Global::Storage(class)) = stack.nodes[class] else {
            return Err(nonsense("a storage record names no storage class"));
        };
        if stack.str(kind)? != "storage" {
            return Err(nonsense("a reference to something other than a storage"));
        }
        let (key, length) = (stack.str(key)?, stack.unsigned(length)?);
        let index = self.find(stack, key, class, length)?;
        stack.push(Node::Storage(index))
    }

    fn find(&mut self, stack: &mut Stack<'a>, key: &'a str, class: Option<DType>, length: usize) -> Result<usize> {
        if let Some(&index) = self.index.get(key) {
            return self.records[index].check_same(class, length).map(|()| index);
        }
        let index = self.records.len();
        stack.budget.spend(2 * size_of::<StorageRecord>() + key.len())?;
        self.index.insert(key, index);
        self.records.push(StorageRecord::new(key, class, length));
        Ok(index)
    }
}
