//! Everything that can be wrong with a file, one variant per cause; messages say what to do next.

use std::{fmt, io};

use crate::DType;

/// Why a file could not be read or written: which file, and what is wrong with it.
#[derive(Debug)]
pub struct Error {
    /// The file, as messages name it.
    pub file: String,
    /// What is wrong.
    pub fault: Fault,
}

impl Error {
    pub(crate) fn new(file: &str, fault: Fault) -> Self {
        Error { file: file.to_owned(), fault }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error { file, fault } = self;
        match fault {
            Fault::Io { action, .. } => write!(f, "cannot {action} {file}"),
            fault if fault.is_predicate() => write!(f, "{file} {fault}"),
            fault => write!(f, "{file}: {fault}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.fault)
    }
}

/// What is wrong with a file. Each message goes on from the file's name, which [`Error`] puts before it.
///
/// `entry` is a name inside the archive, `at` a place in the pickle in bytes, and `place` and `tensor` are paths to a value, as in
/// `config.model.bias`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what its fields are")]
pub enum Fault {
    /// The operating system refused: absent file, full disk, no permission.
    #[error("cannot {action} it")]
    Io { action: &'static str, source: io::Error },

    /// A bare pickle or tar, from `torch.save` before PyTorch 1.6.
    #[error("is in PyTorch's old format (not a zip): load it in PyTorch and save it again with torch.save")]
    Legacy,

    /// Neither a zip nor anything PyTorch ever wrote.
    #[error("is not a PyTorch checkpoint: it does not begin like a zip archive; was it cut short or mistaken?")]
    NotAnArchive,

    /// The other common format of weights.
    #[error(
        "is a safetensors file, not a PyTorch checkpoint: load it in Python with safetensors.torch.load_file and save \
         the tensors with torch.save"
    )]
    Safetensors,

    /// A compiled program rather than a checkpoint.
    #[error("is a TorchScript program, not a checkpoint: save the model's state_dict with torch.save instead")]
    TorchScript,

    /// The zip structure itself is broken.
    #[error("is damaged: {reason}; copy it again, or fall back to the checkpoint before it")]
    Container { reason: String },

    /// The zip's own end record is not the end of the file: something was cut off or added, or a comment hides in it.
    #[error("does not end where a zip ends: it was cut short, or something was appended; copy it again")]
    OpenEnd,

    /// A name that leads out of the archive.
    #[error("entry {entry} has a name that leads out of the archive, which no torch.save writes: do not trust it")]
    UnsafeName { entry: String },

    /// Two entries with one name: which of them counts depends on who reads.
    #[error("holds two entries of one name, which no torch.save writes: do not trust it")]
    DuplicateEntry,

    /// Entries that share bytes.
    #[error("holds entries that overlap or reach past its end, which no torch.save writes: do not trust it")]
    OverlappingEntries,

    /// PyTorch never compresses, and a compressed entry could unpack to any size.
    #[error("entry {entry} is compressed; unpack the archive and zip it again with no compression")]
    Compressed { entry: String },

    /// PyTorch never encrypts.
    #[error("entry {entry} is encrypted; unpack the archive and zip it again with no password and no compression")]
    Encrypted { entry: String },

    /// An entry the file needs is not in it.
    #[error("entry {entry} is missing; is this a whole torch.save file?")]
    MissingEntry { entry: String },

    /// An entry is there but cannot be read whole and unchanged.
    #[error("entry {entry} is damaged: {reason}; copy the file again, or have torch.save write its checksums")]
    DamagedEntry { entry: String, reason: String },

    /// Written on a machine of the other byte order.
    #[error("has byte order {found}, only little is read: save it again on a little-endian machine")]
    ByteOrder { found: String },

    /// The pickle ends before its last instruction.
    #[error("data.pkl ends too early, at byte {at}: the file is cut short")]
    TruncatedPickle { at: usize },

    /// A pickle protocol that `torch.save` does not write.
    #[error("data.pkl uses pickle protocol {version}, 2 to 5 are read")]
    Protocol { version: u8 },

    /// An instruction outside the few that checkpoints need.
    #[error(
        "data.pkl has instruction {opcode:#04x} at byte {at}, which no plain checkpoint needs: save only \
         dicts, lists, numbers, strings and tensors"
    )]
    UnknownOpcode { opcode: u8, at: usize },

    /// A class or function the pickle asks for; nothing outside a short list is accepted and nothing is ever called.
    #[error(
        "data.pkl asks for {name}, which checkpoints have no use for, so it is not run: save only \
         dicts, lists, numbers, strings and tensors"
    )]
    UnknownGlobal { name: String },

    /// Instructions that do not fit together.
    #[error("data.pkl makes no sense at byte {at}: {reason}")]
    MalformedPickle { at: usize, reason: &'static str },

    /// A Python int beyond 64 bits.
    #[error("data.pkl has an int wider than 64 bits at byte {at}; store it as a string")]
    IntegerTooWide { at: usize },

    /// Nesting beyond [`Object::MAX_DEPTH`](crate::Object::MAX_DEPTH), or a value that contains itself.
    #[error("values nest deeper than {limit} levels; flatten them before saving")]
    TooDeep { limit: usize },

    /// Values that would unfold to far more memory than the file has bytes.
    #[error("its values would take more than {limit} bytes of memory; store bulk data as tensors")]
    TooLarge { limit: usize },

    /// A dict key that is neither a string nor an int.
    #[error("{place} has a key of type {found}; only str and int keys are read")]
    UnsupportedKey { place: String, found: &'static str },

    /// One key twice in a dict.
    #[error("{place} is there twice, which no torch.save writes: do not trust the file")]
    DuplicateKey { place: String },

    /// A class or a bare storage where a plain value belongs.
    #[error("{place} is {found}; save only dicts, lists, numbers, strings and tensors")]
    UnsupportedValue { place: String, found: &'static str },

    /// One storage described in two ways.
    #[error("storage {storage} is described twice, with different types or lengths: do not trust the file")]
    StorageConflict { storage: String },

    /// One storage, viewed as two element types.
    #[error(
        "storage {storage} is viewed as {first} and as {second}, only one of them is read: clone one of the tensors \
         before saving"
    )]
    StorageTypes { storage: String, first: DType, second: DType },

    /// A storage whose bytes do not match its description.
    #[error("storage {storage} should have {expected} bytes and has {found}: the file is damaged")]
    StorageSize { storage: String, expected: u64, found: u64 },

    /// A tensor that does not fit its storage.
    #[error("tensor {tensor}: {fault}")]
    Tensor { tensor: String, fault: TensorFault },
}

impl Fault {
    /// Whether the message says something of the file itself, as in "is damaged", rather than of a part of it.
    fn is_predicate(&self) -> bool {
        use Fault::*;
        matches!(
            self,
            Legacy
                | NotAnArchive
                | Safetensors
                | TorchScript
                | Container { .. }
                | OpenEnd
                | DuplicateEntry
                | OverlappingEntries
                | ByteOrder { .. }
        )
    }
}

/// Why a tensor cannot be had from its storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what its fields are")]
pub enum TensorFault {
    /// The storage's index is not in the archive.
    #[error("there is no storage {storage}, only {storages} of them")]
    NoStorage { storage: usize, storages: usize },

    /// Shape and stride disagree, or there are more dimensions than torch knows.
    #[error("{shape} dimensions with {stride} strides (at most 64, as many of each)")]
    Rank { shape: usize, stride: usize },

    /// Some element lies outside the storage.
    #[error("its shape, strides and offset reach outside its storage of {available} elements")]
    OutOfBounds { available: usize },

    /// More elements than the storage has: an expanded view.
    #[error("{numel} elements in a storage of {available}: call .contiguous() on it before saving")]
    Expanded { numel: usize, available: usize },

    /// Elements of another type than was asked for.
    #[error("it holds {found}, not {wanted}")]
    Type { found: DType, wanted: &'static str },

    /// Extents that an array cannot have, beside one that is zero.
    #[error("its extents are too large for an array")]
    Extents,
}

/// Text from a file made fit for a message: control characters escaped, cut to a readable length.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 100;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}
