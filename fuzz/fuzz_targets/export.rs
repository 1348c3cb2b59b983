//! A history that somebody else exported.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use windlass_tests::readers::export;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fuzz_target!(|bytes: &[u8]| export::judge(bytes).unwrap_or_else(|why| panic!("{why}")));
