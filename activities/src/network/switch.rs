//! The switch to the other plugin, after which only reboots bring the network back, and the wait for multus that follows it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, Probe};

use super::settings::ClusterRange;
use super::{CLUSTER, NetworkPlugin};
use crate::cluster::{Cluster, Patch};
use crate::requests::{ASSUMED, patch_line};
use crate::views::{ClusterNetwork, DaemonSet, View as _};

/// Switches the cluster to another plugin: from here on pods reach each other only where both nodes have rebooted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SwitchPlugin {
    /// The plugin now.
    pub from: NetworkPlugin,
    /// The plugin to switch to.
    pub to: NetworkPlugin,
    /// Other addresses for the pods, if they are to change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cluster_network: Vec<ClusterRange>,
}

/// That the switch is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PluginSwitched {
    /// `spec.networkType` as it is.
    pub network_type: String,
}

impl SwitchPlugin {
    /// Refused if somebody switched it meanwhile.
    fn patch(&self) -> Patch {
        let mut operations = vec![
            json!({"op": "test", "path": "/spec/networkType", "value": self.from.name()}),
            json!({"op": "replace", "path": "/spec/networkType", "value": self.to.name()}),
        ];
        if !self.cluster_network.is_empty() {
            operations.push(json!({"op": "replace", "path": "/spec/clusterNetwork", "value": self.cluster_network}));
        }
        Patch::Json(Value::Array(operations))
    }
}

impl Activity for SwitchPlugin {
    const NAME: ActivityName = ActivityName::new("switch-network-plugin");
    const EFFECT: Effect = Effect::Irreversible;
    type World = Cluster;
    type Output = PluginSwitched;

    fn summary(&self) -> String {
        format!("switch the network from {} to {}: pods lose it until their nodes have rebooted", self.from, self.to)
    }

    fn requests(&self) -> Vec<String> {
        vec![patch_line::<ClusterNetwork>(None, CLUSTER, &self.patch())]
    }

    fn assumed(&self) -> Option<PluginSwitched> {
        Some(PluginSwitched { network_type: self.to.name().to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<PluginSwitched, ActivityError> {
        let network: ClusterNetwork = cx.world().must_get(None, CLUSTER).await?;
        let wished = network.spec.network_type.as_str();
        if wished == self.to.name() {
            return Ok(PluginSwitched { network_type: wished.to_owned() });
        }
        if wished != self.from.name() || network.status.migration.network_type != self.to.name() {
            let message = format!(
                "spec.networkType is {wished} and the accepted migration leads to {:?}, not from {} to {}; somebody changed that; \
                 look at `oc get network.config cluster -o yaml`, then plan again",
                network.status.migration.network_type,
                self.from.name(),
                self.to.name()
            );
            return Err(ActivityError::permanent("network-changed", message));
        }
        let set: ClusterNetwork = cx.world().patch(None, CLUSTER, &self.patch()).await?;
        Ok(PluginSwitched { network_type: set.spec.network_type })
    }

    async fn probe(&self, cx: ActivityContext<Cluster>) -> Result<Probe<PluginSwitched>, ActivityError> {
        let network: ClusterNetwork = cx.world().must_get(None, CLUSTER).await?;
        let network_type = network.spec.network_type;
        let seen = format!("spec.networkType is {network_type}");
        Ok(if network_type == self.to.name() {
            Probe::Happened { output: PluginSwitched { network_type }, evidence: seen }
        } else if network_type == self.from.name() {
            Probe::DidNotHappen(seen)
        } else {
            Probe::CannotTell(seen)
        })
    }
}

/// Where multus lives, and its DaemonSet.
const MULTUS: (&str, &str) = ("openshift-multus", "multus");

/// How soon multus is looked at again.
const PAUSE: Duration = Duration::from_secs(5);

/// Waits for multus to be rolled out, but not for ever: on nodes whose network is gone it can't be, and it proves nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitMultus {
    /// How long at most.
    pub minutes: u32,
}

/// How far multus came.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MultusSeen {
    /// Whether all of its pods are new and ready.
    pub complete: bool,
    /// What was seen last.
    pub evidence: String,
}

impl Activity for AwaitMultus {
    const NAME: ActivityName = ActivityName::new("await-multus");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = MultusSeen;

    fn summary(&self) -> String {
        format!("wait for multus to be rolled out, {} minutes at most", self.minutes)
    }

    fn assumed(&self) -> Option<MultusSeen> {
        Some(MultusSeen { complete: true, evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<MultusSeen, ActivityError> {
        let limit = Duration::from_secs(u64::from(self.minutes) * 60);
        let begun = cx.now();
        loop {
            let evidence = match cx.world().get::<DaemonSet>(Some(MULTUS.0), MULTUS.1).await {
                Ok(Some(set)) if is_rolled_out(&set) => {
                    return Ok(MultusSeen { complete: true, evidence: in_words(&set) });
                }
                Ok(Some(set)) => in_words(&set),
                Ok(None) => "there is no multus".to_owned(),
                Err(error) => format!("the cluster can't be asked: {error}"),
            };
            if cx.now().since(begun) >= limit {
                return Ok(MultusSeen { complete: false, evidence: format!("{evidence}; not waited for any longer") });
            }
            cx.progress(evidence);
            cx.sleep(PAUSE).await;
        }
    }
}

fn is_rolled_out(set: &DaemonSet) -> bool {
    let status = &set.status;
    set.generation() <= status.observed_generation
        && status.updated_number_scheduled >= status.desired_number_scheduled
        && status.number_available >= status.desired_number_scheduled
}

fn in_words(set: &DaemonSet) -> String {
    let status = &set.status;
    format!(
        "{} of {} multus pods are new, {} available",
        status.updated_number_scheduled, status.desired_number_scheduled, status.number_available
    )
}
