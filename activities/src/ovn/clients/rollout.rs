//! Waiting for the clients of the databases to have the new addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, Timestamp};

use super::workload::{Found, Pods};
use super::{Client, OVN_DB_IPS, changed, unreadable};
use crate::cluster::Cluster;
use crate::ovn::rollout::{Progress, is_observed, of_daemon_set, of_deployment, troubles};
use crate::ovn::template::Told;
use crate::views::{DaemonSet, Deployment, Pod, Status, View as _};

/// A pod needs some seconds to come up.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// A DaemonSet on hundreds of nodes replaces its pods one after the other.
const LIMIT: Duration = Duration::from_secs(60 * 60);
/// Controllers go on within seconds; where nothing has happened for so long, nothing will while a node is not ready.
const HELD_UP_AFTER: Duration = Duration::from_secs(60);

/// Waits until every pod of a workload has the new addresses and is ready.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitClient {
    /// The workload.
    pub client: Client,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
}

/// How a rollout came out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClientRolledOut {
    /// What was seen.
    pub evidence: String,
    /// Whether pods with other addresses are left on nodes that are ready, because one that is not counts as the one that may be down:
    /// a DaemonSet goes no further then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held_up: bool,
}

impl Activity for AwaitClient {
    const NAME: ActivityName = ActivityName::new("await-database-client");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = ClientRolledOut;

    fn summary(&self) -> String {
        format!("wait until {} is rolled out", self.client.name)
    }

    fn assumed(&self) -> Option<ClientRolledOut> {
        Some(ClientRolledOut { evidence: crate::requests::ASSUMED.to_owned(), held_up: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<ClientRolledOut, ActivityError> {
        let mut still = Still::default();
        let (client, until) = (&self.client, cx.now().plus(LIMIT));
        loop {
            let found = Found::read(cx.world(), client.kind, &client.name).await?;
            let told = Told::read(&found.template().spec, &client.container, OVN_DB_IPS);
            let told = told.map_err(|why| unreadable(&client.name, &why))?;
            if told.addresses != self.addresses {
                return Err(changed(client, &told.addresses, &self.addresses));
            }
            let pods = found.pods(cx.world()).await?;
            let look = Look { container: &client.container, addresses: &self.addresses, pods: &pods };
            let why = match look.judge(&found) {
                Ok(evidence) => {
                    return Ok(ClientRolledOut { evidence: format!("{}: {evidence}", client.name), held_up: false });
                }
                Err(why) => format!("{}: {why}", client.name),
            };
            if still.lasts(look.held_up(&found), cx.now()) {
                return Ok(ClientRolledOut { evidence: format!("{why}{}", pods.left_out()), held_up: true });
            }
            if cx.now() >= until {
                let message = format!("{why}; waited {} min; look at its pods, then retry", LIMIT.as_secs() / 60);
                return Err(ActivityError::transient("rollout-limit", message));
            }
            cx.progress(why);
            cx.sleep(BETWEEN_LOOKS).await;
        }
    }
}

/// Since when nothing has changed in a rollout that is held up.
#[derive(Default)]
struct Still(Option<(Vec<String>, Timestamp)>);

impl Still {
    /// Takes what holds for a moment into account; says whether it has been the same for long enough.
    fn lasts(&mut self, left: Option<Vec<String>>, now: Timestamp) -> bool {
        let since = |before: &(Vec<String>, Timestamp)| (Some(&before.0) == left.as_ref()).then_some(before.1);
        let since = self.0.as_ref().and_then(since).unwrap_or(now);
        self.0 = left.map(|left| (left, since));
        self.0.is_some() && now.since(since) >= HELD_UP_AFTER
    }
}

/// The pods of a workload, and the addresses that they should have.
pub(super) struct Look<'a> {
    pub(super) container: &'a str,
    pub(super) addresses: &'a [IpAddr],
    pub(super) pods: &'a Pods,
}

impl Look<'_> {
    /// What shows that the rollout is done; the error says why it is not.
    fn judge(&self, found: &Found) -> Result<String, String> {
        match found {
            Found::Deployment(deployment) => self.deployment(deployment),
            Found::DaemonSet(set) if set.spec.update_strategy.kind == "OnDelete" => {
                let told = "it is told; its pods learn it when they are deleted".to_owned();
                if is_observed(set) { Ok(told) } else { Err("its change is not observed yet".to_owned()) }
            }
            Found::DaemonSet(set) => self.daemon_set(set),
        }
    }

    fn deployment(&self, deployment: &Deployment) -> Result<String, String> {
        let progress = of_deployment(deployment);
        if let Some(stale) = self.pods.within_reach().find(|pod| self.is_stale(pod)) {
            return Err(self.waiting(&progress, &format!("pod {} has other addresses", stale.name())));
        }
        let status = &deployment.status;
        let replaced = deployment.generation() <= status.observed_generation
            && status.updated_replicas >= deployment.spec.replicas.unwrap_or(1)
            && status.replicas <= status.updated_replicas;
        let ready = self.pods.within_reach().filter(|pod| pod.is_ready()).count();
        let lacking = || self.pods.pods.iter().filter(|pod| !pod.is_ready());
        // With a dead node a pod may never come up again; then it is enough that all that can be up are.
        let rest_is_lost = replaced && ready > 0 && lacking().all(|pod| self.is_lost(pod));
        if progress == Progress::Done || rest_is_lost {
            return Ok(format!("{ready} pods with the new addresses are ready{}", self.pods.left_out()));
        }
        Err(self.waiting(&progress, "not every pod is ready"))
    }

    fn daemon_set(&self, set: &DaemonSet) -> Result<String, String> {
        let progress = of_daemon_set(set);
        if !is_observed(set) || (self.pods.unready.is_empty() && progress != Progress::Done) {
            return Err(self.waiting(&progress, "not every pod is ready"));
        }
        self.every_node_is_served(set)?;
        if let Some(stale) = self.pods.within_reach().find(|pod| self.is_stale(pod)) {
            return Err(self.waiting(&progress, &format!("pod {} has other addresses", stale.name())));
        }
        if let Some(unready) = self.pods.within_reach().find(|pod| !pod.is_ready()) {
            return Err(self.waiting(&progress, &format!("pod {} is not ready", unready.name())));
        }
        let ready = self.pods.within_reach().count();
        Ok(format!("{ready} pods with the new addresses are ready{}", self.pods.left_out()))
    }

    /// The pods that a DaemonSet should replace and does not, as far as one moment tells: a node is not ready, and on the others
    /// nothing is under way.
    fn held_up(&self, found: &Found) -> Option<Vec<String>> {
        let Found::DaemonSet(set) = found else { return None };
        let rests = |pod: &Pod| pod.is_ready() && pod.metadata.deletion_timestamp.is_none();
        let held = is_observed(set) && !self.pods.unready.is_empty() && self.pods.within_reach().all(rests);
        let stale: Vec<String> =
            self.pods.within_reach().filter(|pod| self.is_stale(pod)).map(|pod| pod.uid_text().to_owned()).collect();
        (held && !stale.is_empty()).then_some(stale)
    }

    /// Whether as many nodes have a pod as should have one.
    pub(super) fn every_node_is_served(&self, set: &DaemonSet) -> Result<(), String> {
        let staying = self.pods.pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        let served = staying.filter_map(|pod| pod.spec.node_name.as_ref()).collect::<BTreeSet<_>>().len();
        let wished = usize::try_from(set.status.desired_number_scheduled).unwrap_or_default();
        if served >= wished { Ok(()) } else { Err(format!("{served} of {wished} nodes have a pod")) }
    }

    /// Whether a pod stays and was started with other addresses.
    pub(super) fn is_stale(&self, pod: &Pod) -> bool {
        let told = Told::read(&pod.spec, self.container, OVN_DB_IPS);
        pod.metadata.deletion_timestamp.is_none() && !told.is_ok_and(|told| told.addresses == self.addresses)
    }

    /// Whether a pod can't come up while a node is not ready: it is there, or finds no other.
    fn is_lost(&self, pod: &Pod) -> bool {
        let unscheduled = |one: &crate::views::Condition| one.kind == "PodScheduled" && one.status == Status::False;
        let homeless = !self.pods.unready.is_empty() && pod.status.conditions.iter().any(unscheduled);
        homeless || self.pods.is_out_of_reach(pod)
    }

    fn waiting(&self, progress: &Progress, otherwise: &str) -> String {
        let why = match progress {
            Progress::Done => otherwise,
            Progress::Waiting(why) | Progress::Stuck(why) => why,
        };
        let troubles = troubles(&self.pods.pods);
        if troubles.is_empty() { why.to_owned() } else { format!("{why}; {}", troubles.join("; ")) }
    }
}
