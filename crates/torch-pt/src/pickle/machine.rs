//! The pickle machine: a few instructions, a few names, and nothing is called.
//!
//! Ours and not the `pytorch-reader` crate, which hides which tensors share a storage and has no int keys or tuples.

use super::Result;
use super::budget::Budget;
use super::input::Input;
use super::node::{Global, Id, Node};
use super::rebuild::Storages;
use super::record::StorageRecord;
use super::stack::{Stack, nonsense};
use super::tree::Tree;
use crate::error::{Fault, shown};
use crate::object::Object;

/// The values in a pickle and the storages they need, in order of first use. The memory that values may take grows with the
/// length of the file that the pickle is in.
pub(crate) fn decode(bytes: &[u8], file_length: u64) -> Result<(Object, Vec<StorageRecord>)> {
    let (root, nodes, storages, budget) = run(bytes, Budget::of_file(file_length))?;
    let root = Tree { nodes: &nodes, storages: &storages, path: Vec::new(), budget }.build(root)?;
    Ok((root, storages))
}

/// The outermost value, all values, the storages, and what is left of the budget. The machine's own memory is gone then.
fn run(bytes: &[u8], budget: Budget) -> Result<(Id, Vec<Node<'_>>, Vec<StorageRecord>, Budget)> {
    let stack = Stack::new(budget);
    let mut machine = Machine { input: Input::new(bytes), stack, storages: Storages::default() };
    let root = machine.run().map_err(|mut fault| {
        if let Fault::MalformedPickle { at, .. } = &mut fault {
            *at = machine.input.at;
        }
        fault
    })?;
    let Machine { stack, storages, .. } = machine;
    Ok((root, stack.nodes, storages.records, stack.budget))
}

struct Machine<'a> {
    input: Input<'a>,
    stack: Stack<'a>,
    storages: Storages<'a>,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Id> {
        loop {
            match self.input.byte()? {
                // PROTO, FRAME
                0x80 => self.protocol()?,
                0x95 => self.frame()?,
                b'(' => self.stack.mark()?,
                // STOP
                b'.' => return self.stop(),
                // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
                b'q' => self.stack.remember(Some(self.input.length::<1>()?))?,
                b'r' => self.stack.remember(Some(self.input.length::<4>()?))?,
                0x94 => self.stack.remember(None)?,
                b'h' => self.stack.recall(self.input.length::<1>()?)?,
                b'j' => self.stack.recall(self.input.length::<4>()?)?,
                // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE
                opcode @ (b')' | 0x85..=0x87 | b't') => self.tuple(opcode)?,
                // EMPTY_LIST, EMPTY_DICT, APPEND, APPENDS, SETITEM, SETITEMS
                b']' => self.stack.push(Node::List(Vec::new()))?,
                b'}' => self.stack.push(Node::Dict(Vec::new()))?,
                opcode @ (b'a' | b'e' | b's' | b'u') => self.fill(opcode)?,
                // GLOBAL, STACK_GLOBAL, REDUCE, BUILD, BINPERSID
                b'c' => self.global()?,
                0x93 => self.stack_global()?,
                b'R' => self.storages.reduce(&mut self.stack)?,
                b'b' => self.build()?,
                b'Q' => self.storages.persistent(&mut self.stack)?,
                opcode => {
                    let scalar = self.scalar(opcode)?;
                    self.stack.push(scalar)?;
                }
            }
        }
    }

    fn protocol(&mut self) -> Result<()> {
        match self.input.byte()? {
            2..=5 => Ok(()),
            version => Err(Fault::Protocol { version }),
        }
    }

    fn frame(&mut self) -> Result<()> {
        let length = self.input.length::<8>()?;
        self.input.take(length)?;
        self.input.at -= length;
        Ok(())
    }

    fn stop(&mut self) -> Result<Id> {
        let root = self.stack.pop()?;
        let tidy = self.stack.is_empty() && self.input.is_at_end();
        tidy.then_some(root).ok_or_else(|| nonsense("something is left over after the end"))
    }

    fn scalar(&mut self, opcode: u8) -> Result<Node<'a>> {
        let input = &mut self.input;
        Ok(match opcode {
            // NONE, NEWTRUE, NEWFALSE
            b'N' => Node::None,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            // BININT, BININT1, BININT2, LONG1, BINFLOAT
            b'J' => Node::Int(i32::from_le_bytes(input.array()?).into()),
            b'K' => Node::Int(input.byte()?.into()),
            b'M' => Node::Int(u16::from_le_bytes(input.array()?).into()),
            0x8a => Node::Int(input.long()?),
            b'G' => Node::Float(f64::from_be_bytes(input.array()?)),
            // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
            0x8c => Node::Str(input.string::<1>()?),
            b'X' => Node::Str(input.string::<4>()?),
            0x8d => Node::Str(input.string::<8>()?),
            _ => return Err(Fault::UnknownOpcode { opcode, at: input.at - 1 }),
        })
    }

    fn tuple(&mut self, opcode: u8) -> Result<()> {
        let items = match opcode {
            b't' => self.stack.pop_mark()?,
            b')' => Vec::new(),
            _ => self.stack.pop_last(usize::from(opcode - 0x84))?,
        };
        self.stack.push(Node::Tuple(items))
    }

    /// APPEND(S) to the list, SETITEM(S) into the dict, that lies under the new items.
    fn fill(&mut self, opcode: u8) -> Result<()> {
        let items = match opcode {
            b'e' | b'u' => self.stack.pop_mark()?,
            b'a' => self.stack.pop_last(1)?,
            _ => self.stack.pop_last(2)?,
        };
        let target = self.stack.top()?;
        match (&mut self.stack.nodes[target], opcode) {
            (Node::List(list), b'a' | b'e') => list.extend(items),
            (Node::Dict(dict), b's' | b'u') if items.len().is_multiple_of(2) => {
                dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            _ => return Err(nonsense("items are added to the wrong kind of value")),
        }
        Ok(())
    }

    fn global(&mut self) -> Result<()> {
        let module = self.input.line()?;
        let name = self.input.line()?;
        self.push_global(module, name)
    }

    fn stack_global(&mut self) -> Result<()> {
        let (name, module) = (self.stack.pop()?, self.stack.pop()?);
        let (name, module) = (self.stack.str(name)?, self.stack.str(module)?);
        self.push_global(module, name)
    }

    fn push_global(&mut self, module: &str, name: &str) -> Result<()> {
        let global = Global::find(module, name);
        let unknown = || Fault::UnknownGlobal { name: shown(&format!("{module}.{name}")) };
        self.stack.push(Node::Global(global.ok_or_else(unknown)?))
    }

    /// A state_dict carries its modules' versions as an attribute `_metadata`, which holds nothing to restore.
    fn build(&mut self) -> Result<()> {
        let state = self.stack.pop()?;
        let target = self.stack.top()?;
        let nodes = &self.stack.nodes;
        let (Node::Dict(_), Node::Dict(attributes)) = (&nodes[target], &nodes[state]) else {
            return Err(nonsense("attributes are set on a value that has none"));
        };
        let known = match attributes.as_slice() {
            [] => true,
            [(name, _)] => matches!(nodes[*name], Node::Str("_metadata")),
            _ => false,
        };
        known.then_some(()).ok_or_else(|| nonsense("an attribute other than _metadata is set"))
    }
}
