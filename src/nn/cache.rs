//! Keys and values of the text read so far: with them a further token costs one position, not the whole window.
//!
//! Attention is causal, so that what was read of earlier positions does not change. It does when a window slides: positions
//! have absolute embeddings, and every token moves by one.

use tch::Tensor;

/// What every layer keeps of a text, and how much of it was read.
#[derive(Debug)]
pub struct Cache {
    /// One per block
    pub layers: Vec<Past>,
    /// Positions read
    len: i64,
    block_size: i64,
    /// The tokens read (B, T)
    idx: Option<Tensor>,
    /// Keys and values are kept as they came, with their graph, and not copied
    with_graph: bool,
}

impl Cache {
    /// Nothing read yet; room for `block_size` positions.
    pub fn new(n_layer: i64, block_size: i64) -> Self {
        Self {
            layers: (0..n_layer).map(|_| Past::default()).collect(),
            len: 0,
            block_size,
            idx: None,
            with_graph: false,
        }
    }

    /// For a pass that is differentiated, which reads the text at once.
    pub fn with_graph(n_layer: i64, block_size: i64) -> Self {
        Self { with_graph: true, ..Self::new(n_layer, block_size) }
    }

    /// Takes note that the tokens idx (B, T), which follow, were read by every layer.
    pub fn note(&mut self, idx: &Tensor) {
        self.len += idx.size()[1];
        self.idx = Some(self.idx.take().map_or_else(|| idx.shallow_clone(), |read| Tensor::cat(&[&read, idx], 1)));
    }

    /// The tokens read (B, everything read).
    pub fn text(&self) -> Tensor {
        self.idx.as_ref().map_or_else(Tensor::new, Tensor::shallow_clone)
    }

    /// Keys and values of everything read (B, H, T, d), a pair for each layer.
    pub fn keys_and_values(&self) -> Vec<(Tensor, Tensor)> {
        let read = |all: &Tensor| all.narrow(2, 0, self.len);
        self.layers.iter().filter_map(|past| Some((read(past.k.as_ref()?), read(past.v.as_ref()?)))).collect()
    }

    /// Positions read.
    pub fn len(&self) -> i64 {
        self.len
    }

    /// Whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether there is room for `n` more positions.
    pub fn has_room(&self, n: i64) -> bool {
        self.len + n <= self.block_size
    }

    /// Puts the keys and values of new positions (B, H, T, d) to those of `layer`, and gives all of them.
    pub fn extend(&mut self, layer: usize, k: &Tensor, v: &Tensor) -> (Tensor, Tensor) {
        let (len, room) = (self.len, self.block_size);
        if self.with_graph {
            self.layers[layer] = Past { k: Some(k.shallow_clone()), v: Some(v.shallow_clone()) };
            return (k.shallow_clone(), v.shallow_clone());
        }
        let Past { k: ks, v: vs } = &mut self.layers[layer];
        let put = |all: &mut Option<Tensor>, new: &Tensor| {
            let size = new.size(); // (B, H, T, d)
            let all =
                all.get_or_insert_with(|| new.new_empty([size[0], size[1], room, size[3]], (new.kind(), new.device())));
            all.narrow(2, len, size[2]).copy_(new);
            all.narrow(2, 0, len + size[2]) // (B, H, everything read, d)
        };
        (put(ks, k), put(vs, v))
    }
}

/// Keys and values of one layer (B, H, block_size, d), made when the first ones come.
#[derive(Debug, Default)]
pub struct Past {
    k: Option<Tensor>,
    v: Option<Tensor>,
}
