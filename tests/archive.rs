//! Checkpoint files as PyTorch lays them out: round trips, PyTorch's own file, and writes that fail.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::collections::HashSet;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use nanoebm::checkpoint::{Archive, CheckpointError as E, DType, Object, Storage, TensorFault, TensorRef};
use proptest::prelude::*;

fn f32_storage(values: &[f32]) -> Storage {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Storage { dtype: DType::F32, bytes }
}

/// A small checkpoint with tied weights, an optimizer and a configuration.
fn sample() -> Archive {
    let tied = TensorRef::contiguous(0, &[2, 2]);
    let model = Object::dict([
        ("wte.weight", tied.clone().into()),
        ("lm_head.weight", tied.into()),
        ("row", Object::Tensor(TensorRef { storage: 0, offset: 2, shape: vec![2], stride: vec![1] })),
    ]);
    let moments = Object::dict([
        ("step", TensorRef::contiguous(1, &[]).into()),
        ("exp_avg", TensorRef::contiguous(2, &[0, 3]).into()),
    ]);
    let group = Object::dict([
        ("betas", Object::Tuple(vec![0.9.into(), 0.95.into()])),
        ("fused", Object::None),
        ("params", Object::List((0..3).map(Object::Int).collect())),
    ]);
    let optimizer = Object::dict([
        ("state", Object::Dict(vec![(Object::Int(0), moments)])),
        ("param_groups", Object::List(vec![group])),
    ]);
    let ints = [0, 255, 256, 65535, 65536, -1, i64::from(i32::MIN), i64::MAX, i64::MIN];
    let root = Object::dict([
        ("model", model),
        ("optimizer", optimizer),
        ("step", 401.into()),
        ("ints", Object::List(ints.map(Object::Int).to_vec())),
        ("config", Object::dict([("bias", true.into()), ("name", "é\0\n".into())])),
    ]);
    let storages = vec![f32_storage(&[1.0, -2.0, 3.5, 4.0]), f32_storage(&[401.0]), f32_storage(&[])];
    Archive { root, storages }
}

#[test]
fn what_is_written_is_read() {
    let archive = sample();
    let bytes = archive.to_bytes("sample.pt").unwrap();
    assert_eq!(Archive::from_bytes(&bytes, "sample.pt").unwrap(), archive);
}

#[test]
fn equal_state_gives_equal_bytes_under_any_name() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = sample().to_bytes("memory").unwrap();
    for name in ["final.pt", "ckpt_step_1000.pt"] {
        let path = directory.path().join(name);
        sample().write(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(Archive::read(&path).unwrap(), sample());
    }
}

#[test]
fn storages_are_stored_plain_and_aligned() {
    let mut zip = zip::ZipArchive::new(Cursor::new(sample().to_bytes("memory").unwrap())).unwrap();
    for index in 0..zip.len() {
        let entry = zip.by_index(index).unwrap();
        assert_eq!(entry.compression(), zip::CompressionMethod::Stored);
        assert_eq!(entry.data_start().unwrap() % 64, 0, "{}", entry.name().unwrap());
    }
    let names: Vec<_> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    let expected = ["data.pkl", ".storage_alignment", "byteorder", "data/0", "data/1", "data/2", "version"];
    assert_eq!(names, expected.map(|name| format!("archive/{name}")));
}

#[test]
fn storages_that_no_tensor_views_are_left_out() {
    let mut archive = sample();
    archive.storages.push(f32_storage(&[9.0]));
    assert_eq!(archive.to_bytes("memory").unwrap(), sample().to_bytes("memory").unwrap());
}

#[test]
fn strided_tensors_are_gathered_and_contiguous_ones_borrowed() {
    let archive = Archive { root: Object::None, storages: vec![f32_storage(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])] };
    let view = |offset, shape: &[usize], stride: &[usize]| {
        let (shape, stride) = (shape.to_vec(), stride.to_vec());
        let bytes = archive.tensor_bytes(&TensorRef { storage: 0, offset, shape, stride }).unwrap();
        let borrowed = matches!(bytes, std::borrow::Cow::Borrowed(_));
        let values = bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()));
        (values.collect::<Vec<_>>(), borrowed)
    };
    assert_eq!(view(0, &[3, 2], &[1, 3]), (vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0], false));
    assert_eq!(view(1, &[2], &[2]), (vec![1.0, 3.0], false));
    assert_eq!(view(2, &[2, 1, 2], &[2, usize::MAX, 1]), (vec![2.0, 3.0, 4.0, 5.0], true));
    assert_eq!(view(5, &[], &[]), (vec![5.0], true));
    assert_eq!(view(6, &[3, 0], &[1, 1]), (vec![], true));
}

#[test]
fn pytorchs_own_checkpoint_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/original/checkpoint.pt");
    let archive = Archive::read(&path).unwrap();
    let model = archive.root.get("model").unwrap();
    let tensor = |name: &str| model.get(name).unwrap().as_tensor().unwrap();

    let wte = tensor("transformer.transformer.wte.weight");
    assert_eq!(wte.shape, [65, 32]);
    assert_eq!(archive.dtype(wte), DType::F32);
    assert_eq!(wte.storage, tensor("transformer.lm_head.weight").storage);
    assert_ne!(wte.storage, tensor("energy_head.weight").storage);

    let alpha = tensor("alpha");
    assert!(alpha.shape.is_empty());
    assert_eq!(*archive.tensor_bytes(alpha).unwrap(), 0.02f32.to_le_bytes());

    let optimizer = archive.root.get("optimizer").unwrap();
    assert_eq!(optimizer.get("state").unwrap().as_dict().unwrap()[3].0, Object::Int(3));
    let group = &optimizer.get("param_groups").unwrap().as_list().unwrap()[0];
    assert_eq!(group.get("betas"), Some(&Object::Tuple(vec![0.9.into(), 0.95.into()])));
    assert_eq!(group.get("foreach"), Some(&Object::None));
    assert_eq!(archive.root.get("step").unwrap().as_i64(), Some(401));
    let config = archive.root.get("config").unwrap();
    assert_eq!(config.get("wandb_name"), Some(&Object::None));
    assert_eq!(config.get("model").unwrap().get("bias").unwrap().as_bool(), Some(true));
    assert_eq!(config.get("model").unwrap().get("dropout").unwrap().as_f64(), Some(0.1));

    let again = archive.to_bytes("memory").unwrap();
    assert_eq!(Archive::from_bytes(&again, "memory").unwrap(), archive);
}

#[test]
fn a_failed_write_leaves_everything_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let names = || {
        let entries = fs::read_dir(directory.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<HashSet<_>>()
    };
    let path = directory.path().join("final.pt");
    sample().write(&path).unwrap();
    let before = fs::read(&path).unwrap();

    // Values that could not be read back never reach the disk.
    let lost = Archive { root: TensorRef::contiguous(7, &[1]).into(), storages: vec![] };
    assert!(matches!(lost.write(&path).unwrap_err(), E::Tensor { fault: TensorFault::NoStorage { .. }, .. }));
    let mut odd = sample();
    odd.storages[1].bytes.pop();
    assert!(matches!(odd.write(&path).unwrap_err(), E::StorageSize { .. } | E::Tensor { .. }));
    let deep = (0..100).fold(Object::None, |inner, _| Object::List(vec![inner]));
    let deep = Archive { root: deep, storages: vec![] };
    assert!(matches!(deep.write(&path).unwrap_err(), E::TooDeep { .. }));
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(names().len(), 1);

    // A directory cannot be replaced by a file: the rename fails after all was written.
    let taken = directory.path().join("taken.pt");
    fs::create_dir_all(taken.join("inside")).unwrap();
    let error = sample().write(&taken).unwrap_err();
    assert!(error.to_string().contains("taken.pt"), "{error}");
    assert!(matches!(error, E::Io { action: "write", .. }));
    assert_eq!(names().len(), 2);

    let nowhere = directory.path().join("absent/final.pt");
    assert!(matches!(sample().write(&nowhere).unwrap_err(), E::Io { .. }));
    let error = Archive::read(&nowhere).unwrap_err();
    assert!(matches!(error, E::Io { action: "read", .. }), "{error}");
    assert!(matches!(Archive::read(directory.path()).unwrap_err(), E::Io { .. }));
}

#[test]
fn every_truncation_is_an_error_and_no_flipped_byte_panics() {
    let mut bytes = sample().to_bytes("memory").unwrap();
    for length in 0..bytes.len() {
        assert!(Archive::from_bytes(&bytes[..length], "some.pt").is_err(), "{length}");
    }
    for (at, flip) in (0..bytes.len()).flat_map(|at| [0x01, 0x80, 0xff].map(|flip| (at, flip))) {
        bytes[at] ^= flip;
        let _ = Archive::from_bytes(&bytes, "some.pt");
        bytes[at] ^= flip;
    }
}

fn dtypes() -> impl Strategy<Value = DType> {
    use DType::*;
    prop::sample::select(vec![F32, F64, F16, BF16, I64, I32, I16, U8, I8, Bool])
}

fn storages() -> impl Strategy<Value = Storage> {
    (dtypes(), prop::collection::vec(0..=1u8, 0..24)).prop_map(|(dtype, mut bytes)| {
        bytes.truncate(bytes.len() / dtype.size() * dtype.size());
        Storage { dtype, bytes }
    })
}

fn objects() -> impl Strategy<Value = Object> {
    let leaf = prop_oneof![
        Just(Object::None),
        any::<bool>().prop_map(Object::Bool),
        any::<i64>().prop_map(Object::Int),
        any::<f64>().prop_filter("equal to itself", |value| !value.is_nan()).prop_map(Object::Float),
        ".*".prop_map(Object::Str),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..8);
        let named = prop::collection::btree_map(".*", inner.clone(), 0..8);
        let numbered = prop::collection::btree_map(any::<i64>(), inner, 0..8);
        prop_oneof![
            list.clone().prop_map(Object::List),
            list.prop_map(Object::Tuple),
            named.prop_map(Object::dict),
            numbered.prop_map(|pairs| {
                Object::Dict(pairs.into_iter().map(|(key, value)| (Object::Int(key), value)).collect())
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn any_value_comes_back(value in objects(), storages in prop::collection::vec(storages(), 0..4)) {
        let tensors = storages.iter().enumerate().map(|(index, storage)| {
            TensorRef::contiguous(index, &[storage.bytes.len() / storage.dtype.size()]).into()
        });
        let root = Object::Tuple(vec![Object::List(tensors.collect()), value]);
        let archive = Archive { root, storages };
        let bytes = archive.to_bytes("memory").unwrap();
        prop_assert_eq!(Archive::from_bytes(&bytes, "memory").unwrap(), archive);
    }
}

#[test]
fn one_entry_can_stay_in_the_file() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/original/checkpoint.pt");
    let (whole, part) = (Archive::read(&path).unwrap(), Archive::read_without(&path, Some("optimizer")).unwrap());
    assert!(whole.root.get("optimizer").is_some() && part.root.get("optimizer").is_none());
    assert_eq!(whole.root.get("model"), part.root.get("model"));
    let bytes = |archive: &Archive| archive.storages.iter().map(|storage| storage.bytes.len()).sum::<usize>();
    assert!(bytes(&part) * 2 < bytes(&whole), "{} of {}", bytes(&part), bytes(&whole));
    let Some(Object::Dict(model)) = part.root.get("model") else { panic!("no model") };
    for (name, value) in model {
        let Object::Tensor(tensor) = value else { continue };
        assert_eq!(part.tensor_bytes(tensor).unwrap(), whole.tensor_bytes(tensor).unwrap(), "{name:?}");
    }
}
