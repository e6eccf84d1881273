//! The parts whose time a step or a start is made of, each alone: `cargo bench`. The shapes are those of the CPU preset and, for files,
//! of the original's default model. `scripts/bench` times whole steps.

#![allow(missing_docs, clippy::unwrap_used)] // criterion's macros; a benchmark stops where it stands

use std::path::Path;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use nanoebm::config::{ModelConfig, TrainConfig};
use nanoebm::data::Corpus;
use nanoebm::data::batches::{Loader, Position};
use nanoebm::ebm::Ebm;
use nanoebm::energy::{Autograd, Descent, ExpectedEnergy, descend, free_energy};
use nanoebm::model::CausalSelfAttention;
use nanoebm::nn::optim::AdamW;
use nanoebm::nn::params::Params;
use nanoebm::nn::pass::{Pass, Wanted};
use tch::{Device, Kind, Tensor, no_grad};
use torch_pt::{Archive, DType, Object, Storage, TensorRef};

const F32: (Kind, Device) = (Kind::Float, Device::Cpu);
/// B, T, C, V
const SHAPE: (i64, i64, i64, i64) = (12, 64, 128, 65);

fn model() -> ModelConfig {
    let (_, block_size, n_embd, vocab_size) = SHAPE;
    ModelConfig { n_layer: 4, n_head: 4, n_embd, block_size, vocab_size, dropout: 0.0, ..ModelConfig::default() }
}

/// Four steps of descent, by the closed-form gradient and by autograd.
fn refinement(c: &mut Criterion) {
    let (b, t, _, v) = SHAPE;
    let energies = Tensor::randn([b, t, v], F32);
    let descent = Descent { grad_clamp: 5.0, center: true, ..Descent::new(4, Tensor::from(0.02f32)) };
    let closed = ExpectedEnergy::plain(&energies);
    let autograd = Autograd { energy: |x: &Tensor| free_energy(x, &energies, 1.0, 0.0), create_graph: false };
    c.bench_function("refinement/closed form", |b| b.iter(|| no_grad(|| descend(&closed, -&energies, &descent))));
    c.bench_function("refinement/autograd", |b| b.iter(|| no_grad(|| descend(&autograd, -&energies, &descent))));
}

/// A layer's attention forward, fused and plain (which has a second derivative), and with its backward pass.
fn attention(c: &mut Criterion) {
    let (b, t, n_embd, _) = SHAPE;
    let attention = CausalSelfAttention::new(&mut Params::new(Device::Cpu), "attn", &model());
    let x = Tensor::randn([b, t, n_embd], F32).set_requires_grad(true);
    let fused = Pass::eval(Kind::Float);
    let forward = |pass| attention.forward(&x, Wanted::All, None, pass);
    for (name, pass) in [("fused", fused), ("plain", Pass { second_order: true, ..fused })] {
        c.bench_function(&format!("attention/{name}"), |b| b.iter(|| no_grad(|| forward(pass))));
        c.bench_function(&format!("attention/{name}, backward too"), |b| {
            b.iter(|| Tensor::run_backward(&[forward(pass).sum(Kind::Float)], &[&x], false, false));
        });
    }
}

/// AdamW's step with clipping, gradients at hand.
fn optimizer(c: &mut Criterion) {
    let (model, train) = (model(), TrainConfig::default());
    let ebm = Ebm::new(&model, Device::Cpu);
    let mut optimizer = AdamW::new(ebm.params(), &train, &model);
    let grads = || ebm.params().iter().map(|p| p.tensor.ones_like()).collect::<Vec<_>>();
    c.bench_function("optimizer/AdamW", |b| {
        b.iter_batched(
            grads,
            |grads| {
                optimizer.add(grads);
                optimizer.clip_grad_norm(&optimizer.grad_norm(), 1.0);
                optimizer.step(1e-6);
            },
            BatchSize::LargeInput,
        );
    });
}

/// A file as large as the original's default model with its optimizer: 100 tensors, 129 MB.
fn checkpoint(c: &mut Criterion) {
    let floats = 323_000;
    let tensor = |storage| TensorRef { storage, offset: 0, shape: vec![floats], stride: vec![1] };
    let pairs = (0..100).map(|i| (Object::Str(format!("layer.{i}.weight")), Object::Tensor(tensor(i))));
    let storage = Storage { dtype: DType::F32, bytes: vec![1; 4 * floats] };
    let archive = Archive { root: Object::Dict(pairs.collect()), storages: vec![storage; 100] };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pt");
    c.bench_function("checkpoint/write 129 MB", |b| b.iter(|| archive.write(&path).unwrap()));
    c.bench_function("checkpoint/read 129 MB", |b| b.iter(|| Archive::read(&path).unwrap()));
}

/// Reading tiny Shakespeare, and a batch of it.
fn data(c: &mut Criterion) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("shakespeare.txt");
    c.bench_function("data/read 1.1 MB", |b| b.iter(|| Corpus::read(&path).unwrap()));
    let corpus = Arc::new(Corpus::read(&path).unwrap());
    let (b, t, ..) = SHAPE;
    let mut loader = Loader::new(corpus, (b, t), 1, Position::default(), Device::Cpu).unwrap();
    c.bench_function("data/batch", |b| b.iter(|| loader.next_batch()));
}

criterion_group! {
    name = parts;
    config = Criterion::default().sample_size(20);
    targets = refinement, attention, optimizer, checkpoint, data
}
criterion_main!(parts);
