//! How many seeded cases a test makes: few in every run of the tests, as many as there is time for in `tests/soak`.
#![expect(clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::ops::Range;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// The seeds of a test that makes so many cases by itself: `WINDLASS_SOAK=N` makes N times as many, `WINDLASS_FIRST=N` begins with
/// seed N, `WINDLASS_SEED=N` repeats that one alone.
pub fn seeds(cases: u64) -> Range<u64> {
    if let Some(seed) = setting("WINDLASS_SEED") {
        return seed..seed + 1;
    }
    let first = setting("WINDLASS_FIRST").unwrap_or(1);
    first..first + cases * setting("WINDLASS_SOAK").unwrap_or(1)
}

/// Whether there is time for every case of a sweep.
pub fn soaking() -> bool {
    setting("WINDLASS_SOAK").is_some()
}
