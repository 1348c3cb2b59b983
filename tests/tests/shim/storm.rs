//! Many runs at once, killed at random times.

use std::time::Duration;

use windlass_sim::Rng;
use windlass_tests::seeds;

use crate::Storm;

/// Kills in one case at the most.
const MOST_KILLS: u64 = 6;

/// Seen to fail without the probe of an effect in doubt, and with an effect before its commit.
#[test]
fn killed_at_random_no_event_is_lost_and_no_effect_doubled() {
    for seed in seeds(4) {
        let mut rng = Rng::new(seed);
        let storm = Storm::new(rng.range(5..25), rng.range(5..25));
        for _ in 0..=rng.range(0..MOST_KILLS) {
            let mut worker = storm.command().spawn().unwrap();
            // Any moment is as good as any other; that they differ is all that the sleep is for.
            std::thread::sleep(Duration::from_millis(rng.range(1..120)));
            worker.kill().unwrap();
            worker.wait().unwrap();
        }
        storm.finish(&format!("WINDLASS_SEED={seed}"));
    }
}
