//! The API goes away for any stretch between the first host that is told to reboot and the end of the wait for the reboots, seen from
//! the worker: a network in between that is gone. Every node reboots once to take the new plugin, whatever is heard of it and when.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use windlass_engine::journal::{Journal, JournalError, MemoryJournal, OperationalNote, RecoveryNote, RunHead};
use windlass_engine::{Event, NewEvent, Record, RunId};
use windlass_sim::Scenario;
use windlass_tests::migration::{each_rebooted, migrated, to_ovn};
use windlass_tests::{Ending, Stage, on_paused_time};

/// How long the API is away, in minutes.
const STRETCHES: [u64; 3] = [2, 20, 50];

/// A worker that can't connect ends at once, and is started again.
const BETWEEN_STARTS: Duration = Duration::from_secs(60);

/// As often at the most: an hour and a half.
const MOST_STARTS: usize = 90;

/// What is told of an append, by its number.
type Listener = Arc<dyn Fn(u64, &[NewEvent]) + Send + Sync>;

/// A journal in memory that says what is appended to it.
struct Overheard {
    journal: MemoryJournal,
    listener: Listener,
}

impl Journal for Overheard {
    fn append(&mut self, events: &[NewEvent]) -> Result<(), JournalError> {
        self.journal.append(events)?;
        (self.listener)(self.journal.appends(), events);
        Ok(())
    }

    fn runs(&mut self) -> Result<Vec<RunHead>, JournalError> {
        self.journal.runs()
    }

    fn replay(&mut self, run: RunId, each: &mut dyn FnMut(Record) -> ControlFlow<()>) -> Result<(), JournalError> {
        self.journal.replay(run, each)
    }

    fn note(&mut self, note: OperationalNote) {
        self.journal.note(note);
    }

    fn notes(&mut self, run: RunId) -> Vec<OperationalNote> {
        self.journal.notes(run)
    }

    fn incarnation(&self) -> u64 {
        self.journal.incarnation()
    }

    fn recovery(&self) -> &[RecoveryNote] {
        self.journal.recovery()
    }

    fn close(self: Box<Self>) -> Result<(), JournalError> {
        Box::new(self.journal).close()
    }
}

async fn begin(stage: &Stage, listener: Listener) -> anyhow::Result<()> {
    let proof = to_ovn();
    let journal = Overheard { journal: stage.journal.reopen(), listener };
    stage.drive(Box::new(journal), Some(stage.creation(&proof.input, &proof.approvals)?), None).await
}

fn stage() -> Stage {
    let proof = to_ovn();
    Stage::new(proof.workflow, proof.shape, Scenario::default())
}

/// The appends of an undisturbed run from the first host that is told to the last that is seen to have rebooted.
fn appends_meanwhile() -> Vec<u64> {
    let heard: Arc<Mutex<Vec<(u64, bool, bool)>>> = Arc::default();
    let listener: Listener = {
        let heard = heard.clone();
        Arc::new(move |append, events| {
            let arms =
                |event: &NewEvent| matches!(&event.event, Event::ActivityScheduled { activity, .. } if activity == "arm-reboot");
            let seen = |event: &NewEvent| matches!(&event.event, Event::ActivityCompleted { output, .. } if output.to_string().contains("have rebooted and are ready"));
            let entry = (append, events.iter().any(arms), events.iter().any(seen));
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        })
    };
    on_paused_time(async {
        let stage = stage();
        begin(&stage, listener).await.expect("the stage works");
        assert_eq!(stage.ending(), Ending::Completed, "{}", stage.last_failure());
        migrated(&stage);
    });
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let first = heard.iter().find(|(_, arms, _)| *arms).expect("hosts are told").0;
    let last = heard.iter().find(|(_, _, seen)| *seen).expect("the reboots are seen").0;
    (first..=last).collect()
}

/// What becomes of the worker meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Worker {
    /// It lives through it.
    Lives,
    /// It dies in the middle, and others try in vain.
    DiesInTheMiddle,
    /// It dies as the API goes: what it did last is done and not on record.
    DiesFirst,
}

/// The API goes away with this append, for so many minutes.
fn away(append: u64, minutes: u64, worker: Worker) {
    let what = format!("{minutes} min without an API from append {append} on, the worker {worker:?}");
    let stretch = Duration::from_secs(minutes * 60);
    on_paused_time(async {
        let stage = stage();
        match worker {
            Worker::Lives => begin(&stage, cut(&stage, append, stretch)).await.expect("the stage works"),
            Worker::DiesInTheMiddle => {
                let died = async {
                    while stage.journal.appends() < append {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    tokio::time::sleep(stretch / 2).await;
                };
                tokio::select! {
                    driven = begin(&stage, cut(&stage, append, stretch)) => driven.expect("the stage works"),
                    () = died => {}
                }
            }
            Worker::DiesFirst => {
                let proof = to_ovn();
                stage.start(&proof.input, &proof.approvals, Some(append), None).await.expect("the stage works");
                cut(&stage, 0, stretch)(0, &[]);
            }
        }
        resume_until_connected(&stage, &what).await;
        assert_eq!(stage.ending(), Ending::Completed, "{what}: {}", stage.last_failure());
        migrated(&stage);
        each_rebooted(&stage.sim, 2, &what);
        told_once(&stage, &what);
    });
}

/// Takes the API away at an append, and gives it back.
fn cut(stage: &Stage, append: u64, stretch: Duration) -> Listener {
    let (service, runtime) = (stage.sim.service(), Handle::current());
    Arc::new(move |number, _| {
        if number != append {
            return;
        }
        service.cut_off(true);
        let service = service.clone();
        runtime.spawn(async move {
            tokio::time::sleep(stretch).await;
            service.cut_off(false);
        });
    })
}

/// Starts workers until one connects, if the run has not ended; in vain at first, because the API is away.
async fn resume_until_connected(stage: &Stage, what: &str) {
    if stage.ending() == Ending::Completed {
        return;
    }
    for started in 0..MOST_STARTS {
        if stage.resume(None).await.is_ok() {
            assert!(started > 0, "{what}: it was resumed with the API away");
            return;
        }
        tokio::time::sleep(BETWEEN_STARTS).await;
    }
    unreachable!("{what}: no worker ever connects")
}

/// Whatever was repeated, each host was only ever told by one unit.
fn told_once(stage: &Stage, what: &str) {
    let records = stage.sim.audit().records();
    let acts: Vec<&str> = records.iter().map(|record| record.path.as_str()).filter(|path| path.contains("systemd-run")).collect();
    let units: BTreeSet<&str> =
        acts.iter().filter_map(|path| path.split("command=--unit%3D").nth(1)?.split('&').next()).collect();
    assert_eq!(units.len(), stage.sim.reboot_counts().len(), "{what}: {acts:?}");
    assert!(records.iter().all(|record| !record.path.contains("command=shutdown")), "{what}");
}

/// Seen to fail with: a host, or the health after the reboots, for which a person is asked after ten or thirty minutes; the boot id left out of what a host is told.
#[test]
fn the_api_is_away_for_any_stretch_between_arm_and_verify() {
    let appends = appends_meanwhile();
    assert!(appends.len() > 5, "five hosts are told and waited for: {appends:?}");
    for (append, minutes) in appends.iter().flat_map(|append| STRETCHES.map(|minutes| (*append, minutes))) {
        for worker in [Worker::Lives, Worker::DiesInTheMiddle, Worker::DiesFirst] {
            away(append, minutes, worker);
        }
    }
}

/// Seen to fail with: hosts whose addresses were not kept from before; a look that is not made.
#[test]
fn the_hosts_are_looked_at_while_the_api_is_away() {
    on_paused_time(async {
        let stage = stage();
        begin(&stage, Arc::new(|_, _| ())).await.expect("the stage works");
        let said = stage.said();
        let looks: Vec<&String> = said.iter().filter(|text| text.starts_with("the API server is away for")).collect();
        assert!(
            looks.iter().any(|text| text.contains("of 5 hosts") && text.contains(" of 3 on 6443; not answering: ")),
            "{said:?}"
        );
        assert!(looks.iter().any(|text| text.contains("of 5 hosts none answers from here")), "{said:?}");
    });
}
