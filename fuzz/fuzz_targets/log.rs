//! The journal's log: segments, frames, records.
//!
//! Seen to fail with the seed of a run that begins with the last event that there can be, while such records were taken.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use windlass_tests::readers::log;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fuzz_target!(|bytes: &[u8]| log::judge(bytes).unwrap_or_else(|why| panic!("{why}")));
