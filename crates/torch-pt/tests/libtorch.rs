//! Tensors of libtorch, with feature `tch`.

#![cfg(feature = "tch")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::path::Path;

use tch::{Kind, Tensor};
use torch_pt::{Archive, DType, Fault, Object, Storage, TensorFault, TensorRef};

#[test]
fn tensors_are_those_that_pytorch_saved() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dtypes.pt");
    let (read, open) = (Archive::read(&path).unwrap(), Archive::open(&path).unwrap());
    for &dtype in DType::ALL {
        let tensor = read.root.get(dtype.name()).unwrap().as_tensor().unwrap();
        match dtype.kind() {
            Some(kind) => {
                for made in [read.tensor(tensor).unwrap(), open.tensor(tensor).unwrap()] {
                    assert_eq!((made.kind(), made.size()), (kind, vec![tensor.numel() as i64]));
                    let mut bytes = vec![0; tensor.numel() * dtype.size()];
                    made.copy_data_u8(&mut bytes, tensor.numel());
                    assert_eq!(bytes, *read.tensor_bytes(tensor).unwrap(), "{dtype}");
                }
                assert_eq!(DType::from_kind(kind), Some(dtype));
            }
            None => {
                let fault = read.tensor(tensor).unwrap_err().fault;
                assert!(matches!(fault, Fault::Tensor { fault: TensorFault::Type { .. }, .. }), "{fault}");
            }
        }
    }
    assert_eq!(DType::from_kind(Kind::QInt8), None);
}

#[test]
fn a_strided_tensor_is_made_contiguous() {
    let archive = Archive { root: Object::None, storages: vec![Storage::of(&[0f32, 1.0, 2.0, 3.0, 4.0, 5.0])] };
    let transposed = TensorRef { storage: 0, offset: 0, shape: vec![3, 2], stride: vec![1, 3] };
    let expected = Tensor::arange(6, (Kind::Float, tch::Device::Cpu)).reshape([2, 3]).transpose(0, 1);
    assert_eq!(archive.tensor(&transposed).unwrap(), expected);
}
