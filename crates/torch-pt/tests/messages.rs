//! What errors say: the file once, and what to do.

use std::error::Error as _;
use std::io;

use torch_pt::{DType, Error, Fault, TensorFault};

/// Of the file and the zip in it.
fn file_faults() -> Vec<(Fault, &'static str)> {
    let entry = || "x/data/0".to_owned();
    vec![
        (
            Fault::Legacy,
            "a.pt is in PyTorch's old format (not a zip): load it in PyTorch and save it again with torch.save",
        ),
        (
            Fault::NotAnArchive,
            "a.pt is not a PyTorch checkpoint: it does not begin like a zip archive; was it cut short or mistaken?",
        ),
        (
            Fault::Safetensors,
            "a.pt is a safetensors file, not a PyTorch checkpoint: load it in Python with safetensors.torch.load_file and \
             save the tensors with torch.save",
        ),
        (
            Fault::TorchScript,
            "a.pt is a TorchScript program, not a checkpoint: save the model's state_dict with torch.save instead",
        ),
        (
            Fault::Container { reason: "it has two data.pkl".to_owned() },
            "a.pt is damaged: it has two data.pkl; copy it again, or fall back to the checkpoint before it",
        ),
        (
            Fault::OpenEnd,
            "a.pt does not end where a zip ends: it was cut short, or something was appended; copy it again",
        ),
        (
            Fault::UnsafeName { entry: "../x".to_owned() },
            "a.pt: entry ../x has a name that leads out of the archive, which no torch.save writes: do not trust it",
        ),
        (Fault::DuplicateEntry, "a.pt holds two entries of one name, which no torch.save writes: do not trust it"),
        (
            Fault::OverlappingEntries,
            "a.pt holds entries that overlap or reach past its end, which no torch.save writes: do not trust it",
        ),
        (
            Fault::Compressed { entry: entry() },
            "a.pt: entry x/data/0 is compressed; unpack the archive and zip it again with no compression",
        ),
        (
            Fault::Encrypted { entry: entry() },
            "a.pt: entry x/data/0 is encrypted; unpack the archive and zip it again with no password and no compression",
        ),
        (Fault::MissingEntry { entry: entry() }, "a.pt: entry x/data/0 is missing; is this a whole torch.save file?"),
        (
            Fault::DamagedEntry { entry: entry(), reason: "it ends too early".to_owned() },
            "a.pt: entry x/data/0 is damaged: it ends too early; copy the file again, or have torch.save write its checksums",
        ),
        (
            Fault::ByteOrder { found: "big".to_owned() },
            "a.pt has byte order big, only little is read: save it again on a little-endian machine",
        ),
    ]
}

/// Of the values and tensors.
fn value_faults() -> Vec<(Fault, &'static str)> {
    let place = || "model.w".to_owned();
    let tensor = |fault| Fault::Tensor { tensor: "model.w".to_owned(), fault };
    vec![
        (Fault::TooDeep { limit: 64 }, "a.pt: values nest deeper than 64 levels; flatten them before saving"),
        (
            Fault::TooLarge { limit: 9 },
            "a.pt: its values would take more than 9 bytes of memory; store bulk data as tensors",
        ),
        (
            Fault::UnsupportedKey { place: place(), found: "tuple" },
            "a.pt: model.w has a key of type tuple; only str and int keys are read",
        ),
        (
            Fault::DuplicateKey { place: place() },
            "a.pt: model.w is there twice, which no torch.save writes: do not trust the file",
        ),
        (
            Fault::UnsupportedValue { place: place(), found: "a function" },
            "a.pt: model.w is a function; save only dicts, lists, numbers, strings and tensors",
        ),
        (
            Fault::StorageConflict { storage: "0".to_owned() },
            "a.pt: storage 0 is described twice, with different types or lengths: do not trust the file",
        ),
        (
            Fault::StorageTypes { storage: "0".to_owned(), first: DType::U16, second: DType::U32 },
            "a.pt: storage 0 is viewed as uint16 and as uint32, only one of them is read: clone one of the tensors before \
             saving",
        ),
        (
            Fault::StorageSize { storage: "0".to_owned(), expected: 16, found: 5 },
            "a.pt: storage 0 should have 16 bytes and has 5: the file is damaged",
        ),
        (
            tensor(TensorFault::NoStorage { storage: 7, storages: 2 }),
            "a.pt: tensor model.w: there is no storage 7, only 2 of them",
        ),
        (
            tensor(TensorFault::Expanded { numel: 5, available: 4 }),
            "a.pt: tensor model.w: 5 elements in a storage of 4: call .contiguous() on it before saving",
        ),
    ]
}

/// Of the pickle.
fn pickle_faults() -> Vec<(Fault, &'static str)> {
    vec![
        (Fault::TruncatedPickle { at: 3 }, "a.pt: data.pkl ends too early, at byte 3: the file is cut short"),
        (Fault::Protocol { version: 1 }, "a.pt: data.pkl uses pickle protocol 1, 2 to 5 are read"),
        (
            Fault::UnknownOpcode { opcode: b'i', at: 2 },
            "a.pt: data.pkl has instruction 0x69 at byte 2, which no plain checkpoint needs: save only dicts, lists, \
             numbers, strings and tensors",
        ),
        (
            Fault::UnknownGlobal { name: "posix.system".to_owned() },
            "a.pt: data.pkl asks for posix.system, which checkpoints have no use for, so it is not run: save only dicts, \
             lists, numbers, strings and tensors",
        ),
        (
            Fault::MalformedPickle { at: 9, reason: "a MARK is missing" },
            "a.pt: data.pkl makes no sense at byte 9: a MARK is missing",
        ),
        (
            Fault::IntegerTooWide { at: 2 },
            "a.pt: data.pkl has an int wider than 64 bits at byte 2; store it as a string",
        ),
    ]
}

#[test]
fn every_message_names_its_file_once() {
    for (fault, expected) in [file_faults(), value_faults(), pickle_faults()].into_iter().flatten() {
        let error = Error { file: "a.pt".to_owned(), fault };
        assert_eq!(error.to_string(), expected);
        assert!(error.source().is_none());
    }
}

#[test]
fn the_systems_own_reason_is_the_source() {
    for action in ["read", "write"] {
        let source = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = Error { file: "a.pt".to_owned(), fault: Fault::Io { action, source } };
        assert_eq!(error.to_string(), format!("cannot {action} a.pt"));
        assert_eq!(error.source().map(ToString::to_string), Some("permission denied".to_owned()));
    }
}
