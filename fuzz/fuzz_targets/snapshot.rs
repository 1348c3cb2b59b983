//! A snapshot of a cluster.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use windlass_tests::readers::cluster;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fuzz_target!(|bytes: &[u8]| cluster::judge_snapshot(bytes).unwrap_or_else(|why| panic!("{why}")));
