//! The `.wandb` file: a magic number, then records in LevelDB's log framing, with the plain CRC-32 of zlib.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use prost::Message;

use crate::records::{Kind, Record};

/// `:W&B`, 0xBEE1, version 0.
const MAGIC: [u8; 7] = *b":W&B\xe1\xbe\0";
const BLOCK: u64 = 32768;
/// CRC-32 (4 bytes), length (2), kind (1).
const HEADER: u64 = 7;

/// The kind of a chunk: a whole record, or its first, middle or last part.
const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// Appends records. Each is handed to the system whole, so that a killed process loses none.
#[derive(Debug)]
pub struct Writer {
    file: File,
    len: u64,
}

impl Writer {
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(&MAGIC)?;
        Ok(Self { file, len: MAGIC.len() as u64 })
    }

    /// Bytes so far: the end of the last record.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Appends a record. If that fails, the file is as it was before.
    pub fn append(&mut self, kind: Kind) -> io::Result<()> {
        let framed = frame(&Record { kind: Some(kind) }.encode_to_vec(), self.len);
        let written = self.file.write_all(&framed);
        if written.is_err() {
            self.file.set_len(self.len)?;
            self.file.seek(SeekFrom::Start(self.len))?;
            return written;
        }
        self.len += framed.len() as u64;
        Ok(())
    }
}

/// The chunks of a record that begins `at` this place of the file.
fn frame(mut payload: &[u8], at: u64) -> Vec<u8> {
    let mut framed = Vec::with_capacity(payload.len() + 2 * HEADER as usize);
    let mut first = true;
    loop {
        let room = BLOCK - (at + framed.len() as u64) % BLOCK;
        if room < HEADER {
            framed.resize(framed.len() + room as usize, 0);
            continue;
        }
        let part = payload.split_off(..payload.len().min((room - HEADER) as usize)).unwrap_or_default();
        let kind = match (first, payload.is_empty()) {
            (true, true) => FULL,
            (true, false) => FIRST,
            (false, false) => MIDDLE,
            (false, true) => LAST,
        };
        framed.extend(checksum(kind, part).to_le_bytes());
        framed.extend((part.len() as u16).to_le_bytes()); // a block is shorter than 65536
        framed.push(kind);
        framed.extend(part);
        if payload.is_empty() {
            return framed;
        }
        first = false;
    }
}

fn checksum(kind: u8, part: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(part);
    hasher.finalize()
}

/// Reads the records between two places of a file: each (none where it is of a kind that we do not write) with the place
/// where it ends. A record that is cut short, as a killed process leaves it, ends the file; a wrong checksum is an error,
/// and nothing is read after it.
#[derive(Debug)]
pub struct Reader {
    file: BufReader<File>,
    at: u64,
    end: u64,
}

impl Reader {
    /// From the end of some record (0 is the beginning) to `end` (none is the end of the file).
    pub fn open(path: &Path, from: u64, end: Option<u64>) -> io::Result<Self> {
        let mut file = BufReader::new(File::open(path)?);
        let end = end.unwrap_or(file.get_ref().metadata()?.len());
        if from == 0 {
            let mut magic = [0; MAGIC.len()];
            file.read_exact(&mut magic)?;
            if magic != MAGIC {
                return Err(corrupt("no .wandb file: the first bytes are others"));
            }
        }
        let at = from.max(MAGIC.len() as u64);
        file.seek(SeekFrom::Start(at))?;
        Ok(Self { file, at, end })
    }

    /// The next record's bytes; none where the file ends, also in the middle of a record.
    fn payload(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut payload = Vec::new();
        loop {
            let room = BLOCK - self.at % BLOCK;
            if room < HEADER {
                self.file.seek_relative(room.cast_signed())?;
                self.at += room;
            }
            if self.end.saturating_sub(self.at) < HEADER {
                return Ok(None);
            }
            let mut header = [0; HEADER as usize];
            self.file.read_exact(&mut header)?;
            let [c0, c1, c2, c3, l0, l1, kind] = header;
            let len = u16::from_le_bytes([l0, l1]);
            self.at += HEADER;
            if self.end - self.at < u64::from(len) {
                return Ok(None);
            }
            let mut part = vec![0; usize::from(len)];
            self.file.read_exact(&mut part)?;
            self.at += u64::from(len);
            if checksum(kind, &part) != u32::from_le_bytes([c0, c1, c2, c3]) {
                return Err(corrupt("wrong checksum"));
            }
            if matches!(kind, FULL | FIRST) && !payload.is_empty() {
                return Err(corrupt("a record begins inside another"));
            }
            payload.extend(part);
            if matches!(kind, FULL | LAST) {
                return Ok(Some(payload));
            }
        }
    }
}

fn corrupt(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

impl Iterator for Reader {
    type Item = io::Result<(Option<Kind>, u64)>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.payload().transpose()?;
        let record = record.and_then(|bytes| Record::decode(bytes.as_slice()).map_err(|_| corrupt("no record")));
        if record.is_err() {
            self.end = 0;
        }
        Some(record.map(|record| (record.kind, self.at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Output;

    fn line(n: usize) -> Kind {
        Kind::Output(Output { output_type: 1, timestamp: None, line: "x".repeat(n) })
    }

    fn read(path: &Path) -> Vec<Kind> {
        Reader::open(path, 0, None).unwrap().map_while(Result::ok).filter_map(|(kind, _)| kind).collect()
    }

    #[test]
    fn records_of_all_sizes_come_back_across_block_borders() {
        let dir = tempfile::tempdir().unwrap();
        // every distance of a record's end from the border of a block, then records longer than blocks
        for left in 0..20 {
            let path = dir.path().join(format!("{left}.wandb"));
            let records = [line(BLOCK as usize - 40 - left), line(3), line(70_000), line(0), line(32_768)];
            let mut writer = Writer::create(&path).unwrap();
            records.iter().for_each(|record| writer.append(record.clone()).unwrap());
            assert_eq!(writer.len(), path.metadata().unwrap().len());
            assert_eq!(read(&path), records, "{left}");
        }
    }

    #[test]
    fn a_record_that_is_cut_short_ends_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.wandb");
        let mut writer = Writer::create(&path).unwrap();
        writer.append(line(10)).unwrap();
        let whole = writer.len();
        writer.append(line(40_000)).unwrap();
        for len in [whole, whole + 1, whole + 7, whole + 30, BLOCK, BLOCK + 9, writer.len() - 1] {
            let bytes = std::fs::read(&path).unwrap();
            let cut = dir.path().join("cut.wandb");
            std::fs::write(&cut, &bytes[..len as usize]).unwrap();
            assert!(Reader::open(&cut, 0, None).unwrap().all(|record| record.is_ok()), "{len}");
            assert_eq!(read(&cut), [line(10)], "{len}");
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.wandb");
        std::fs::write(&path, b"PK\x03\x04....").unwrap();
        assert!(Reader::open(&path, 0, None).is_err());
        let mut writer = Writer::create(&dir.path().join("b.wandb")).unwrap();
        writer.append(line(10)).unwrap();
        let mut bytes = std::fs::read(dir.path().join("b.wandb")).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let mut reader = Reader::open(&path, 0, None).unwrap();
        assert!(reader.next().unwrap().is_err());
        assert!(reader.next().is_none());
    }
}
