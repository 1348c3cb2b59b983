//! Killed at every system call that changes a file, in turn, before it is made and after.

use std::os::unix::process::ExitStatusExt as _;

use windlass_tests::shim::{Fault, What};
use windlass_tests::soaking;

use crate::Storm;

/// Every call: of the log, the count of starts, the lock, the store, and of the world.
///
/// Seen to fail without the probe of an effect in doubt, and with an effect before its commit.
#[test]
fn killed_at_every_call_a_worker_goes_on_to_the_same_effects() {
    // The store's thread adds its calls when it comes to it; without time for all, its turns are left to chance.
    let files = if soaking() { "" } else { "/log/" };
    for what in [What::KillBefore, What::KillAfter] {
        let mut nth = 1;
        while strike(&Fault { on: "", files, nth, what }) {
            nth += 1;
        }
        assert!(nth > 10, "the program makes more than {nth} calls");
    }
}

/// Answers whether the call was there to be struck at.
fn strike(fault: &Fault) -> bool {
    let storm = Storm::new(2, 3);
    let (status, _) = storm.watch(Some(fault));
    let killed = status.signal() == Some(9);
    assert!(killed || status.success(), "{fault:?}: {status}");
    storm.finish(&format!("{fault:?}"));
    killed
}
