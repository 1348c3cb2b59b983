//! A journal that grows, its follower, and calls that go wrong.

use std::sync::Arc;
use std::time::Duration;

use windlass_activities::mirror::read_cluster;
use windlass_engine::journal::{DiskJournal, Journal as _, JournalOptions};
use windlass_engine::mirror::{Follower, MirrorState, Selection};
use windlass_engine::{Clock, RunId, Timestamp, TokioClock};
use windlass_sim::faults::{ApiFault, Effect, Match, When};
use windlass_sim::{FaultScript, Rng};
use windlass_tests::seeds;

use crate::rig::{Scene, new, run};

/// Whatever happens to calls, nothing is doubled, lost or claimed too early. Seen to fail with errors of a put swallowed, and with
/// chunks that do not count left in the way.
#[tokio::test(start_paused = true)]
async fn conflicts_and_lost_answers_neither_double_nor_lose_a_record() {
    for seed in seeds(4) {
        storm(seed).await;
    }
}

async fn storm(seed: u64) {
    let (scene, dir, mut rng) = (Scene::new().await, tempfile::tempdir().expect("a folder"), Rng::new(seed));
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(Timestamp::from_micros(1_800_000_000_000_000)));
    let mut journal = DiskJournal::open(dir.path(), &clock, JournalOptions::default()).expect("it opens");
    let effects = [
        Effect::ResetBefore,
        Effect::ResetAfter,
        Effect::Status { code: 409, retry_after_seconds: None, applied: false },
        Effect::Status { code: 504, retry_after_seconds: None, applied: true },
        Effect::Status { code: 429, retry_after_seconds: Some(1), applied: false },
    ];
    let faults = effects.map(|effect| ApiFault {
        on: Match { resource: Some("secrets".to_owned()), ..Match::default() },
        when: When { probability: Some(0.06), ..When::default() },
        effect,
    });
    scene.sim.faults().add(FaultScript { api: faults.to_vec() });
    let ours = Selection::OfCluster(scene.cluster.id().to_string());
    let follower = Follower::new(journal.tail(), Box::new(scene.mirror()), ours, &MirrorState::default(), clock).required(true);
    let (mut watch, following) = (follower.watch(), tokio::spawn(follower.run()));
    let mut seqs = [0_u64; 3];
    for _ in 0..40 {
        let count = rng.range(1..6);
        let mut batch = Vec::new();
        for _ in 0..count {
            let index = usize::try_from(rng.range(0..3)).expect("small");
            seqs[index] += 1;
            let bytes = [10, 3_000, 40_000, 90_000][usize::try_from(rng.range(0..4)).expect("small")];
            batch.push(new(u8::try_from(index + 1).expect("small"), seqs[index], bytes));
        }
        journal.append(&batch).expect("it takes them");
        tokio::time::sleep(Duration::from_millis(rng.range(0..3_000))).await;
        assert!(!watch.state().refused, "seed {seed}: {:?}", watch.state());
        let runs = (1..).zip(seqs).map(|(number, last)| (run(number), last));
        // What is claimed now is there when one looks later.
        let claims: Vec<(RunId, u64, u64)> =
            runs.map(|(run, last)| (run, last, (0..=last).rev().find(|seq| watch.holds(run, *seq)).unwrap_or(0))).collect();
        scene.sim.faults().clear();
        let there = read_cluster(&scene.cluster).await.expect("it is readable at every moment");
        let there = there.first().map(|copy| copy.open.clone()).unwrap_or_default();
        scene.sim.faults().add(FaultScript { api: faults.to_vec() });
        for (run, last, claimed) in claims {
            let held = there.get(&run).map_or(0, Vec::len) as u64;
            assert!(claimed <= held && held <= last, "seed {seed}: {claimed} claimed, {held} there of {last}");
        }
    }
    scene.sim.faults().clear();
    let last: u64 = seqs.iter().sum();
    let all = tokio::time::timeout(Duration::from_secs(3_600), async {
        while watch.state().held_to < last {
            assert!(watch.changed().await, "seed {seed}: the follower has ended: {:?}", watch.state());
        }
    });
    all.await.expect("it has everything in the end");
    Box::new(journal).close().expect("it closes");
    tokio::time::timeout(Duration::from_secs(3_600), following).await.expect("it ends").expect("no panic");
    let copy = scene.copy().await;
    let lengths: Vec<u64> = copy.open.values().map(|records| records.len() as u64).collect();
    assert_eq!((lengths, copy.required), (seqs.into_iter().filter(|last| *last > 0).collect(), true), "seed {seed}");
}
