//! Orders and draws that follow from a seed alone, and are computed, not stored.

/// `n` offsets spread evenly over `windows`: the fixed batches that evaluations during training look at.
pub fn spread(windows: usize, n: usize) -> Vec<usize> {
    (0..n).map(|i| (i as u128 * windows as u128 / n.max(1) as u128) as usize).collect()
}

/// `0..n` in a random order that the seed decides.
pub fn permutation(n: usize, seed: u64) -> impl Iterator<Item = usize> {
    let order = Shuffle::new(n as u64, seed, 0);
    (0..n as u64).map(move |i| order.get(i) as usize)
}

/// A pseudo-random permutation of `0..n` that is computed, not stored: a Feistel network over the next power of four,
/// walked until it lands inside. A stored permutation of a 1 GB text would take 8 GB.
#[derive(Debug)]
pub struct Shuffle {
    n: u64,
    half_bits: u32,
    keys: [u64; 6],
}

impl Shuffle {
    /// A permutation of `0..n` for an epoch of a seed.
    pub fn new(n: u64, seed: u64, epoch: u64) -> Self {
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        let key = mix(seed ^ mix(epoch));
        Self {
            n,
            half_bits: bits.div_ceil(2).max(1),
            keys: std::array::from_fn(|round| mix(key.wrapping_add(round as u64))),
        }
    }

    /// The place of `i`.
    pub fn get(&self, i: u64) -> u64 {
        let mut x = self.round_trip(i);
        while x >= self.n {
            x = self.round_trip(x);
        }
        x
    }

    fn round_trip(&self, x: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (x >> self.half_bits, x & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        left << self.half_bits | right
    }
}

/// The finaliser of SplitMix64 (Steele et al., 2014): a cheap hash of 64 bits.
pub(crate) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_is_a_permutation_and_epochs_differ() {
        for n in [1, 2, 3, 7, 64, 1000] {
            let order = Shuffle::new(n, 1337, 0);
            let mut seen: Vec<u64> = (0..n).map(|i| order.get(i)).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..n).collect::<Vec<_>>());
        }
        let first = |epoch| (0..9).map(|i| Shuffle::new(1000, 1337, epoch).get(i)).collect::<Vec<_>>();
        assert_ne!(first(0), first(1));
    }
}
