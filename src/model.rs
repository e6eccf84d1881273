//! The transformer that reads the text: minGPT's pre-norm GPT (Karpathy, MIT), as nanoEBM uses it.
//!
//! Layers are structs of tensors named as in the checkpoint. Letters: B batch, T time, C `n_embd`, H heads, V vocabulary.

use tch::{Device, Kind, Tensor};

use crate::config::ModelConfig;
use crate::nn::cache::Cache;
use crate::nn::dropout::dropout;
use crate::nn::linear::{INIT_STD, Linear};
use crate::nn::params::Params;
use crate::nn::pass::{Pass, Wanted};
use crate::nn::remat::Remat;

/// PyTorch's LayerNorm constant; the parity tests turn red when it changes.
const LAYER_NORM_EPS: f64 = 1e-5;
/// Layer normalisation with an optional bias, always in fp32.
#[derive(Debug)]
pub struct LayerNorm {
    /// (C)
    pub weight: Tensor,
    /// (C)
    pub bias: Option<Tensor>,
}

impl LayerNorm {
    fn new(p: &mut Params, path: &str, config: &ModelConfig) -> Self {
        let shape = [config.n_embd];
        Self {
            weight: p.constant(&format!("{path}.weight"), &shape, 1.0),
            bias: config.bias.then(|| p.constant(&format!("{path}.bias"), &shape, 0.0)),
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm(self.weight.size(), Some(&self.weight), self.bias.as_ref(), LAYER_NORM_EPS, true)
    }
}

/// What a block keeps of each token for the backward pass, in widths C: norms, q, k and v, attention, and 4 C twice in the MLP.
pub const KEPT_OF_BLOCK: u128 = 16;

/// The cache of a text and the layer that looks into it.
type Past<'a> = (&'a mut Cache, usize);

/// Multi-head causal self-attention.
#[derive(Debug)]
pub struct CausalSelfAttention {
    c_attn: Linear,
    c_proj: Linear,
    n_head: i64,
    dropout: f64,
}

impl CausalSelfAttention {
    /// Weights as at the start of a training; they are named `path.c_attn…`.
    pub fn new(p: &mut Params, path: &str, config: &ModelConfig) -> Self {
        let c = config.n_embd;
        Self {
            c_attn: Linear::new(p, &format!("{path}.c_attn"), (c, 3 * c), config.bias, INIT_STD),
            c_proj: Linear::new(p, &format!("{path}.c_proj"), (c, c), config.bias, INIT_STD),
            n_head: config.n_head,
            dropout: config.dropout,
        }
    }

    /// (B, T, C) → (B, T or 1, C); with a cache, x are the positions after those in it.
    pub fn forward(&self, x: &Tensor, wanted: Wanted, past: Option<Past>, pass: Pass) -> Tensor {
        let (b, t, c) = dims3(x);
        // On the CPU bfloat16 attention is slower than fp32, backward several times.
        let kind = if x.device() == Device::Cpu { Kind::Float } else { pass.compute };
        let heads = |z: &Tensor| z.to_kind(kind).view([b, -1, self.n_head, c / self.n_head]).transpose(1, 2); // (B, H, T, C/H)
        let qkv = if wanted == Wanted::Last && t > 1 {
            let kv = self.c_attn.forward_part(x, (c, 2 * c), pass.compute).split(c, 2); // 2 × (B, T, C)
            vec![
                self.c_attn.forward_part(&wanted.of(x), (0, c), pass.compute),
                kv[0].shallow_clone(),
                kv[1].shallow_clone(),
            ]
        } else {
            self.c_attn.forward(x, pass.compute).split(c, 2) // 3 × (B, T, C)
        };
        let (q, mut k, mut v) = (heads(&qkv[0]), heads(&qkv[1]), heads(&qkv[2]));
        let t = q.size()[2];
        if let Some((cache, layer)) = past {
            (k, v) = cache.extend(layer, &k, &v); // (B, H, everything read, C/H)
        }
        let p = if pass.train { self.dropout } else { 0.0 };
        let fused = !pass.second_order && (p == 0.0 || x.device() != Device::Cpu); // on the CPU it knows no dropout
        let y = if fused {
            Tensor::scaled_dot_product_attention::<&Tensor>(&q, &k, &v, None, p, t > 1, None, false)
        } else {
            plain_attention(&q, &k, &v, p)
        };
        let y = y.transpose(1, 2).reshape([b, t, c]); // (B, H, T, C/H) → (B, T, C)
        dropout(&self.c_proj.forward(&y, pass.compute), self.dropout, pass.train)
    }

    /// Candidates x (B, T, C), each of which attends to the tokens' keys and values (B, H, S, d) where `mask` (T, S) is 0, and to itself,
    /// from ops that have second derivatives → (B, T, C)
    fn forward_candidates(&self, x: &Tensor, (ks, vs): &(Tensor, Tensor), mask: &Tensor, pass: Pass) -> Tensor {
        let (b, t, c) = dims3(x);
        let d = c / self.n_head;
        let qkv = self.c_attn.forward(x, pass.compute).to_kind(ks.kind()).split(c, 2); // 3 × (B, T, C)
        let [q, k, v] = [0, 1, 2].map(|i| qkv[i].view([b, t, self.n_head, d]).transpose(1, 2)); // (B, H, T, d)
        let own = (&q * k).sum_dim_intlist([-1i64].as_slice(), true, None::<Kind>); // (B, H, T, 1)
        let scores = Tensor::cat(&[q.matmul(&ks.transpose(2, 3)) + mask, own], -1) / (d as f64).sqrt(); // (B, H, T, S + 1)
        let att = scores.softmax(-1, None);
        let s = ks.size()[2];
        let att = att.to_kind(vs.kind());
        let y = att.narrow(-1, 0, s).matmul(vs) + att.narrow(-1, s, 1) * v; // (B, H, T, d)
        let y = self.c_proj.forward(&y.transpose(1, 2).reshape([b, t, c]), pass.compute);
        dropout(&y, self.dropout, pass.train)
    }
}

/// softmax(q kᵀ / √d + causal mask) v from ops that have second derivatives. (B, H, T, d) → (B, H, T, d)
fn plain_attention(q: &Tensor, k: &Tensor, v: &Tensor, p: f64) -> Tensor {
    let (b, h, t, d) = dims4(q);
    let flat = |z: &Tensor| z.reshape([b * h, t, d]);
    let future = Tensor::full([t, t], f64::NEG_INFINITY, (q.kind(), q.device())).triu(1); // (T, T), −∞ where s > t
    let att = future.baddbmm(&flat(q), &flat(k).transpose(1, 2), 1.0, 1.0 / (d as f64).sqrt()); // (B·H, T, T)
    dropout(&att.softmax(-1, None), p, true).bmm(&flat(v)).view([b, h, t, d])
}

/// The position-wise network: 4×, exact GELU, back.
#[derive(Debug)]
pub struct Mlp {
    c_fc: Linear,
    c_proj: Linear,
    dropout: f64,
}

impl Mlp {
    fn new(p: &mut Params, path: &str, config: &ModelConfig) -> Self {
        let c = config.n_embd;
        Self {
            c_fc: Linear::new(p, &format!("{path}.c_fc"), (c, 4 * c), config.bias, INIT_STD),
            c_proj: Linear::new(p, &format!("{path}.c_proj"), (4 * c, c), config.bias, INIT_STD),
            dropout: config.dropout,
        }
    }

    fn forward(&self, x: &Tensor, pass: Pass) -> Tensor {
        let x = self.c_fc.forward(x, pass.compute).gelu("none");
        dropout(&self.c_proj.forward(&x, pass.compute), self.dropout, pass.train)
    }
}

/// One residual block.
#[derive(Debug)]
pub struct Block {
    ln_1: LayerNorm,
    attn: CausalSelfAttention,
    ln_2: LayerNorm,
    mlp: Mlp,
}

impl Block {
    fn new(p: &mut Params, path: &str, config: &ModelConfig) -> Self {
        Self {
            ln_1: LayerNorm::new(p, &format!("{path}.ln_1"), config),
            attn: CausalSelfAttention::new(p, &format!("{path}.attn"), config),
            ln_2: LayerNorm::new(p, &format!("{path}.ln_2"), config),
            mlp: Mlp::new(p, &format!("{path}.mlp"), config),
        }
    }

    /// (B, T, C) → (B, T or 1, C). The residual stream stays fp32.
    fn forward(&self, x: &Tensor, wanted: Wanted, past: Option<Past>, pass: Pass) -> Tensor {
        let x = wanted.of(x) + self.attn.forward(&self.ln_1.forward(x), wanted, past, pass);
        &x + self.mlp.forward(&self.ln_2.forward(&x), pass)
    }

    /// Candidates beside the text (B, T, C) → (B, T, C)
    fn forward_candidates(&self, x: &Tensor, tokens: &(Tensor, Tensor), mask: &Tensor, pass: Pass) -> Tensor {
        let x = x + self.attn.forward_candidates(&self.ln_1.forward(x), tokens, mask, pass);
        &x + self.mlp.forward(&self.ln_2.forward(&x), pass)
    }
}

/// Embeddings, blocks and the final norm: `h = transformer(idx)`.
#[derive(Debug)]
pub struct Transformer {
    /// Token embeddings (V, C); `lm_head` of the checkpoint is this tensor.
    pub wte: Tensor,
    /// Position embeddings (block_size, C)
    pub wpe: Tensor,
    h: Vec<Block>,
    ln_f: LayerNorm,
    dropout: f64,
}

impl Transformer {
    /// Parameters are made in PyTorch's order, since the optimizer's state is stored by position.
    pub fn new(p: &mut Params, path: &str, config: &ModelConfig) -> Self {
        Self {
            wte: p.normal(&format!("{path}.wte.weight"), &[config.vocab_size, config.n_embd], INIT_STD),
            wpe: p.normal(&format!("{path}.wpe.weight"), &[config.block_size, config.n_embd], INIT_STD),
            h: (0..config.n_layer).map(|i| Block::new(p, &format!("{path}.h.{i}"), config)).collect(),
            ln_f: LayerNorm::new(p, &format!("{path}.ln_f"), config),
            dropout: config.dropout,
        }
    }

    /// Hidden states of `idx` (B, T) → (B, T, C), fp32.
    pub fn forward(&self, idx: &Tensor, pass: Pass) -> Tensor {
        self.forward_embeddings(&self.embed(idx), pass)
    }

    /// Hidden states of given token embeddings (B, T, C) → (B, T, C): soft tokens come in here.
    pub fn forward_embeddings(&self, tok_emb: &Tensor, pass: Pass) -> Tensor {
        let mut x = self.add_positions(tok_emb, 0, pass);
        for block in &self.h {
            x = block.forward(&x, Wanted::All, None, pass);
        }
        self.ln_f.forward(&x)
    }

    /// Hidden states (B, T or 1, C) of tokens `idx` (B, T). With a cache they follow those in it, which takes them in: T is 1, or the
    /// cache is empty. With `pass.remat` what is inside the blocks is not kept, and what the backward pass needs comes beside them.
    pub fn read(
        &self,
        idx: &Tensor,
        wanted: Wanted,
        mut cache: Option<&mut Cache>,
        pass: Pass,
    ) -> (Tensor, Option<Remat>) {
        let start = cache.as_ref().map_or(0, |cache| cache.len());
        let mut x = self.add_positions(&self.embed(idx), start, pass);
        if pass.remat {
            let mut remat = Remat::new(x, pass);
            for block in &self.h {
                remat.run(|x| block.forward(x, Wanted::All, None, pass));
            }
            return (self.ln_f.forward(remat.output()), Some(remat));
        }
        for (layer, block) in self.h.iter().enumerate() {
            let wanted = if layer + 1 == self.h.len() { wanted } else { Wanted::All };
            x = block.forward(&x, wanted, cache.as_deref_mut().map(|cache| (cache, layer)), pass);
        }
        if let Some(cache) = cache {
            cache.note(idx);
        }
        (self.ln_f.forward(&x), None)
    }

    /// A second stream: candidates (B, T, C) for what follows the tokens at `places` (1, T), read with the same weights. Each sees the
    /// tokens up to its place, by their keys and values in each layer (B, H, S, d), and itself. → (B, T, C)
    pub fn forward_candidates(
        &self,
        candidates: &Tensor,
        tokens: &[(Tensor, Tensor)],
        places: &Tensor,
        pass: Pass,
    ) -> Tensor {
        let mut x = candidates + Tensor::embedding(&self.wpe, places, -1, false, false);
        let read = tokens.first().map_or(0, |(k, _)| k.size()[2]); // S
        let ahead = Tensor::arange(read, (Kind::Int64, places.device())).gt_tensor(&places.transpose(0, 1)); // (T, S)
        let mask = Tensor::zeros_like(&ahead.to_kind(Kind::Float)).masked_fill(&ahead, f64::NEG_INFINITY);
        for (block, past) in self.h.iter().zip(tokens) {
            x = block.forward_candidates(&x, past, &mask, pass);
        }
        self.ln_f.forward(&x)
    }

    /// (B, T) → (B, T, C)
    fn embed(&self, idx: &Tensor) -> Tensor {
        Tensor::embedding(&self.wte, idx, -1, false, false)
    }

    /// Token embeddings (B, T, C) of positions from `start` on, with their position embeddings.
    fn add_positions(&self, tok_emb: &Tensor, start: i64, pass: Pass) -> Tensor {
        let pos_emb = self.wpe.narrow(0, start, tok_emb.size()[1]); // (T, C)
        dropout(&(tok_emb + pos_emb), self.dropout, pass.train)
    }

    /// One block again, in a backward pass.
    pub fn block(&self, layer: usize, x: &Tensor, pass: Pass) -> Tensor {
        self.h[layer].forward(x, Wanted::All, None, pass)
    }

    /// The linear layers: those whose products dominate the cost.
    pub fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.h.iter().flat_map(|b| [&b.attn.c_attn, &b.attn.c_proj, &b.mlp.c_fc, &b.mlp.c_proj])
    }
}

/// The three sizes of a rank-3 tensor.
fn dims3(x: &Tensor) -> (i64, i64, i64) {
    let s = x.size();
    (s[0], s[1], s[2])
}

/// The four sizes of a rank-4 tensor.
fn dims4(x: &Tensor) -> (i64, i64, i64, i64) {
    let s = x.size();
    (s[0], s[1], s[2], s[3])
}
