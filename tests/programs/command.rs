//! Running a program: `nanoebm("train").args(["train.seed=1"]).in_dir(dir).succeeds().says("Training complete")`.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;

/// A program about to run.
pub struct Program {
    command: Command,
    stdin: Option<Vec<u8>>,
}

/// A program by its name.
pub fn nanoebm(program: &str) -> Program {
    Program::at(&path_of(program))
}

/// Where cargo built a program.
pub fn path_of(program: &str) -> PathBuf {
    match program {
        "train" => env!("CARGO_BIN_EXE_train"),
        "sample" => env!("CARGO_BIN_EXE_sample"),
        "eval" => env!("CARGO_BIN_EXE_eval"),
        "compare" => env!("CARGO_BIN_EXE_compare"),
        "viz" => env!("CARGO_BIN_EXE_viz"),
        "bench" => env!("CARGO_BIN_EXE_bench"),
        "doctor" => env!("CARGO_BIN_EXE_doctor"),
        other => panic!("no program {other}"),
    }
    .into()
}

/// A line of bash; `$0` is the first of `args`.
pub fn bash<S: AsRef<OsStr>>(line: &str, args: impl IntoIterator<Item = S>) -> Program {
    Program::at(Path::new("bash")).args(["-c", line]).args(args)
}

impl Program {
    /// A program by its path.
    pub fn at(path: &Path) -> Self {
        let mut command = Command::new(path);
        // One thread adds up in one order, and tests that run side by side stay out of each other's way. A backtrace
        // that somebody asked for must not change what an error looks like.
        command.env("OMP_NUM_THREADS", "1").env("RUST_BACKTRACE", "1");
        // Whoever has a W&B key does not want these runs there.
        command.env("WANDB_MODE", "offline");
        Self { command, stdin: None }
    }

    pub fn arg(self, arg: impl AsRef<OsStr>) -> Self {
        self.args([arg])
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub fn in_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn reads(mut self, stdin: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(stdin.into());
        self
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Finished {
        let stdin = self.stdin.take().unwrap_or_default();
        let piped = self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        // A program that does not read its input closes it.
        let _ = child.stdin.take().unwrap().write_all(&stdin);
        Finished::new(&self.command, child.wait_with_output().unwrap())
    }

    /// Runs it; the exit status must be 0.
    pub fn succeeds(self) -> Finished {
        self.run().exits(0)
    }

    /// Runs it; it must fail in one line, as every error of every program does.
    pub fn fails(self, code: i32) -> Finished {
        let finished = self.run().exits(code);
        let stderr = &finished.stderr;
        // libtorch's own messages come with a stack of many kilobytes.
        let one_line = stderr.len() < 1000
            && stderr.starts_with("error: ")
            && stderr.ends_with('\n')
            && stderr.lines().count() == 1;
        assert!(one_line, "{}\nis not one short line of error", finished.transcript());
        finished
    }

    /// Runs it in the background, and reads along.
    pub fn starts(mut self) -> Running {
        let piped = self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Running { command: self.command, child, stdout, seen: String::new() }
    }
}

/// A program that runs.
pub struct Running {
    command: Command,
    child: Child,
    stdout: BufReader<ChildStdout>,
    seen: String,
}

impl Running {
    /// Waits for a line of output that `wanted` likes.
    pub fn until(mut self, wanted: impl Fn(&str) -> bool) -> Self {
        loop {
            let start = self.seen.len();
            let read = self.stdout.read_line(&mut self.seen).unwrap();
            assert!(read > 0, "the program ended before the line that was waited for:\n{}", self.seen);
            if wanted(&self.seen[start..]) {
                return self;
            }
        }
    }

    /// Waits until a step is in the table.
    pub fn until_step(self, step: u32) -> Self {
        let step = step.to_string();
        self.until(|line| line.split_whitespace().next() == Some(&step))
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, e.g. `INT`.
    pub fn gets(self, signal: &str) -> Self {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        self
    }

    /// Waits for its end.
    pub fn ends(mut self) -> Finished {
        let mut stderr = self.child.stderr.take().unwrap();
        let errors = thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).map(|_| text)
        });
        self.stdout.read_to_string(&mut self.seen).unwrap();
        let status = self.child.wait().unwrap();
        let output = Output { status, stdout: self.seen.into_bytes(), stderr: errors.join().unwrap().unwrap() };
        Finished::new(&self.command, output)
    }
}

/// A program that has ended.
pub struct Finished {
    command: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    fn new(command: &Command, output: Output) -> Self {
        let words = [command.get_program()].into_iter().chain(command.get_args());
        let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
        let finished = Self {
            command: words.join(" "),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        for sign in ["panicked", "error: stopped by", "RUST_BACKTRACE", "stack backtrace"] {
            assert!(!finished.stderr.contains(sign), "{}", finished.transcript());
        }
        finished
    }

    fn transcript(&self) -> String {
        format!("$ {}\n{}{}exit status {:?}", self.command, self.stdout, self.stderr, self.code)
    }

    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.transcript());
        self
    }

    pub fn says(self, part: &str) -> Self {
        assert!(self.stdout.contains(part), "{}\nlacks {part:?}", self.transcript());
        self
    }

    pub fn stderr_has(self, part: &str) -> Self {
        assert!(self.stderr.contains(part), "{}\nlacks {part:?}", self.transcript());
        self
    }

    pub fn says_nothing_on_stderr(self) -> Self {
        assert_eq!(self.stderr, "", "{}", self.transcript());
        self
    }
}
