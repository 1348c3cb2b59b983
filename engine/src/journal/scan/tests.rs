use std::fs;

use super::*;
use crate::journal::frame::MAX_PAYLOAD_BYTES;
use crate::journal::segment::SegmentHeader;

/// Seen to fail with a larger limit.
#[test]
fn a_length_that_lies_never_costs_more_than_the_largest_record() {
    let dir = tempfile::tempdir().unwrap();
    let header =
        SegmentHeader { format: JournalFormat::CURRENT, segment: 1, first_global: 1, commit: 1, prev: [0; 32] }.encode().unwrap();
    for length in [0, 1, 95, 1 << 20, 4 << 20, (4 << 20) + 1, 64 << 20, 1 << 31, u32::MAX] {
        let mut bytes = header.to_vec();
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.resize(SEGMENT_HEADER_BYTES + 1_000, 7);
        fs::write(segment::path(dir.path(), 1), &bytes).unwrap();
        let mut scan = Scanner::new(dir.path().to_owned(), Position::START);
        assert!(!scan.advance().unwrap(), "length {length}");
        let torn = scan.torn().map(|torn| (torn.at.offset, torn.bytes));
        assert_eq!(torn, Some((SEGMENT_HEADER_BYTES as u64, 1_000)), "length {length}");
        assert!(scan.buffer.len() <= FRAME_HEADER_BYTES + MAX_PAYLOAD_BYTES, "length {length}: {} bytes", scan.buffer.len());
    }
}
