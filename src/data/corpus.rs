//! A text as ids, cut into windows; or problems that are made up.
//!
//! As in the original: UTF-8, the first 90 % for training, a window at every offset. Newlines are read as Python reads them (CRLF and
//! CR become LF), so that both sides agree on the vocabulary of a text.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ring::digest;
use tch::{Device, Tensor};

use crate::config::Split;
use crate::data::addition::Addition;
use crate::data::error::{DataError, DataFault};
use crate::data::vocab::{BYTE_ORDER_MARK, Vocab};

/// Share of the text that is trained on.
const TRAIN_SHARE: f64 = 0.9;
/// Bytes read at a time: a text is never in memory as a whole, only its ids are.
const CHUNK: usize = 1 << 20;

/// Ids in the smallest type that holds the vocabulary.
#[derive(Debug)]
enum Ids {
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
}

impl Ids {
    fn for_vocab(len: usize) -> Self {
        match len {
            0..=0x100 => Ids::U8(Vec::new()),
            0x101..=0x1_0000 => Ids::U16(Vec::new()),
            _ => Ids::U32(Vec::new()),
        }
    }

    fn reserve_exact(&mut self, n: usize) {
        match self {
            Ids::U8(v) => v.reserve_exact(n),
            Ids::U16(v) => v.reserve_exact(n),
            Ids::U32(v) => v.reserve_exact(n),
        }
    }

    fn push(&mut self, id: u32) {
        match self {
            Ids::U8(v) => v.push(id as u8),
            Ids::U16(v) => v.push(id as u16),
            Ids::U32(v) => v.push(id),
        }
    }

    fn len(&self) -> usize {
        match self {
            Ids::U8(v) => v.len(),
            Ids::U16(v) => v.len(),
            Ids::U32(v) => v.len(),
        }
    }

    /// Which of `len` ids come in a range.
    fn present(&self, range: Range<usize>, len: usize) -> Vec<bool> {
        let mut present = vec![false; len];
        match self {
            Ids::U8(v) => v[range].iter().for_each(|&i| present[usize::from(i)] = true),
            Ids::U16(v) => v[range].iter().for_each(|&i| present[usize::from(i)] = true),
            Ids::U32(v) => v[range].iter().for_each(|&i| present[i as usize] = true),
        }
        present
    }

    /// Appends `len` ids from `start` as the 64-bit integers that libtorch indexes with.
    fn append_to(&self, out: &mut Vec<i64>, start: usize, len: usize) {
        match self {
            Ids::U8(v) => out.extend(v[start..start + len].iter().map(|&i| i64::from(i))),
            Ids::U16(v) => out.extend(v[start..start + len].iter().map(|&i| i64::from(i))),
            Ids::U32(v) => out.extend(v[start..start + len].iter().map(|&i| i64::from(i))),
        }
    }
}

/// What is learnt from: a text as ids, or problems that are made up.
#[derive(Debug)]
pub struct Corpus {
    /// Where it came from; the name of the data where that is no file
    pub path: PathBuf,
    /// Its characters
    pub vocab: Vocab,
    /// SHA-256 of the file's bytes, or of a name for the problems, in hexadecimal
    pub sha256: String,
    /// Whether the file begins with a byte order mark, which was dropped
    pub marked: bool,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// All ids, and how many of them are the training split
    Text(Ids, usize),
    Sums(Addition),
}

impl Corpus {
    /// Reads a text and makes its own vocabulary.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let survey = Survey::of(path)?;
        Self::encode(path, survey.vocab.clone(), &survey)
    }

    /// Reads a text in the vocabulary of a model.
    pub fn read_with(path: &Path, vocab: &Vocab) -> Result<Self, DataError> {
        let survey = Survey::of(path)?;
        match survey.vocab.chars().iter().find(|&&c| vocab.id(c).is_none()) {
            Some(&found) => Err(DataFault::UnknownCharacter { found }.of(path)),
            None => Self::encode(path, vocab.clone(), &survey),
        }
    }

    fn encode(path: &Path, vocab: Vocab, survey: &Survey) -> Result<Self, DataError> {
        let mut ids = Ids::for_vocab(vocab.len());
        ids.reserve_exact(survey.len);
        let mut table = [0u32; 128];
        for (id, &c) in vocab.chars().iter().enumerate().take_while(|(_, c)| c.is_ascii()) {
            table[c as usize] = id as u32;
        }
        let (sha256, marked) = for_each_char(path, |c| match c.is_ascii() {
            true => ids.push(table[c as usize]),
            false => ids.push(vocab.id(c).unwrap_or_default() as u32),
        })?;
        if sha256 != survey.sha256 {
            return Err(DataFault::Changed.of(path));
        }
        let train_len = (TRAIN_SHARE * ids.len() as f64) as usize;
        Ok(Self { path: path.to_owned(), vocab, sha256, marked, source: Source::Text(ids, train_len) })
    }

    /// Sums of two numbers.
    pub fn addition(adder: Addition) -> Self {
        let order = if adder.reverse { "reversed" } else { "straight" };
        let name = format!("addition of {} digits, {order} answers", adder.answer_len() - 1);
        let sha256 = hex(digest::digest(&digest::SHA256, name.as_bytes()).as_ref());
        Self { path: PathBuf::from(name), vocab: Addition::vocab(), sha256, marked: false, source: Source::Sums(adder) }
    }

    /// The problems, where it has some instead of a text.
    pub fn problems(&self) -> Option<Addition> {
        match self.source {
            Source::Text(..) => None,
            Source::Sums(adder) => Some(adder),
        }
    }

    /// Number of characters in a split.
    pub fn len(&self, split: Split) -> usize {
        match &self.source {
            Source::Text(ids, train_len) => match split {
                Split::Train => *train_len,
                Split::Val => ids.len() - train_len,
            },
            Source::Sums(adder) => Addition::problems(split) * (adder.block_size() as usize + 1),
        }
    }

    /// Whether the split holds no character.
    pub fn is_empty(&self, split: Split) -> bool {
        self.len(split) == 0
    }

    /// Number of windows of `block_size` + 1 characters: at every offset of a text, one of each problem. An error when fewer than `need`.
    pub fn windows(&self, split: Split, block_size: i64, need: usize) -> Result<usize, DataError> {
        let chars = self.len(split);
        let windows = match &self.source {
            Source::Text(..) => chars.saturating_sub(block_size as usize),
            Source::Sums(_) => Addition::problems(split),
        };
        if windows >= need.max(1) {
            return Ok(windows);
        }
        let (split, need) = (split.as_str(), need.max(1));
        Err(DataFault::TooShort { split, chars, need, block_size }.of(&self.path))
    }

    /// What the user should know of the text, in lines for people.
    pub fn warnings(&self) -> Vec<String> {
        let Source::Text(ids, train_len) = &self.source else { return Vec::new() };
        let (file, mut lines) = (self.path.display(), Vec::new());
        if self.marked {
            lines.push(format!(
                "{file} begins with a byte order mark, which is no character of the text: it is left out"
            ));
        }
        if self.vocab.len() == 1 {
            lines.push(format!("{file} has a single character again and again: there is nothing to learn from it"));
        }
        let chars = self.vocab.chars();
        let trained = ids.present(0..*train_len, chars.len());
        let held_back = ids.present(*train_len..ids.len(), chars.len());
        let new = chars
            .iter()
            .zip(trained.iter().zip(held_back))
            .filter(|(_, (trained, held_back))| *held_back && !**trained);
        let new: Vec<String> = new.map(|(c, _)| format!("{c:?}")).collect();
        if !new.is_empty() {
            const MOST: usize = 10;
            let (count, more) = (new.len(), if new.len() > MOST { ", …" } else { "" });
            let named = new[..count.min(MOST)].join(", ");
            lines.push(format!("The validation split has {count} characters that are not trained on: {named}{more}"));
        }
        lines
    }

    /// Windows from one to the next without overlap: offsets of a text that are `block_size` apart, or all problems.
    pub fn stride(&self, block_size: i64) -> usize {
        match self.source {
            Source::Text(..) => block_size as usize,
            Source::Sums(_) => 1,
        }
    }

    /// The `len` ids of window `offset` of a split.
    pub fn ids(&self, split: Split, offset: usize, len: usize) -> Vec<i64> {
        let mut ids = Vec::with_capacity(len);
        self.append_window(&mut ids, split, offset, len);
        ids
    }

    fn append_window(&self, ids: &mut Vec<i64>, split: Split, offset: usize, len: usize) {
        match &self.source {
            Source::Text(all, train_len) => {
                let first = if split == Split::Train { 0 } else { *train_len };
                all.append_to(ids, first + offset, len);
            }
            Source::Sums(adder) => {
                let problem = adder.problem(split, offset);
                let (window, _) = self.vocab.encode(&(adder.question(problem) + &adder.answer(problem)));
                ids.extend(window.iter().take(len));
            }
        }
    }

    /// Windows at the given offsets of a split: `idx` (B, T) int64, and `targets` (B, A), what follows the last A characters of them:
    /// all of a text's, and the answers to problems.
    pub fn batch(&self, split: Split, offsets: &[usize], block_size: i64, device: Device) -> (Tensor, Tensor) {
        let (b, t) = (offsets.len(), block_size as usize);
        let mut ids = Vec::with_capacity(b * (t + 1));
        for &offset in offsets {
            self.append_window(&mut ids, split, offset, t + 1);
        }
        let windows = Tensor::from_slice(&ids).view([b as i64, block_size + 1]).to_device(device); // (B, T + 1)
        let asked = self.problems().map_or(block_size, Addition::answer_len); // A
        (windows.narrow(1, 0, block_size).contiguous(), windows.narrow(1, 1 + block_size - asked, asked).contiguous())
    }
}

/// What a first reading of a text finds.
struct Survey {
    vocab: Vocab,
    len: usize,
    sha256: String,
}

impl Survey {
    fn of(path: &Path) -> Result<Self, DataError> {
        let mut seen = vec![false; char::MAX as usize + 1];
        let mut len = 0;
        let (sha256, _) = for_each_char(path, |c| {
            seen[c as usize] = true;
            len += 1;
        })?;
        if len == 0 {
            return Err(DataFault::Empty.of(path));
        }
        let chars = seen.iter().enumerate().filter(|(_, seen)| **seen);
        Ok(Self { vocab: Vocab::new(chars.filter_map(|(c, _)| char::from_u32(c as u32))), len, sha256 })
    }
}

/// Calls `f` with each character of a UTF-8 file, CRLF and CR as LF, without a byte order mark at its start. The SHA-256 of its bytes,
/// and whether there was such a mark.
fn for_each_char(path: &Path, mut f: impl FnMut(char)) -> Result<(String, bool), DataError> {
    let io = |source| DataFault::Io(source).of(path);
    let mut file = File::open(path).map_err(io)?;
    if !file.metadata().map_err(io)?.is_file() {
        return Err(DataFault::NotAFile.of(path));
    }
    let mut buffer = vec![0u8; CHUNK];
    let mut sha256 = digest::Context::new(&digest::SHA256);
    let (mut kept, mut offset, mut after_cr, mut marked) = (0, 0u64, false, false);
    loop {
        let read = file.read(&mut buffer[kept..]).map_err(io)?;
        sha256.update(&buffer[kept..kept + read]);
        let bytes = &buffer[..kept + read];
        let valid = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            // A character cut by the end of the chunk waits for its rest; anything else is not UTF-8.
            Err(e) if e.error_len().is_some() || read == 0 => {
                return Err(DataFault::NotUtf8 { offset: offset + e.valid_up_to() as u64 }.of(path));
            }
            Err(e) => std::str::from_utf8(&bytes[..e.valid_up_to()]).unwrap_or_default(),
        };
        let first = usize::from(offset == 0 && valid.starts_with(BYTE_ORDER_MARK));
        marked |= first == 1;
        for c in valid.chars().skip(first) {
            match c {
                '\n' if after_cr => {}
                '\r' => f('\n'),
                c => f(c),
            }
            after_cr = c == '\r';
        }
        let (used, total) = (valid.len(), bytes.len());
        buffer.copy_within(used..total, 0);
        kept = total - used;
        offset += used as u64;
        if read == 0 {
            return Ok((hex(sha256.finish().as_ref()), marked));
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus(text: &str) -> (tempfile::TempDir, Result<Corpus, DataError>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text.txt");
        std::fs::write(&path, text).unwrap();
        let corpus = Corpus::read(&path);
        (dir, corpus)
    }

    #[test]
    fn newlines_are_read_as_python_reads_them() {
        let (_dir, corpus) = corpus("a\r\nb\rc\n\r\n\r");
        let corpus = corpus.unwrap();
        assert_eq!(corpus.vocab.chars(), ['\n', 'a', 'b', 'c']);
        let mut ids = Vec::new();
        ids.extend(corpus.ids(Split::Train, 0, 7));
        ids.extend(corpus.ids(Split::Val, 0, 1));
        assert_eq!(ids, [1, 0, 2, 0, 3, 0, 0, 0]);
    }

    #[test]
    fn characters_across_chunks_are_whole_and_ids_are_as_small_as_they_can_be() {
        let text = "é".repeat(CHUNK) + "x";
        let (_dir, small) = corpus(&text);
        let small = small.unwrap();
        assert_eq!(
            (small.vocab.chars(), small.len(Split::Train) + small.len(Split::Val)),
            (['x', 'é'].as_slice(), CHUNK + 1)
        );
        assert!(matches!(small.source, Source::Text(Ids::U8(_), _)));
        let (_dir, wide) = corpus(&(0x4e00..0x4e00 + 257).filter_map(char::from_u32).collect::<String>());
        assert!(matches!(wide.unwrap().source, Source::Text(Ids::U16(_), _)));
    }

    #[test]
    fn bad_texts_are_named() {
        assert!(matches!(corpus("").1, Err(DataError { fault: DataFault::Empty, .. })));
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(
            Corpus::read(dir.path()),
            Err(DataError { fault: DataFault::NotAFile | DataFault::Io(_), .. })
        ));
        assert!(matches!(Corpus::read(&dir.path().join("no")), Err(DataError { fault: DataFault::Io(_), .. })));
        let path = dir.path().join("latin1");
        std::fs::write(&path, b"ab\xe9 c").unwrap();
        assert!(matches!(Corpus::read(&path), Err(DataError { fault: DataFault::NotUtf8 { offset: 2 }, .. })));
        std::fs::write(&path, b"ab\xe2\x82").unwrap();
        assert!(matches!(Corpus::read(&path), Err(DataError { fault: DataFault::NotUtf8 { offset: 2 }, .. })));
    }
}
