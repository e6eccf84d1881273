//! Elements as Rust's numbers, and as arrays of the crates that one may use.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use proptest::prelude::*;
use torch_pt::{Archive, DType, Element, Fault, Object, Storage, TensorFault, TensorRef};

fn whole(storage: Storage) -> (Archive, TensorRef) {
    let tensor = TensorRef::contiguous(0, &[storage.numel()]);
    (Archive { root: Object::None, storages: vec![storage] }, tensor)
}

fn there_and_back<T: Element + PartialEq + std::fmt::Debug>(values: &[T]) {
    let (archive, tensor) = whole(Storage::of(values));
    assert_eq!(archive.dtype(&tensor), T::DTYPE);
    assert_eq!(archive.view(&tensor).unwrap().to_vec::<T>().unwrap(), values);
}

#[test]
fn values_are_stored_as_they_are() {
    there_and_back(&[0f32, -0.5, f32::MAX, f32::INFINITY]);
    there_and_back(&[0f64, -0.5, f64::MIN_POSITIVE]);
    there_and_back(&[0, i64::MIN, i64::MAX]);
    there_and_back(&[0, i32::MIN, i32::MAX]);
    there_and_back(&[0, i16::MIN, i16::MAX]);
    there_and_back(&[0, i8::MIN, i8::MAX]);
    there_and_back(&[0, u64::MAX]);
    there_and_back(&[0, u32::MAX]);
    there_and_back(&[0, u16::MAX]);
    there_and_back(&[0, u8::MAX]);
    there_and_back(&[true, false]);
}

#[test]
fn every_real_type_has_a_float32() {
    let floats = |storage| {
        let (archive, tensor) = whole(storage);
        archive.view(&tensor).unwrap().to_vec_f32().unwrap()
    };
    assert_eq!(floats(Storage::of(&[0.1f64, -2.0])), [0.1f32, -2.0]);
    assert_eq!(floats(Storage::of(&[-3i64])), [-3.0]);
    assert_eq!(floats(Storage::of(&[-3i32])), [-3.0]);
    assert_eq!(floats(Storage::of(&[-3i16])), [-3.0]);
    assert_eq!(floats(Storage::of(&[-3i8])), [-3.0]);
    assert_eq!(floats(Storage::of(&[3u64])), [3.0]);
    assert_eq!(floats(Storage::of(&[3u32])), [3.0]);
    assert_eq!(floats(Storage::of(&[3u16])), [3.0]);
    assert_eq!(floats(Storage::of(&[3u8])), [3.0]);
    assert_eq!(floats(Storage::of(&[true, false])), [1.0, 0.0]);
    assert_eq!(floats(Storage { dtype: DType::BF16, bytes: vec![0x80, 0xbf] }), [-1.0]);
    assert_eq!(floats(Storage { dtype: DType::F16, bytes: vec![0x00, 0xbc] }), [-1.0]);
}

#[test]
fn another_type_than_asked_for_is_an_error() {
    let (archive, tensor) = whole(Storage::of(&[1i64]));
    let error = archive.view(&tensor).unwrap().to_vec::<f32>().unwrap_err();
    assert_eq!(error.to_string(), "the archive in memory: tensor in storage 0: it holds int64, not float32");
    let (archive, tensor) = whole(Storage { dtype: DType::C64, bytes: vec![0; 8] });
    let fault = archive.view(&tensor).unwrap().to_vec_f32().unwrap_err().fault;
    assert!(matches!(fault, Fault::Tensor { fault: TensorFault::Type { found: DType::C64, .. }, .. }), "{fault}");
}

#[test]
fn elements_count_each_storage_once() {
    let (mut archive, tensor) = whole(Storage::of(&[1f32, 2.0]));
    archive.storages.push(Storage::of(&[1i64]));
    let both = Object::List(vec![tensor.clone().into(), tensor.into()]);
    assert_eq!(archive.elements(&both), 2);
    assert_eq!(archive.elements(&Object::None), 0);
}

/// A shape, and a view of a storage that it fits, made by permuting the dimensions of a contiguous one.
fn permuted() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    prop::collection::vec(0..4usize, 0..5).prop_flat_map(|shape| {
        let order: Vec<usize> = (0..shape.len()).collect();
        (Just(shape), Just(order).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn any_permutation_is_gathered_in_its_own_order((shape, order) in permuted()) {
        let whole = TensorRef::contiguous(0, &shape);
        let counted: Vec<i64> = (0..whole.numel() as i64).collect();
        let archive = Archive { root: Object::None, storages: vec![Storage::of(&counted)] };
        let [shape, stride] = [&whole.shape, &whole.stride].map(|of| order.iter().map(|&dim| of[dim]).collect::<Vec<_>>());
        let view = TensorRef { storage: 0, offset: 0, shape: shape.clone(), stride: stride.clone() };
        // Position by position, the slow way.
        let expected: Vec<i64> = (0..view.numel()).map(|position| {
            let (_, at) = shape.iter().zip(&stride).rev().fold((position, 0), |(rest, at), (&extent, &stride)| {
                (rest / extent, at + rest % extent * stride)
            });
            at as i64
        }).collect();
        prop_assert_eq!(archive.view(&view).unwrap().to_vec::<i64>().unwrap(), expected);
    }
}

#[cfg(feature = "ndarray")]
mod arrays {
    use super::*;
    use ndarray::{ArrayD, arr0, arr2};

    #[test]
    fn arrays_have_the_tensors_shape() {
        let archive = Archive { root: Object::None, storages: vec![Storage::of(&[0f32, 1.0, 2.0, 3.0, 4.0, 5.0])] };
        let transposed = TensorRef { storage: 0, offset: 0, shape: vec![3, 2], stride: vec![1, 3] };
        let array = archive.view(&transposed).unwrap().to_array::<f32>().unwrap();
        assert_eq!(array, arr2(&[[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]).into_dyn());
        let scalar = TensorRef { storage: 0, offset: 4, shape: vec![], stride: vec![] };
        assert_eq!(archive.view(&scalar).unwrap().to_array::<f32>().unwrap(), arr0(4.0).into_dyn());
        let empty = archive.view(&TensorRef::contiguous(0, &[3, 0])).unwrap().to_array::<f32>().unwrap();
        assert_eq!(empty, ArrayD::zeros(vec![3, 0]));
        let error = archive.view(&transposed).unwrap().to_array::<f64>().unwrap_err();
        assert!(error.to_string().contains("it holds float32, not float64"), "{error}");
    }

    #[test]
    fn extents_that_no_array_has_are_an_error() {
        let archive = Archive { root: Object::None, storages: vec![Storage::of(&[0f32])] };
        let huge = TensorRef { storage: 0, offset: 0, shape: vec![0, usize::MAX, 2], stride: vec![0; 3] };
        let fault = archive.view(&huge).unwrap().to_array::<f32>().unwrap_err().fault;
        assert!(matches!(fault, Fault::Tensor { fault: TensorFault::Extents, .. }), "{fault}");
    }
}
