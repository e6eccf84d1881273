//! Writes `data.pkl`: protocol 2, the subset that `torch.load(weights_only=True)` accepts, with nothing memoised.

use super::Result;
use crate::error::{Fault, TensorFault};
use crate::object::Object;
use crate::tensor::{Storage, TensorRef};

/// The pickle of a value, and which storage goes under which key: numbered by first use, as torch does.
pub(crate) fn encode(root: &Object, storages: &[Storage]) -> Result<(Vec<u8>, Vec<usize>)> {
    let mut encoder = Encoder { out: vec![0x80, 2], storages, key_of: vec![None; storages.len()], order: Vec::new() };
    encoder.value(root, 0)?;
    encoder.out.push(b'.');
    Ok((encoder.out, encoder.order))
}

struct Encoder<'a> {
    out: Vec<u8>,
    storages: &'a [Storage],
    /// Key given to each storage so far, and the storages in the order of their keys.
    key_of: Vec<Option<usize>>,
    order: Vec<usize>,
}

impl<'a> Encoder<'a> {
    fn value(&mut self, value: &Object, depth: usize) -> Result<()> {
        if depth > Object::MAX_DEPTH {
            return Err(Fault::TooDeep { limit: Object::MAX_DEPTH });
        }
        match value {
            Object::None => self.out.push(b'N'),
            Object::Bool(value) => self.out.push(if *value { 0x88 } else { 0x89 }),
            Object::Int(value) => self.int(*value),
            Object::Float(value) => {
                self.out.push(b'G');
                self.out.extend(value.to_be_bytes());
            }
            Object::Str(text) => self.str(text)?,
            Object::List(items) => {
                self.out.extend(b"](");
                self.values(items, depth)?;
                self.out.push(b'e');
            }
            Object::Tuple(items) => {
                self.out.push(b'(');
                self.values(items, depth)?;
                self.out.push(b't');
            }
            Object::Dict(pairs) => {
                self.out.extend(b"}(");
                for (key, value) in pairs {
                    self.value(key, depth + 1)?;
                    self.value(value, depth + 1)?;
                }
                self.out.push(b'u');
            }
            Object::Tensor(tensor) => self.tensor(tensor)?,
        }
        Ok(())
    }

    fn values(&mut self, items: &[Object], depth: usize) -> Result<()> {
        items.iter().try_for_each(|item| self.value(item, depth + 1))
    }

    fn int(&mut self, value: i64) {
        if let Ok(small) = u8::try_from(value) {
            self.out.extend([b'K', small]);
        } else if let Ok(short) = u16::try_from(value) {
            self.out.push(b'M');
            self.out.extend(short.to_le_bytes());
        } else if let Ok(int) = i32::try_from(value) {
            self.out.push(b'J');
            self.out.extend(int.to_le_bytes());
        } else {
            self.out.extend([0x8a, 8]);
            self.out.extend(value.to_le_bytes());
        }
    }

    /// A string's length field is 4 bytes, the only one that `weights_only` knows.
    fn str(&mut self, text: &str) -> Result<()> {
        let Ok(length) = u32::try_from(text.len()) else {
            return Err(Fault::TooLarge { limit: u32::MAX as usize });
        };
        self.out.push(b'X');
        self.out.extend(length.to_le_bytes());
        self.out.extend(text.as_bytes());
        Ok(())
    }

    /// No storage in memory reaches `i64`: what saturates here is out of bounds, which the caller's check refuses.
    fn extent(&mut self, value: usize) {
        self.int(i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn extents(&mut self, extents: &[usize]) {
        self.out.push(b'(');
        extents.iter().for_each(|&extent| self.extent(extent));
        self.out.push(b't');
    }

    /// `_rebuild_tensor_v2(storage, offset, shape, stride, requires_grad=False, backward_hooks=OrderedDict())`, and
    /// `_rebuild_tensor_v3` with a dtype at the end where the storage's class does not tell it.
    fn tensor(&mut self, tensor: &TensorRef) -> Result<()> {
        let storage = self.find(tensor.storage)?;
        let typed = storage.dtype.storage_class().is_some();
        let version = if typed { 2 } else { 3 };
        self.out.extend(format!("ctorch._utils\n_rebuild_tensor_v{version}\n(").as_bytes());
        self.storage(tensor.storage, storage)?;
        self.extent(tensor.offset);
        self.extents(&tensor.shape);
        self.extents(&tensor.stride);
        self.out.extend(b"\x89ccollections\nOrderedDict\n)R");
        if !typed {
            self.out.extend(format!("ctorch\n{}\n", storage.dtype).as_bytes());
        }
        self.out.extend(b"tR");
        Ok(())
    }

    fn find(&self, storage: usize) -> Result<&'a Storage> {
        let storages = self.storages.len();
        let fault = TensorFault::NoStorage { storage, storages };
        self.storages.get(storage).ok_or_else(|| Fault::Tensor { tensor: "to be written".to_owned(), fault })
    }

    /// The persistent id `("storage", class, key, "cpu", numel)`; an untyped storage is counted in bytes.
    fn storage(&mut self, index: usize, storage: &Storage) -> Result<()> {
        let key = *self.key_of[index].get_or_insert(self.order.len());
        if key == self.order.len() {
            self.order.push(index);
        }
        let (class, unit) = match storage.dtype.storage_class() {
            Some(class) => (format!("ctorch\n{class}\n"), storage.dtype.size()),
            None => ("ctorch.storage\nUntypedStorage\n".to_owned(), 1),
        };
        self.out.push(b'(');
        self.str("storage")?;
        self.out.extend(class.as_bytes());
        self.str(&key.to_string())?;
        self.str("cpu")?;
        self.extent(storage.bytes.len() / unit);
        self.out.extend(b"tQ");
        Ok(())
    }
}
