//! Why a text cannot be used, with the file that it is about.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A fault of a text.
#[derive(Debug)]
pub struct DataError {
    /// The text; the name of the data where that is no file
    pub file: PathBuf,
    /// What is wrong with it
    pub fault: DataFault,
}

/// What is wrong with a text.
#[derive(Debug)]
pub enum DataFault {
    /// The file cannot be read.
    Io(io::Error),
    /// A directory, a device, …
    NotAFile,
    /// Bytes that are not UTF-8.
    NotUtf8 {
        /// Offset of the first bad byte
        offset: u64,
    },
    /// No characters.
    Empty,
    /// A split that holds no window, or no batch of them.
    TooShort {
        /// train or val
        split: &'static str,
        /// Its length
        chars: usize,
        /// Windows wanted
        need: usize,
        /// Characters of a window
        block_size: i64,
    },
    /// The thread of `data.num_workers` is gone.
    Worker,
    /// A text that somebody writes to.
    Changed,
    /// A character that the model has no id for.
    UnknownCharacter {
        /// The character
        found: char,
    },
}

impl DataFault {
    /// The fault as an error about `file`.
    pub fn of(self, file: &Path) -> DataError {
        DataError { file: file.to_owned(), fault: self }
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match &self.fault {
            DataFault::Io(_) => write!(f, "cannot read {file} (data.data_path, a UTF-8 text file)"),
            DataFault::NotAFile => write!(f, "{file} is not a file; set data.data_path to a UTF-8 text file"),
            DataFault::NotUtf8 { offset } => {
                write!(f, "{file} is not UTF-8 at byte {offset}; convert it, for example with iconv -t UTF-8")
            }
            DataFault::Empty => write!(f, "{file} is empty: there is nothing to learn from"),
            DataFault::TooShort { split, chars, need, block_size } => write!(
                f,
                "the {split} split of {file} has {chars} characters, too few for {need} window(s) of {block_size} + 1; \
                 use a longer text, or a smaller data.block_size or data.batch_size"
            ),
            DataFault::Worker => {
                f.write_str("the thread that prepares batches has ended; data.num_workers=0 prepares them in the loop")
            }
            DataFault::Changed => write!(f, "{file} changed while it was read; wait until it is complete"),
            DataFault::UnknownCharacter { found } => write!(
                f,
                "{file} has the character {found:?}, which is not in the checkpoint's vocabulary; use the text it was trained on"
            ),
        }
    }
}

impl std::error::Error for DataError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            DataFault::Io(source) => Some(source),
            _ => None,
        }
    }
}
