//! Pods of a DaemonSet that only learn what they are told when they are deleted, by its strategy or because a node that is not ready
//! holds its rollout up: one at a time, each by its uid.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, Timestamp};

use super::rollout::Look;
use super::workload::{Found, Pods};
use super::{Client, OVN_DB_IPS, Workload, unreadable};
use crate::cluster::Cluster;
use crate::ids::NodeName;
use crate::ovn::NAMESPACE;
use crate::ovn::central::PodRemoved;
use crate::ovn::rollout::troubles;
use crate::ovn::template::Told;
use crate::views::{DaemonSet, Pod, View as _};

/// OVS on a node is up again within seconds; every look is two lists.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// An image may have to be pulled.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// A pod of ovs-ovn that was started with other addresses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OvsPod {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its node.
    pub node: NodeName,
}

/// Lists the pods of a DaemonSet that were started with other addresses than these, by node; none if it can replace them itself, and
/// none on nodes that are not ready.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ListStalePods {
    /// The DaemonSet.
    pub client: Client,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
}

impl Activity for ListStalePods {
    const NAME: ActivityName = ActivityName::new("list-stale-ovs-pods");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Vec<OvsPod>;

    fn summary(&self) -> String {
        format!("list the pods of {} that were started with other addresses", self.client.name)
    }

    fn assumed(&self) -> Option<Vec<OvsPod>> {
        None
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Vec<OvsPod>, ActivityError> {
        let Some((_, _, pods)) = read(cx.world(), &self.client).await? else { return Ok(Vec::new()) };
        if !pods.unready.is_empty() {
            cx.progress(format!("{}: what is on nodes that are not ready is left as it is{}", self.client.name, pods.left_out()));
        }
        let look = Look { container: &self.client.container, addresses: &self.addresses, pods: &pods };
        let stale = pods.within_reach().filter(|pod| look.is_stale(pod));
        let described = |pod: &Pod| {
            let node = NodeName::new(pod.spec.node_name.clone().unwrap_or_default());
            OvsPod { name: pod.name().to_owned(), uid: pod.uid_text().to_owned(), node }
        };
        Ok(stale.map(described).collect())
    }
}

/// The DaemonSet, the addresses in its template and its pods; none if these are not to be deleted by hand.
async fn read(cluster: &Cluster, client: &Client) -> Result<Option<(DaemonSet, Vec<IpAddr>, Pods)>, ActivityError> {
    if client.kind == Workload::Deployment {
        return Ok(None);
    }
    let found = Found::read(cluster, client.kind, &client.name).await?;
    let told = Told::read(&found.template().spec, &client.container, OVN_DB_IPS).map_err(|why| unreadable(&client.name, &why))?;
    let pods = found.pods(cluster).await?;
    Ok(by_hand(found, &pods).map(|set| (set, told.addresses, pods)))
}

fn by_hand(found: Found, pods: &Pods) -> Option<DaemonSet> {
    match found {
        Found::DaemonSet(set) if set.spec.update_strategy.kind == "OnDelete" || !pods.unready.is_empty() => Some(set),
        Found::DaemonSet(_) | Found::Deployment(_) => None,
    }
}

/// Deletes one pod of a DaemonSet by its uid, if all others of it are ready, and waits until its node has a new one that is ready;
/// does nothing if the DaemonSet can replace its pods itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RestartOvsPod {
    /// The DaemonSet.
    pub client: Client,
    /// The pod.
    pub pod: OvsPod,
}

impl Activity for RestartOvsPod {
    const NAME: ActivityName = ActivityName::new("restart-ovs-pod");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = PodRemoved;

    fn summary(&self) -> String {
        format!("restart {} on {}", self.client.name, self.pod.node)
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("DELETE /api/v1/namespaces/{NAMESPACE}/pods/{} with its uid", self.pod.name)]
    }

    fn assumed(&self) -> Option<PodRemoved> {
        Some(PodRemoved { already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<PodRemoved, ActivityError> {
        let mut already = true;
        let mut until = cx.now().plus(LIMIT);
        loop {
            let found = read(cx.world(), &self.client).await?;
            let Some((set, addresses, pods)) = found else { return Ok(PodRemoved { already: true }) };
            let look = Look { container: &self.client.container, addresses: &addresses, pods: &pods };
            match decide(&self.pod, &look, &set) {
                Next::Done => return Ok(PodRemoved { already }),
                Next::Delete => {
                    if self.delete(&cx).await? {
                        (already, until) = (false, cx.now().plus(LIMIT));
                    }
                    let said = format!("pod {} on {} is to end", self.pod.name, self.pod.node);
                    self.wait(&cx, until, said).await?;
                }
                Next::Wait(why) => self.wait(&cx, until, why).await?,
            }
        }
    }
}

impl RestartOvsPod {
    /// Whether it was there to be deleted: else it is gone, or its successor has its name.
    async fn delete(&self, cx: &ActivityContext<Cluster>) -> Result<bool, ActivityError> {
        match cx.world().delete::<Pod>(Some(NAMESPACE), &self.pod.name, &self.pod.uid).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() || error.is_precondition() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn wait(&self, cx: &ActivityContext<Cluster>, until: Timestamp, why: String) -> Result<(), ActivityError> {
        if cx.now() >= until {
            let (name, node, minutes) = (&self.client.name, &self.pod.node, LIMIT.as_secs() / 60);
            let message = format!("the restart of {name} on {node} waits for {minutes} min: {why}; look at its pods, then retry");
            return Err(ActivityError::transient("restart-limit", message));
        }
        cx.progress(why);
        cx.sleep(BETWEEN_LOOKS).await;
        Ok(())
    }
}

/// What comes next for a pod that shall be restarted.
#[derive(PartialEq, Eq, Debug)]
enum Next {
    Delete,
    Wait(String),
    Done,
}

fn decide(pod: &OvsPod, look: &Look<'_>, set: &DaemonSet) -> Next {
    let Pods { pods, ready, unready } = look.pods;
    let node = pod.node.as_str();
    let here = |one: &&Pod| one.spec.node_name.as_deref() == Some(node);
    let stays = |one: &&Pod| one.metadata.deletion_timestamp.is_none();
    if let Some(old) = pods.iter().find(|one| one.uid_text() == pod.uid) {
        if !stays(&old) {
            return Next::Wait(format!("pod {} on {node} is ending", pod.name));
        }
        if unready.contains(node) {
            return Next::Wait(format!("node {node} is not ready: pod {} would not come back", pod.name));
        }
        return match disturbed(pod, look, set) {
            None => Next::Delete,
            Some(why) => Next::Wait(format!("pod {} on {node} is left alone as long as {why}", pod.name)),
        };
    }
    if !ready.contains(node) && !unready.contains(node) {
        return Next::Done;
    }
    let new = pods.iter().filter(here).find(stays);
    match new {
        Some(new) if new.is_ready() && !look.is_stale(new) => Next::Done,
        Some(new) if look.is_stale(new) => Next::Wait(format!("pod {} on {node} has other addresses", new.name())),
        Some(new) => Next::Wait(troubles(std::slice::from_ref(new)).join("; ")),
        None => Next::Wait(format!("{node} has no new pod yet")),
    }
}

/// Why no other pod of the set may be taken down now: a node is without one, or with one that is not ready.
fn disturbed(pod: &OvsPod, look: &Look<'_>, set: &DaemonSet) -> Option<String> {
    let others = || look.pods.within_reach().filter(|one| one.uid_text() != pod.uid);
    if let Some(ending) = others().find(|one| one.metadata.deletion_timestamp.is_some()) {
        return Some(format!("pod {} is ending", ending.name()));
    }
    if let Some(unready) = others().find(|one| !one.is_ready()) {
        return Some(troubles(std::slice::from_ref(unready)).join("; "));
    }
    look.every_node_is_served(set).err()
}

#[cfg(test)]
mod tests;
