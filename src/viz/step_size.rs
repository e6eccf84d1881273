//! The step size that pictures think with.
//!
//! Models are trained with small steps, whose paths are straight lines in a picture. Where the user has not named a step size,
//! pictures take the smallest one of a ladder with which the energy falls by 85 % of what it can fall: far enough for a path to bend,
//! and not so far that it jumps to its end.

use crate::config::{ModelConfig, VizConfig};
use crate::ebm::Ebm;

/// Rungs of the ladder: 1, 2, 5, 10, … times the trained step size, up to a million times.
const RUNGS: usize = 19;
/// Of the most that the energy falls on any rung.
const SHARE: f64 = 0.85;
/// A rise below this share of the energy is rounding.
const ROUNDING: f64 = 1e-5;

/// A step size α, beside the model's own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSize {
    /// What pictures think with
    pub shown: f64,
    /// The model's own: the trained one, or the one that the user has named
    pub own: f64,
}

impl StepSize {
    /// The step size for pictures of one thought; `path` gives the energy after each step, System 1's first, of a model that thinks
    /// with the α that is set.
    pub fn choose(ebm: &Ebm, config: &VizConfig, path: impl Fn() -> Vec<f64>) -> Self {
        // As it was written, without the digits that float32 lacks.
        let alpha = ebm.alpha.double_value(&[]);
        let own = (alpha as f32).to_string().parse().unwrap_or(alpha);
        if config.trained_alpha || ModelConfig::names_alpha(&config.model) {
            return Self { shown: own, own };
        }
        let on = |shown: f64| Self { shown, own }.during(ebm, &path);
        Self { shown: smallest_that_shows(own, on), own }
    }

    /// Does something with a model that thinks with this step size.
    pub fn during<T>(self, ebm: &Ebm, work: impl FnOnce() -> T) -> T {
        let before = ebm.alpha.double_value(&[]);
        ebm.set_alpha(self.shown);
        let done = work();
        ebm.set_alpha(before);
        done
    }

    /// “α = 1 (50 × the trained 0.02)”, or “α = 0.02”.
    pub fn words(self) -> String {
        let rounded = |alpha: f64| format!("{alpha:.3e}").parse().unwrap_or(alpha); // a learned one has many digits
        let (shown, own) = (rounded(self.shown), rounded(self.own));
        match self.shown == self.own {
            true => format!("α = {own}"),
            false => format!("α = {shown} ({} × the trained {own})", (self.shown / self.own).round()),
        }
    }

    /// A sentence where it is not the model's own.
    pub fn note(self) -> Option<String> {
        let words = self.words();
        let said = format!(
            "Pictures of thinking use {words}: in smaller steps no path is seen; trained_alpha=true draws those"
        );
        (self.shown != self.own).then_some(said)
    }
}

/// The smallest step size on the ladder from `own` whose path falls far enough; the ladder ends before the first on which the energy
/// rises at some step, as one that is too large does.
fn smallest_that_shows(own: f64, path: impl Fn(f64) -> Vec<f64>) -> f64 {
    let rung = |i: usize| own * [1.0, 2.0, 5.0][i % 3] * 10f64.powi((i / 3) as i32);
    let tried = (0..RUNGS).map(|i| (rung(i), path(rung(i))));
    let falls: Vec<(f64, f64)> = tried.map_while(|(alpha, path)| Some((alpha, fall(&path)?))).collect();
    let most = falls.iter().fold(0.0, |most: f64, (_, fall)| most.max(*fall));
    falls.into_iter().find(|(_, fall)| *fall > 0.0 && *fall >= SHARE * most).map_or(own, |(alpha, _)| alpha)
}

/// How far the energy falls along a path; none where it rises.
fn fall(path: &[f64]) -> Option<f64> {
    let (first, last) = (path.first()?, path.last()?);
    let falls = |ends: &[f64]| ends[1] <= ends[0] + ROUNDING * ends[0].abs().max(1.0); // NaN does not
    path.windows(2).all(falls).then_some(first - last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x ← x − αx on x²/2 from 1: each step keeps 1 − α of x.
    fn parabola(alpha: f64) -> Vec<f64> {
        (0..=16).map(|k| (1.0 - alpha).powi(2 * k) / 2.0).collect()
    }

    #[test]
    fn the_smallest_step_that_falls_far_enough() {
        let alpha = smallest_that_shows(0.001, parabola);
        let share = |alpha: f64| fall(&parabola(alpha)).unwrap() / 0.5;
        assert!((alpha - 0.1).abs() < 1e-12, "{alpha}");
        assert!(share(0.1) >= SHARE && share(0.05) < SHARE);
        assert_eq!(smallest_that_shows(0.5, parabola), 0.5, "the trained one falls far enough");
    }

    #[test]
    fn where_nothing_falls_it_is_the_trained_one() {
        assert_eq!(smallest_that_shows(0.02, |_| vec![1.0, 1.0]), 0.02);
        assert_eq!(smallest_that_shows(0.02, |_| vec![1.0, 2.0]), 0.02);
        assert_eq!(smallest_that_shows(0.02, |_| vec![1.0, f64::NAN]), 0.02);
        // The third rung would fall deepest, over a rise.
        let path = |alpha: f64| if alpha > 0.09 { vec![1.0, 1.5, 0.0] } else { vec![1.0, 1.0 - alpha] };
        assert_eq!(smallest_that_shows(0.02, path), 0.04);
    }

    #[test]
    fn words_name_the_trained_one_where_it_differs() {
        assert_eq!(StepSize { shown: 1.0, own: 0.02 }.words(), "α = 1 (50 × the trained 0.02)");
        assert_eq!(StepSize { shown: 0.02, own: 0.02 }.words(), "α = 0.02");
        let learned = StepSize { shown: 1.964_927_7, own: 0.982_463_84 };
        assert_eq!(learned.words(), "α = 1.965 (2 × the trained 0.9825)");
        assert_eq!(StepSize { shown: 0.02, own: 0.02 }.note(), None);
    }
}
