//! The pickle machine's memory: all values so far, the stack of those at hand, and the memo of those to come back to.

use std::collections::HashMap;

use super::Result;
use super::budget::Budget;
use super::node::{Id, Node};
use crate::error::Fault;
use crate::tensor::TensorRef;

/// Instructions that do not fit together. The machine, which knows the place, fills it in.
pub(super) fn nonsense(reason: &'static str) -> Fault {
    Fault::MalformedPickle { at: 0, reason }
}

pub(super) struct Stack<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    /// Bytes of memory still to be had.
    pub(super) budget: Budget,
    ids: Vec<Id>,
    /// Heights of the stack at each open MARK; nothing below the last may be taken.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

impl<'a> Stack<'a> {
    pub(super) fn new(budget: Budget) -> Self {
        Stack { nodes: Vec::new(), budget, ids: Vec::new(), marks: Vec::new(), memo: HashMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.marks.is_empty()
    }

    pub(super) fn push(&mut self, node: Node<'a>) -> Result<()> {
        self.budget.spend(size_of::<Node>())?;
        self.nodes.push(node);
        self.push_id(self.nodes.len() - 1)
    }

    /// Twice the size of an id: once for the stack, once for the container it may end in.
    pub(super) fn push_id(&mut self, id: Id) -> Result<()> {
        self.budget.spend(2 * size_of::<Id>())?;
        self.ids.push(id);
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.ids.len() > floor
            && let Some(id) = self.ids.pop()
        {
            return Ok(id);
        }
        Err(nonsense("a value is missing from the stack"))
    }

    /// The last `count` values, in order.
    pub(super) fn pop_last(&mut self, count: usize) -> Result<Vec<Id>> {
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.pop()?);
        }
        items.reverse();
        Ok(items)
    }

    /// The value on top, which stays there.
    pub(super) fn top(&mut self) -> Result<Id> {
        let id = self.pop()?;
        self.ids.push(id);
        Ok(id)
    }

    pub(super) fn mark(&mut self) -> Result<()> {
        self.budget.spend(size_of::<usize>())?;
        self.marks.push(self.ids.len());
        Ok(())
    }

    pub(super) fn pop_mark(&mut self) -> Result<Vec<Id>> {
        let height = self.marks.pop().ok_or_else(|| nonsense("a MARK is missing"))?;
        Ok(self.ids.split_off(height))
    }

    pub(super) fn pop_tuple(&mut self) -> Result<Vec<Id>> {
        let id = self.pop()?;
        self.items(id)
    }

    /// Remembers the value on top; without an index it is numbered by the memo's length, as Python does.
    pub(super) fn remember(&mut self, index: Option<usize>) -> Result<()> {
        let index = index.unwrap_or(self.memo.len());
        self.budget.spend(4 * size_of::<Id>())?;
        let id = self.top()?;
        self.memo.insert(index, id);
        Ok(())
    }

    pub(super) fn recall(&mut self, index: usize) -> Result<()> {
        let id = self.memo.get(&index).copied();
        self.push_id(id.ok_or_else(|| nonsense("the memo has no such value"))?)
    }

    /// A copy of a tuple's ids. Arguments are short, so a long tuple here is refused rather than copied over and over.
    pub(super) fn items(&self, id: Id) -> Result<Vec<Id>> {
        match &self.nodes[id] {
            Node::Tuple(items) if items.len() <= TensorRef::MAX_RANK => Ok(items.clone()),
            _ => Err(nonsense("a short tuple is expected")),
        }
    }

    pub(super) fn str(&self, id: Id) -> Result<&'a str> {
        match self.nodes[id] {
            Node::Str(text) => Ok(text),
            _ => Err(nonsense("a string is expected")),
        }
    }

    pub(super) fn unsigned(&self, id: Id) -> Result<usize> {
        match self.nodes[id] {
            Node::Int(value) => usize::try_from(value).ok(),
            _ => None,
        }
        .ok_or_else(|| nonsense("a count, not negative, is expected"))
    }

    pub(super) fn unsigned_tuple(&self, id: Id) -> Result<Vec<usize>> {
        let items = self.items(id)?;
        items.into_iter().map(|id| self.unsigned(id)).collect()
    }
}
