//! Writes a small `.pt` file with tied weights, for PyTorch to read: `cargo run --example write -- FILE.pt`, then
//! `python -c 'import torch; print(torch.load("FILE.pt", weights_only=True))'`

use std::path::PathBuf;

use torch_pt::{Archive, Error, Object, Storage, TensorRef};

fn main() -> Result<(), Error> {
    let path = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("small.pt"), PathBuf::from);
    // Storage 0 is a matrix of 3 by 2, which two names share, and whose transpose a third one views.
    let embedding = TensorRef::contiguous(0, &[3, 2]);
    let transposed = TensorRef { storage: 0, offset: 0, shape: vec![2, 3], stride: vec![1, 2] };
    let model = Object::dict([
        ("embedding.weight", embedding.clone().into()),
        ("head.weight", embedding.into()),
        ("head.transposed", transposed.into()),
        ("steps", TensorRef::contiguous(1, &[]).into()),
    ]);
    let root = Object::dict([("model", model), ("note", "written by Rust".into())]);
    let storages = vec![Storage::of(&[0.5f32, -0.5, 1.5, -1.5, 2.5, -2.5]), Storage::of(&[7i64])];
    Archive { root, storages }.write(&path)
}
