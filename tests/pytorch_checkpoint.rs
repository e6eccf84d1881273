//! PyTorch's own checkpoint of the original, as it lies in the file; and what PyTorch reads in ours.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::path::Path;

use serde_json::json;
use torch_pt::{Archive, DType, Object, Storage, TensorRef};

#[path = "common/python.rs"]
mod python;

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

#[test]
fn pytorch_reads_every_element_type() {
    let storages: Vec<_> =
        DType::ALL.iter().map(|&dtype| Storage { dtype, bytes: vec![1; 12 * dtype.size()] }).collect();
    let transposed = |storage| TensorRef { storage, offset: 2, shape: vec![5, 2], stride: vec![1, 5] };
    let tensors = DType::ALL.iter().enumerate().map(|(index, dtype)| (dtype.name(), transposed(index).into()));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("element_types.pt");
    Archive { root: Object::dict(tensors), storages }.write(&path).unwrap();
    let seen = python::TORCH.judge("element_types.py", &path, &[]);
    for dtype in DType::ALL {
        let expected = json!([format!("torch.{dtype}"), [5, 2], vec![1; 10 * dtype.size()]]);
        assert_eq!(seen[dtype.name()], expected);
    }
}
