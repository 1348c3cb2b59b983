//! A copy of both network objects before anything is changed, kept on the operator's machine beside the journal.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::CLUSTER;
use crate::cluster::Cluster;
use crate::requests::ASSUMED;
use crate::views::view;

/// Copies what is wished of the network, and what the network operator is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BackUpNetwork {
    /// The run's own folder under [`Cluster::files`]; made if it is not there, 0700.
    pub folder: String,
}

/// A copy of the network's configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NetworkCopy {
    /// Where it is, 0600.
    pub path: String,
    /// SHA-256 of it, in hexadecimal digits.
    pub sha256: String,
    /// What it is good for.
    pub evidence: String,
}

/// An object with everything that it has.
macro_rules! whole {
    ($name:ident, $group:literal) => {
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(default)]
        struct $name {
            metadata: ObjectMeta,
            #[serde(flatten)]
            rest: Map<String, Value>,
        }
        view!($name, Cluster, $group, "v1", "Network", "networks");
    };
}
whole!(WholeConfig, "config.openshift.io");
whole!(WholeOperator, "operator.openshift.io");

impl Activity for BackUpNetwork {
    const NAME: ActivityName = ActivityName::new("back-up-network");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = NetworkCopy;

    fn summary(&self) -> String {
        "back up the network's configuration".to_owned()
    }

    fn assumed(&self) -> Option<NetworkCopy> {
        Some(NetworkCopy { path: self.folder.clone(), sha256: String::new(), evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<NetworkCopy, ActivityError> {
        let config: WholeConfig = cx.world().must_get(None, CLUSTER).await?;
        let operator: WholeOperator = cx.world().must_get(None, CLUSTER).await?;
        let items = [
            object("config.openshift.io/v1", &config.metadata, config.rest),
            object("operator.openshift.io/v1", &operator.metadata, operator.rest),
        ];
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        let text = format!("{list:#}\n");
        let kept = cx.world().keep_copy(&self.folder, "network", &text).await?;
        let evidence = format!(
            "both network objects are in {}; compare with `oc get network.config,network.operator cluster -o json`",
            kept.path
        );
        Ok(NetworkCopy { path: kept.path, sha256: kept.sha256, evidence })
    }
}

fn object(version: &str, metadata: &ObjectMeta, mut rest: Map<String, Value>) -> Value {
    rest.insert("apiVersion".to_owned(), json!(version));
    rest.insert("kind".to_owned(), json!("Network"));
    rest.insert("metadata".to_owned(), json!(metadata));
    Value::Object(rest)
}
