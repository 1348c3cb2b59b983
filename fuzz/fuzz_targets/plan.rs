//! A plan that somebody else made.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use windlass_tests::readers::plan;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fuzz_target!(|bytes: &[u8]| plan::judge(bytes).unwrap_or_else(|why| panic!("{why}")));
