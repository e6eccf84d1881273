//! TFRecord framing: length and payload, each followed by its checksum.

use crc::{CRC_32_ISCSI, Crc};

/// CRC-32C.
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// One record of a file.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    [&length, &checksum(&length)[..], payload, &checksum(payload)].concat()
}

/// The format rotates a checksum and adds a constant, so that one of data with checksums in it is still a good one.
fn checksum(data: &[u8]) -> [u8; 4] {
    CRC.checksum(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The payload of a file's only record; none where a checksum or the length is wrong.
    fn unframe(record: &[u8]) -> Option<&[u8]> {
        let (length, rest) = record.split_at_checked(8)?;
        let (length_crc, rest) = rest.split_at_checked(4)?;
        let (payload, payload_crc) = rest.split_at_checked(rest.len().checked_sub(4)?)?;
        let right = checksum(length) == length_crc && checksum(payload) == payload_crc;
        (right && payload.len() as u64 == u64::from_le_bytes(length.try_into().ok()?)).then_some(payload)
    }

    #[test]
    fn checksum_of_the_format_s_own_example() {
        assert_eq!(CRC.checksum(b"123456789"), 0xe306_9283);
        // the first record of every event file has this header when its payload has 24 bytes
        assert_eq!(frame(&[0; 24])[..12], [24, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22]);
    }

    proptest! {
        #[test]
        fn a_record_gives_its_payload_back(payload: Vec<u8>) {
            let record = frame(&payload);
            prop_assert_eq!(unframe(&record), Some(&payload[..]));
        }

        #[test]
        fn a_flipped_bit_or_a_missing_end_is_seen(payload: Vec<u8>, at: prop::sample::Index, bit in 0..8u8) {
            let mut record = frame(&payload);
            let at = at.index(record.len());
            prop_assert_eq!(unframe(&record[..at]), None);
            record[at] ^= 1u8 << bit;
            prop_assert_eq!(unframe(&record), None);
        }
    }
}
