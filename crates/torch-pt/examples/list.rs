//! Prints what is in a `.pt` file, without reading its tensors: `cargo run --example list -- FILE.pt`

use std::path::Path;
use std::process::ExitCode;

use torch_pt::{Archive, LazyArchive, Object};

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: list FILE.pt");
        return ExitCode::from(2);
    };
    match Archive::open(Path::new(&path)) {
        Ok(archive) => {
            list(&archive, "", &archive.root);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A line for each value that holds no others, under the path that leads to it.
fn list(archive: &LazyArchive, path: &str, value: &Object) {
    let under = |key: String| if path.is_empty() { key } else { format!("{path}.{key}") };
    match value {
        Object::Dict(pairs) => pairs.iter().for_each(|(key, value)| match key {
            Object::Str(key) => list(archive, &under(key.clone()), value),
            Object::Int(key) => list(archive, &under(key.to_string()), value),
            _ => {}
        }),
        Object::List(items) | Object::Tuple(items) => {
            items.iter().enumerate().for_each(|(index, item)| list(archive, &under(index.to_string()), item));
        }
        Object::Tensor(tensor) => {
            println!("{path:50} {:10} {:?} of storage {}", archive.dtype(tensor), tensor.shape, tensor.storage);
        }
        value => println!("{path:50} {value:?}"),
    }
}
