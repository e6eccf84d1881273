//! The numbers of a range, to the last digit those of Python.

use super::element::Element;
use super::functions::number;

/// The significant digits that Python's decimals keep in a sum.
const DIGITS: usize = 28;

/// The numbers from `start` up to `stop`, which is none of them; more than `most` is an error, as a step of 0 is.
pub(crate) fn numbers(start: &Element, stop: &Element, step: &Element, most: usize) -> Result<Vec<Element>, String> {
    let found = match (start, stop, step) {
        (Element::Int(start), Element::Int(stop), Element::Int(step)) if *step != 0 => {
            let inside = |at: &i128| if *step > 0 { at < stop } else { at > stop };
            let all = std::iter::successors(Some(*start).filter(inside), |at| at.checked_add(*step).filter(inside));
            all.map(Element::Int).take(most + 1).collect()
        }
        _ => floats(number(start), number(stop), number(step), most)?,
    };
    match found.len() > most {
        true => Err(format!("the range has more than {most} numbers")),
        false => Ok(found),
    }
}

fn floats(start: f64, stop: f64, step: f64, most: usize) -> Result<Vec<Element>, String> {
    if step == 0.0 || !(start + stop + step).is_finite() {
        return Err("a range needs finite numbers, and a step other than 0".to_owned());
    }
    let (mut found, mut at, mut exact) = (Vec::new(), start, Decimal::of(start));
    while found.len() <= most && (if step > 0.0 { at < stop } else { at > stop }) {
        found.push(Element::Float(at));
        exact = exact.plus(Decimal::of(step));
        at = exact.float();
    }
    Ok(found)
}

/// A decimal: its digits, and how many of them stand after the point.
#[derive(Debug, Clone, Copy)]
struct Decimal {
    digits: i128,
    places: i32,
}

impl Decimal {
    /// A float to 34 digits, more than a sum keeps.
    fn of(float: f64) -> Self {
        let text = format!("{float:.33e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = digits.replace('.', "").parse().unwrap_or(0);
        Self { digits, places: 33 - exponent.parse::<i32>().unwrap_or(0) }
    }

    /// The sum, rounded as Python does.
    fn plus(self, other: Self) -> Self {
        if self.digits == 0 || other.digits == 0 {
            let sum = if self.digits == 0 { other } else { self };
            return sum.rounded();
        }
        let places = self.places.min(other.places);
        Self { digits: self.to(places).digits + other.to(places).digits, places }.rounded()
    }

    /// With fewer places.
    fn to(self, places: i32) -> Self {
        let divisor = u32::try_from(self.places - places).ok().and_then(|by| 10_i128.checked_pow(by));
        let digits = divisor.map_or(0, |divisor| {
            let (whole, rest) = (self.digits / divisor, self.digits % divisor);
            let half = (rest.unsigned_abs() * 2).cmp(&divisor.unsigned_abs());
            let up = half.is_gt() || half.is_eq() && whole % 2 != 0;
            whole + if up { self.digits.signum() } else { 0 }
        });
        Self { digits, places }
    }

    fn rounded(self) -> Self {
        let excess = self.digits.unsigned_abs().to_string().len().saturating_sub(DIGITS);
        self.to(self.places - i32::try_from(excess).unwrap_or(0))
    }

    fn float(self) -> f64 {
        format!("{}e{}", self.digits, -self.places).parse().unwrap_or(f64::NAN)
    }
}
