//! Turns the pickle machine's nodes, which may share and even contain each other, into a tree of plain values.

use std::collections::HashSet;

use super::Result;
use super::budget::Budget;
use super::node::{Global, Id, Node};
use super::record::StorageRecord;
use crate::error::{Fault, shown};
use crate::object::Object;

/// One step from a value to a value inside it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step<'a> {
    Key(&'a str),
    Number(i64),
    Item(usize),
}

/// Builds values depth first, with the path to the current one for messages.
pub(super) struct Tree<'a> {
    pub(super) nodes: &'a [Node<'a>],
    pub(super) storages: &'a [StorageRecord],
    pub(super) path: Vec<Step<'a>>,
    pub(super) budget: Budget,
}

impl<'a> Tree<'a> {
    /// The value of a node. The limit on depth ends cycles and makes the recursion safe.
    pub(super) fn build(&mut self, id: Id) -> Result<Object> {
        if self.path.len() > Object::MAX_DEPTH {
            return Err(Fault::TooDeep { limit: Object::MAX_DEPTH });
        }
        Ok(match &self.nodes[id] {
            Node::None => Object::None,
            Node::Bool(value) => Object::Bool(*value),
            Node::Int(value) => Object::Int(*value),
            Node::Float(value) => Object::Float(*value),
            Node::Str(text) => self.text(text)?,
            Node::List(items) => Object::List(self.items(items)?),
            Node::Tuple(items) => Object::Tuple(self.items(items)?),
            Node::Dict(pairs) => Object::Dict(self.pairs(pairs)?),
            Node::Tensor(tensor) => {
                let extents = tensor.shape.len() + tensor.stride.len();
                self.budget.spend(extents * size_of::<usize>())?;
                let checked = tensor.check(self.storages[tensor.storage].numel());
                checked.map_err(|fault| Fault::Tensor { tensor: self.place(), fault })?;
                Object::Tensor((**tensor).clone())
            }
            Node::Global(Global::Storage(_)) => return Err(self.unsupported("a storage class")),
            Node::Global(Global::DType(_)) => return Err(self.unsupported("an element type")),
            Node::Global(_) => return Err(self.unsupported("a function")),
            Node::Storage(_) => return Err(self.unsupported("a storage without a tensor")),
        })
    }

    fn items(&mut self, ids: &[Id]) -> Result<Vec<Object>> {
        self.budget.spend(ids.len() * size_of::<Object>())?;
        let mut items = Vec::with_capacity(ids.len());
        for (index, &id) in ids.iter().enumerate() {
            self.path.push(Step::Item(index));
            items.push(self.build(id)?);
            self.path.pop();
        }
        Ok(items)
    }

    fn pairs(&mut self, ids: &[(Id, Id)]) -> Result<Vec<(Object, Object)>> {
        self.budget.spend(ids.len() * size_of::<(Object, Object)>())?;
        let mut seen = HashSet::with_capacity(ids.len());
        let mut pairs = Vec::with_capacity(ids.len());
        for &(key, value) in ids {
            let (step, key) = self.key(key)?;
            self.path.push(step);
            if !seen.insert(step) {
                return Err(Fault::DuplicateKey { place: self.place() });
            }
            pairs.push((key, self.build(value)?));
            self.path.pop();
        }
        Ok(pairs)
    }

    fn key(&mut self, id: Id) -> Result<(Step<'a>, Object)> {
        let found = match &self.nodes[id] {
            Node::Str(text) => return Ok((Step::Key(text), self.text(text)?)),
            Node::Int(value) => return Ok((Step::Number(*value), Object::Int(*value))),
            Node::None => "None",
            Node::Bool(_) => "bool",
            Node::Float(_) => "float",
            Node::Tuple(_) => "tuple",
            _ => "neither",
        };
        Err(Fault::UnsupportedKey { place: self.place(), found })
    }

    fn text(&mut self, text: &str) -> Result<Object> {
        self.budget.spend(text.len())?;
        Ok(Object::Str(text.to_owned()))
    }

    fn unsupported(&self, found: &'static str) -> Fault {
        Fault::UnsupportedValue { place: self.place(), found }
    }

    /// The path so far, as in `optimizer.state.3.exp_avg`.
    fn place(&self) -> String {
        if self.path.is_empty() {
            return "the value at the root".to_owned();
        }
        let steps = self.path.iter().map(|step| match step {
            Step::Key(key) => shown(key),
            Step::Number(number) => number.to_string(),
            Step::Item(index) => index.to_string(),
        });
        steps.collect::<Vec<_>>().join(".")
    }
}
