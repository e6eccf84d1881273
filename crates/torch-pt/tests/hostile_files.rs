//! Checkpoint files made to mislead: every way a file can be wrong is refused by its own error, and none panics.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::io::{Cursor, Write};

use proptest::prelude::*;
use torch_pt::{Archive, Error, Fault as E, Object, TensorFault};
use zip::write::{SimpleFileOptions, ZipWriter};

type Entries = Vec<(&'static str, Vec<u8>)>;

/// The pieces of a pickle that names storage `0` of four floats.
const HEAD: &[u8] = b"\x80\x02";
const STORAGE: &[u8] = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ";
const REBUILD: &[u8] = b"ctorch._utils\n_rebuild_tensor_v2\n";
const HOOKS: &[u8] = b"\x89ccollections\nOrderedDict\n)R";

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A pickle of one tensor in that storage; `view` pushes offset, shape and stride.
fn tensor_pickle(view: &[u8]) -> Vec<u8> {
    join(&[HEAD, REBUILD, b"(", STORAGE, view, HOOKS, b"tR."])
}

fn entries(pickle: &[u8]) -> Entries {
    vec![
        ("x/data.pkl", pickle.to_vec()),
        ("x/byteorder", b"little".to_vec()),
        ("x/data/0", [1f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes).concat()),
        ("x/version", b"3\n".to_vec()),
    ]
}

fn zipped(entries: &Entries) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn load(pickle: &[u8]) -> Result<Archive, Error> {
    Archive::from_bytes(&zipped(&entries(pickle)), "some.pt")
}

/// The error of a file with this pickle; its message names the file and is one line.
fn refused(pickle: &[u8]) -> E {
    refused_file(&zipped(&entries(pickle)))
}

fn refused_file(bytes: &[u8]) -> E {
    let error = Archive::from_bytes(bytes, "some.pt").unwrap_err();
    let message = error.to_string();
    assert!(message.contains("some.pt") && !message.contains('\n'), "{message}");
    error.fault
}

#[test]
fn newer_protocols_and_other_spellings_are_read() {
    // Protocol 4: frame, short strings, memoize, names from the stack.
    let pickle = b"\x80\x04\x95\x1f\0\0\0\0\0\0\0\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)R.";
    assert_eq!(load(pickle).unwrap().root, Object::Dict(vec![]));
    // torch.Size, a one-byte long, a list aliased through the memo and filled afterwards, BUILD of _metadata.
    let pickle = join(&[HEAD, b"(ctorch\nSize\nK\x02K\x03\x86\x85R\x8a\x01\xff]q\0h\0Nat."]);
    let filled = Object::List(vec![Object::None]);
    let size = Object::Tuple(vec![2.into(), 3.into()]);
    let expected = Object::Tuple(vec![size, (-1).into(), filled.clone(), filled]);
    assert_eq!(load(&pickle).unwrap().root, expected);
    let pickle = join(&[HEAD, b"ccollections\nOrderedDict\n)R}X\x09\0\0\0_metadata}sb."]);
    assert_eq!(load(&pickle).unwrap().root, Object::Dict(vec![]));
    // A parameter is its tensor; a file without folder and without byteorder.
    let parameter = join(&[
        HEAD,
        b"ctorch._utils\n_rebuild_parameter\n(",
        REBUILD,
        b"(",
        STORAGE,
        b"K\x01K\x02\x85K\x02\x85",
        HOOKS,
        b"tR",
        HOOKS,
        b"tR.",
    ]);
    let mut plain = entries(&parameter);
    plain.retain(|(name, _)| *name != "x/byteorder");
    plain.iter_mut().for_each(|(name, _)| *name = &name[2..]);
    let archive = Archive::from_bytes(&zipped(&plain), "some.pt").unwrap();
    let tensor = archive.root.as_tensor().unwrap();
    assert_eq!((tensor.offset, &tensor.shape[..], &tensor.stride[..]), (1, &[2][..], &[2][..]));
}

#[test]
fn other_files_are_told_apart() {
    assert!(matches!(refused_file(b""), E::NotAnArchive));
    assert!(matches!(refused_file(b"{\"step\": 1}"), E::NotAnArchive));
    assert!(matches!(refused_file(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."), E::Legacy));
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    assert!(matches!(refused_file(&tar), E::Legacy));
    // What safetensors writes for no tensors: the header's length, the header.
    assert!(matches!(refused_file(b"\x02\0\0\0\0\0\0\0{}"), E::Safetensors));
    assert!(matches!(refused_file(b"\x03\0\0\0\0\0\0\0{}"), E::NotAnArchive));
    let mut script = entries(b"\x80\x02N.");
    script.push(("x/constants.pkl", vec![]));
    assert!(matches!(refused_file(&zipped(&script)), E::TorchScript));
}

/// A zip is patched at every place where `from` occurs, in local headers and in the central directory.
fn patched(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
    bytes
}

fn central_header(bytes: &[u8], name: &[u8]) -> usize {
    let matches = |at: &usize| bytes[*at..].starts_with(b"PK\x01\x02") && bytes[at + 46..].starts_with(name);
    (0..bytes.len() - 46).find(matches).unwrap()
}

#[test]
fn broken_and_ambiguous_zips_are_refused() {
    let good = zipped(&entries(b"\x80\x02N."));
    assert!(matches!(refused_file(b"PK\x03\x04 and nothing more"), E::OpenEnd));
    let mut duplicate = entries(b"\x80\x02N.");
    duplicate.push(("x/Version", vec![]));
    let duplicate = patched(zipped(&duplicate), b"x/Version", b"x/version");
    assert!(matches!(refused_file(&duplicate), E::DuplicateEntry));

    // The entry `version` claims to begin where `data.pkl` does.
    let mut overlapping = good.clone();
    let at = central_header(&good, b"x/version") + 42;
    overlapping[at..at + 4].copy_from_slice(&[0; 4]);
    assert!(matches!(refused_file(&overlapping), E::OverlappingEntries));

    let mut compressed = good.clone();
    compressed[central_header(&good, b"x/data/0") + 10] = 8;
    assert!(matches!(refused_file(&compressed), E::Compressed { entry, .. } if entry == "x/data/0"));

    let mut lying = good.clone();
    lying[central_header(&good, b"x/data/0") + 24] += 1;
    assert!(matches!(refused_file(&lying), E::DamagedEntry { .. }));

    let two = vec![("x/data.pkl", b"\x80\x02N.".to_vec()), ("y/data.pkl", b"\x80\x02N.".to_vec())];
    assert!(matches!(refused_file(&zipped(&two)), E::Container { .. }));
    assert!(matches!(refused_file(&zipped(&vec![("x/y/data.pkl", vec![])])), E::MissingEntry { .. }));
}

#[test]
fn names_that_lead_out_of_the_archive_are_refused() {
    for name in ["../x/data/1", "x/../../data/1", "/x/data/1", "x//data/1", "x\\data\\1", "..", "x/.."] {
        let mut entries = entries(b"\x80\x02N.");
        entries.push((name, vec![]));
        assert!(
            matches!(refused_file(&zipped(&entries)), E::UnsafeName { entry, .. } if entry.contains(&name[..1])),
            "{name}"
        );
    }
    // Folders of their own, as `zip -r0` adds them, and dots that lead nowhere are fine.
    let mut plain = entries(b"\x80\x02N.");
    plain.extend([("x/", vec![]), ("x/data/", vec![]), ("x/a..b", vec![])]);
    assert!(Archive::from_bytes(&zipped(&plain), "some.pt").is_ok());
}

#[test]
fn encrypted_and_compressed_entries_are_refused() {
    let good = zipped(&entries(b"\x80\x02N."));
    let mut encrypted = good.clone();
    encrypted[central_header(&good, b"x/data/0") + 8] |= 1;
    assert!(matches!(refused_file(&encrypted), E::Encrypted { entry, .. } if entry == "x/data/0"));
    // A megabyte of zeros in a kilobyte, deflated by Python's zipfile.
    let bomb = include_bytes!("fixtures/hostile/archive/bomb.pt");
    assert!(bomb.len() < 2000);
    assert!(matches!(refused_file(bomb), E::Compressed { entry, .. } if entry == "x/data/0"));
    // A plain entry that claims to be longer than the whole file, in both of its sizes.
    let mut huge = good.clone();
    let at = central_header(&good, b"x/data/0") + 20;
    huge[at..at + 8].copy_from_slice(&[0, 0, 0, 0x70, 0, 0, 0, 0x70]);
    assert!(matches!(refused_file(&huge), E::OverlappingEntries));
}

#[test]
fn a_zip_ends_where_the_file_ends() {
    let good = zipped(&entries(b"\x80\x02N."));
    assert!(matches!(refused_file(&join(&[&good, b"\0"])), E::OpenEnd));
    assert!(matches!(refused_file(&join(&[&good, &good])), E::Container { .. }));
    assert!(matches!(refused_file(&good[..good.len() - 1]), E::OpenEnd));
    let mut comment = join(&[&good, b"!"]);
    comment[good.len() - 2] = 1;
    assert!(matches!(refused_file(&comment), E::OpenEnd));
}

/// The zip with a list of entries as 64-bit archives have it: this many, so long, from there on.
fn zip64(good: &[u8], count: u64, size: u64, start: u64, locator: u64) -> Vec<u8> {
    let (body, end) = good.split_at(good.len() - 22);
    let mut end = end.to_vec();
    end[8..20].fill(0xff);
    let wide = [count, count, size, start].map(u64::to_le_bytes).concat();
    let end64 = join(&[b"PK\x06\x06", &44u64.to_le_bytes(), &[45, 0, 45, 0], &[0; 8], &wide]);
    join(&[body, &end64, b"PK\x06\x07\0\0\0\0", &locator.to_le_bytes(), b"\x01\0\0\0", &end])
}

#[test]
fn a_list_of_entries_that_is_not_in_the_file_is_not_made_room_for() {
    let good = zipped(&entries(b"\x80\x02N."));
    let end = good.len() - 22;
    let number = |at: usize| u64::from(u32::from_le_bytes(good[end + at..end + at + 4].try_into().unwrap()));
    let (size, start, locator) = (number(12), number(16), end as u64);
    let wide = |count, size, start, locator| Archive::from_bytes(&zip64(&good, count, size, start, locator), "some.pt");
    assert!(wide(4, size, start, locator).is_ok());
    let lies = [
        (u64::MAX, size, start, locator),
        (1 << 40, u64::MAX / 2, 1 << 62, locator),
        (4, u64::MAX, start, locator),
        (4, size, u64::MAX, locator),
        (5, size, start + size, locator),
        (4, size, start, locator - 1),
        (4, size, start, u64::MAX),
    ];
    for (count, size, start, locator) in lies {
        let error = wide(count, size, start, locator).unwrap_err();
        assert!(matches!(error.fault, E::Container { .. }), "{count} {size} {start} {locator}: {error}");
    }
    // The narrow record alone: more entries than its list has room for, and one that says other than the wide record.
    let mut narrow = good.clone();
    narrow[end + 8..end + 12].copy_from_slice(&[0xff, 0xfe, 0xff, 0xfe]);
    assert!(matches!(refused_file(&narrow), E::Container { .. }));
    let mut two = zip64(&good, 4, size, start, locator);
    let at = two.len() - 12;
    two[at..at + 2].copy_from_slice(&[3, 0]);
    assert!(matches!(refused_file(&two), E::Container { .. }));
}

#[test]
fn a_name_in_another_encoding_is_not_searched_for() {
    // The record asks for a storage `é`, and the entry's name is that in the code page of DOS.
    let storage = patched(STORAGE.to_vec(), b"X\x01\0\0\x000", b"X\x02\0\0\0\xc3");
    let storage = join(&[&storage[..storage.len() - 12], b"\xa9", &storage[storage.len() - 12..]]);
    let pickle = join(&[HEAD, REBUILD, b"(", &storage, b"K\0K\x04\x85K\x01\x85", HOOKS, b"tR."]);
    let mut entries = entries(&pickle);
    entries[2].0 = "x/data/?";
    let bytes = patched(zipped(&entries), b"x/data/?", b"x/data/\x82");
    assert!(matches!(refused_file(&bytes), E::MissingEntry { entry, .. } if entry == "data/é"));
}

#[test]
fn entries_that_are_wrong_are_refused() {
    let tensor = tensor_pickle(b"K\0K\x04\x85K\x01\x85");
    assert!(load(&tensor).is_ok());
    let with = |index: usize, bytes: &[u8]| {
        let mut entries = entries(&tensor);
        entries[index].1 = bytes.to_vec();
        refused_file(&zipped(&entries))
    };
    assert!(matches!(with(1, b"big"), E::ByteOrder { found, .. } if found == "big"));
    assert!(matches!(with(2, b"short"), E::StorageSize { expected: 16, found: 5, .. }));
    let mut missing = entries(&tensor);
    missing.remove(2);
    assert!(matches!(refused_file(&zipped(&missing)), E::MissingEntry { entry, .. } if entry == "data/0"));
    let flipped = patched(zipped(&entries(&tensor)), &3f32.to_le_bytes(), &9f32.to_le_bytes());
    assert!(matches!(refused_file(&flipped), E::DamagedEntry { entry, .. } if entry == "data/0"));
    let class: &[u8] = b"(X\x07\0\0\0storagectorch\nBoolStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ";
    let view: &[u8] = b"K\0K\x04\x85K\x01\x85";
    let mut bools = entries(&join(&[HEAD, REBUILD, b"(", class, view, HOOKS, b"tR."]));
    bools[2].1 = vec![0, 1, 2, 0];
    assert!(matches!(refused_file(&zipped(&bools)), E::DamagedEntry { .. }));
}

#[test]
fn pickles_that_run_out_or_make_no_sense_are_refused() {
    assert!(matches!(refused(b""), E::TruncatedPickle { at: 0, .. }));
    assert!(matches!(refused(b"\x80\x02X\xff\xff\xff\xffabc."), E::TruncatedPickle { .. }));
    assert!(matches!(refused(b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff."), E::TruncatedPickle { .. }));
    assert!(matches!(refused(b"\x80\x01N."), E::Protocol { version: 1, .. }));
    assert!(matches!(refused(b"\x80\x02\x8a\x09\0\0\0\0\0\0\0\0\x01."), E::IntegerTooWide { .. }));
    let nonsense: [&[u8]; 22] = [
        b".",
        b"N(.",
        b"NN.",
        b"N.N",
        b"(.",
        b"t.",
        b"\x85.",
        b"(N\x85.",
        b"h\x07.",
        b"q\0.",
        b"NNa.",
        b"]NNs.",
        b"}(Nu.",
        b"X\x01\0\0\0\xff.",
        b"N)R.",
        b"NN\x93.",
        b"NQ.",
        b"]}b.",
        b"ccollections\nOrderedDict\nN\x85R.",
        b"}}X\x01\0\0\0aNsb.",
        b"ctorch._utils\n_rebuild_parameter\nN\x88N\x87R.",
        b"(NNNNNtQ.",
    ];
    for pickle in nonsense {
        let error = refused(&join(&[HEAD, pickle]));
        assert!(matches!(error, E::MalformedPickle { .. }), "{error}");
    }
}

#[test]
fn nothing_in_a_file_is_ever_called() {
    // INST, OBJ, NEWOBJ, EXT1, a string of protocol 0, a set, a bytearray.
    for opcode in [b'i', b'o', 0x81, 0x82, b'S', 0x8f, 0x96] {
        let error = refused(&[0x80, 2, opcode]);
        assert!(matches!(error, E::UnknownOpcode { opcode: found, at: 2, .. } if found == opcode));
    }
    let error = refused(b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R.");
    assert!(matches!(error, E::UnknownGlobal { name, .. } if name == "posix.system"));
    for (module, name) in [
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
    ] {
        let by_line = format!("\u{2}c{module}\n{name}\nX\u{4}\0\0\0true");
        let by_line = join(&[&[0x80], by_line.as_bytes(), b"\x85R."]);
        let (m, n) = (module.as_bytes(), name.as_bytes());
        let from_stack = join(&[b"\x80\x04\x8c", &[m.len() as u8], m, b"\x8c", &[n.len() as u8], n, b"\x93."]);
        for pickle in [by_line, from_stack] {
            let message = refused(&pickle).to_string();
            assert!(message.contains(&format!("asks for {module}.{name}")) && message.contains("not run"), "{message}");
        }
    }
}

#[test]
fn memory_stays_bounded() {
    let deep = join(&[HEAD, &b"(".repeat(10_000), &b"t".repeat(10_000), b"."]);
    assert!(matches!(refused(&deep), E::TooDeep { .. }));
    // A list that holds itself, a dict that does, and two lists that hold each other.
    for circle in [&b"]q\0h\0a."[..], b"}q\0K\x01h\0s.", b"]q\0]h\0aa."] {
        let error = refused(&join(&[HEAD, circle]));
        assert!(matches!(error, E::TooDeep { .. }), "{error}");
    }
    // Each line holds the one before twice.
    let laughs = join(&[HEAD, b"X\x04\0\0\0haha", &b"q\0h\0\x86".repeat(60), b"."]);
    assert!(matches!(refused(&laughs), E::TooLarge { .. }));
    let text = join(&[b"X\0\0\x10\0", &b"a".repeat(1 << 20), b"q\0"]);
    let repeated = join(&[HEAD, b"(", &text, &b"h\0".repeat(1000), b"t."]);
    assert!(matches!(refused(&repeated), E::TooLarge { .. }));
}

#[test]
fn values_that_are_not_plain_are_refused() {
    assert!(matches!(refused(b"\x80\x02}X\x01\0\0\0a}NNss."), E::UnsupportedKey { place, .. } if place == "a"));
    assert!(matches!(refused(b"\x80\x02}(K\x01NK\x01Nu."), E::DuplicateKey { place, .. } if place == "1"));
    assert!(matches!(refused(b"\x80\x02]ctorch\nFloatStorage\na."), E::UnsupportedValue { place, .. } if place == "0"));
    assert!(matches!(refused(&join(&[HEAD, STORAGE, b"."])), E::UnsupportedValue { .. }));
    let other = patched(STORAGE.to_vec(), b"K\x04", b"K\x03");
    let conflict = join(&[HEAD, STORAGE, &other, b"\x86."]);
    assert!(matches!(refused(&conflict), E::StorageConflict { storage, .. } if storage == "0"));
}

#[test]
fn tensors_that_leave_their_storage_are_refused() {
    let fault = |view: &[u8]| {
        let pickle = tensor_pickle(view);
        let body = &pickle[2..pickle.len() - 1];
        match refused(&join(&[HEAD, b"}X\x01\0\0\0w", body, b"s."])) {
            E::Tensor { tensor, fault, .. } => {
                assert_eq!(tensor, "w");
                fault
            }
            error => panic!("{error}"),
        }
    };
    let outside = TensorFault::OutOfBounds { available: 4 };
    assert_eq!(fault(b"K\x01K\x04\x85K\x01\x85"), outside);
    assert_eq!(fault(b"K\x04))"), outside);
    assert_eq!(fault(b"K\x05K\0\x85K\x01\x85"), outside);
    assert_eq!(fault(b"K\0K\x03\x85K\x02\x85"), outside);
    assert_eq!(fault(b"K\0J\xff\xff\xff\x7f\x85\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85"), outside);
    assert_eq!(fault(b"K\0K\x05\x85K\0\x85"), TensorFault::Expanded { numel: 5, available: 4 });
    assert_eq!(fault(b"K\0K\x02\x85)"), TensorFault::Rank { shape: 1, stride: 0 });
    // 2^32 by 2^32 elements, by strides of zero; 64 dimensions are torch's limit.
    assert_eq!(fault(b"K\0\x8a\x05\0\0\0\0\x01\x8a\x05\0\0\0\0\x01\x86K\0K\0\x86"), outside);
    let many = join(&[b"K\0(", &b"K\x01".repeat(64), b"t(", &b"K\x01".repeat(64), b"t"]);
    assert!(load(&tensor_pickle(&many)).is_ok());
    // Offset, extent and stride below zero.
    for view in
        [&b"\x8a\x01\xffK\x02\x85K\x01\x85"[..], b"K\0\x8a\x01\xff\x85K\x01\x85", b"K\0K\x02\x85\x8a\x01\xff\x85"]
    {
        assert!(
            matches!(refused(&tensor_pickle(view)), E::MalformedPickle { reason, .. } if reason.contains("negative"))
        );
    }
}

#[test]
fn a_cut_pickle_is_an_error_and_no_flipped_byte_panics() {
    let mut pickle = tensor_pickle(b"K\0K\x04\x85K\x01\x85");
    for length in 0..pickle.len() {
        assert!(load(&pickle[..length]).is_err(), "{length}");
    }
    for (at, flip) in (0..pickle.len()).flat_map(|at| (1..=255).map(move |flip| (at, flip))) {
        pickle[at] ^= flip;
        let _ = load(&pickle);
        pickle[at] ^= flip;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn no_pickle_panics(pickle in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = load(&join(&[HEAD, &pickle]));
    }
}
