//! A copy of both network objects before anything is changed, kept on the operator's machine beside the journal.

use std::path::{Component, Path};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::fs;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::CLUSTER;
use crate::cluster::Cluster;
use crate::command::make_private;
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
        let below = Path::new(&self.folder);
        let files = cx.world().files()?;
        if below.components().any(|part| !matches!(part, Component::Normal(_))) {
            let message = format!("{:?} names no folder below {}; plan again", self.folder, files.display());
            return Err(ActivityError::permanent("bad-folder", message));
        }
        let config: WholeConfig = cx.world().must_get(None, CLUSTER).await?;
        let operator: WholeOperator = cx.world().must_get(None, CLUSTER).await?;
        let items = [
            object("config.openshift.io/v1", &config.metadata, config.rest),
            object("operator.openshift.io/v1", &operator.metadata, operator.rest),
        ];
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        let text = format!("{list:#}\n");
        let sha256 = crate::ovn::hex(&digest(&SHA256, text.as_bytes()));
        let folder = files.join(below);
        make_private(&folder).await?;
        let path = folder.join(format!("network-{}.json", &sha256[..16]));
        keep(&folder, &path, &text).await.map_err(|error| {
            let message = format!("{} can't be written: {error}; make room or name another journal, then retry", path.display());
            ActivityError::transient("backup-not-written", message)
        })?;
        let evidence = format!(
            "both network objects are in {}; compare with `oc get network.config,network.operator cluster -o json`",
            path.display()
        );
        Ok(NetworkCopy { path: path.display().to_string(), sha256, evidence })
    }
}

fn object(version: &str, metadata: &ObjectMeta, mut rest: Map<String, Value>) -> Value {
    rest.insert("apiVersion".to_owned(), json!(version));
    rest.insert("kind".to_owned(), json!("Network"));
    rest.insert("metadata".to_owned(), json!(metadata));
    Value::Object(rest)
}

/// Writes a file that is on the disk before it has its name.
async fn keep(folder: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    use tokio::io::AsyncWriteExt as _;
    let part = path.with_extension("part");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut file = options.open(&part).await?;
    file.write_all(text.as_bytes()).await?;
    file.sync_all().await?;
    fs::rename(&part, path).await?;
    fs::File::open(folder).await?.sync_all().await
}
