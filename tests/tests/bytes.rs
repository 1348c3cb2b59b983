//! Readers of bytes that somebody else may have written: no panic, and no more memory than the input deserves.
//!
//! What must hold is in `tests/src/readers/`; `fuzz/` is led to inputs by coverage, this draws them.

use std::sync::{Arc, Mutex, PoisonError};

use peak_alloc::PeakAlloc;
use windlass_activities::Cluster;
use windlass_engine::view::RunView;
use windlass_engine::{OpenRun, Record, Registry, RunId, Timestamp, replay};
use windlass_tests::readers::{self, cluster, event, export, log, plan};
use windlass_tests::{Storm, withstand};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// One reader at a time, so that the memory measured is its own.
static TURN: Mutex<()> = Mutex::new(());

/// Seen to fail with the limit on a record's length taken out of `frame::check`, and with records taken whose number no other can follow.
#[test]
fn a_log_of_any_bytes() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let storm = Storm { cases: 800, most_bytes: 1 << 17 };
    withstand("log", storm, &log::seeds(), log::judge_as_it_is);
    withstand("log with its checksums mended", storm, &log::seeds()[..1], |bytes| {
        let mut bytes = bytes.to_vec();
        log::reseal(&mut bytes);
        log::judge_as_it_is(&bytes)
    });
}

/// Seen to fail with `in_advance` never written.
#[test]
fn an_event_of_any_bytes() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    withstand("event", Storm { cases: 3_000, most_bytes: 1 << 16 }, &event::seeds(), event::judge);
}

/// Events that are well-formed and stand where no engine would put them: shown, folded and replayed, or refused in
/// words. Seen to fail with a fold that takes an end for granted to have a beginning.
#[test]
fn a_history_of_any_events() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let _inside = runtime.enter();
    let registry = windlass_workflows::register(Registry::new(), &Arc::new(Cluster::absent()));
    let pool: Vec<Record> =
        ["eus-update-r1-harsh", "eus-update-r2-windows-canary-harsh"].into_iter().flat_map(readers::recorded).collect();
    let in_order = |skip: usize, take: usize| -> Vec<u8> {
        (skip..skip + take).flat_map(|i| u16::try_from(i).unwrap().to_le_bytes()).collect()
    };
    let first = readers::recorded("eus-update-r1-harsh").len();
    let seeds = [in_order(0, first), in_order(0, 40), in_order(first, 60)];
    withstand("history", Storm { cases: 400, most_bytes: 1_000 }, &seeds, |bytes| {
        let chosen = bytes.chunks_exact(2).map(|two| &pool[usize::from(u16::from_le_bytes([two[0], two[1]])) % pool.len()]);
        let place = |(seq, record): (u64, &Record)| {
            let at = Timestamp::from_micros(1_700_000_000_000_000 + i64::try_from(seq).unwrap());
            Record { global: seq, run: RunId::from_bytes([7; 16]), seq, at, event: record.event.clone() }
        };
        let history: Vec<Record> = (1..).zip(chosen).map(place).collect();
        let (view, state) = (RunView::fold(&history), OpenRun::fold(&history));
        if view.is_some() != state.is_some() {
            return Err("the view and the state do not agree on whether there is a run".to_owned());
        }
        match replay(history, &registry) {
            Err(mismatch) if mismatch.message.is_empty() => Err("a refusal without a word".to_owned()),
            Ok(_) | Err(_) => Ok(()),
        }
    });
}

/// Seen to fail with neither links nor signature checked.
#[test]
fn an_export_of_any_bytes() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    withstand("export", Storm { cases: 1_000, most_bytes: 1 << 18 }, &export::seeds(), export::judge);
}

#[test]
fn a_plan_file_of_any_bytes() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    withstand("plan file", Storm { cases: 1_000, most_bytes: 1 << 16 }, &plan::seeds(), plan::judge);
}

/// Seen to fail with aliases allowed: two million entries from seven lines.
#[test]
fn a_cluster_snapshot_of_any_bytes() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let storm = Storm { cases: 150, most_bytes: 1 << 20 };
    withstand("cluster snapshot", storm, &cluster::snapshots(), cluster::judge_snapshot);
}

/// Seen to fail with a line that is not known taken for granted, and with what is refused cut short before it is escaped.
#[test]
fn a_raft_status_of_any_bytes() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let storm = Storm { cases: 6_000, most_bytes: 1 << 17 };
    withstand("raft status", storm, &cluster::raft_statuses(), cluster::judge_raft_status);
}
