//! Writes `data.pkl`: protocol 2, the subset that `torch.load(weights_only=True)` accepts, with nothing memoised.

use super::{Archive, CheckpointError, Object, TensorFault, TensorRef};

type Result<T> = std::result::Result<T, CheckpointError>;

/// The pickle of an archive's values, and which storage goes under which key: numbered by first use, as torch does.
pub(super) fn encode(archive: &Archive, file: &str) -> Result<(Vec<u8>, Vec<usize>)> {
    let mut encoder =
        Encoder { out: vec![0x80, 2], archive, key_of: vec![None; archive.storages.len()], order: Vec::new(), file };
    encoder.value(&archive.root, 0)?;
    encoder.out.push(b'.');
    Ok((encoder.out, encoder.order))
}

struct Encoder<'a> {
    out: Vec<u8>,
    archive: &'a Archive,
    /// Key given to each storage so far, and the storages in the order of their keys.
    key_of: Vec<Option<usize>>,
    order: Vec<usize>,
    file: &'a str,
}

impl Encoder<'_> {
    fn value(&mut self, value: &Object, depth: usize) -> Result<()> {
        if depth > Object::MAX_DEPTH {
            let (file, limit) = (self.file.to_owned(), Object::MAX_DEPTH);
            return Err(CheckpointError::TooDeep { file, limit });
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
            let (file, limit) = (self.file.to_owned(), u32::MAX as usize);
            return Err(CheckpointError::TooLarge { file, limit });
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

    /// `_rebuild_tensor_v2(storage, offset, shape, stride, requires_grad=False, backward_hooks=OrderedDict())`
    fn tensor(&mut self, tensor: &TensorRef) -> Result<()> {
        self.out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(");
        self.storage(tensor.storage)?;
        self.extent(tensor.offset);
        self.extents(&tensor.shape);
        self.extents(&tensor.stride);
        self.out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        Ok(())
    }

    /// The persistent id `("storage", class, key, "cpu", numel)`.
    fn storage(&mut self, index: usize) -> Result<()> {
        let storages = self.archive.storages.len();
        let Some(storage) = self.archive.storages.get(index) else {
            return Err(CheckpointError::Tensor {
                file: self.file.to_owned(),
                tensor: "to be written".to_owned(),
                fault: TensorFault::NoStorage { storage: index, storages },
            });
        };
        let key = *self.key_of[index].get_or_insert(self.order.len());
        if key == self.order.len() {
            self.order.push(index);
        }
        self.out.push(b'(');
        self.str("storage")?;
        let class = storage.dtype.storage_class();
        self.out.extend(format!("ctorch\n{class}\n").as_bytes());
        self.str(&key.to_string())?;
        self.str("cpu")?;
        self.extent(storage.bytes.len() / storage.dtype.size());
        self.out.extend(b"tQ");
        Ok(())
    }
}
