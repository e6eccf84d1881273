//! What all pictures share: the paper, the ink, and the files.

pub mod axes;
pub mod curves;
pub mod figure;
pub mod legend;
pub mod marks;
pub mod output;
pub mod sheet;
pub mod style;
pub mod words;

pub use axes::{Axis, Chart, Colours, Map, bounds, flat_colour_bar, map_panels, panel, range_of};
pub use curves::{Dash, band, by_step, dot, line, outline};
pub use figure::{Figure, escaped, gif};
pub use legend::{Sample, legend};
pub use marks::{draw_ends, samples};
pub use output::{Picture, Table};
pub use sheet::Sheet;
pub use words::{Area, DrawError, fitted, text_width};
