//! What all pictures share: the paper, the ink, and the files.

pub mod axes;
pub mod curves;
pub mod figure;
pub mod legend;
pub mod marks;
pub mod output;
pub mod style;
