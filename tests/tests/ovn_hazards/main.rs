//! Every hazard of ovn-central that a simulated cluster can show, and the change of members that it threatens: refused before anything
//! is changed, stopped by a guard, or waited out in words; and whatever comes, no harm is done by our hand.

mod cases;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cases::Change::Add;
use cases::Comes::{Asks, Ends, Parks, Passes, Refused, Stopped, Waits};
use cases::Shows::{AfterMinutes, Before as Right};
use cases::{Case, Trouble, cases};
use serde_json::Value;
use windlass_engine::{AttemptHook, AttemptInfo, Before};
use windlass_sim::hazards::{self, KUBE_OVN};
use windlass_sim::kube_ovn::KubeOvn;
use windlass_sim::store::resources::PODS;
use windlass_sim::{ClusterShape, Scenario, SimClock};
use windlass_tests::{Ending, Stage, on_paused_time};

/// Lets the trouble come right before an attempt, and go by itself.
struct Upset {
    activity: &'static str,
    left: AtomicUsize,
    trouble: Trouble,
    ovn: KubeOvn,
    clock: SimClock,
}

impl AttemptHook for Upset {
    fn before(&self, info: &AttemptInfo) -> Before {
        if info.activity != self.activity || self.left.fetch_sub(1, Ordering::Relaxed) != 1 {
            return Before::Proceed;
        }
        let Trouble { nodes, what, minutes } = self.trouble;
        for node in nodes {
            what(&self.ovn, node, true);
        }
        if let Some(minutes) = minutes {
            let (ovn, clock) = (self.ovn.clone(), self.clock.clone());
            tokio::spawn(async move {
                clock.sleep(Duration::from_secs(60 * minutes)).await;
                for node in nodes {
                    what(&ovn, node, false);
                }
            });
        }
        Before::Proceed
    }
}

/// The nodes of a stage.
const NODES: usize = 5;

/// A case on its stage.
struct Scene<'a> {
    case: &'a Case,
    stage: Stage,
}

impl<'a> Scene<'a> {
    fn set(case: &'a Case) -> Self {
        let mut shape = ClusterShape::default().with_nodes("3+2").expect("node counts");
        let hazard = hazards::numbered(case.hazard).expect("a hazard of that number");
        let of_its_own = matches!(case.shows, AfterMinutes(_));
        (hazard.apply)(&mut shape);
        let scenario =
            if of_its_own { (hazard.scenario)().resolved(&shape).expect("nodes of this cluster") } else { Scenario::calm() };
        Self { case, stage: Stage::new(case.change.workflow(), shape, scenario) }
    }

    fn ovn(&self) -> &KubeOvn {
        self.stage.sim.kube_ovn().expect("a Kube-OVN cluster")
    }

    async fn pass(&self, minutes: u64) {
        self.stage.sim.clock().sleep(Duration::from_secs(60 * minutes)).await;
    }

    /// Starts the run and drives it as far as it goes.
    async fn run(&self) -> Ending {
        let hook = match self.case.shows {
            AfterMinutes(_) => None,
            Right(activity, nth, trouble) => {
                let (ovn, clock) = (self.ovn().clone(), self.stage.sim.clock().clone());
                let upset = Upset { activity, left: AtomicUsize::new(nth), trouble, ovn, clock };
                Some(Arc::new(upset) as Arc<dyn AttemptHook>)
            }
        };
        if self.case.hazard == 52 && hook.is_none() {
            // Its gate is not approved before the other actor was there.
            self.stage.start(&self.case.change.input(), &[], None, None).await.expect("the stage works");
            self.pass(1).await;
            self.stage.approve(&self.case.change.approvals()[0]).await.expect("an open gate");
        } else {
            let (input, approvals) = (self.case.change.input(), self.case.change.approvals());
            self.stage.start(&input, &approvals, None, hook).await.expect("the stage works");
        }
        self.stage.ending()
    }

    fn kicked(&self, wanted: usize) -> Option<String> {
        let kicks = self.ovn().accepted_kicks();
        (kicks.len() != wanted || kicks.values().any(|times| *times != 1))
            .then(|| format!("{wanted} kicks were to be made: {kicks:?}"))
    }

    /// What is otherwise than it should be.
    async fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        self.pass(if let AfterMinutes(minutes) = self.case.shows { minutes } else { 5 }).await;
        if let Refused(parts) = self.case.comes {
            wrong.extend(unsaid("the plan", &self.stage.blockers(&self.case.change.input()).await.expect("a plan"), parts));
        }
        let most_without_ovs = self.watch_ovs();
        let ending = self.run().await;
        match self.case.comes {
            Refused(parts) | Stopped(parts) => {
                wrong.extend(unsaid("the run", &[said_at(&ending)], parts));
                wrong.extend(self.stage.changes().into_iter().map(|write| format!("it wrote {write}")));
                wrong.extend(self.kicked(0));
            }
            Waits(parts) => {
                wrong.extend(unsaid("no wait", &self.stage.said(), parts));
                wrong.extend(self.well(&ending).await);
            }
            Asks(gate, parts, kicks) => {
                wrong.extend(self.unasked(&ending, gate, parts));
                wrong.extend(self.kicked(kicks));
                self.pass(60).await;
                self.stage.approve(gate).await.expect("an open gate");
                wrong.extend(self.well(&self.stage.ending()).await);
            }
            Ends(gate, parts) => {
                wrong.extend(self.unasked(&ending, gate, parts));
                wrong.extend(self.stage.changes().into_iter().map(|write| format!("it wrote {write}")));
                wrong.extend(self.kicked(0));
            }
            Parks(parts, kicks) => {
                let failure = self.stage.last_failure();
                wrong.extend((!matches!(ending, Ending::Parked(_))).then(|| format!("it does not park: {ending:?}")));
                wrong.extend(unsaid("what it parks at", &[failure], parts));
                wrong.extend(self.kicked(kicks));
            }
            Passes => wrong.extend(self.well(&ending).await),
        }
        let most = most_without_ovs.load(Ordering::Relaxed);
        wrong.extend((self.case.hazard == 58 && most > 1).then(|| format!("{most} nodes were without ovs-ovn at a time")));
        let misled = self.ovn().kicks().into_iter().find(|kick| self.case.hazard == 56 && kick.node != "control-plane-0");
        wrong.extend(misled.map(|kick| format!("the one that leads is control-plane-0, and told was {}", kick.node)));
        wrong
    }

    /// On how many nodes at a time ovs-ovn was not ready, at most; looked at every second.
    fn watch_ovs(&self) -> Arc<AtomicUsize> {
        let (most, sim) = (Arc::new(AtomicUsize::new(0)), &self.stage.sim);
        let (store, clock, seen) = (sim.store().clone(), sim.clock().clone(), Arc::clone(&most));
        let serves = |pod: &Value| {
            let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
            pod["metadata"]["labels"]["app"] == "ovs"
                && pod["metadata"]["deletionTimestamp"].is_null()
                && pod["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(ready))
        };
        tokio::spawn(async move {
            loop {
                let nodes: BTreeSet<String> =
                    store.list(&PODS).iter().filter(|pod| serves(pod)).map(|pod| pod["spec"]["nodeName"].to_string()).collect();
                seen.fetch_max(NODES - nodes.len().min(NODES), Ordering::Relaxed);
                clock.sleep(Duration::from_secs(1)).await;
            }
        });
        most
    }

    fn unasked(&self, ending: &Ending, gate: &str, parts: &[&str]) -> Vec<String> {
        let waits = (*ending != Ending::AtGates(vec![gate.to_owned()])).then(|| format!("it does not ask at {gate}: {ending:?}"));
        waits.into_iter().chain(unsaid("the question", &[self.stage.question(gate)], parts)).collect()
    }

    /// Done, nothing owed, both databases whole, and every server that should go gone by one order.
    async fn well(&self, ending: &Ending) -> Vec<String> {
        if *ending != Ending::Completed {
            return vec![format!("it does not end well: {ending:?}; {}", self.stage.last_failure())];
        }
        // Pods that were started last become ready.
        self.pass(5).await;
        let mut wrong = self.ovn().violations().await;
        let held = self.stage.state().map(|state| state.held).unwrap_or_default();
        wrong.extend(held.into_keys().map(|key| format!("{key} is still out")));
        wrong.extend(self.kicked(if matches!(self.case.change, Add) { 0 } else { 2 }));
        wrong
    }
}

/// What a run that ended says.
fn said_at(ending: &Ending) -> String {
    let Ending::Failed(said) = ending else { return format!("(no failure, but {ending:?})") };
    said.clone()
}

fn unsaid(who: &str, texts: &[String], parts: &[&str]) -> Option<String> {
    let says = texts.iter().any(|text| parts.iter().all(|part| text.contains(part)));
    (!says).then(|| format!("{who} does not say {parts:?}, but:\n  {}", texts.join("\n  ")))
}

/// Seen to fail with: a kick without the guard, or of a server that is not the one that was planned; pods of ovs-ovn not waited for; a pod
/// left behind.
#[test]
fn every_hazard_is_stopped_or_seen() {
    let mut wrong = Vec::new();
    for case in cases() {
        on_paused_time(async {
            let scene = Scene::set(&case);
            let found = scene.wrong().await;
            wrong.extend(found.into_iter().map(|line| format!("F{} and {:?}: {line}", case.hazard, case.change)));
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_hazard_that_is_shown_threatens_a_change() {
    let mut threatening: Vec<u8> = cases().iter().map(|case| case.hazard).collect();
    threatening.sort_unstable();
    threatening.dedup();
    let shown: Vec<u8> = KUBE_OVN.iter().map(|hazard| hazard.number).collect();
    assert_eq!(threatening, shown);
}
