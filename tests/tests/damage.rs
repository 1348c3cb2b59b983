//! A journal on disk is damaged between two workers: the run goes on to the same end, and the operator is told what was mended.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, its helpers too"
)]

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::sync::Notify;
use windlass_engine::journal::{DiskJournal, Journal as _, JournalError, JournalOptions, RecoveryNote, verify};
use windlass_engine::{AttemptHook, AttemptInfo, Before, Event, Record};
use windlass_sim::{ClusterShape, Scenario};
use windlass_tests::Stage;

/// In the middle of the second hop.
const CRASH_AT: usize = 20;

fn input() -> Value {
    json!({"channel": "eus-4.18", "target": "4.18", "pause_days": 14})
}

fn approvals() -> Vec<String> {
    ["ack-hop-2", "release-pool-infra", "release-pool-worker"].map(str::to_owned).to_vec()
}

/// Tells when a certain attempt begins.
#[derive(Default)]
struct TellAt {
    seen: AtomicUsize,
    reached: Notify,
}

impl AttemptHook for TellAt {
    fn before(&self, _: &AttemptInfo) -> Before {
        if self.seen.fetch_add(1, Ordering::Relaxed) == CRASH_AT {
            self.reached.notify_one();
        }
        Before::Proceed
    }
}

fn open(stage: &Stage, dir: &Path) -> Result<DiskJournal, JournalError> {
    DiskJournal::open(dir, stage.clock(), JournalOptions::default())
}

/// Drives the run into its second hop and drops the worker there.
async fn half_way(stage: &Stage, dir: &Path) {
    let hook = Arc::new(TellAt::default());
    let journal = Box::new(open(stage, dir).unwrap());
    let creation = stage.creation(&input(), &approvals()).unwrap();
    tokio::select! {
        driven = stage.drive(journal, Some(creation), Some(hook.clone())) => driven.unwrap(),
        () = hook.reached.notified() => {}
    }
}

fn records(stage: &Stage, dir: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    let keep = &mut |record| {
        records.push(record);
        std::ops::ControlFlow::Continue(())
    };
    open(stage, dir).unwrap().replay(stage.run_id(), keep).unwrap();
    records
}

/// What the cluster sees of a run that nobody disturbs.
fn calm() -> Vec<String> {
    on_paused_time(async {
        let dir = tempfile::tempdir().unwrap();
        let stage = Stage::new("eus-update", ClusterShape::default(), Scenario::default());
        let creation = stage.creation(&input(), &approvals()).unwrap();
        stage.drive(Box::new(open(&stage, dir.path()).unwrap()), Some(creation), None).await.unwrap();
        stage.effects()
    })
}

/// Damages a journal half way, resumes, and compares what the cluster saw; gives what opening said. A lossy damage takes
/// events that were acknowledged.
fn check(calm: &[String], what: &str, lossy: bool, damage: impl FnOnce(&Path)) -> Vec<RecoveryNote> {
    on_paused_time(async {
        let dir = tempfile::tempdir().unwrap();
        let stage = Stage::new("eus-update", ClusterShape::default(), Scenario::default());
        half_way(&stage, dir.path()).await;
        damage(dir.path());
        let journal = open(&stage, dir.path()).unwrap();
        let said = journal.recovery().to_vec();
        stage.drive(Box::new(journal), None, None).await.unwrap();
        let (effects, last) = (stage.effects(), records(&stage, dir.path()).pop().unwrap());
        match last.event {
            Event::RunCompleted { .. } => assert_eq!(effects, calm, "{what}: the cluster saw other writes"),
            // What was acknowledged and is gone can't all be found out again; then the run asks, and nothing is done twice.
            Event::RunParked { .. } if lossy => assert!(calm.starts_with(&effects), "{what}: the cluster saw {effects:?}"),
            other => panic!("{what}: the run ended with {other:?}"),
        }
        assert!(verify(dir.path()).unwrap().damage.is_none(), "{what}");
        said
    })
}

fn on_paused_time<T>(case: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(case)
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 0x20;
    fs::write(file, bytes).unwrap();
}

fn segment(dir: &Path) -> PathBuf {
    files_below(&dir.join("log")).pop().unwrap()
}

fn rebuilt(said: &[RecoveryNote]) -> bool {
    said.iter().any(|note| matches!(note, RecoveryNote::StoreRebuilt { .. }))
}

#[test]
fn a_deleted_store_is_made_again_and_the_run_goes_on() {
    let said = check(&calm(), "store deleted", false, |dir| fs::remove_dir_all(dir.join("store")).unwrap());
    assert!(rebuilt(&said), "{said:?}");
}

#[test]
fn a_flipped_byte_in_the_store_changes_nothing() {
    let calm = calm();
    for share in [0, 1, 2, 3] {
        check(&calm, &format!("every file of the store flipped at {share}/4"), false, |dir| {
            for file in files_below(&dir.join("store")) {
                let length = usize::try_from(fs::metadata(&file).unwrap().len()).unwrap();
                if length > 0 {
                    flip(&file, length * share / 4);
                }
            }
        });
    }
}

#[test]
fn a_log_whose_tail_is_cut_goes_on_from_what_is_left() {
    let calm = calm();
    for bytes in [1, 60, 333, 1_000, 4_000] {
        // The last record alone may be torn by a crash; more is a loss.
        let lossy = bytes > 400;
        let said = check(&calm, &format!("{bytes} bytes cut off the log"), lossy, |dir| {
            let file = fs::OpenOptions::new().write(true).open(segment(dir)).unwrap();
            file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
        });
        let cut = said.iter().any(|note| matches!(note, RecoveryNote::TailCut { .. }));
        assert!(cut || rebuilt(&said), "{bytes} bytes cut, and nobody was told: {said:?}");
    }
}

#[test]
fn a_flipped_byte_in_the_log_is_named_and_no_worker_starts() {
    on_paused_time(async {
        let dir = tempfile::tempdir().unwrap();
        let stage = Stage::new("eus-update", ClusterShape::default(), Scenario::default());
        half_way(&stage, dir.path()).await;
        let whole = verify(dir.path()).unwrap();
        flip(&segment(dir.path()), 2_000);
        let found = verify(dir.path()).unwrap().damage.unwrap();
        assert!(found.record > 1 && found.record < whole.records, "{found:?}");
        let refused = open(&stage, dir.path()).err();
        assert!(matches!(&refused, Some(JournalError::Corrupt { record, .. }) if *record == found.record), "{refused:?}");
    });
}
