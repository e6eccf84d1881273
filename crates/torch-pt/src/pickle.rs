//! Reads `data.pkl`: a pickle machine that knows a few instructions and a few names, and calls nothing.
//!
//! Ours and not the `pytorch-reader` crate, which hides which tensors share a storage and has no int keys or tuples.

use std::collections::HashMap;

use super::error::shown;
use super::tree::{Budget, Tree};
use super::{CheckpointError, DType, Object, TensorRef};

type Result<T> = std::result::Result<T, CheckpointError>;

/// Index of a node; values refer to each other by these, as Python's memo makes them shared.
pub(super) type Id = usize;

/// A storage as the pickle describes it.
pub(super) struct StorageRecord {
    /// Name of its entry, under `data/`.
    pub key: String,
    pub dtype: DType,
    pub numel: usize,
}

/// The values in a pickle and the storages they need, in order of first use. `budget` bounds the memory they take.
pub(super) fn decode(bytes: &[u8], file: &str, budget: usize) -> Result<(Object, Vec<StorageRecord>)> {
    let mut machine = Machine::new(bytes, file, budget);
    let root = machine.run()?;
    let (nodes, storages) = (&machine.nodes, &machine.storages);
    let root = Tree::new(nodes, storages, machine.budget, file).build(root)?;
    Ok((root, machine.storages))
}

/// The only names a pickle may ask for.
#[derive(Clone, Copy)]
pub(super) enum Global {
    OrderedDict,
    Size,
    RebuildTensor,
    RebuildParameter,
    Storage(DType),
}

impl Global {
    fn find(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("collections", "OrderedDict") => Some(Global::OrderedDict),
            ("torch", "Size") => Some(Global::Size),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Global::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Global::RebuildParameter),
            ("torch", class) => DType::from_storage_class(class).map(Global::Storage),
            _ => None,
        }
    }
}

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

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    file: &'a str,
    /// Bytes of memory still to be had.
    budget: Budget,
    nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack at each open MARK; nothing below the last may be taken.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    storages: Vec<StorageRecord>,
    storage_index: HashMap<&'a str, usize>,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8], file: &'a str, budget: usize) -> Self {
        Machine {
            bytes,
            at: 0,
            file,
            budget: Budget::new(budget),
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            storages: Vec::new(),
            storage_index: HashMap::new(),
        }
    }

    fn run(&mut self) -> Result<Id> {
        loop {
            let at = self.at;
            match self.byte()? {
                // PROTO, FRAME
                0x80 => self.protocol()?,
                0x95 => self.frame()?,
                b'(' => self.mark()?,
                // STOP
                b'.' => return self.stop(),
                // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
                opcode @ (b'q' | b'r' | 0x94 | b'h' | b'j') => self.memo(opcode)?,
                // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE
                opcode @ (b')' | 0x85..=0x87 | b't') => self.tuple(opcode)?,
                // EMPTY_LIST, EMPTY_DICT, APPEND, APPENDS, SETITEM, SETITEMS
                b']' => self.push(Node::List(Vec::new()))?,
                b'}' => self.push(Node::Dict(Vec::new()))?,
                opcode @ (b'a' | b'e' | b's' | b'u') => self.fill(opcode)?,
                // GLOBAL, STACK_GLOBAL, REDUCE, BUILD, BINPERSID
                b'c' => self.global()?,
                0x93 => self.stack_global()?,
                b'R' => self.reduce()?,
                b'b' => self.build()?,
                b'Q' => self.persistent()?,
                opcode => match self.scalar(opcode)? {
                    Some(node) => self.push(node)?,
                    None => {
                        let file = self.file.to_owned();
                        return Err(CheckpointError::UnknownOpcode { file, opcode, at });
                    }
                },
            }
        }
    }

    // Input.

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..count) else {
            let (file, at) = (self.file.to_owned(), self.bytes.len());
            return Err(CheckpointError::TruncatedPickle { file, at });
        };
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// A length field of `N` bytes. One beyond the file's end is caught by the `take` that follows.
    fn length<const N: usize>(&mut self) -> Result<usize> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(&self.array::<N>()?);
        Ok(usize::try_from(u64::from_le_bytes(wide)).unwrap_or(usize::MAX))
    }

    fn text(&mut self, count: usize) -> Result<&'a str> {
        let bytes = self.take(count)?;
        std::str::from_utf8(bytes).map_err(|_| self.malformed("text is not UTF-8"))
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let count = rest.iter().position(|&byte| byte == b'\n');
        let line = self.text(count.unwrap_or(usize::MAX))?;
        self.at += 1;
        Ok(line)
    }

    fn malformed(&self, reason: &'static str) -> CheckpointError {
        let (file, at) = (self.file.to_owned(), self.at);
        CheckpointError::MalformedPickle { file, at, reason }
    }

    // Stack.

    fn push(&mut self, node: Node<'a>) -> Result<()> {
        self.budget.spend(size_of::<Node>(), self.file)?;
        self.nodes.push(node);
        self.push_id(self.nodes.len() - 1)
    }

    /// Twice the size of an id: once for the stack, once for the container it may end in.
    fn push_id(&mut self, id: Id) -> Result<()> {
        self.budget.spend(2 * size_of::<Id>(), self.file)?;
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() > floor
            && let Some(id) = self.stack.pop()
        {
            return Ok(id);
        }
        Err(self.malformed("a value is missing from the stack"))
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        let Some(height) = self.marks.pop() else {
            return Err(self.malformed("a MARK is missing"));
        };
        Ok(self.stack.split_off(height))
    }

    fn pop_tuple(&mut self) -> Result<Vec<Id>> {
        let id = self.pop()?;
        self.items(id)
    }

    /// A copy of a tuple's ids. Arguments are short, so a long tuple here is refused rather than copied over and over.
    fn items(&self, id: Id) -> Result<Vec<Id>> {
        match &self.nodes[id] {
            Node::Tuple(items) if items.len() <= TensorRef::MAX_RANK => Ok(items.clone()),
            _ => Err(self.malformed("a short tuple is expected")),
        }
    }

    fn str(&self, id: Id) -> Result<&'a str> {
        match self.nodes[id] {
            Node::Str(text) => Ok(text),
            _ => Err(self.malformed("a string is expected")),
        }
    }

    fn unsigned(&self, id: Id) -> Result<usize> {
        match self.nodes[id] {
            Node::Int(value) => usize::try_from(value).ok(),
            _ => None,
        }
        .ok_or_else(|| self.malformed("a count, not negative, is expected"))
    }

    fn unsigned_tuple(&self, id: Id) -> Result<Vec<usize>> {
        let items = self.items(id)?;
        items.into_iter().map(|id| self.unsigned(id)).collect()
    }

    // Instructions.

    fn protocol(&mut self) -> Result<()> {
        match self.byte()? {
            2..=5 => Ok(()),
            version => {
                let file = self.file.to_owned();
                Err(CheckpointError::Protocol { file, version })
            }
        }
    }

    fn frame(&mut self) -> Result<()> {
        let length = self.length::<8>()?;
        self.take(length)?;
        self.at -= length;
        Ok(())
    }

    fn mark(&mut self) -> Result<()> {
        self.budget.spend(size_of::<usize>(), self.file)?;
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn stop(&mut self) -> Result<Id> {
        let root = self.pop()?;
        let tidy = self.stack.is_empty() && self.marks.is_empty() && self.at == self.bytes.len();
        tidy.then_some(root).ok_or_else(|| self.malformed("something is left over after the end"))
    }

    fn memo(&mut self, opcode: u8) -> Result<()> {
        let index = match opcode {
            b'q' | b'h' => u32::from(self.byte()?),
            b'r' | b'j' => u32::from_le_bytes(self.array()?),
            // MEMOIZE numbers by the memo's length, as Python does.
            _ => u32::try_from(self.memo.len()).unwrap_or(u32::MAX),
        };
        if matches!(opcode, b'h' | b'j') {
            let id = self.memo.get(&index).copied();
            let id = id.ok_or_else(|| self.malformed("the memo has no such value"))?;
            return self.push_id(id);
        }
        self.budget.spend(4 * size_of::<Id>(), self.file)?;
        let id = self.pop()?;
        self.stack.push(id);
        self.memo.insert(index, id);
        Ok(())
    }

    fn scalar(&mut self, opcode: u8) -> Result<Option<Node<'a>>> {
        Ok(Some(match opcode {
            // NONE, NEWTRUE, NEWFALSE
            b'N' => Node::None,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            // BININT, BININT1, BININT2, LONG1, BINFLOAT
            b'J' => Node::Int(i32::from_le_bytes(self.array()?).into()),
            b'K' => Node::Int(self.byte()?.into()),
            b'M' => Node::Int(u16::from_le_bytes(self.array()?).into()),
            0x8a => Node::Int(self.long()?),
            b'G' => Node::Float(f64::from_be_bytes(self.array()?)),
            // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
            0x8c | b'X' | 0x8d => {
                let count = match opcode {
                    0x8c => self.length::<1>()?,
                    b'X' => self.length::<4>()?,
                    _ => self.length::<8>()?,
                };
                Node::Str(self.text(count)?)
            }
            _ => return Ok(None),
        }))
    }

    /// Two's complement, little-endian, of as many bytes as it takes; none at all is zero.
    fn long(&mut self) -> Result<i64> {
        let at = self.at - 1;
        let count = self.length::<1>()?;
        let bytes = self.take(count)?;
        if count > 8 {
            let file = self.file.to_owned();
            return Err(CheckpointError::IntegerTooWide { file, at });
        }
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..count].copy_from_slice(bytes);
        Ok(i64::from_le_bytes(wide))
    }

    fn tuple(&mut self, opcode: u8) -> Result<()> {
        let count = match opcode {
            b't' => {
                let items = self.pop_mark()?;
                return self.push(Node::Tuple(items));
            }
            b')' => 0,
            _ => usize::from(opcode - 0x84),
        };
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Node::Tuple(items))
    }

    /// APPEND(S) to the list, SETITEM(S) into the dict, that lies under the new items.
    fn fill(&mut self, opcode: u8) -> Result<()> {
        let items = match opcode {
            b'e' | b'u' => self.pop_mark()?,
            b'a' => vec![self.pop()?],
            _ => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
        };
        let target = self.pop()?;
        self.stack.push(target);
        match (&mut self.nodes[target], opcode) {
            (Node::List(list), b'a' | b'e') => list.extend(items),
            (Node::Dict(dict), b's' | b'u') if items.len().is_multiple_of(2) => {
                dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            _ => return Err(self.malformed("items are added to the wrong kind of value")),
        }
        Ok(())
    }

    fn global(&mut self) -> Result<()> {
        let module = self.line()?;
        let name = self.line()?;
        self.push_global(module, name)
    }

    fn stack_global(&mut self) -> Result<()> {
        let (name, module) = (self.pop()?, self.pop()?);
        let (name, module) = (self.str(name)?, self.str(module)?);
        self.push_global(module, name)
    }

    fn push_global(&mut self, module: &str, name: &str) -> Result<()> {
        match Global::find(module, name) {
            Some(global) => self.push(Node::Global(global)),
            None => {
                let (file, name) = (self.file.to_owned(), shown(&format!("{module}.{name}")));
                Err(CheckpointError::UnknownGlobal { file, name })
            }
        }
    }

    /// What Python does by a call is done here by construction.
    fn reduce(&mut self) -> Result<()> {
        let arguments = self.pop_tuple()?;
        let callee = self.pop()?;
        let Node::Global(global) = self.nodes[callee] else {
            return Err(self.malformed("a value that is no function is called"));
        };
        match (global, arguments.as_slice()) {
            (Global::OrderedDict, []) => self.push(Node::Dict(Vec::new())),
            (Global::Size, &[shape]) => {
                self.items(shape)?;
                self.push_id(shape)
            }
            // storage, offset, shape, stride, requires_grad, backward_hooks
            (Global::RebuildTensor, &[storage, offset, shape, stride, _, _]) => {
                self.tensor(storage, offset, shape, stride)
            }
            // data, requires_grad, backward_hooks
            (Global::RebuildParameter, &[data, _, _]) => match self.nodes[data] {
                Node::Tensor(_) => self.push_id(data),
                _ => Err(self.malformed("a parameter without a tensor")),
            },
            _ => Err(self.malformed("a function is called with the wrong arguments")),
        }
    }

    fn tensor(&mut self, storage: Id, offset: Id, shape: Id, stride: Id) -> Result<()> {
        let Node::Storage(storage) = self.nodes[storage] else {
            return Err(self.malformed("a tensor without a storage"));
        };
        let tensor = TensorRef {
            storage,
            offset: self.unsigned(offset)?,
            shape: self.unsigned_tuple(shape)?,
            stride: self.unsigned_tuple(stride)?,
        };
        let extents = tensor.shape.len() + tensor.stride.len();
        self.budget.spend(size_of::<TensorRef>() + extents * size_of::<usize>(), self.file)?;
        self.push(Node::Tensor(Box::new(tensor)))
    }

    /// A state_dict carries its modules' versions as an attribute `_metadata`, which holds nothing to restore.
    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let target = self.pop()?;
        let (Node::Dict(_), Node::Dict(attributes)) = (&self.nodes[target], &self.nodes[state]) else {
            return Err(self.malformed("attributes are set on a value that has none"));
        };
        let known = match attributes.as_slice() {
            [] => true,
            [(name, _)] => matches!(self.nodes[*name], Node::Str("_metadata")),
            _ => false,
        };
        if !known {
            return Err(self.malformed("an attribute other than _metadata is set"));
        }
        self.stack.push(target);
        Ok(())
    }

    /// `("storage", class, key, device, numel)`: the device it was on does not matter.
    fn persistent(&mut self) -> Result<()> {
        let record = self.pop_tuple()?;
        let &[kind, class, key, _, numel] = record.as_slice() else {
            return Err(self.malformed("a storage record has five fields"));
        };
        let Node::Global(Global::Storage(dtype)) = self.nodes[class] else {
            return Err(self.malformed("a storage record names no storage class"));
        };
        if self.str(kind)? != "storage" {
            return Err(self.malformed("a reference to something other than a storage"));
        }
        let (key, numel) = (self.str(key)?, self.unsigned(numel)?);
        let index = self.storage(key, dtype, numel)?;
        self.push(Node::Storage(index))
    }

    fn storage(&mut self, key: &'a str, dtype: DType, numel: usize) -> Result<usize> {
        if let Some(&index) = self.storage_index.get(key) {
            let known = &self.storages[index];
            if (known.dtype, known.numel) == (dtype, numel) {
                return Ok(index);
            }
            let (file, storage) = (self.file.to_owned(), shown(key));
            return Err(CheckpointError::StorageConflict { file, storage });
        }
        let index = self.storages.len();
        let cost = 2 * size_of::<StorageRecord>() + key.len();
        self.budget.spend(cost, self.file)?;
        self.storage_index.insert(key, index);
        let key = key.to_owned();
        self.storages.push(StorageRecord { key, dtype, numel });
        Ok(index)
    }
}
