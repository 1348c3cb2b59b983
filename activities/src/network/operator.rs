//! What the network operator is told, and waiting until it has applied it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::settings::{Features, OvnSettings};
use super::{CLUSTER, NetworkPlugin};
use crate::cluster::{Cluster, Patch};
use crate::requests::{ASSUMED, patch_line};
use crate::views::{ClusterNetwork, ClusterOperator, Conditions as _, NetworkOperator, view};

/// How soon the network is looked at again.
const PAUSE: Duration = Duration::from_secs(3);

/// Tells the network operator where to migrate to, with all settings in one patch: every node is given another machine configuration
/// once, drained, and rebooted, a pool's at a time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PrepareMigration {
    /// The plugin to migrate to.
    pub to: NetworkPlugin,
    /// What is carried over.
    #[serde(default, skip_serializing_if = "Features::is_default")]
    pub features: Features,
    /// Settings of the new plugin.
    #[serde(default, skip_serializing_if = "OvnSettings::is_default")]
    pub settings: OvnSettings,
}

/// That the operator is told so.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MigrationWished {
    /// The generation of the object that has it.
    pub generation: i64,
    /// Whether it was so already.
    pub already: bool,
}

impl PrepareMigration {
    fn patch(&self) -> Value {
        let mut migration = json!({"networkType": self.to.name()});
        if !self.features.is_default() {
            migration["features"] = self.features.to_config();
        }
        let mut spec = json!({"migration": migration});
        if !self.settings.is_default() {
            spec["defaultNetwork"] = json!({self.to.settings_field(): self.settings.to_config()});
        }
        json!({"spec": spec})
    }
}

impl Activity for PrepareMigration {
    const NAME: ActivityName = ActivityName::new("prepare-network-migration");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = MigrationWished;

    fn summary(&self) -> String {
        format!("have all nodes prepared for {}: each drains and reboots", self.to)
    }

    fn requests(&self) -> Vec<String> {
        vec![patch_line::<NetworkOperator>(None, CLUSTER, &Patch::Merge(self.patch()))]
    }

    fn assumed(&self) -> Option<MigrationWished> {
        Some(MigrationWished { generation: 0, already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<MigrationWished, ActivityError> {
        let found: Value = whole(cx.world()).await?;
        let patch = self.patch();
        let generation = |object: &Value| object["metadata"]["generation"].as_i64().unwrap_or_default();
        if contains(&found["spec"], &patch["spec"]) {
            return Ok(MigrationWished { generation: generation(&found), already: true });
        }
        let other = found["spec"]["migration"]["networkType"].as_str().filter(|other| *other != self.to.name());
        if let Some(other) = other {
            let message = format!("a migration to {other} is asked for already; find out by whom, end it, then plan again");
            return Err(ActivityError::permanent("other-migration", message));
        }
        let set: NetworkOperator = cx.world().patch(None, CLUSTER, &Patch::Merge(patch)).await?;
        Ok(MigrationWished { generation: set.metadata.generation.unwrap_or_default(), already: false })
    }
}

/// The operator's object with every field that it has.
async fn whole(cluster: &Cluster) -> Result<Value, ActivityError> {
    let found: WholeOperator = cluster.must_get(None, CLUSTER).await?;
    Ok(json!({"metadata": {"generation": found.metadata.generation}, "spec": found.spec}))
}

/// The network operator's object, nothing left out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct WholeOperator {
    metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    spec: Value,
}
view!(WholeOperator, Cluster, "operator.openshift.io", "v1", "Network", "networks");

/// Whether an object has all that a merge patch would set.
fn contains(object: &Value, patch: &Value) -> bool {
    match (object, patch) {
        (Value::Object(object), Value::Object(patch)) => {
            patch.iter().all(|(key, value)| object.get(key).is_some_and(|found| contains(found, value)))
        }
        (object, patch) => object == patch,
    }
}

/// Takes the migration out of what the network operator is told. Before the plugin is switched, this takes every node back; after it, it
/// changes nothing on them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EndMigration {
    /// The plugin that must be applied for this to be safe.
    pub applied: NetworkPlugin,
}

/// That no migration is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MigrationEnded {
    /// Where it was to lead, if one was asked for.
    pub was: Option<String>,
}

impl EndMigration {
    fn patch() -> Patch {
        Patch::Merge(json!({"spec": {"migration": null}}))
    }
}

impl Activity for EndMigration {
    const NAME: ActivityName = ActivityName::new("end-network-migration");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = MigrationEnded;

    fn summary(&self) -> String {
        "take the migration out of the network operator's configuration".to_owned()
    }

    fn requests(&self) -> Vec<String> {
        vec![patch_line::<NetworkOperator>(None, CLUSTER, &Self::patch())]
    }

    fn assumed(&self) -> Option<MigrationEnded> {
        Some(MigrationEnded { was: None })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<MigrationEnded, ActivityError> {
        let network: ClusterNetwork = cx.world().must_get(None, CLUSTER).await?;
        if network.status.network_type != self.applied.name() {
            let message = format!(
                "the applied network is {}, not {}: ending the migration now would take every node back; look at \
                 `oc get network.config cluster -o yaml`",
                network.status.network_type,
                self.applied.name()
            );
            return Err(ActivityError::permanent("too-early", message));
        }
        let operator: NetworkOperator = cx.world().must_get(None, CLUSTER).await?;
        let was = operator.spec.migration.network_type;
        if was.is_empty() {
            return Ok(MigrationEnded { was: None });
        }
        cx.world().patch::<NetworkOperator>(None, CLUSTER, &Self::patch()).await?;
        Ok(MigrationEnded { was: Some(was) })
    }
}

/// Waits until the network operator has applied a plugin and a migration; its refusal ends the wait at once, in its words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitNetworkOperator {
    /// The plugin that it is to have applied.
    pub applied: NetworkPlugin,
    /// The migration that it is to have accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<NetworkPlugin>,
}

/// That the operator has applied it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NetworkApplied {
    /// What was seen.
    pub evidence: String,
}

impl Activity for AwaitNetworkOperator {
    const NAME: ActivityName = ActivityName::new("await-network-operator");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = NetworkApplied;

    fn summary(&self) -> String {
        match self.migration {
            Some(to) if to != self.applied => format!("wait until the network operator accepts a migration to {to}"),
            Some(_) => format!("wait until the network operator applies {}", self.applied),
            None => "wait until the network operator has no migration any more".to_owned(),
        }
    }

    fn assumed(&self) -> Option<NetworkApplied> {
        Some(NetworkApplied { evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<NetworkApplied, ActivityError> {
        loop {
            let network: ClusterNetwork = cx.world().must_get(None, CLUSTER).await?;
            let (plugin, migration) = (network.status.network_type, network.status.migration.network_type);
            let seen = format!(
                "status.networkType is {plugin}, status.migration {}",
                if migration.is_empty() { "empty" } else { &migration }
            );
            if plugin == self.applied.name() && migration == self.migration.map_or("", NetworkPlugin::name) {
                return Ok(NetworkApplied { evidence: seen });
            }
            let operator: ClusterOperator = cx.world().must_get(None, "network").await?;
            if let Some(refused) = operator.holds("Degraded").filter(|found| found.reason == "InvalidOperatorConfig") {
                return Err(ActivityError::permanent("refused-by-operator", refused.message.clone()));
            }
            cx.progress(seen);
            cx.sleep(PAUSE).await;
        }
    }
}
