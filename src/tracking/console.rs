//! The run on the terminal: the original's table, with a progress bar under it where somebody is watching.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Once;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::error::Error;
use crate::metrics::Row;
use crate::tracking::tracker::{End, Tracker};

/// Label, key in the row, and width of a column; the first ones survive in a narrow terminal.
struct Column {
    label: &'static str,
    key: &'static str,
    width: usize,
    format: fn(f64) -> String,
}

const COLUMNS: [Column; 13] = [
    Column { label: "step", key: "step", width: 6, format: |v| format!("{v:.0}") },
    Column { label: "loss", key: "loss", width: 8, format: |v| format!("{v:.3}") },
    Column { label: "ppl", key: "perplexity", width: 7, format: |v| format!("{v:.3}") },
    Column { label: "lr", key: "lr", width: 11, format: |v| exponent(v) },
    Column { label: "alpha", key: "alpha", width: 8, format: |v| format!("{v:.3}") },
    Column { label: "Egap", key: "energy_gap", width: 10, format: |v| format!("{v:.4}") },
    Column { label: "E0", key: "initial_energy", width: 10, format: |v| format!("{v:.4}") },
    Column { label: "EK", key: "final_energy", width: 10, format: |v| format!("{v:.4}") },
    Column { label: "CD", key: "cd_loss", width: 8, format: |v| format!("{v:.3}") },
    Column { label: "E+", key: "energy_data", width: 8, format: |v| format!("{v:.3}") },
    Column { label: "E-", key: "energy_negatives", width: 8, format: |v| format!("{v:.3}") },
    Column { label: "t/fwd", key: "time/forward", width: 8, format: |v| format!("{v:.3}") },
    Column { label: "t/bwd", key: "time/backward", width: 8, format: |v| format!("{v:.3}") },
];

/// Columns that only contrastive training fills.
const CONTRASTIVE: [&str; 3] = ["cd_loss", "energy_data", "energy_negatives"];

/// 3e-4 as Python writes it: 3.00e-04.
fn exponent(v: f64) -> String {
    let text = format!("{v:.2e}");
    let Some((mantissa, exp)) = text.split_once('e') else { return text };
    let (sign, digits) = exp.strip_prefix('-').map_or(('+', exp), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// Prints a line to standard output. Where that cannot be (a full disk, a reader that went away as `| head` does), the work goes on,
/// and standard error says so once.
fn print(line: &str) {
    static SAID: Once = Once::new();
    if let Err(error) = writeln!(std::io::stdout(), "{line}") {
        let left = error.kind() == std::io::ErrorKind::BrokenPipe;
        let reason = if left { "its reader has gone".to_owned() } else { error.to_string() };
        SAID.call_once(|| {
            // A terminal that was closed, and a full disk behind 2>&1, take this too.
            let warning = format!("⚠ Standard output cannot be written ({reason}); the work goes on without it");
            let _ = writeln!(std::io::stderr(), "{warning}");
        });
    }
}

/// Prints to standard output. The bar goes to standard error, and only where both are a terminal.
pub struct Console {
    bar: ProgressBar,
    terminal: bool,
    contrastive: bool,
    /// Those under the last head that was printed
    columns: Vec<&'static Column>,
    /// What was printed and not yet asked for
    lines: Vec<String>,
}

impl Console {
    /// A table for a run of `steps`, from its start to its last, with or without a CD loss. A step has so many tokens, which so many
    /// processes share.
    pub fn new(steps: (i64, i64), tokens: (i64, usize), contrastive: bool) -> Self {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let bar = if terminal { progress_bar(steps, tokens) } else { ProgressBar::hidden() };
        Self { bar, terminal, contrastive, columns: Vec::new(), lines: Vec::new() }
    }

    /// The columns that the terminal has room for now: somebody may have drawn it wider or narrower.
    fn columns(&self) -> Vec<&'static Column> {
        let size = self.terminal.then(terminal_size::terminal_size).flatten();
        let width = size.map_or(usize::MAX, |(width, _)| usize::from(width.0));
        let mut used = 0;
        let fits = |column: &&'static Column| {
            used += column.width + 1;
            used - 1 <= width
        };
        COLUMNS.iter().filter(|c| self.contrastive || !CONTRASTIVE.contains(&c.key)).take_while(fits).collect()
    }

    fn print<const N: usize>(&mut self, lines: [String; N]) {
        self.bar.suspend(|| lines.iter().for_each(|line| print(line)));
        self.lines.extend(lines);
    }

    fn cells(&self, cell: impl Fn(&Column) -> String) -> String {
        let cells = self.columns.iter().map(|c| format!("{:>width$}", cell(c), width = c.width));
        cells.collect::<Vec<_>>().join(" ")
    }
}

impl Tracker for Console {
    /// A line of the table, the first one and those of another width under their head.
    fn log(&mut self, row: &Row) -> Result<(), Error> {
        let columns = self.columns();
        let as_before = self.columns.len() == columns.len();
        self.columns = columns;
        let line = self.cells(|c| row.get(c.key).and_then(|v| v.as_f64()).map(c.format).unwrap_or_default());
        if !as_before {
            self.print([self.cells(|c| c.label.to_owned()), self.cells(|c| "-".repeat(c.width))]);
        }
        self.print([line]);
        Ok(())
    }

    /// One sentence.
    fn evaluation(&mut self, row: &Row) -> Result<(), Error> {
        let value = |key: &str| row.get(key).and_then(|v| v.as_f64()).unwrap_or(f64::NAN);
        self.print([format!(
            "  eval at step {}: NLL train {:.4} (System 1 {:.4}), val {:.4} (System 1 {:.4})",
            row["step"],
            value("train/nll_s2"),
            value("train/nll_s1"),
            value("val/nll_s2"),
            value("val/nll_s1"),
        )]);
        Ok(())
    }

    fn note(&mut self, text: &str) {
        self.print([format!("✓ {text}")]);
    }

    fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    fn progress(&mut self, step: i64) {
        self.bar.set_position(step.unsigned_abs());
    }

    fn rewind(&mut self, _run_dir: &Path, step: i64) -> Result<(), Error> {
        self.progress(step);
        Ok(())
    }

    /// Takes the bar away.
    fn finish(&mut self, _end: &End) -> Vec<String> {
        self.bar.finish_and_clear();
        Vec::new()
    }
}

/// One line in any terminal: what has no room is left out, the least telling first.
fn progress_bar((start, max_steps): (i64, i64), (tokens, processes): (i64, usize)) -> ProgressBar {
    let line = move |state: &ProgressState, w: &mut dyn std::fmt::Write| {
        let (left, steps) = (state.eta().as_secs(), state.per_sec());
        let parts = [
            format!("{}/{}", state.pos(), state.len().unwrap_or_default()),
            format!("  {}:{:02}:{:02} left", left / 3600, left / 60 % 60, left % 60),
            format!("  {steps:.1} steps/s"),
            format!("  {:.0} tokens/s", steps * tokens as f64),
            if processes > 1 { format!("  {processes} processes") } else { String::new() },
        ];
        let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
        let _ = write!(w, "{}", fitted(&parts, state.fraction(), width.saturating_sub(1)));
    };
    let style = ProgressStyle::with_template("{line}").unwrap_or_else(|_| ProgressStyle::default_bar());
    let style = style.with_key("line", line);
    let bar = ProgressBar::new(max_steps.unsigned_abs()).with_style(style).with_position(start.unsigned_abs());
    bar.reset_eta();
    bar
}

/// As many of the parts as fit into `width` columns, after a bar where there is room for one.
fn fitted(parts: &[String], done: f32, width: usize) -> String {
    const BAR: usize = 24;
    let mut text = String::new();
    for part in parts {
        if text.len() + part.len() > width {
            break;
        }
        text += part;
    }
    if text.len() + BAR + 1 > width {
        return text;
    }
    let full = ((BAR as f32 * done) as usize).min(BAR);
    format!("{}{} {text}", "█".repeat(full), "░".repeat(BAR - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_fits_every_terminal() {
        let parts = ["670/2000", "  0:00:03 left", "  209.3 steps/s", "  13395 tokens/s"].map(str::to_owned);
        for width in 0..100 {
            let line = fitted(&parts, 0.335, width);
            assert!(line.chars().count() <= width, "{line:?} in {width}");
        }
        assert_eq!(fitted(&parts, 0.5, 30), "670/2000  0:00:03 left");
        let wide = fitted(&parts, 0.5, 99);
        assert!(wide.starts_with("████████████░░░░") && wide.ends_with("13395 tokens/s"), "{wide}");
    }

    #[test]
    fn numbers_look_as_in_the_original() {
        assert_eq!(exponent(3e-4), "3.00e-04");
        assert_eq!(exponent(12.5), "1.25e+01");
        assert_eq!(exponent(0.0), "0.00e+00");
    }
}
