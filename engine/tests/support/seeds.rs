//! How many seeded cases a storm makes, and from which on: few in every run of the tests, as many as there is time for in `tests/soak`.
#![allow(dead_code, clippy::panic, reason = "a test fails by panicking, its helpers too, and each uses its own part of them")]

use std::ops::Range;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// The seeds of a test that makes so many cases by itself: `WINDLASS_SOAK=N` makes N times as many, `WINDLASS_FIRST=N` begins with
/// seed N, `WINDLASS_SEED=N` repeats that one alone.
pub fn seeds(cases: u64) -> Seeds {
    let left = if let Some(seed) = setting("WINDLASS_SEED") {
        seed..seed + 1
    } else {
        let first = setting("WINDLASS_FIRST").unwrap_or(1);
        first..first + cases * setting("WINDLASS_SOAK").unwrap_or(1)
    };
    Seeds { left, last: None }
}

/// Whether there is time for every case of a sweep.
pub fn soaking() -> bool {
    setting("WINDLASS_SOAK").is_some()
}

/// Seeds one after the other. Whatever a case fails with, its seed is named.
pub struct Seeds {
    left: Range<u64>,
    last: Option<u64>,
}

impl Iterator for Seeds {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.last = self.left.next();
        self.last
    }
}

impl Drop for Seeds {
    fn drop(&mut self) {
        if let Some(seed) = self.last.filter(|_| std::thread::panicking()) {
            eprintln!("this was seed {seed}; repeat it with WINDLASS_SEED={seed}");
        }
    }
}
