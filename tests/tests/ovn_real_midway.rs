//! Other members that are killed, hang or are cut off in the middle of an exchange on real rafts: nothing is done to a vote meanwhile, the
//! run says what it waits for, and goes on when they are back; skipped, loudly, where there are no database servers.
//!
//! Seen to fail without the quorum guard and the wait for the members; with a member that was cut off within an election timer of the
//! next step, which nobody can see.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt as _;
use windlass_engine::{AttemptHook, AttemptInfo, Before};
use windlass_sim::kube_ovn::{Database, KubeOvn};
use windlass_sim::{Audit, SimClock};
use windlass_tests::Ending;
use windlass_tests::raft::until;
use windlass_tests::real::{Case, Leaving, Real, try_all};

/// How long a kubelet leaves a killed server alone: no sooner is the member back.
const DEAD_FOR: Duration = Duration::from_secs(6);

/// How long others hang or are cut off, after the run has said so.
const HELD_FOR: Duration = Duration::from_secs(3);

/// More than an election timer.
const UNHEARD_AFTER: Duration = Duration::from_millis(1_500);

/// What happens to another member.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blow {
    /// Its servers are killed; the kubelet starts them again.
    Kill,
    /// Its servers stand still.
    Hang,
    /// It neither sends nor takes any message of the rafts, and answers all else.
    CutOff,
}

/// When it happens: right before the first attempt of this step, once so many kicks were accepted.
#[derive(Clone, Copy)]
struct Moment {
    step: &'static str,
    kicks: usize,
}

const AFTER_THE_FIRST_KICK: Moment = Moment { step: "await-ovn-members", kicks: 1 };
const BEFORE_THE_POD_GOES: Moment = Moment { step: "remove-central-pod", kicks: 2 };
const BEFORE_THE_PATCH: Moment = Moment { step: "set-central-members", kicks: 2 };

const NOBODY_LEADS: &str = "nobody has led the northbound database";
const SILENT: &str = "does not answer";

/// Strikes a member at a moment.
struct Strike {
    moment: Moment,
    blow: Blow,
    node: &'static str,
    kube_ovn: KubeOvn,
    clock: SimClock,
    struck: AtomicBool,
    at: Mutex<Option<DateTime<Utc>>>,
}

impl AttemptHook for Strike {
    fn before(&self, info: &AttemptInfo) -> Before {
        let now = info.activity == self.moment.step && self.kube_ovn.accepted_kicks().len() == self.moment.kicks;
        if now && !self.struck.swap(true, Ordering::Relaxed) {
            *self.at.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.now());
            self.set(true);
            if self.blow == Blow::CutOff {
                // Whoever was heard within an election timer counts as alive: nobody can know otherwise.
                std::thread::sleep(UNHEARD_AFTER);
            }
        }
        Before::Proceed
    }
}

impl Strike {
    fn set(&self, on: bool) {
        match self.blow {
            Blow::Hang => self.kube_ovn.suspend(self.node, on),
            Blow::Kill if !on => {}
            Blow::Kill => Database::BOTH.iter().for_each(|database| self.kube_ovn.crash(self.node, *database)),
            Blow::CutOff => Database::BOTH.iter().for_each(|database| self.cut(*database, on)),
        }
    }

    /// On a runtime of its own: the worker must not get further before it is done.
    fn cut(&self, database: Database, on: bool) {
        // Another test takes the place of the one before it; this one makes elections come a little later.
        let test = if on { "stop-raft-rpc" } else { "delay-election" };
        let words = ["ovn-appctl", "-t", database.control(), "cluster/failure-test", test];
        let told = std::thread::scope(|scope| {
            let run = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime can be built").block_on(self.kube_ovn.exec(self.node, &words))
            };
            scope.spawn(run).join().expect("it does not panic")
        });
        assert!(told.is_some_and(|told| told.code == 0), "a server can be cut off");
    }

    fn at(&self) -> Option<DateTime<Utc>> {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was changed or kicked between two moments.
fn acts(audit: &Audit, kube_ovn: &KubeOvn, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<String> {
    let within = |at: DateTime<Utc>| from <= at && at < until;
    let written = audit.records().into_iter().filter(|record| record.code < 300 && within(record.at));
    let written = written.filter(|record| !record.path.contains("selfsubjectaccessreview"));
    let kicked = kube_ovn.kicks().into_iter().filter(|kick| within(kick.at));
    let written = written.map(|record| format!("{} {}", record.verb, record.path));
    written.chain(kicked.map(|kick| format!("kick of {} in {}", kick.server, kick.pod))).collect()
}

/// A member that does not lead is exchanged; another one is struck, and while it is away the run says what it waits for and how that
/// member is.
async fn struck(moment: Moment, blow: Blow, node: &'static str, words: (&str, &str)) -> Result<()> {
    let Some(real) = Real::start_with(Leaving::Follower, DEAD_FOR).await.context("the cluster")? else { return Ok(()) };
    let (kube_ovn, clock) = (real.kube_ovn().clone(), real.stage.sim.clock().clone());
    let (struck, at) = (AtomicBool::new(false), Mutex::default());
    let strike = Arc::new(Strike { moment, blow, node, kube_ovn, clock, struck, at });
    let watched = watch(&real, &strike, words);
    let (driven, watched) = tokio::join!(real.drive(real.stage.journal.reopen(), Some(strike.clone())), watched);
    watched?;
    ensure!(driven? == Ending::Completed, "{:?}: {}", real.stage.ending(), real.stage.last_failure());
    real.judge().await
}

async fn watch(real: &Real, strike: &Strike, words: (&str, &str)) -> Result<()> {
    let clock = real.stage.sim.clock();
    let begun = until("the blow", async || strike.at().context("nothing happened")).await?;
    let address = real.address_of(strike.node)?;
    until("the run to say what it waits for", async || {
        let said = real.stage.progress().await;
        let of_member = |said: &String| said.split("; ").any(|part| part.contains(&address) && part.contains(words.1));
        let fits = |said: &String| said.contains(words.0) && of_member(said);
        ensure!(said.iter().any(fits), "of {address} it says {said:?}");
        Ok(())
    })
    .await?;
    let back = if strike.blow == Blow::Kill {
        begun + TimeDelta::from_std(DEAD_FOR.mul_f64(clock.speed()))?
    } else {
        tokio::time::sleep(HELD_FOR).await;
        let back = clock.now();
        strike.set(false);
        back
    };
    clock.sleep_until(back).await;
    let acts = acts(real.stage.sim.audit(), real.kube_ovn(), begun, back);
    ensure!(acts.is_empty(), "while a voter was away: {acts:?}");
    Ok(())
}

const CASES: [Case; 5] = [
    ("a follower is killed after the first kick", || {
        struck(AFTER_THE_FIRST_KICK, Blow::Kill, "control-plane-1", (NOBODY_LEADS, SILENT)).boxed_local()
    }),
    ("the leader is killed before the pod goes", || {
        let words = ("the quorum guard does not let us delete the pod", SILENT);
        struck(BEFORE_THE_POD_GOES, Blow::Kill, "control-plane-0", words).boxed_local()
    }),
    ("the leader is killed before the patch", || {
        let words = ("the quorum guard does not let us restart the members", SILENT);
        struck(BEFORE_THE_PATCH, Blow::Kill, "control-plane-0", words).boxed_local()
    }),
    ("a follower hangs after the first kick", || {
        struck(AFTER_THE_FIRST_KICK, Blow::Hang, "control-plane-1", (NOBODY_LEADS, SILENT)).boxed_local()
    }),
    ("a follower is cut off after the first kick", || {
        struck(AFTER_THE_FIRST_KICK, Blow::CutOff, "control-plane-1", (NOBODY_LEADS, "has lost touch")).boxed_local()
    }),
];

#[test]
fn nothing_is_done_while_a_voter_is_away() -> Result<()> {
    try_all(&CASES)
}
