//! What a database of ovn-central says of its raft.
//!
//! Seen to fail after two seconds: a refusal of 404 bytes, cut short before what can't be printed was escaped.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use windlass_tests::readers::cluster;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fuzz_target!(|bytes: &[u8]| cluster::judge_raft_status(bytes).unwrap_or_else(|why| panic!("{why}")));
