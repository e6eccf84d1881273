//! How a file begins and ends, looked at before anything in it is believed.

use std::io::{Read, Seek, SeekFrom};

use super::Result;
use crate::error::Fault;

/// Tells torch's older formats and other files apart by how they begin.
pub(super) fn sniff<R: Read + Seek>(source: &mut R, length: u64) -> Result<()> {
    let head = bytes_at(source, 0, 512)?;
    if head.starts_with(b"PK\x03\x04") {
        Ok(())
    } else if head.starts_with(&[0x80]) || head.get(257..262) == Some(b"ustar") {
        Err(Fault::Legacy)
    } else if head.get(8) == Some(&b'{') && number(&head, 0, 8) <= length.saturating_sub(8) {
        Err(Fault::Safetensors)
    } else {
        Err(Fault::NotAnArchive)
    }
}

/// Checks what a zip says of the list of its entries before that is believed: the list, the record of it and the file end where
/// the next begins or nothing does. Readers that search further differ in what they find, and take room for as many entries as a
/// few bytes care to name.
pub(super) fn check_end<R: Read + Seek>(source: &mut R, length: u64) -> Result<()> {
    const END: u64 = 22;
    const LOCATOR: u64 = 20;
    const END64: u64 = 56;
    const SHORTEST_ENTRY: u64 = 46;
    let at = length.saturating_sub(END);
    let end = bytes_at(source, at, END)?;
    if !end.starts_with(b"PK\x05\x06") || number(&end, 20, 2) != 0 {
        return Err(Fault::OpenEnd);
    }
    // Count, size and start of the list, in few bits; all ones where a wide record before this one knows them.
    let narrow = [(10, 2), (12, 4), (16, 4)].map(|(at, size)| (number(&end, at, size), u64::MAX >> (64 - 8 * size)));
    let (mut list, mut list_end, mut agree) = (narrow.map(|(value, _)| value), at, true);
    let locator = bytes_at(source, at.saturating_sub(LOCATOR), LOCATOR)?;
    if locator.starts_with(b"PK\x06\x07") {
        list_end = number(&locator, 8, 8);
        let end64 = bytes_at(source, list_end, END64)?;
        list = [32, 40, 48].map(|at| number(&end64, at, 8));
        agree = end64.starts_with(b"PK\x06\x06")
            && list_end.checked_add(END64 + LOCATOR) == Some(at)
            && narrow.iter().zip(list).all(|(&(value, ones), wide)| value == wide || value == ones);
    }
    let [count, size, start] = list;
    if agree && start.checked_add(size) == Some(list_end) && count <= size / SHORTEST_ENTRY {
        return Ok(());
    }
    let reason = "its list of entries is not where it should be".to_owned();
    Err(Fault::Container { reason })
}

/// `count` bytes from `at` on, zeros where the file ends before.
fn bytes_at<R: Read + Seek>(source: &mut R, at: u64, count: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = source.seek(SeekFrom::Start(at)).and_then(|_| source.by_ref().take(count).read_to_end(&mut bytes));
    read.map_err(|source| Fault::Io { action: "read", source })?;
    bytes.resize(count as usize, 0);
    Ok(bytes)
}

/// The little-endian number of `size` bytes at `at`, which must be there.
fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    bytes[at..at + size].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
