//! Hazards of ovn-central's rafts: F50 to F61.

use super::{Hazard, as_usual, calm, of};
use crate::kube_ovn::KubeOvnShape;
use crate::scenario::{When, WorldFault};
use crate::world::shape::ClusterShape;

pub(super) const ALL: &[Hazard] = &[
    Hazard {
        number: 50,
        title: "the version deletes the databases of whoever lists fewer servers than addresses",
        apply: |shape| kube_ovn(shape).version = "1.15.9".into(),
        scenario: calm,
    },
    Hazard {
        number: 51,
        title: "a member is down when another one shall go",
        apply: plain,
        scenario: || of(51, vec![WorldFault::NodeSilent { when: When::default(), node: member(1), minutes: None }]),
    },
    Hazard {
        number: 52,
        title: "another actor takes a member out and in again, under another id",
        apply: plain,
        scenario: || of(52, vec![WorldFault::RaftRejoins { when: after(5.1), node: member(2) }]),
    },
    Hazard {
        number: 53,
        title: "a node has the files of a membership that ended",
        apply: |shape| kube_ovn(shape).stale_files = true,
        scenario: calm,
    },
    Hazard {
        number: 54,
        title: "all members are away at once",
        apply: plain,
        scenario: || of(54, (0..3).map(|n| silent(n, 4.0)).collect()),
    },
    Hazard {
        number: 55,
        title: "nobody is elected for a while",
        apply: plain,
        scenario: || {
            let cut = |n| WorldFault::RaftCut { when: When::default(), node: member(n), minutes: Some(30.0) };
            of(55, vec![cut(0), cut(1)])
        },
    },
    Hazard {
        number: 56,
        title: "the labels of the leaders stand on a pod that leads nothing",
        apply: |shape| kube_ovn(shape).stale_leader_labels = true,
        scenario: calm,
    },
    Hazard {
        number: 57,
        title: "both databases list a server of a node that is gone",
        apply: |shape| kube_ovn(shape).ghost = true,
        scenario: calm,
    },
    Hazard {
        number: 58,
        title: "the pods of ovs-ovn take up new addresses only when somebody deletes them",
        apply: |shape| kube_ovn(shape).version = "1.11.0".into(),
        scenario: calm,
    },
    Hazard {
        number: 61,
        title: "a server answers no command any more",
        apply: plain,
        scenario: || of(61, vec![WorldFault::RaftHangs { when: When::default(), node: member(1), minutes: Some(30.0) }]),
    },
];

/// The shape's Kube-OVN.
fn kube_ovn(shape: &mut ClusterShape) -> &mut KubeOvnShape {
    shape.kube_ovn.get_or_insert_default()
}

/// A Kube-OVN cluster on which nothing is wrong from the start.
fn plain(shape: &mut ClusterShape) {
    as_usual(shape);
    kube_ovn(shape);
}

fn member(number: usize) -> String {
    format!("control-plane/{number}")
}

/// A rehearsal begins five minutes after its cluster.
fn after(after_minutes: f64) -> When {
    When { update: None, after_minutes }
}

fn silent(number: usize, minutes: f64) -> WorldFault {
    WorldFault::NodeSilent { when: When::default(), node: member(number), minutes: Some(minutes) }
}
