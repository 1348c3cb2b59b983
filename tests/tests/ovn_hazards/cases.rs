//! The hazards, the changes that they threaten, and what comes of each.

use serde_json::{Value, json};
use windlass_sim::kube_ovn::KubeOvn;

/// A hazard, the change that it threatens, and what comes of it.
pub(crate) struct Case {
    pub(crate) hazard: u8,
    pub(crate) change: Change,
    pub(crate) shows: Shows,
    pub(crate) comes: Comes,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// `control-plane-2` for `worker-0`.
    Replace,
    /// The same, with files that lie there moved aside.
    ReplaceMovingStale,
    /// `control-plane-2` goes.
    Remove,
    /// Whoever is at this address goes.
    RemoveAt(&'static str),
    /// `worker-0` comes.
    Add,
}

/// When the hazard shows.
#[derive(Clone, Copy)]
pub(crate) enum Shows {
    /// As its own scenario has it; the run begins so many minutes after the cluster.
    AfterMinutes(u64),
    /// Right before the nth attempt of an activity, on a cluster that was well.
    Before(&'static str, usize, Trouble),
}

/// What happens to the members, and for how many minutes; for good if none.
#[derive(Clone, Copy)]
pub(crate) struct Trouble {
    pub(crate) nodes: &'static [&'static str],
    pub(crate) what: fn(&KubeOvn, &str, bool),
    pub(crate) minutes: Option<u64>,
}

/// What comes of it. Every part stands in one text.
#[derive(Clone, Copy)]
pub(crate) enum Comes {
    /// The plan names it as a blocker; the run that begins all the same says it, and ends before its first change.
    Refused(&'static [&'static str]),
    /// The run stops before its first change, at what only it looks at.
    Stopped(&'static [&'static str]),
    /// A wait says it; then the run ends well.
    Waits(&'static [&'static str]),
    /// A person is asked at this gate, in these words, after so many servers were taken out; once that is mended the run ends well.
    Asks(&'static str, &'static [&'static str], usize),
    /// A person is asked at this gate, in these words, and the run can't go on; no server was taken out.
    Ends(&'static str, &'static [&'static str]),
    /// The run parks, and says this; so many servers were taken out.
    Parks(&'static [&'static str], usize),
    /// It does not touch the run.
    Passes,
}

use Change::{Add, Remove, RemoveAt, Replace, ReplaceMovingStale};
use Comes::{Asks, Ends, Parks, Passes, Refused, Stopped, Waits};
use Shows::{AfterMinutes, Before as Right};

const MEMBERS: &[&str] = &["control-plane-0", "control-plane-1", "control-plane-2"];
const SECOND: &[&str] = &["control-plane-1"];
const LAST: &[&str] = &["control-plane-2"];

fn cut(nodes: &'static [&'static str], minutes: Option<u64>) -> Trouble {
    Trouble { nodes, what: |ovn, node, on| ovn.cut(node, on), minutes }
}

fn stands_still(nodes: &'static [&'static str], minutes: Option<u64>) -> Trouble {
    Trouble { nodes, what: |ovn, node, on| ovn.suspend(node, on), minutes }
}

fn hangs(nodes: &'static [&'static str], minutes: Option<u64>) -> Trouble {
    Trouble { nodes, what: |ovn, node, on| ovn.hang(node, on), minutes }
}

/// Another actor took it out and in.
fn rejoins(nodes: &'static [&'static str]) -> Trouble {
    let what = |ovn: &KubeOvn, node: &str, on: bool| {
        if on {
            ovn.rejoin(node);
        }
    };
    Trouble { nodes, what, minutes: None }
}

const DELETES: &[&str] = &[
    "Kube-OVN 1.15.9 deletes the databases of its members when one was taken out (kube-ovn#6363); update to 1.15.11, 1.16.2 or later first",
];

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    from_the_start().into_iter().chain(in_the_middle()).collect()
}

fn case(hazard: u8, change: Change, shows: Shows, comes: Comes) -> Case {
    Case { hazard, change, shows, comes }
}

/// Those that are there before the run, or come with the hazard's own scenario.
fn from_the_start() -> Vec<Case> {
    let settled = || AfterMinutes(5);
    vec![
        case(50, Replace, settled(), Refused(DELETES)),
        case(50, Remove, settled(), Refused(DELETES)),
        case(50, Add, settled(), Refused(DELETES)),
        case(51, Replace, settled(), Refused(&["does not let us take 172.18.0.5 out", "172.18.0.4", "no route to host"])),
        case(51, Remove, settled(), Refused(&["does not let us take 172.18.0.5 out", "172.18.0.4", "no route to host"])),
        case(51, Add, settled(), Refused(&["does not let us restart the members", "172.18.0.4", "no route to host"])),
        case(
            52,
            Replace,
            AfterMinutes(5),
            Ends("retry-kick-northbound-control-plane-2", &["the server at 172.18.0.5 was", "and is", "plan again"]),
        ),
        case(
            53,
            Replace,
            settled(),
            Stopped(&["worker-0 has files of an earlier membership", "ovnnb_db.db", "--move-stale", "Nothing was changed"]),
        ),
        case(53, Add, settled(), Stopped(&["worker-0 has files of an earlier membership", "--move-stale"])),
        case(53, ReplaceMovingStale, settled(), Passes),
        case(
            54,
            Replace,
            AfterMinutes(1),
            Refused(&["the members of the northbound database are not known", "no route to host"]),
        ),
        case(54, Replace, AfterMinutes(10), Passes),
        case(
            55,
            Replace,
            AfterMinutes(1),
            Refused(&["no server leads with a majority behind it", "nobody leads (172.18.0.4 in term"]),
        ),
        case(56, Replace, settled(), Passes),
        case(57, Replace, settled(), Refused(&["172.18.255.250", "ovn-central-remove --node 172.18.255.250"])),
        case(57, RemoveAt("172.18.255.250"), settled(), Passes),
        case(58, Replace, settled(), Passes),
        case(61, Replace, settled(), Refused(&["172.18.0.4", "no answer within 10 s"])),
    ]
}

/// Those that come while members are changed.
fn in_the_middle() -> Vec<Case> {
    vec![
        case(
            51,
            Replace,
            Right("kick-ovn-server", 2, stands_still(SECOND, Some(3))),
            Waits(&["the quorum guard does not let us take 172.18.0.5 out (southbound database)", "no answer within 10 s"]),
        ),
        case(
            51,
            Replace,
            Right("kick-ovn-server", 2, stands_still(SECOND, None)),
            // The two that are left of the northbound database are one too few, which ends the containers of both.
            Parks(
                &["the quorum guard does not let us take 172.18.0.5 out (southbound database)", "its members are not known"],
                1,
            ),
        ),
        case(51, Replace, Right("check-ovn-central", 1, stands_still(LAST, None)), Passes),
        case(
            52,
            Remove,
            Right("kick-ovn-server", 1, rejoins(LAST)),
            Ends("retry-kick-northbound-control-plane-2", &["the server at 172.18.0.5 was", "and is", "plan again"]),
        ),
        case(
            54,
            Replace,
            Right("set-central-members", 1, cut(MEMBERS, Some(4))),
            Waits(&["ovn-central: 1 of 2 pods are new", "disconnected from the cluster (election timeout)"]),
        ),
        case(
            55,
            Replace,
            Right("await-ovn-members", 1, cut(SECOND, Some(30))),
            Asks(
                "retry-members-northbound-without-control-plane-2",
                &[
                    "nobody has led the northbound database for",
                    "more than 2 election timers",
                    "look at the members' logs and disks",
                ],
                1,
            ),
        ),
        case(
            61,
            Replace,
            Right("kick-ovn-server", 2, hangs(SECOND, Some(3))),
            Waits(&["the quorum guard does not let us take 172.18.0.5 out (southbound database)", "no answer within 10 s"]),
        ),
        case(61, Remove, Right("check-ovn-central", 1, hangs(LAST, None)), Passes),
    ]
}

impl Change {
    pub(crate) fn workflow(self) -> &'static str {
        match self {
            Replace | ReplaceMovingStale => "ovn-central-replace",
            Remove | RemoveAt(_) => "ovn-central-remove",
            Add => "ovn-central-add",
        }
    }

    pub(crate) fn input(self) -> Value {
        match self {
            Replace => json!({"node": "control-plane-2", "with": "worker-0"}),
            ReplaceMovingStale => json!({"node": "control-plane-2", "with": "worker-0", "terms": {"move_stale": true}}),
            Remove => json!({"node": "control-plane-2"}),
            RemoveAt(address) => json!({"node": address}),
            Add => json!({"node": "worker-0"}),
        }
    }

    /// The gate of the kick is approved before.
    pub(crate) fn approvals(self) -> Vec<String> {
        vec![format!("kick-{}", self.input()["node"].as_str().unwrap_or_default())]
    }
}
