//! Replay: what a history and a workflow lead to, what is said when they do not go together, and that it is the same every time.
#![cfg(test)]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at the events that it is about")]

#[path = "../support/mod.rs"]
mod bench;
mod leads;
mod live;
mod mismatches;
mod property;
#[path = "../support/seeds.rs"]
mod seeds;
mod support;
