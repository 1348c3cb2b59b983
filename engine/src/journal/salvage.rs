//! Finds whole records among damaged ones, at any byte, in bounded memory.

use std::fs::File;
use std::io;

use super::frame::{self, Checked, FRAME_HEADER_BYTES, FrameHeader, Glimpse};
use super::scan::read_at;

/// How much is read at once; a record that needs more is read whole, and none is larger than the frame's limit.
const CHUNK_BYTES: usize = 256 << 10;

/// Walks over the whole records that stand anywhere in a segment file.
pub(crate) struct Search<'a> {
    file: &'a File,
    /// The byte of the file that `buffer` begins with.
    base: u64,
    buffer: Vec<u8>,
    /// How much of the buffer was read.
    read: usize,
    /// Where in the buffer the next record may begin.
    at: usize,
}

/// A record that was found, with its bytes.
pub(crate) struct Found<'a> {
    pub(crate) header: FrameHeader,
    /// The byte of the file that it begins at.
    pub(crate) begins: u64,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Search<'a> {
    /// Looks from a byte of the file on.
    pub(crate) fn new(file: &'a File, from: u64) -> Self {
        Self { file, base: from, buffer: Vec::new(), read: 0, at: 0 }
    }

    /// The next whole record whose header may be one that is looked for; that makes the checksum's turn rare.
    pub(crate) fn next(&mut self, wanted: impl Fn(&Glimpse) -> bool) -> io::Result<Option<Found<'_>>> {
        while self.have(FRAME_HEADER_BYTES)? {
            let header = if frame::glimpse(&self.buffer[self.at..self.read]).is_some_and(|seen| wanted(&seen)) {
                self.whole()?
            } else {
                None
            };
            if let Some(header) = header {
                let bytes = self.at..self.at + header.frame_bytes();
                self.at = bytes.end;
                return Ok(Some(Found { header, begins: self.base + bytes.start as u64, bytes: &self.buffer[bytes] }));
            }
            self.at += 1;
        }
        Ok(None)
    }

    /// The header of the record that begins right here, if one does.
    pub(crate) fn whole(&mut self) -> io::Result<Option<FrameHeader>> {
        loop {
            match frame::check(&self.buffer[self.at..self.read]) {
                Checked::Whole(header) => return Ok(Some(header)),
                Checked::Short(need) if self.have(need)? => {}
                Checked::Short(_) | Checked::Bad(_) | Checked::Newer { .. } => return Ok(None),
            }
        }
    }

    /// Reads on until so many bytes are there from `at` on; `false` if the file ends before.
    fn have(&mut self, need: usize) -> io::Result<bool> {
        if self.read - self.at >= need {
            return Ok(true);
        }
        self.buffer.copy_within(self.at..self.read, 0);
        self.base += self.at as u64;
        (self.read, self.at) = (self.read - self.at, 0);
        if self.buffer.len() < need.max(CHUNK_BYTES) {
            self.buffer.resize(need.max(CHUNK_BYTES), 0);
        }
        self.read += read_at(self.file, &mut self.buffer[self.read..], self.base + self.read as u64)?;
        Ok(self.read >= need)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::ids::RunId;
    use crate::journal::frame::MAX_PAYLOAD_BYTES;
    use crate::time::Timestamp;

    fn record(global: u64, payload: usize) -> Vec<u8> {
        let mut frame = vec![b' '; FRAME_HEADER_BYTES + payload];
        let header = FrameHeader {
            length: u32::try_from(payload).unwrap(),
            global,
            run: RunId::from_bytes([1; 16]),
            seq: 1,
            at: Timestamp::from_micros(0),
            commit: global,
            incarnation: 1,
            last_of_commit: true,
            ends_run: false,
            prev: [0; 32],
        };
        header.seal(&mut frame).unwrap();
        frame
    }

    fn found(bytes: &[u8]) -> Vec<(u64, u64)> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let mut search = Search::new(&file, 0);
        let mut found = Vec::new();
        while let Some(Found { header, begins, bytes }) = search.next(|seen| seen.global < 10).unwrap() {
            assert_eq!(bytes.len(), header.frame_bytes());
            found.push((header.global, begins));
        }
        // A length that lies can't make it read more than the largest record.
        assert!(search.buffer.len() <= FRAME_HEADER_BYTES + MAX_PAYLOAD_BYTES, "{} bytes", search.buffer.len());
        found
    }

    /// Seen to fail with the search going on one record, not one byte, behind a bad one; and with a frame's limit not checked.
    #[test]
    fn whole_records_are_found_wherever_they_begin_and_whatever_is_between() {
        for junk in [0, 1, 95, 96, 97, CHUNK_BYTES - 100, CHUNK_BYTES, CHUNK_BYTES + 1] {
            let mut bytes = vec![0xAB; junk];
            bytes.extend(record(3, 2));
            let torn = bytes.len();
            bytes.extend(&record(4, 300)[..200]);
            let last = bytes.len() as u64;
            bytes.extend(record(5, CHUNK_BYTES + 7));
            assert_eq!(found(&bytes), [(3, junk as u64), (5, last)], "{junk} bytes before");
            bytes[junk + 50] ^= 1;
            assert_eq!(found(&bytes), [(5, last)], "a flipped one is none");
            assert_eq!(found(&bytes[..torn + 200]), [], "neither is one whose end is missing");
        }
        // Every length field that may stand there, on a file that ends before.
        for length in [1_u32, 1 << 20, 4 << 20, (4 << 20) + 1, 1 << 31, u32::MAX] {
            let mut bytes = record(3, 2);
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            assert_eq!(found(&bytes), [], "a length of {length}");
        }
    }
}
