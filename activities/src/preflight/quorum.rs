//! Checks of what keeps its state on several nodes: etcd, and storage.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Check, Facts, Findings, Preflight};
use crate::views::{Conditions as _, Node, Status, View};

/// Losing one of three members leaves two, which is enough; losing one of two does not.
const VOTERS: usize = 3;
/// An older backup is of another state of the cluster.
const BACKUP_AGE: Duration = Duration::from_secs(24 * 3600);

/// Every control-plane node is a voting member of etcd (F32), and the age of the last backup is known (F33).
pub(super) fn etcd(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    for (kind, good) in [
        ("EtcdMembersAvailable", Status::True),
        ("EtcdMembersDegraded", Status::False),
        ("EtcdMembersProgressing", Status::False),
    ] {
        let conditions = facts.etcd.seen().map(|etcd| etcd.status.conditions.as_slice()).unwrap_or_default();
        let wrong = conditions.iter().find(|one| one.kind == kind && one.status != good);
        found.block(wrong.map(|condition| format!("{kind} is not as it should be: {}", condition.explanation())));
    }
    let control_plane = facts.nodes.iter().filter(|node| node.is_control_plane()).count();
    if let Some(members) = facts.etcd_endpoints.seen().map(|map| map.data.len()) {
        let wanted = control_plane.min(VOTERS);
        if members < wanted {
            found.block([format!(
                "{members} voting members for {control_plane} control-plane nodes: one reboot loses the quorum"
            )]);
        } else if members % 2 == 0 {
            found.warn([format!("{members} voting members: an even number survives no more than one less")]);
        }
        found.fine(format!("{members} voting members"));
    }
    found.warn(facts.etcd.unreadable().map(|why| format!("the operator of etcd {why}")));
    found.warn(facts.etcd_endpoints.unreadable().map(|why| format!("the members of etcd {why}")));
    found.backup(facts);
    found.judge(
        "etcd",
        "etcd has its quorum and a backup",
        "bring every member back (`oc get etcd cluster -o yaml`), and take a backup with cluster-backup.sh",
    )
}

impl Findings {
    /// The operator of etcd notes the backups that it takes itself; of others nothing on the cluster tells.
    fn backup(&mut self, facts: &Facts) {
        let operator = facts.operators.iter().find(|operator| operator.name() == "etcd");
        let noted = operator.and_then(|operator| operator.holds("RecentBackup"));
        match noted.and_then(|condition| Some((condition, condition.since()?))) {
            Some((_, at)) if facts.now.since(at) > BACKUP_AGE => {
                self.warn([format!(
                    "the last backup that the cluster knows of is {} days old",
                    facts.now.since(at).as_secs() / 86_400
                )]);
            }
            Some((condition, _)) => self.fine(format!("backed up: {}", condition.explanation())),
            None => self.fine("the cluster knows of no backup: take one with cluster-backup.sh and copy it away"),
        }
    }
}

/// Storage clusters are well, and no volume in use is a disk of one node.
pub(super) fn storage(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    for ceph in facts.storage.all() {
        let (name, health) = (format!("{}/{}", ceph.namespace_name(), ceph.name()), ceph.status.ceph.health.as_str());
        match health {
            "HEALTH_OK" => found.fine(format!("storage cluster {name} is well")),
            "HEALTH_WARN" => found.warn([format!("storage cluster {name} says {health}")]),
            "" => found.warn([format!("storage cluster {name} does not say how it is")]),
            _ => found.block([format!("storage cluster {name} says {health}: a reboot more may lose data")]),
        }
    }
    let local: BTreeSet<&str> = facts
        .volumes
        .all()
        .iter()
        .filter(|volume| volume.spec.local.is_some())
        .filter_map(|volume| volume.claim())
        .map(|(namespace, _)| namespace)
        .collect();
    let names = local.iter().copied().collect::<Vec<_>>().join(", ");
    found.warn((!local.is_empty()).then(|| format!("volumes that are disks of single nodes are in use in {names}")));
    found.warn(facts.storage.unreadable().map(|why| format!("storage clusters {why}")));
    found.warn(facts.volumes.unreadable().map(|why| format!("volumes {why}")));
    if found.fine.is_empty() {
        found.fine("no storage cluster is served here, no local volume is in use");
    }
    found.judge(
        "storage",
        "storage survives the reboot of a node",
        "let the storage cluster heal first; pods on local volumes are down while their node reboots",
    )
}

/// Platforms whose nodes are reached by a management controller or not at all.
const BARE: [&str; 2] = ["BareMetal", "None"];

/// Nodes that do not come back can be reached without the cluster.
pub(super) fn out_of_band(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    let platform = facts.platform.seen().map(|platform| platform.status.platform_status.kind.as_str()).unwrap_or_default();
    if BARE.contains(&platform) {
        let reached: BTreeSet<&str> = facts
            .hosts
            .all()
            .iter()
            .filter(|host| !host.spec.bmc.address.is_empty())
            .map(|host| host.spec.consumer_ref.as_ref().map_or(host.name(), |machine| machine.name.as_str()))
            .collect();
        let machine = |node: &Node| {
            let named = node.annotation("machine.openshift.io/machine").unwrap_or_default();
            named.rsplit_once('/').map_or_else(|| node.name().to_owned(), |(_, machine)| machine.to_owned())
        };
        let lost: Vec<&str> =
            facts.nodes.iter().filter(|node| !reached.contains(machine(node).as_str())).map(View::name).collect();
        if !lost.is_empty() {
            found.warn([format!("no management address is known of {}", super::named(&lost))]);
        }
        found.fine(format!("{} nodes, each with a management address", facts.nodes.len()));
    } else if !platform.is_empty() {
        found.fine(format!("{platform} has consoles of its own"));
    }
    found.warn(facts.platform.unreadable().map(|why| format!("the platform {why}")));
    found.warn(facts.hosts.unreadable().map(|why| format!("bare-metal hosts {why}")));
    if found.fine.is_empty() {
        found.fine("the platform is not known");
    }
    found.judge(
        "out-of-band",
        "a node that does not come back can be reached",
        "have the addresses and logins of the consoles at hand before the window",
    )
}

/// Nothing that pages is firing, as far as Prometheus is configured.
pub(super) fn alerts(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    match facts.alerts.seen() {
        None => found.fine("Prometheus is not configured"),
        Some(Ok(evidence)) => found.fine.extend(evidence.iter().cloned()),
        Some(Err(firing)) => found.block([firing.clone()]),
    }
    found.warn(facts.alerts.unreadable().map(|why| format!("alerts {why}")));
    found.judge(
        "alerts",
        "no critical alert is firing",
        "mend what the alerts name, or put them on the allow-list if they are known",
    )
}
