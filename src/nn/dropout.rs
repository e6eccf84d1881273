//! Dropout. On the CPU libtorch draws a number for each element, which took a seventh of a default step (and a fifth in
//! bfloat16); here four elements share the 64 bits of one draw, so that p is rounded to a 65536th.

use tch::{Device, Kind, Tensor};

/// Zeroes each element with probability `p` and scales the others by 1/(1 − p); the same where `train` is off.
pub fn dropout(x: &Tensor, p: f64, train: bool) -> Tensor {
    if !train || p == 0.0 {
        return x.shallow_clone();
    }
    if x.device() != Device::Cpu {
        return x.dropout(p, true);
    }
    x.masked_fill(&dropped(&x.size(), p), 0.0) * (1.0 / (1.0 - p))
}

/// A mask that is true with probability `p`, on the CPU.
fn dropped(shape: &[i64], p: f64) -> Tensor {
    let n: i64 = shape.iter().product();
    let draws = Tensor::empty([(n + 3) / 4], (Kind::Int64, Device::Cpu)).random_from_(i64::MIN, None::<i64>); // 64 bits each
    let lanes = draws.view_dtype(Kind::Int16).narrow(0, 0, n).view(shape); // uniform in −32768..32768
    lanes.lt(-32768 + (p * 65536.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_p_is_zero_and_the_mean_stays() {
        let x = Tensor::ones([333, 3001], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        for p in [0.1, 0.5, 0.9] {
            let y = dropout(&x, p, true);
            let zeros = y.eq(0.0).to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
            assert!((zeros - p).abs() < 0.003, "{zeros} of {p}");
            let values = y.masked_select(&y.ne(0.0));
            assert!((values.max().double_value(&[]) - 1.0 / (1.0 - p)).abs() < 1e-6);
            // neighbours, which share a draw, are independent
            let (left, right) = (y.narrow(1, 0, 3000).eq(0.0), y.narrow(1, 1, 3000).eq(0.0));
            let both = left.logical_and(&right).to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
            assert!((both - p * p).abs() < 0.003, "{both} of {p}");
            let grad = Tensor::run_backward(&[y.sum(Kind::Float)], &[&x], false, false).remove(0);
            assert_eq!(grad, y.detach());
        }
        assert_eq!(dropout(&x, 0.5, false), x);
    }
}
