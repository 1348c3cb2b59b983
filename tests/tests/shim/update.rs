//! The real command in an EUS update: killed at system calls of its journal, with and without a power cut.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use futures::{StreamExt as _, stream};
use windlass_engine::{Event, Record};
use windlass_sim::Rng;
use windlass_tests::shim::{Disk, Fault, Shim, Unsynced, What, trace};
use windlass_tests::{LONGEST, Rig, seeds, soaking};

/// Simulated seconds in a second: an update takes some twelve seconds, most of which it waits.
pub(crate) const SPEED: f64 = 1_000.0;

/// So many of them share a core.
pub(crate) const AT_ONCE: usize = 8;

/// Crashes in one case at the most.
const MOST_CRASHES: u64 = 3;

/// The calls on its journal that an update makes are about so many.
const CALLS: u64 = 150;

/// And those on the log alone; a call that is never made kills nobody.
const LOG_CALLS: u64 = 90;

/// The power is cut after two crashes of three.
///
/// Seen to fail with the syncs of the journal's own folder left out of the trace: its name was then lost with all that is in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_survives_power_cuts_and_kills_at_any_call() {
    stream::iter(seeds(6)).for_each_concurrent(AT_ONCE, crash_in_a_row).await;
}

async fn crash_in_a_row(seed: u64) {
    let (rig, mut rng) = (Rig::new(seed, SPEED).await, Rng::new(seed));
    let (shim, mut disk) = (Shim::build(&rig.beside("")), Disk::load(&rig.disk()));
    let mut what = format!("WINDLASS_SEED={seed}");
    for _ in 0..=rng.range(0..MOST_CRASHES) {
        let kill = if rng.chance(0.5) { What::KillBefore } else { What::KillAfter };
        let fault = Fault { on: "", files: "/journal/", nth: 1 + rng.range(0..CALLS), what: kill };
        let (_, said) = struck(&rig, &shim, &fault).await;
        disk.apply(&trace(&rig.beside("trace")));
        what = format!("{what}, {kill:?} at call {}", fault.nth);
        if rng.chance(0.66) {
            disk = disk.cut(Unsynced::Some(rng.fork("cut")));
            disk.store(&rig.disk());
            what = format!("{what} with the power");
        }
        assert_on_record(&what, &said, &rig.records());
    }
    rig.finish(&what).await;
    rig.judge(&what, &[]);
}

/// Every write, sync and cut of the log in turn; without time for all, a few of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_survives_a_kill_at_every_call_on_its_log() {
    let some = seeds(4).map(|seed| 1 + Rng::new(seed).range(0..LOG_CALLS));
    let calls: Vec<u64> = if soaking() { (1..=LOG_CALLS).collect() } else { some.collect() };
    let cases = calls.iter().flat_map(|nth| [What::KillBefore, What::KillAfter].map(|what| (*nth, what)));
    stream::iter(cases).for_each_concurrent(AT_ONCE, |(nth, what)| kill_at(nth, what)).await;
}

async fn kill_at(nth: u64, what: What) {
    let rig = Rig::new(nth, SPEED).await;
    let fault = Fault { on: "", files: "/log/", nth, what };
    let (status, said) = struck(&rig, &Shim::build(&rig.beside("")), &fault).await;
    assert!(status.success() || status.signal() == Some(9), "{fault:?}: {status}: {said}");
    let known = rig.records();
    assert_on_record(&format!("{fault:?}"), &said, &known);
    if !status.success() {
        rig.finish(&format!("{fault:?}")).await;
    }
    rig.judge(&format!("{fault:?}"), &known);
}

/// Lets the command run until it is struck down, or does what it does then; answers its end and what it said.
pub(crate) async fn struck(rig: &Rig, shim: &Shim, fault: &Fault) -> (ExitStatus, String) {
    let mut command = rig.command();
    let _ = std::fs::remove_file(rig.beside("trace"));
    shim.strike(command.as_std_mut(), &rig.disk(), &rig.beside("trace"), fault);
    let output = tokio::time::timeout(LONGEST, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{fault:?}: the command hangs")).unwrap();
    (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Each step that the logbook said had begun or was done is on record so.
pub(crate) fn assert_on_record(what: &str, said: &str, records: &[Record]) {
    let steps = |word: &str| {
        let numbers = said.lines().filter_map(|line| line.split_once(word)?.1.split_whitespace().next()?.parse::<u32>().ok());
        numbers.collect::<Vec<_>>()
    };
    for step in steps("begin: #") {
        let begun = records.iter().any(|r| matches!(&r.event, Event::ActivityScheduled { command, .. } if command.0 == step));
        assert!(begun, "{what}: step {step} was said to have begun and is not on record");
    }
    for step in steps("done: #") {
        let done = records.iter().any(|r| matches!(&r.event, Event::ActivityCompleted { command, .. } if command.0 == step));
        assert!(done, "{what}: step {step} was said to be done and is not on record");
    }
}
