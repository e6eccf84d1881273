//! What the programs share: one frame around their jobs, one way to end, one way to say things.

pub mod load;

use std::any::Any;
use std::io::{IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};

use crate::config::{self, Action, ConfigError, Flags, Job, Program, Root};
use crate::data::vocab::BYTE_ORDER_MARK;
use crate::error::Error;
use crate::processes::Processes;

/// Exit status of a usage error.
const USAGE: u8 = 2;

/// How a job was called for.
#[derive(Debug)]
pub struct Call {
    /// The program's own flags that were given
    pub flags: Flags,
    /// Whether `-m` was given
    pub multirun: bool,
    /// Which job this is, from 1
    pub number: usize,
    /// How many there are
    pub jobs: usize,
}

/// The frame of every program with settings: reads the command line, prints what was only asked for, and runs each job. The first
/// status that is not 0 ends it.
pub fn run<T: Root>(program: &Program, mut job: impl FnMut(&Job<T>, &Call) -> anyhow::Result<u8>) -> ExitCode {
    exit(|| {
        let (jobs, multirun, flags) = match config::parse::<T>(program, std::env::args_os().skip(1))? {
            Action::Print(text) => return print(&text),
            Action::Run { jobs, multirun, flags } => (jobs, multirun, flags),
        };
        let mut call = Call { flags, multirun, number: 0, jobs: jobs.len() };
        for one in &jobs {
            if one.dir.is_some() && !["train", "viz"].contains(&program.name) {
                let problem =
                    "hydra.run.dir and hydra.sweep.dir say where train and viz write; other programs do not heed them";
                return Err(ConfigError::Usage(problem.to_owned()).into());
            }
            call.number += 1;
            let status = job(one, &call)?;
            if status != 0 {
                return Ok(status);
            }
        }
        Ok(0)
    })
}

/// Does the work of one job together with the processes that torchrun has started, where it has. Their waiting for each other ends
/// after `timeout` seconds. They are told why this one ends, unless it ends because another one did.
pub fn together<T>(call: &Call, timeout: i64, work: impl FnOnce(&Processes) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let processes = Processes::meet(Duration::from_secs(timeout.unsigned_abs()))?;
    if call.multirun && processes.size() > 1 {
        let problem =
            "-m asks for several jobs, and torchrun starts processes for one; start torchrun for each of them";
        return Err(ConfigError::Usage(problem.to_owned()).into());
    }
    let done = catch_unwind(AssertUnwindSafe(|| work(&processes))).unwrap_or_else(|panic| Err(anyhow!(said(&*panic))));
    done.inspect_err(|error| {
        let own = error.downcast_ref::<Error>().map_or_else(|| Some(format!("{error:#}")), Error::own);
        processes.leave(own.as_deref());
    })
}

/// Runs a program: its exit status, or its error as one line on standard error and a status that is not 0.
pub fn exit(main: impl FnOnce() -> anyhow::Result<u8>) -> ExitCode {
    keep_freed_memory();
    if STDOUT_WAS_CLOSED.load(Ordering::Relaxed) {
        warn("Standard output is closed: what would be printed is lost, and the work goes on");
    }
    // A file that reaches `ulimit -f` must fail to be written, with an error; the signal would kill without a word.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    // libtorch's own errors (out of memory, say) reach us as panics of tch: they too end in one line.
    set_hook(Box::new(|_| {}));
    let ended = catch_unwind(AssertUnwindSafe(main)).unwrap_or_else(|panic| Err(anyhow!(said(&*panic))));
    match ended {
        Ok(status) => ExitCode::from(status),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS, // the reader has seen enough
        Err(error) => {
            // One line whatever the message quotes.
            let line = format!("{error:#}").replace('\n', "\\n");
            let _ = writeln!(std::io::stderr(), "error{}: {line}", rank());
            tell_torchrun(&line);
            let usage = error.chain().any(|cause| cause.is::<ConfigError>());
            ExitCode::from(if usage { USAGE } else { 1 })
        }
    }
}

/// Which of several processes says something.
fn rank() -> String {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
    match (number("RANK"), number("WORLD_SIZE")) {
        (Some(rank), Some(2..)) => format!(" (rank {rank})"),
        _ => String::new(),
    }
}

/// The file in which torchrun looks for the reason of a failure.
fn tell_torchrun(message: &str) {
    if let Some(path) = std::env::var_os("TORCHELASTIC_ERROR_FILE") {
        let now = chrono::Local::now().timestamp().to_string();
        let told = serde_json::json!({"message": {"message": message, "extraInfo": {"timestamp": now}}});
        let _ = std::fs::write(path, told.to_string());
    }
}

/// Whether the program was started without a standard output, as by `>&-`. Rust opens /dev/null in its place before `main`, which
/// nobody can tell from a `>/dev/null` that was meant. So this is looked at earlier.
static STDOUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array")]
#[expect(unsafe_code, reason = "what runs before main is named in a section of the program")]
static BEFORE_MAIN: extern "C" fn() = look_at_stdout;

#[expect(unsafe_code, reason = "Rust's own library holds standard output to be always open")]
extern "C" fn look_at_stdout() {
    // SAFETY: fcntl with F_GETFD takes two integers, and changes nothing.
    let closed = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) } == -1;
    STDOUT_WAS_CLOSED.store(closed, Ordering::Relaxed);
}

/// Lets freed memory stay with the process. A training step frees and takes the same tensors as the last one did; given back to
/// the system each time, their pages come anew and zeroed, which took a twentieth of a step and two thirds of the optimizer's.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "glibc's allocator is set up through C")]
fn keep_freed_memory() {
    const MUCH: libc::c_int = libc::c_int::MAX;
    // SAFETY: mallopt takes two integers, and is called before there are other threads.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0); // large blocks come from the heap too, which is kept
        libc::mallopt(libc::M_TRIM_THRESHOLD, MUCH);
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_freed_memory() {}

/// What a panic that was caught says.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    fault(text.unwrap_or("an unknown fault"))
}

/// What a panic says, in one sentence; of libtorch's, the sentence before its C++ frames.
fn fault(panic: &str) -> String {
    match panic.split_once("Torch(\"") {
        Some((_, libtorch)) => {
            let sentence = libtorch.split("\\n").next().unwrap_or(libtorch);
            format!("libtorch cannot go on: {sentence}")
        }
        None => format!("stopped by {}", panic.lines().next().unwrap_or(panic)),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.into_iter().any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Prints a text that was asked for, such as the help.
pub fn print(text: &str) -> anyhow::Result<u8> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")?;
    Ok(0)
}

/// How a program tells what it measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Tables for people
    Text,
    /// One JSON object and nothing else
    Json,
    /// A CSV table and nothing else
    Csv,
}

impl Output {
    /// What the flags ask for.
    pub fn of(flags: &Flags) -> Result<Self, ConfigError> {
        match (flags.has("json"), flags.has("csv")) {
            (true, true) => {
                Err(ConfigError::Usage("--json and --csv are two forms of one output; give one".to_owned()))
            }
            (true, false) => Ok(Self::Json),
            (false, true) => Ok(Self::Csv),
            (false, false) => Ok(Self::Text),
        }
    }
}

/// A bar on standard error that counts to `len`, where somebody can see it.
pub fn progress_bar(len: usize, unit: &str) -> ProgressBar {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(len as u64) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template(&format!("{{bar:24}} {{pos}}/{{len}} {unit}, {{eta}} left"));
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Says a sentence to people. A reader that went away, or a full disk behind `>`, does not stop the work.
pub fn say(sentence: &str) {
    let _ = writeln!(std::io::stdout(), "✓ {sentence}");
}

/// Warns people, on standard error, where that can be written.
pub fn warn(sentence: &str) {
    let _ = writeln!(std::io::stderr(), "⚠ {sentence}");
}

/// A text as the key `key` gives it: the text itself, `@file`, or `-` for standard input. A byte order mark is no part of it.
pub fn read_text(key: &str, value: &str) -> anyhow::Result<String> {
    use std::io::Read;
    let read = if value == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).with_context(|| format!("cannot read {key} from standard input"))?;
        text
    } else if value == "@" {
        anyhow::bail!("{key} is @ and names no file; write @FILE")
    } else if let Some(file) = value.strip_prefix('@') {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {key} from {file}"))?;
        String::from_utf8(bytes)
            .map_err(|_| anyhow::anyhow!("{key} in {file} is no UTF-8 text; iconv -t UTF-8 converts it"))?
    } else {
        value.to_owned()
    };
    Ok(read.strip_prefix(BYTE_ORDER_MARK).map(str::to_owned).unwrap_or(read))
}

/// A word as a shell takes it: quoted where it must be.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "=._-/:+,@%~".contains(c);
    if !word.is_empty() && word.chars().all(plain) && !word.starts_with('~') {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtorchs_errors_are_one_sentence() {
        let panic =
            r#"called `Result::unwrap()` on an `Err` value: Torch("can't allocate memory\nframe #0: c10::alloc")"#;
        assert_eq!(fault(panic), "libtorch cannot go on: can't allocate memory");
        assert_eq!(fault("index out of bounds\nmore"), "stopped by index out of bounds");
    }
}
