//! Values into buckets.

use super::events::Histogram;

/// Twice the 30 that the histogram tab draws; the percentiles of the distribution tab are interpolated in them.
const BUCKETS: usize = 60;

/// Buckets of equal width from the least value to the greatest. Values that are not finite have no place in them and are
/// left out; there is no histogram of nothing.
pub fn histogram(values: &[f32]) -> Option<Histogram> {
    let values: Vec<f64> = values.iter().filter(|v| v.is_finite()).map(|&v| f64::from(v)).collect();
    let min = values.iter().copied().reduce(f64::min)?;
    let max = values.iter().copied().reduce(f64::max)?;
    let buckets = if min < max { BUCKETS } else { 1 };
    let width = (max - min) / buckets as f64;
    let mut bucket = vec![0.0; buckets];
    for value in &values {
        let index = if width > 0.0 { ((value - min) / width) as usize } else { 0 };
        bucket[index.min(buckets - 1)] += 1.0; // the last bucket has its right end too
    }
    let inner = (1..buckets).map(|i| min + width * i as f64);
    Some(Histogram {
        min,
        max,
        num: values.len() as f64,
        sum: values.iter().sum(),
        sum_squares: values.iter().map(|v| v * v).sum(),
        bucket_limit: inner.chain([max]).collect(),
        bucket,
    })
}

#[cfg(test)]
mod tests {
    use proptest::num::f32::{ANY, NORMAL};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_or_one_value() {
        assert_eq!(histogram(&[]), None);
        assert_eq!(histogram(&[f32::NAN, f32::INFINITY]), None);
        let same = histogram(&[2.0, f32::NAN, 2.0]).unwrap();
        assert_eq!((same.min, same.max, same.num, same.sum_squares), (2.0, 2.0, 2.0, 8.0));
        assert_eq!((same.bucket_limit, same.bucket), (vec![2.0], vec![2.0]));
    }

    #[test]
    fn a_value_on_an_edge_belongs_to_the_right_and_the_last_to_the_left() {
        let edges: Vec<f32> = (0..=BUCKETS).map(|i| i as f32).collect();
        let mut expected = vec![1.0; BUCKETS];
        expected[BUCKETS - 1] = 2.0;
        assert_eq!(histogram(&edges).unwrap().bucket, expected);
    }

    proptest! {
        #[test]
        fn every_value_is_counted_in_its_bucket(values in prop::collection::vec(NORMAL, 1..200)) {
            let h = histogram(&values).unwrap();
            prop_assert_eq!(h.num, values.len() as f64);
            prop_assert_eq!(h.bucket.iter().sum::<f64>(), h.num);
            prop_assert!(h.bucket_limit.is_sorted() && h.bucket_limit.len() == h.bucket.len());
            prop_assert_eq!(h.bucket_limit.last(), Some(&h.max));
            // a bucket's edges are rounded, so that a value may lie a hair outside of it
            let slack = (h.max - h.min) * 1e-12;
            let mut below = 0.0;
            for (limit, count) in h.bucket_limit.iter().zip(&h.bucket) {
                below += count;
                let at_most = |limit: f64| values.iter().filter(|&&v| f64::from(v) <= limit).count() as f64;
                prop_assert!(at_most(limit - slack) <= below && below <= at_most(limit + slack));
            }
        }

        #[test]
        fn no_values_make_it_panic(values in prop::collection::vec(ANY, 0..50)) {
            let finite = values.iter().filter(|v| v.is_finite()).count();
            prop_assert_eq!(histogram(&values).map_or(0.0, |h| h.num), finite as f64);
        }
    }
}
