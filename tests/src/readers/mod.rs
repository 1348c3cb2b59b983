//! Readers of bytes that somebody else may have written, valid inputs for each, and what must hold for any input: it is read or
//! refused in words, without a panic, and with no more memory than it deserves.
//!
//! `tests/tests/bytes.rs` damages the valid inputs at random; `fuzz/` is led by coverage from them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

pub mod cluster;
pub mod event;
pub mod export;
pub mod log;
pub mod plan;

use std::path::{Path, PathBuf};

use peak_alloc::PeakAlloc;
use windlass_engine::Record;
use windlass_engine::journal::JournalReader;

/// A reader, by the name of its fuzzing target.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// The name.
    pub name: &'static str,
    /// Valid inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What must hold for any input.
    pub judge: fn(&[u8]) -> Result<(), String>,
}

/// All of them.
pub const READERS: [Reader; 6] = [
    Reader { name: "log", seeds: log::seeds, judge: log::judge },
    Reader { name: "event", seeds: event::seeds, judge: event::judge },
    Reader { name: "export", seeds: export::seeds, judge: export::judge },
    Reader { name: "plan", seeds: plan::seeds, judge: plan::judge },
    Reader { name: "snapshot", seeds: cluster::snapshots, judge: cluster::judge_snapshot },
    Reader { name: "raft_status", seeds: cluster::raft_statuses, judge: cluster::judge_raft_status },
];

/// A reader may use a fixed amount, and so many bytes for each byte of input. Measured only where [`PeakAlloc`] is the allocator.
pub fn bounded<T>(input: usize, fixed: usize, each: usize, read: impl FnOnce() -> T) -> Result<T, String> {
    let memory = PeakAlloc;
    memory.reset_peak_usage();
    let before = memory.current_usage();
    let value = read();
    let rose = memory.peak_usage().saturating_sub(before);
    let most = fixed + each * input;
    if rose > most { Err(format!("it took {rose} bytes of memory for an input of {input}; {most} would do")) } else { Ok(value) }
}

/// The journal of a recorded history.
pub fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("histories").join(name)
}

/// The records of a recorded history.
pub fn recorded(name: &str) -> Vec<Record> {
    JournalReader::open(&corpus(name)).unwrap().records().collect::<Result<_, _>>().unwrap()
}
