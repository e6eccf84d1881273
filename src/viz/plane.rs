//! The plane that a path of predictions lies in: its first two principal components.

use serde::Serialize;
use tch::{Kind, Tensor};

use super::numbers::numbers_of;
use super::prompt::Prompt;
use crate::energy::centred;
use crate::error::Error;

/// A singular value below this share of the first is rounding.
const NEGLIGIBLE: f64 = 1e-6;

/// A plane through the start of a path, in the space of logits less their mean.
#[derive(Debug, Serialize)]
pub struct Plane {
    /// x₀ (V), float64
    #[serde(skip)]
    origin: Tensor,
    /// Two directions of length 1, at right angles (2, V)
    #[serde(skip)]
    directions: Tensor,
    /// Share of the path's variance along each direction
    pub variance_shares: [f64; 2],
    pub second_direction: Second,
    /// Largest distance of a step from the plane, in logits
    off_plane: f64,
    /// System 1 first
    pub path: Vec<Step>,
}

/// One step of the path, at a along the first direction and b along the second.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Step {
    pub a: f64,
    pub b: f64,
    /// J at the prediction itself, which may lie beside the plane
    pub energy: f64,
}

/// Where the second direction of a plane comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Second {
    /// The path bends: its second principal component
    #[serde(rename = "second principal component")]
    Component,
    /// The path is straight: the gradient at its end, at right angles to the path
    #[serde(rename = "gradient at the end, at right angles to the straight path")]
    Gradient,
    /// The gradient too lies along the path: towards the runner-up's logit
    #[serde(rename = "towards the runner-up, at right angles to the straight path")]
    RunnerUp,
}

impl Plane {
    /// The plane of the path of a prompt's thought. An error where thinking does not move the prediction at all.
    pub fn of(prompt: &Prompt) -> Result<Self, Error> {
        let path = prompt.path(); // (K + 1, V)
        let (_, s, v) = Tensor::svd(&(&path - path.mean_dim([0i64].as_slice(), true, None::<Kind>)), true, true);
        let s: Vec<f64> = numbers_of(&s);
        if s.first().is_none_or(|&first| first <= 0.0) {
            return Err(Error::Request(format!(
                "thinking does not move the prediction after {} at all: there is no path to draw",
                prompt.context()
            )));
        }
        let origin = path.get(0);
        let end = path.get(-1);
        let whole = &end - &origin;
        let first = signed(v.select(1, 0), &whole);
        let bends = s.len() > 1 && s[1] > NEGLIGIBLE * s[0];
        let (second_direction, b) = match bends {
            true => (Second::Component, signed(v.select(1, 1), &prompt.gradient_at(&end))),
            false => second_direction(&first, &prompt.gradient_at(&end), &end),
        };
        let directions = Tensor::stack(&[first, b], 0); // (2, V)
        let moves = &path - &origin; // (K + 1, V)
        let places = moves.matmul(&directions.transpose(0, 1)); // (K + 1, V) @ (V, 2)
        let off_plane =
            (moves - places.matmul(&directions)).square().sum_dim_intlist([1i64].as_slice(), false, None::<Kind>);
        let total: f64 = s.iter().map(|s| s * s).sum();
        let share = |i: usize| s.get(i).map_or(0.0, |s| s * s / total);
        let flat = numbers_of(&places);
        let steps = flat.as_chunks().0.iter().zip(prompt.energy_at(&path));
        Ok(Self {
            origin,
            directions,
            variance_shares: [share(0), if bends { share(1) } else { 0.0 }],
            second_direction,
            off_plane: off_plane.max().double_value(&[]).sqrt(),
            path: steps.map(|(&[a, b], energy)| Step { a, b, energy }).collect(),
        })
    }

    /// Predictions at places (a, b) of the plane: (N, V).
    pub fn points(&self, places: &[[f64; 2]]) -> Tensor {
        let flat: Vec<f64> = places.iter().flatten().copied().collect();
        let places = Tensor::from_slice(&flat).view([-1, 2]).to_device(self.origin.device()); // (N, 2)
        &self.origin + places.matmul(&self.directions) // (N, 2) @ (2, V)
    }
}

/// A direction, turned so that it does not point against `along`.
fn signed(direction: Tensor, along: &Tensor) -> Tensor {
    if direction.dot(along).double_value(&[]) < 0.0 { -direction } else { direction }
}

/// A direction at right angles to `first`: uphill at the end, or towards the second likeliest token.
fn second_direction(first: &Tensor, gradient: &Tensor, end: &Tensor) -> (Second, Tensor) {
    let across = |v: &Tensor| v - first * first.dot(v);
    let (uphill, length) = (across(gradient), gradient.norm().double_value(&[]));
    if uphill.norm().double_value(&[]) > NEGLIGIBLE * length && length > 0.0 {
        return (Second::Gradient, &uphill / uphill.norm());
    }
    let v = end.size()[0];
    let (_, best) = end.topk(2.min(v), -1, true, true);
    let one = centred(&best.get(-1).one_hot(v).to_kind(Kind::Double)); // (V)
    let towards = across(&one);
    (Second::RunnerUp, &towards / towards.norm().clamp_min(f64::MIN_POSITIVE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_direction_is_at_right_angles() {
        let first = Tensor::from_slice(&[1.0f64, 0.0, 0.0]);
        let end = Tensor::from_slice(&[0.5f64, 0.2, -0.7]);
        for (gradient, expected) in [([3.0, 0.0, 4.0], Second::Gradient), ([2.0, 0.0, 0.0], Second::RunnerUp)] {
            let (second, b) = second_direction(&first, &Tensor::from_slice(&gradient), &end);
            assert_eq!(second, expected);
            assert!(b.dot(&first).double_value(&[]).abs() < 1e-12 && (b.norm().double_value(&[]) - 1.0).abs() < 1e-12);
        }
    }
}
