//! Everything that can be wrong with a checkpoint file, one variant per cause; messages say what to do next.

use std::io;

/// Why a checkpoint could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The operating system refused: absent file, full disk, no permission.
    #[error("cannot {action} {file}")]
    Io {
        /// The file
        file: String,
        /// read or write
        action: &'static str,
        /// The system's reason
        source: io::Error,
    },

    /// A bare pickle or tar, from `torch.save` before PyTorch 1.6.
    #[error("{file} is in PyTorch's old format (not a zip): load it in PyTorch and save it again with torch.save")]
    Legacy {
        /// The file
        file: String,
    },

    /// Neither a zip nor anything PyTorch ever wrote.
    #[error("{file} is not a PyTorch checkpoint: it does not begin like a zip archive; was it cut short or mistaken?")]
    NotAnArchive {
        /// The file
        file: String,
    },

    /// The other common format of weights.
    #[error(
        "{file} is a safetensors file, not a PyTorch checkpoint: load it in Python with safetensors.torch.load_file and save \
         the tensors with torch.save"
    )]
    Safetensors {
        /// The file
        file: String,
    },

    /// A compiled program rather than a checkpoint.
    #[error("{file} is a TorchScript program, not a checkpoint: save the model's state_dict with torch.save instead")]
    TorchScript {
        /// The file
        file: String,
    },

    /// The zip structure itself is broken.
    #[error("{file} is damaged: {reason}; copy it again, or fall back to the checkpoint before it")]
    Container {
        /// The file
        file: String,
        /// What is wrong
        reason: String,
    },

    /// The zip's own end record is not the end of the file: something was cut off or added, or a comment hides in it.
    #[error("{file} does not end where a zip ends: it was cut short, or something was appended; copy it again")]
    OpenEnd {
        /// The file
        file: String,
    },

    /// A name that leads out of the archive.
    #[error(
        "{file}: entry {entry} has a name that leads out of the archive, which no torch.save writes: do not trust it"
    )]
    UnsafeName {
        /// The file
        file: String,
        /// Its name inside the archive
        entry: String,
    },

    /// Two entries with one name: which of them counts depends on who reads.
    #[error("{file} holds two entries of one name, which no torch.save writes: do not trust it")]
    DuplicateEntry {
        /// The file
        file: String,
    },

    /// Entries that share bytes.
    #[error("{file} holds entries that overlap or reach past its end, which no torch.save writes: do not trust it")]
    OverlappingEntries {
        /// The file
        file: String,
    },

    /// PyTorch never compresses, and a compressed entry could unpack to any size.
    #[error("{file}: entry {entry} is compressed; unpack the archive and zip it again with no compression")]
    Compressed {
        /// The file
        file: String,
        /// Its name inside the archive
        entry: String,
    },

    /// PyTorch never encrypts.
    #[error(
        "{file}: entry {entry} is encrypted; unpack the archive and zip it again with no password and no compression"
    )]
    Encrypted {
        /// The file
        file: String,
        /// Its name inside the archive
        entry: String,
    },

    /// An entry the file needs is not in it.
    #[error("{file}: entry {entry} is missing; is this a whole torch.save file?")]
    MissingEntry {
        /// The file
        file: String,
        /// Its name inside the archive
        entry: String,
    },

    /// An entry is there but cannot be read whole and unchanged.
    #[error("{file}: entry {entry} is damaged: {reason}; copy the file again, or have torch.save write its checksums")]
    DamagedEntry {
        /// The file
        file: String,
        /// Its name inside the archive
        entry: String,
        /// What is wrong
        reason: String,
    },

    /// Written on a machine of the other byte order.
    #[error("{file} has byte order {found}, only little is read: save it again on a little-endian machine")]
    ByteOrder {
        /// The file
        file: String,
        /// The order it names
        found: String,
    },

    /// The pickle ends before its last instruction.
    #[error("{file}: data.pkl ends too early, at byte {at}: the file is cut short")]
    TruncatedPickle {
        /// The file
        file: String,
        /// Where in the pickle, in bytes
        at: usize,
    },

    /// A pickle protocol that `torch.save` does not write.
    #[error("{file}: data.pkl uses pickle protocol {version}, 2 to 5 are read")]
    Protocol {
        /// The file
        file: String,
        /// The protocol found
        version: u8,
    },

    /// An instruction outside the few that checkpoints need.
    #[error(
        "{file}: data.pkl has instruction {opcode:#04x} at byte {at}, which no plain checkpoint needs: save only \
         dicts, lists, numbers, strings and tensors"
    )]
    UnknownOpcode {
        /// The file
        file: String,
        /// The instruction
        opcode: u8,
        /// Where in the pickle, in bytes
        at: usize,
    },

    /// A class or function the pickle asks for; nothing outside a short list is accepted and nothing is ever called.
    #[error(
        "{file}: data.pkl asks for {name}, which checkpoints have no use for, so it is not run: save only \
         dicts, lists, numbers, strings and tensors"
    )]
    UnknownGlobal {
        /// The file
        file: String,
        /// Module and name
        name: String,
    },

    /// Instructions that do not fit together.
    #[error("{file}: data.pkl makes no sense at byte {at}: {reason}")]
    MalformedPickle {
        /// The file
        file: String,
        /// Where in the pickle, in bytes
        at: usize,
        /// What is wrong
        reason: &'static str,
    },

    /// A Python int beyond 64 bits.
    #[error("{file}: data.pkl has an int wider than 64 bits at byte {at}; store it as a string")]
    IntegerTooWide {
        /// The file
        file: String,
        /// Where in the pickle, in bytes
        at: usize,
    },

    /// Nesting beyond [`Object::MAX_DEPTH`](super::Object::MAX_DEPTH), or a value that contains itself.
    #[error("{file}: values nest deeper than {limit} levels; flatten them before saving")]
    TooDeep {
        /// The file
        file: String,
        /// The most that is accepted
        limit: usize,
    },

    /// Values that would unfold to far more memory than the file has bytes.
    #[error("{file}: its values would take more than {limit} bytes of memory; store bulk data as tensors")]
    TooLarge {
        /// The file
        file: String,
        /// The most that is accepted
        limit: usize,
    },

    /// A dict key that is neither a string nor an int.
    #[error("{file}: {place} has a key of type {found}; only str and int keys are read")]
    UnsupportedKey {
        /// The file
        file: String,
        /// Path to it, as in `config.model.bias`
        place: String,
        /// Type of the key
        found: &'static str,
    },

    /// One key twice in a dict.
    #[error("{file}: {place} is there twice, which no torch.save writes: do not trust the file")]
    DuplicateKey {
        /// The file
        file: String,
        /// Path to it, as in `config.model.bias`
        place: String,
    },

    /// A class or a bare storage where a plain value belongs.
    #[error("{file}: {place} is {found}; save only dicts, lists, numbers, strings and tensors")]
    UnsupportedValue {
        /// The file
        file: String,
        /// Path to it, as in `config.model.bias`
        place: String,
        /// What it is
        found: &'static str,
    },

    /// One storage described in two ways.
    #[error("{file}: storage {storage} is described twice, with different types or lengths: do not trust the file")]
    StorageConflict {
        /// The file
        file: String,
        /// Key of the storage
        storage: String,
    },

    /// A storage whose bytes do not match its description.
    #[error("{file}: storage {storage} should have {expected} bytes and has {found}: the file is damaged")]
    StorageSize {
        /// The file
        file: String,
        /// Key of the storage
        storage: String,
        /// Bytes it is described to have
        expected: u64,
        /// Bytes it has
        found: u64,
    },

    /// A tensor that does not fit its storage.
    #[error("{file}: tensor {tensor}: {fault}")]
    Tensor {
        /// The file
        file: String,
        /// Path to it, as in `model.alpha`
        tensor: String,
        /// What is wrong with it
        fault: TensorFault,
    },
}

/// Why a tensor is not a view of its storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TensorFault {
    /// The storage's index is not in the archive.
    #[error("there is no storage {storage}, only {storages} of them")]
    NoStorage {
        /// The index
        storage: usize,
        /// How many there are
        storages: usize,
    },

    /// Shape and stride disagree, or there are more dimensions than torch knows.
    #[error("{shape} dimensions with {stride} strides (at most 64, as many of each)")]
    Rank {
        /// Dimensions of the shape
        shape: usize,
        /// Number of strides
        stride: usize,
    },

    /// Some element lies outside the storage.
    #[error("its shape, strides and offset reach outside its storage of {available} elements")]
    OutOfBounds {
        /// Elements of the storage
        available: usize,
    },

    /// More elements than the storage has: an expanded view.
    #[error("{numel} elements in a storage of {available}: call .contiguous() on it before saving")]
    Expanded {
        /// Elements of the tensor
        numel: usize,
        /// Elements of the storage
        available: usize,
    },
}

/// Text from a file made fit for a message: control characters escaped, cut to a readable length.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 100;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}
