//! The bytes of a pickle, taken from front to back.

use super::Result;
use super::stack::nonsense;
use crate::error::Fault;

pub(super) struct Input<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Input { bytes, at: 0 }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or(Fault::TruncatedPickle { at: self.bytes.len() })?;
        self.at += count;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// A length field of `N` bytes. One beyond the file's end is caught by the `take` that follows.
    pub(super) fn length<const N: usize>(&mut self) -> Result<usize> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(&self.array::<N>()?);
        Ok(usize::try_from(u64::from_le_bytes(wide)).unwrap_or(usize::MAX))
    }

    fn text(&mut self, count: usize) -> Result<&'a str> {
        let bytes = self.take(count)?;
        std::str::from_utf8(bytes).map_err(|_| nonsense("text is not UTF-8"))
    }

    /// A text behind its length field of `N` bytes.
    pub(super) fn string<const N: usize>(&mut self) -> Result<&'a str> {
        let count = self.length::<N>()?;
        self.text(count)
    }

    pub(super) fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let count = rest.iter().position(|&byte| byte == b'\n');
        let line = self.text(count.unwrap_or(usize::MAX))?;
        self.at += 1;
        Ok(line)
    }

    /// Two's complement, little-endian, of as many bytes as it takes; none at all is zero.
    pub(super) fn long(&mut self) -> Result<i64> {
        let at = self.at - 1;
        let count = self.length::<1>()?;
        let bytes = self.take(count)?;
        if count > 8 {
            return Err(Fault::IntegerTooWide { at });
        }
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..count].copy_from_slice(bytes);
        Ok(i64::from_le_bytes(wide))
    }
}
