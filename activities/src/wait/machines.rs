//! Machines that are being deleted while their nodes only reboot: looked for while a node is away.

use std::time::Duration;

use windlass_engine::Timestamp;

use crate::cluster::{Cluster, Query};
use crate::condition::{Concern, Reason};
use crate::snapshot::Snapshot;
use crate::views::{Conditions as _, Machine, Status, View as _};

/// Where machines are kept.
const NAMESPACE: &str = "openshift-machine-api";
/// Names the machine of a node.
const MACHINE: &str = "machine.openshift.io/machine";
/// How often they are listed, metadata only, while a node is away.
const PAUSE: Duration = Duration::from_secs(45);

/// What is known of machines.
#[derive(Default)]
pub(super) struct Machines {
    next: Option<Timestamp>,
    off: bool,
    wanted: bool,
    found: Vec<Reason>,
}

impl Machines {
    /// Looks for machines that are being deleted, if a node is away.
    pub(super) async fn look(&mut self, cluster: &Cluster, snapshot: &Snapshot) -> Vec<Reason> {
        let away = snapshot.nodes.values().any(|node| node.says("Ready") != Status::True || node.spec.unschedulable);
        self.wanted = !self.off && (away || !self.found.is_empty());
        if !self.wanted || self.next.is_some_and(|next| next > snapshot.now) {
            return self.found.clone();
        }
        self.next = Some(snapshot.now.plus(PAUSE));
        let query = Query { namespace: Some(NAMESPACE.to_owned()), ..Query::default() };
        match cluster.list_metadata::<Machine>(&query).await {
            Ok(machines) => self.found = deleted(&machines, snapshot),
            // Clusters without the machine API have nothing that could delete a machine.
            Err(error) if error.is_not_found() => self.off = true,
            Err(error) if error.is_forbidden() => {
                self.off = true;
                let what = format!("cannot be seen, so a deletion would go unnoticed: {error}");
                self.found = vec![Reason::waiting("machines", what).graded(Concern::Odd)];
            }
            // The next look may succeed; what was seen last is still the best there is.
            Err(_) => {}
        }
        self.found.clone()
    }

    /// How long until the next look is due, if one is wanted.
    pub(super) fn pause(&self, now: Timestamp) -> Option<Duration> {
        self.next.filter(|_| self.wanted && !self.off).map(|next| next.since(now))
    }
}

fn deleted(machines: &[Machine], snapshot: &Snapshot) -> Vec<Reason> {
    let told = |machine: &Machine| {
        let since = crate::views::timestamp(machine.metadata.deletion_timestamp.as_ref()?);
        let full_name = format!("{NAMESPACE}/{}", machine.name());
        let node = snapshot.nodes.values().find(|node| node.annotation(MACHINE) == Some(full_name.as_str()));
        let node = node.map_or_else(|| "no node that is known".to_owned(), |node| format!("node {}", node.name()));
        let what = format!(
            "is being deleted; it is {node}. A machine health check that is not paused is the usual cause: \
             `oc -n {NAMESPACE} get machinehealthchecks`"
        );
        Some(Reason::waiting(format!("machine {}", machine.name()), what).since(Some(since)).graded(Concern::Broken))
    };
    machines.iter().filter_map(told).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::condition::fixtures::{at, healthy, node};
    use crate::testing::{Fault, Server};

    fn machine(name: &str, deleted: bool) -> Machine {
        let at = deleted.then_some("2026-03-01T11:58:00Z");
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": NAMESPACE, "deletionTimestamp": at}})).unwrap()
    }

    fn away() -> Snapshot {
        let mut snapshot = healthy();
        node(&mut snapshot, "worker-0", |node| {
            node.status.conditions[0].status = Status::Unknown;
            node.metadata.annotations.get_or_insert_default().insert(MACHINE.to_owned(), format!("{NAMESPACE}/m-0"));
        });
        snapshot
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_is_being_deleted_is_named_with_its_node() {
        let server = Server::healthy();
        server.put(&machine("m-0", true));
        server.put(&machine("m-1", false));
        let cluster = server.cluster().await;
        let mut machines = Machines::default();
        assert_eq!(machines.look(&cluster, &healthy()).await, []);
        let told: Vec<String> = machines.look(&cluster, &away()).await.iter().map(ToString::to_string).collect();
        let expect = "!! machine m-0 is being deleted; it is node worker-0. A machine health check that is not paused is the usual cause: \
                      `oc -n openshift-machine-api get machinehealthchecks` (since 2026-03-01 11:58:00Z)";
        assert_eq!(told, [expect]);
        // Not asked again before the pause is over.
        let asked = server.requests().len();
        machines.look(&cluster, &away()).await;
        assert_eq!(server.requests().len(), asked);
        machines.look(&cluster, &Snapshot { now: at(1), ..away() }).await;
        assert_eq!(server.requests().len(), asked + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_without_machines_is_not_asked_again_and_a_missing_permission_is_said() {
        let server = Server::healthy();
        let cluster = server.cluster().await;
        let check = async |expect: &[&str]| {
            let mut machines = Machines::default();
            let told: Vec<String> = machines.look(&cluster, &away()).await.iter().map(ToString::to_string).collect();
            assert_eq!(told, expect);
            let asked = server.requests().len();
            machines.look(&cluster, &Snapshot { now: at(9), ..away() }).await;
            assert_eq!(server.requests().len(), asked);
        };
        check(&[]).await;
        server.fail_next(&http::Method::GET, Fault::Code(403));
        check(&[
            "note: machines cannot be seen, so a deletion would go unnoticed: list machines in openshift-machine-api: permission \
             missing: list machines.machine.openshift.io in namespace openshift-machine-api; ask for it, then retry",
        ])
        .await;
    }
}
