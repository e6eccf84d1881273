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
    let [step_high, step_low] = Decimal::parts(step);
    let [stop_high, stop_low] = Decimal::parts(-stop);
    let [mut high, mut low] = Decimal::parts(start);
    let (mut found, mut at) = (Vec::new(), start);
    // As decimals, of which two can be one float.
    let past = |high: Decimal, low: Decimal| high.plus(stop_high).plus(low.plus(stop_low)).digits.signum();
    while found.len() <= most && past(high, low) == (if step > 0.0 { -1 } else { 1 }) {
        found.push(Element::Float(at));
        high = high.plus(step_high).plus(low.plus(step_low)).rounded();
        low = Decimal { digits: 0, places: 0 };
        at = high.float();
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
    /// A float as Python's decimals have it, which is exactly: its first 34 digits, and 33 more, which count where the
    /// first ones cancel.
    fn parts(float: f64) -> [Self; 2] {
        let text = format!("{:.66e}", float.abs());
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = digits.replace('.', "");
        let (high, low) = digits.split_at(34);
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if float < 0.0 { -1 } else { 1 };
        let part =
            |digits: &str, places| Self { digits: sign * digits.parse().unwrap_or(0), places: places - exponent };
        [part(high, 33), part(low, 66)]
    }

    /// The sum, as exactly as 38 digits allow.
    fn plus(self, other: Self) -> Self {
        if self.digits == 0 || other.digits == 0 {
            return if self.digits == 0 { other } else { self };
        }
        let (coarse, fine) = if self.places < other.places { (self, other) } else { (other, self) };
        // The coarser one takes as many places more as it has room for.
        let room = 37_usize.saturating_sub(coarse.digits.unsigned_abs().to_string().len());
        let more = (fine.places - coarse.places).min(i32::try_from(room).unwrap_or(0));
        let places = coarse.places + more;
        let digits = coarse.digits * 10_i128.pow(more.unsigned_abs());
        Self { digits: digits + fine.to(places).digits, places }
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
