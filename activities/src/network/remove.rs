//! What is left of the old plugin, removed once the cluster is well: its settings, and its namespace by uid.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::{CLUSTER, NetworkPlugin};
use crate::cluster::{Cluster, Patch};
use crate::requests::{ASSUMED, patch_line};
use crate::views::{Condition, Conditions as _, Namespace, NetworkOperator, Status, View as _};

const PAUSE: Duration = Duration::from_secs(3);

/// Takes the settings of a plugin out of what the network operator is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClearPluginSettings {
    /// The plugin, which must not be the managed one.
    pub plugin: NetworkPlugin,
}

/// That they are not there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SettingsCleared {
    /// Whether they were not there already.
    pub already: bool,
}

impl ClearPluginSettings {
    fn patch(&self) -> Patch {
        Patch::Merge(json!({"spec": {"defaultNetwork": {self.plugin.settings_field(): null}}}))
    }
}

impl Activity for ClearPluginSettings {
    const NAME: ActivityName = ActivityName::new("clear-network-settings");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = SettingsCleared;

    fn summary(&self) -> String {
        format!("take the settings of {} out of the network operator's configuration", self.plugin)
    }

    fn requests(&self) -> Vec<String> {
        vec![patch_line::<NetworkOperator>(None, CLUSTER, &self.patch())]
    }

    fn assumed(&self) -> Option<SettingsCleared> {
        Some(SettingsCleared { already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<SettingsCleared, ActivityError> {
        let operator: NetworkOperator = cx.world().must_get(None, CLUSTER).await?;
        let network = &operator.spec.default_network;
        if network.kind == self.plugin.name() {
            let message = format!("{} is the network that is managed; its settings stay; plan again", self.plugin);
            return Err(ActivityError::permanent("in-use", message));
        }
        let there = match self.plugin {
            NetworkPlugin::OvnKubernetes => network.ovn.is_some(),
            NetworkPlugin::OpenShiftSdn => network.sdn.is_some(),
            NetworkPlugin::Kuryr => network.kuryr.is_some(),
        };
        if there {
            cx.world().patch::<NetworkOperator>(None, CLUSTER, &self.patch()).await?;
        }
        Ok(SettingsCleared { already: !there })
    }
}

/// Deletes the namespace that the old plugin lived in, by its uid.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeleteNamespace {
    /// Its name.
    pub name: String,
    /// The one that was seen before the migration; another one of this name is left alone.
    pub uid: String,
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamespaceDeleted {
    /// It is asked to go.
    Deleted,
    /// It is not there any more.
    Gone,
    /// There is another one of this name now, which was left alone.
    Another,
}

impl Activity for DeleteNamespace {
    const NAME: ActivityName = ActivityName::new("delete-namespace");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = NamespaceDeleted;

    fn summary(&self) -> String {
        format!("delete namespace {} and all that is in it", self.name)
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("DELETE /api/v1/namespaces/{}", self.name)]
    }

    fn assumed(&self) -> Option<NamespaceDeleted> {
        Some(NamespaceDeleted::Deleted)
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<NamespaceDeleted, ActivityError> {
        let Some(found) = cx.world().get::<Namespace>(None, &self.name).await? else { return Ok(NamespaceDeleted::Gone) };
        if found.uid_text() != self.uid {
            return Ok(NamespaceDeleted::Another);
        }
        if found.metadata.deletion_timestamp.is_none() {
            cx.world().delete::<Namespace>(None, &self.name, &self.uid).await?;
        }
        Ok(NamespaceDeleted::Deleted)
    }
}

/// Waits until a namespace is gone, and says what holds it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitNamespaceGone {
    /// Its name.
    pub name: String,
    /// The one that was deleted.
    pub uid: String,
}

/// What holds a namespace, in the words of whoever deletes what is in it.
fn what_holds(found: &Namespace) -> String {
    let finalizers = found.metadata.finalizers.iter().flatten().map(|one| format!("held by {one}"));
    let remaining = |condition: &&Condition| condition.kind.starts_with("Namespace") && condition.status == Status::True;
    let said = found.conditions().iter().filter(remaining).map(|condition| condition.message.clone());
    let all: Vec<String> = finalizers.chain(said).collect();
    if all.is_empty() { String::new() } else { format!(": {}", all.join("; ")) }
}

/// That it is gone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NamespaceGone {
    /// What was seen.
    pub evidence: String,
}

impl Activity for AwaitNamespaceGone {
    const NAME: ActivityName = ActivityName::new("await-namespace-gone");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = NamespaceGone;

    fn summary(&self) -> String {
        format!("wait until namespace {} is gone", self.name)
    }

    fn assumed(&self) -> Option<NamespaceGone> {
        Some(NamespaceGone { evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<NamespaceGone, ActivityError> {
        loop {
            let found: Option<Namespace> = cx.world().get(None, &self.name).await?;
            let Some(found) = found.filter(|found| found.uid_text() == self.uid) else {
                return Ok(NamespaceGone { evidence: format!("namespace {} is not there", self.name) });
            };
            cx.progress(format!("namespace {} is being deleted{}", self.name, what_holds(&found)));
            cx.sleep(PAUSE).await;
        }
    }
}
