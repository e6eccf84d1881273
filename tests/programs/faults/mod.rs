//! Faults from outside: a small library (`preload.c`, loaded before the C library) that fails or kills a program at a chosen file
//! operation, and shows it another clock. The program itself knows nothing of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::command::Program;
use super::workdir::Workdir;

/// No space left on device.
pub const ENOSPC: i32 = 28;
/// Input/output error.
pub const EIO: i32 = 5;
/// Read-only file system.
pub const EROFS: i32 = 30;

/// A file operation that a program did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// open, write, sync, rename, mkdir or unlink
    pub kind: String,
    /// The name of its file
    pub file: String,
}

/// What happens at an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// kill -9
    Kill,
    /// This error, once
    Once(i32),
    /// This error from now on
    Lasting(i32),
}

impl Program {
    /// Something happens at the `at`-th operation, from 1, of a kind below `out_ebt`, or of all kinds.
    pub fn with_fault(self, workdir: &Workdir, fault: Fault, kind: Option<&str>, at: usize) -> Self {
        let mut program = self.watched(workdir).env("FAULT_AT", &at.to_string());
        if let Some(kind) = kind {
            program = program.env("FAULT_KIND", kind);
        }
        match fault {
            Fault::Kill => program,
            Fault::Once(errno) => program.env("FAULT_ERRNO", &errno.to_string()),
            Fault::Lasting(errno) => program.env("FAULT_ERRNO", &errno.to_string()).env("FAULT_LASTING", "1"),
        }
    }

    /// Its file operations below `out_ebt` are written down: see [`operations`].
    pub fn watched(self, workdir: &Workdir) -> Self {
        let _ = fs::remove_file(workdir.path("operations"));
        let dir = fs::canonicalize(workdir.dir()).unwrap().join("out_ebt");
        self.preloaded()
            .env("FAULT_DIR", dir.to_str().unwrap())
            .env("FAULT_LOG", workdir.path("operations").to_str().unwrap())
    }

    /// It sees this time of day: seconds since 1970 at which the clock stands, or `back` for one that goes backwards.
    pub fn with_clock(self, clock: &str) -> Self {
        self.preloaded().env("FAULT_CLOCK", clock)
    }

    fn preloaded(self) -> Self {
        self.env("LD_PRELOAD", library().to_str().unwrap())
    }
}

/// The operations of the last program that was watched, killed or failed in this folder.
pub fn operations(workdir: &Workdir) -> Vec<Operation> {
    let log = fs::read_to_string(workdir.path("operations")).unwrap_or_default();
    let operation = |line: &str| {
        let (kind, path) = line.split_once(' ').unwrap();
        let file = Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
        Operation { kind: kind.to_owned(), file }
    };
    log.lines().map(operation).collect()
}

/// The library, compiled once for all tests.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/faults/preload.c");
        let (library, made) = (Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults.so"), std::process::id());
        let mine = library.with_extension(format!("so.{made}"));
        let mut cc = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        let status = cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&mine).arg(&source).arg("-ldl").status();
        assert!(status.expect("a C compiler, cc").success());
        fs::rename(&mine, &library).unwrap();
        library
    })
}
