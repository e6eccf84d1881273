//! What all pictures share: the font, sizes, colours that colour-blind people tell apart, and words for tokens and numbers.

use std::ops::Range;
use std::sync::OnceLock;

use ab_glyph::{Font, FontRef};
use plotters::style::colors::colormaps::ViridisRGB;
use plotters::style::{Color, FontFamily, IntoFont, RGBColor, TextStyle};

/// Plotters knows whole units only: this many make a pixel, so that curves stay smooth.
pub const UNITS: i32 = 16;

/// DejaVu Sans, cut to Latin, Greek, Cyrillic and the signs of these pictures; its licence lies beside it.
pub const FONT: &[u8] = include_bytes!("../../../assets/fonts/DejaVuSans-subset.ttf");
/// The name it has in drawings.
pub const FONT_NAME: &str = "DejaVu Sans";

/// Width of a page's text: 7 inches at 96 pixels.
pub const PAGE: u32 = 672;
/// Width of a phone's, in its own pixels.
pub const PHONE: u32 = 360;
/// Pixels of a figure's title.
pub const TITLE: f64 = 13.0;
/// Pixels of what stands below it, of panels' titles and axes' names.
pub const LABEL: f64 = 11.0;
/// Pixels of numbers at axes.
pub const TICK: f64 = 10.0;

/// Text and lines.
pub const INK: RGBColor = RGBColor(0x1a, 0x1a, 0x1a);
/// Axes' names and notes.
pub const SOFT: RGBColor = RGBColor(0x4d, 0x4d, 0x4d);
/// Frames and faint lines.
pub const FAINT: RGBColor = RGBColor(0xb8, 0xb8, 0xb8);
/// Lines of a grid.
pub const GRID: RGBColor = RGBColor(0xe6, 0xe6, 0xe6);
/// Between blue and vermilion; it is no paper, which turns dark.
const MIDDLE: RGBColor = RGBColor(0xf7, 0xf7, 0xf7);

/// An SVG's paper and inks for readers whose other windows are dark. Only the colours above change: those of data stay.
pub const DARK: &str = "<style>@media (prefers-color-scheme:dark){\
    [fill='#ffffff']{fill:#1e2022}\
    [fill='#1a1a1a'],[fill='#000000']{fill:#ececea}[stroke='#1a1a1a'],[stroke='#000000']{stroke:#ececea}\
    [fill='#4d4d4d']{fill:#b4b4b0}[stroke='#4d4d4d']{stroke:#b4b4b0}\
    [fill='#b8b8b8']{fill:#6d7074}[stroke='#b8b8b8']{stroke:#6d7074}\
    [stroke='#e6e6e6']{stroke:#34373a}}</style>";

/// The descent path.
pub const PATH: RGBColor = RGBColor(0xd5, 0x5e, 0x00);

/// Okabe & Ito's colours, the pale yellow left out: lines on white must be seen.
pub const COLOURS: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x00, 0x00, 0x00),
];

/// The colour of the n-th thing, in turn.
pub fn colour(n: usize) -> RGBColor {
    COLOURS[n % COLOURS.len()]
}

/// Pixels in drawing units.
pub fn px(pixels: f64) -> i32 {
    (pixels * f64::from(UNITS)).round() as i32
}

/// A line's width in drawing units.
pub fn width(pixels: f64) -> u32 {
    px(pixels).unsigned_abs().max(1)
}

/// Text of a size in pixels and a colour.
pub fn text(pixels: f64, colour: &RGBColor) -> TextStyle<'static> {
    // Plotters writes a font size smaller by this factor.
    let size = pixels * 1.24 * f64::from(UNITS);
    TextStyle { color: colour.to_backend_color(), ..TextStyle::from((FontFamily::Name(FONT_NAME), size).into_font()) }
}

/// The colour of a share from 0 (dark) to 1 (bright).
pub fn viridis(share: f64) -> RGBColor {
    ViridisRGB::get_color_normalized(share.clamp(0.0, 1.0), 0.0, 1.0)
}

/// From blue (−1) over nearly white (0) to orange (1).
pub fn diverging(share: f64) -> RGBColor {
    let end = if share < 0.0 { COLOURS[0] } else { COLOURS[1] };
    let mix = |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * share.abs().min(1.0)).round();
    RGBColor(mix(MIDDLE.0, end.0) as u8, mix(MIDDLE.1, end.1) as u8, mix(MIDDLE.2, end.2) as u8)
}

/// A character as it can be seen: ␣ ⏎ →, and U+XXXX for one that the font lacks.
pub fn token(c: char) -> String {
    static PARSED: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    let font = PARSED.get_or_init(|| FontRef::try_from_slice(FONT).ok());
    match c {
        ' ' => "␣".to_owned(),
        '\n' => "⏎".to_owned(),
        '\t' => "→".to_owned(),
        c if font.as_ref().is_some_and(|font| font.glyph_id(c).0 != 0) && !c.is_whitespace() => c.to_string(),
        c => format!("U+{:04X}", u32::from(c)),
    }
}

/// Text in quotes with newlines visible, its last `max` characters.
pub fn quoted(text: &str, max: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    let start = chars.len().saturating_sub(max);
    let seen = chars[start..].iter().map(|&c| if c == ' ' { c.to_string() } else { token(c) });
    format!("“{}{}”", if start > 0 { "…" } else { "" }, seen.collect::<String>())
}

/// Spans smaller than this share of the values have one tick.
const LEAST_SPAN: f64 = 1e-12;

/// How the numbers of an axis are written: `value / 10^exponent` with so many decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    exponent: i32,
    decimals: usize,
}

impl Numbers {
    /// For ticks `step` apart in a range; very small and very large ones are written as multiples of a power of ten.
    pub fn new(range: &Range<f64>, step: f64) -> Self {
        let largest = range.start.abs().max(range.end.abs());
        let exponent = if (1e-2..1e6).contains(&largest) || largest == 0.0 { 0 } else { order(largest) };
        Self { exponent, decimals: decimals(step / 10f64.powi(exponent)) }
    }

    /// A number.
    pub fn show(self, value: f64) -> String {
        let text = format!("{:.*}", self.decimals, value / 10f64.powi(self.exponent));
        if text.trim_start_matches('-').chars().all(|c| "0.".contains(c)) {
            text.trim_start_matches('-').to_owned()
        } else {
            text.replace('-', "−")
        }
    }

    /// An axis's name with its power of ten.
    pub fn name(self, label: &str) -> String {
        match self.exponent {
            _ if label.is_empty() => String::new(),
            0 => label.to_owned(),
            n => format!("{label} (×10{})", superscript(n)),
        }
    }
}

fn order(value: f64) -> i32 {
    value.abs().log10().floor() as i32
}

fn decimals(step: f64) -> usize {
    (0..8).find(|&n| ((step * 10f64.powi(n)).round() / 10f64.powi(n) - step).abs() < step * 1e-6).unwrap_or(8) as usize
}

fn superscript(n: i32) -> String {
    let digits = ["⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"];
    let sign = if n < 0 { "⁻" } else { "" };
    let raised = n.unsigned_abs().to_string();
    sign.to_owned() + &raised.chars().filter_map(|c| Some(digits[c.to_digit(10)? as usize])).collect::<String>()
}

/// “1 step”, “2 steps”.
pub fn steps(n: usize) -> String {
    format!("{n} step{}", if n == 1 { "" } else { "s" })
}

/// A number for a sentence: three significant figures, very small and very large ones with a power of ten.
pub fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".to_owned() } else { format!("{value}") };
    }
    let n = order(value);
    if (-3..5).contains(&n) {
        return format!("{:.*}", (2 - n).max(0) as usize, value).replace('-', "−");
    }
    format!("{:.2}·10{}", value / 10f64.powi(n), superscript(n)).replace('-', "−")
}

/// Round values in a range, about `n` of them, and their distance.
pub fn ticks(range: &Range<f64>, n: usize, whole: bool) -> (Vec<f64>, f64) {
    let (low, high) = (range.start.min(range.end), range.start.max(range.end));
    let span = high - low;
    if !span.is_finite() || span <= LEAST_SPAN * low.abs().max(high.abs()).max(f64::MIN_POSITIVE / LEAST_SPAN.powi(2)) {
        return (vec![low], 1.0); // no number could tell the ticks apart
    }
    let rough = span / n.max(1) as f64;
    let power = 10f64.powi(order(rough));
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * power).into_iter().find(|step| *step >= rough * 0.999);
    let mut step = step.unwrap_or(10.0 * power);
    if whole {
        step = step.ceil().max(1.0);
    }
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    ((first..=last).map(|i| i as f64 * step).collect(), step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_can_be_seen() {
        assert_eq!([' ', '\n', 'a', 'é', 'ж', '中', '\u{7}'].map(token), ["␣", "⏎", "a", "é", "ж", "U+4E2D", "U+0007"]);
        for sign in "␣⏎→−×·¹⁻⁹∇αλτ₀Δ“”…⟨⟩".chars() {
            assert_eq!(token(sign), sign.to_string(), "the font lacks a sign of the pictures");
        }
        assert_eq!(quoted("ab\ncd", 4), "“…b⏎cd”");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, 1234.5, 0.0142, -0.00017].map(short), ["0", "1234", "0.0142", "−1.70·10⁻⁴"]);
        let (values, step) = ticks(&(0.0..1.7e-4), 4, false);
        let numbers = Numbers::new(&(0.0..1.7e-4), step);
        assert_eq!(values.iter().map(|v| numbers.show(*v)).collect::<Vec<_>>(), ["0.0", "0.5", "1.0", "1.5"]);
        assert_eq!(numbers.name("gap"), "gap (×10⁻⁴)");
        assert_eq!(ticks(&(0.0..1.0), 8, true).0, [0.0, 1.0]);
        assert_eq!(ticks(&(16.0..0.0), 4, true).0, [0.0, 5.0, 10.0, 15.0]);
    }
}
