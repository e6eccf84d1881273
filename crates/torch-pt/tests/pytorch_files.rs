//! Files that PyTorch 2.11 wrote (`tests/fixtures/write.py`), each read at once and lazily.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::path::{Path, PathBuf};

use torch_pt::{Archive, DType, Error, Fault, Object, TensorRef};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A fixture, read in both ways with the same result.
fn read(name: &str) -> Archive {
    let archive = Archive::read(&fixture(name)).unwrap();
    assert_eq!(Archive::open(&fixture(name)).unwrap().load().unwrap(), archive);
    archive
}

/// The tensor at the end of a path of keys.
fn tensor<'a>(root: &'a Object, path: &str) -> &'a TensorRef {
    path.split('/').try_fold(root, Object::get).and_then(Object::as_tensor).unwrap_or_else(|| panic!("no {path}"))
}

fn refused(name: &str) -> Error {
    let error = Archive::read(&fixture(name)).unwrap_err();
    assert_eq!(Archive::open(&fixture(name)).unwrap_err().to_string(), error.to_string());
    error
}

#[test]
fn every_element_type_is_read() {
    let archive = read("dtypes.pt");
    let counted: Vec<u8> = (1..=48).collect();
    assert_eq!(archive.root.as_dict().unwrap().len(), DType::ALL.len());
    for &dtype in DType::ALL {
        let view = archive.view(tensor(&archive.root, dtype.name())).unwrap();
        assert_eq!(view.dtype, dtype);
        let expected = if dtype == DType::Bool { &[1, 0, 1] } else { &counted[..] };
        assert_eq!(*view.bytes, *expected, "{dtype}");
        assert_eq!(view.shape, [expected.len() / dtype.size()], "{dtype}");
    }
}

#[test]
fn every_element_type_is_written_as_it_was_read() {
    let archive = read("dtypes.pt");
    let again = Archive::from_bytes(&archive.to_bytes("again").unwrap(), "again").unwrap();
    assert_eq!(again, archive);
}

#[test]
fn tied_weights_share_their_storage() {
    let archive = read("training.pt");
    let [embed, head, norm] =
        ["embed.weight", "head.weight", "norm.weight"].map(|name| tensor(&archive.root, &format!("model/{name}")));
    assert_eq!(embed, head);
    assert_ne!(embed.storage, norm.storage);
    assert_eq!(embed.shape, [5, 4]);
}

#[test]
fn views_of_one_storage_have_their_own_order() {
    let archive = read("training.pt");
    let values = |name: &str| {
        let view = archive.view(tensor(&archive.root, &format!("views/{name}"))).unwrap();
        (view.shape.clone(), view.to_vec_f32().unwrap())
    };
    let counted = |numbers: &[u8]| numbers.iter().map(|&number| f32::from(number)).collect::<Vec<_>>();
    assert_eq!(values("whole"), (vec![2, 3, 4], counted(&(0..24).collect::<Vec<_>>())));
    let transposed: Vec<u8> = (0..4).flat_map(|last| (0..6).map(move |row| row * 4 + last)).collect();
    assert_eq!(values("transposed"), (vec![4, 2, 3], counted(&transposed)));
    assert_eq!(values("every_other"), (vec![2, 3, 2], counted(&[1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23])));
    assert_eq!(values("row"), (vec![4], counted(&[20, 21, 22, 23])));
    assert_eq!(values("scalar"), (vec![], vec![15.0]));
    assert_eq!(values("empty"), (vec![0, 3], vec![]));
    assert_eq!(values("half"), (vec![5], vec![1.0, -0.5, 65504.0, 2f32.powi(-24), f32::INFINITY]));
    assert_eq!(values("wide"), (vec![3, 2], counted(&[0, 3, 1, 4, 2, 5])));
    let wide = archive.view(tensor(&archive.root, "views/wide")).unwrap();
    assert_eq!(wide.to_vec::<u16>().unwrap(), [0, 3, 1, 4, 2, 5]);
}

#[test]
fn plain_values_keep_their_types() {
    let root = read("training.pt").root;
    assert_eq!(root.get("size"), Some(&Object::Tuple(vec![2.into(), 3.into()])));
    assert_eq!(root.get("step").and_then(Object::as_i64), Some(7));
    assert_eq!(root.get("note").and_then(Object::as_str), Some("é"));
    assert_eq!(root.get("none"), Some(&Object::None));
    assert_eq!(tensor(&root, "parameter").shape, [2]);
    let optimizer = root.get("optimizer").unwrap();
    assert_eq!(optimizer.get("state").unwrap().as_dict().unwrap()[0].0, Object::Int(0));
    let group = &optimizer.get("param_groups").unwrap().as_list().unwrap()[0];
    assert_eq!(group.get("lr").unwrap().as_f64(), Some(0.25));
    assert_eq!(group.get("amsgrad").unwrap().as_bool(), Some(false));
}

#[test]
fn one_storage_of_two_element_types_is_refused() {
    let error = refused("two_types.pt");
    let types = (DType::U16, DType::U32);
    assert!(matches!(&error.fault, Fault::StorageTypes { first, second, .. } if (*first, *second) == types), "{error}");
    assert!(error.to_string().contains("viewed as uint16 and as uint32, only one of them is read: clone"), "{error}");
}

#[test]
fn tensors_that_are_no_plain_views_are_refused() {
    let asked = |name: &str| match refused(name).fault {
        Fault::UnknownGlobal { name } => name,
        fault => panic!("{fault}"),
    };
    assert_eq!(asked("quantized.pt"), "torch._utils._rebuild_qtensor");
    assert_eq!(asked("sparse.pt"), "torch._utils._rebuild_sparse_tensor");
    assert!(matches!(refused("conjugated.pt").fault, Fault::MalformedPickle { .. }));
}
