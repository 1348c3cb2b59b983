//! An event, as it stands in a record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use windlass_tests::readers::event;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fuzz_target!(|bytes: &[u8]| event::judge(bytes).unwrap_or_else(|why| panic!("{why}")));
