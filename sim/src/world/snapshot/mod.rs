//! A real cluster's shape in a file: what a rehearsal needs of its objects, and nothing secret.

mod build;
mod keep;
mod notes;

pub use keep::{KINDS, Kept, Reach};

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Datelike as _, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::graph::UpdateGraph;
use super::json::{name, namespace, selects, text};
use super::shape::{AdminGate, ClusterShape, Objection, PoolShape, Timing};

/// A snapshot of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Says that this is one: `cluster-snapshot`.
    pub windlass: String,
    /// The format.
    pub format: u32,
    /// The windlass that took it.
    pub build: String,
    /// When, by the cluster's clock.
    pub taken: DateTime<Utc>,
    /// What could not be read, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
    /// What the update service offers, if it is to be rehearsed with; else it is made up from the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph: Option<UpdateGraph>,
    /// The objects.
    pub objects: Vec<Value>,
}

/// What [`Snapshot::windlass`] says.
pub const MARK: &str = "cluster-snapshot";
/// The format of this build.
pub const FORMAT: u32 = 1;
/// Bytes of the largest file that is read: four thousand nodes' worth.
pub const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// The most objects, and the most that they may ask to be made.
const MAX_OBJECTS: usize = 500_000;
/// When a snapshot may have been taken: ages are reckoned from it, and there is no time 300,000 years away.
const YEARS: std::ops::RangeInclusive<i32> = 0..=9999;
/// A file of that size has this many YAML nodes at most.
const MAX_YAML_NODES: usize = 40_000_000;

/// A file that is no snapshot to rehearse with.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The file could not be read.
    #[error("read the snapshot {}: check the path", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is too large.
    #[error("read the snapshot {}: it has more than {MAX_BYTES} bytes; leave pods of idle namespaces out", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not YAML, or not a snapshot.
    #[error("read the snapshot {}: it is none, or was edited: {message}; `windlass snapshot > FILE` writes one", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        message: String,
    },
    /// An object that is not well-formed, or that is missing.
    #[error("use the snapshot {}: {message}; mend it, or take it again with `windlass snapshot`", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Which object, and what is wrong with it.
        message: String,
    },
}

impl Snapshot {
    /// An empty snapshot of this moment.
    pub fn new(build: &str, taken: DateTime<Utc>) -> Self {
        let (windlass, build) = (MARK.to_owned(), build.to_owned());
        Self { windlass, format: FORMAT, build, taken, unread: vec![], graph: None, objects: vec![] }
    }

    /// Reads a snapshot from a file and checks it.
    pub fn load(path: &std::path::Path) -> Result<Self, SnapshotError> {
        let failed = |source| SnapshotError::Read { path: path.into(), source };
        let mut text = Vec::new();
        // What is no regular file says nothing of its length, and may have no end.
        File::open(path).map_err(failed)?.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(SnapshotError::TooLarge { path: path.into() });
        }
        let text = String::from_utf8(text).map_err(|e| e.utf8_error().to_string());
        let parsed = text.and_then(|text| Self::parse(&text));
        let snapshot = parsed.map_err(|message| SnapshotError::Parse { path: path.into(), message })?;
        snapshot.check().map_err(|message| SnapshotError::Content { path: path.into(), message })?;
        Ok(snapshot)
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.trim_start().starts_with('{') {
            return serde_json::from_str(text).map_err(|e| e.to_string());
        }
        let mut options = serde_saphyr::Options::default();
        if let Some(budget) = &mut options.budget {
            (budget.max_nodes, budget.max_events) = (MAX_YAML_NODES, 2 * MAX_YAML_NODES);
            // No snapshot has any, and a few lines of them stand for gigabytes.
            (budget.max_aliases, budget.max_anchors) = (0, 0);
            budget.max_total_scalar_bytes = usize::try_from(MAX_BYTES).unwrap_or(usize::MAX);
        }
        // The first line says where; what follows is the text around it.
        serde_saphyr::from_str_with_options(text, options)
            .map_err(|e| e.to_string().lines().next().unwrap_or_default().to_owned())
    }

    /// Refuses what no cluster could look like, naming the object.
    pub fn check(&self) -> Result<(), String> {
        if self.windlass != MARK {
            return Err(format!("it says windlass: {:?} where {MARK:?} belongs", self.windlass));
        }
        if self.format != FORMAT {
            return Err(format!("it has format {}, and this windlass reads format {FORMAT}", self.format));
        }
        if self.objects.len() > MAX_OBJECTS {
            return Err(format!("it has {} objects, and at most {MAX_OBJECTS} are read", self.objects.len()));
        }
        if !YEARS.contains(&self.taken.year()) {
            return Err(format!("it was taken {}, when there was no such cluster", self.taken.to_rfc3339()));
        }
        let mut seen = BTreeMap::new();
        for (index, object) in self.objects.iter().enumerate() {
            let key = check_object(index, object)?;
            if let Some(first) = seen.insert(key, index) {
                return Err(format!("objects[{index}] is objects[{first}] again: {}", told(object)));
            }
        }
        let replicas = self.objects.iter().filter_map(|object| object["spec"]["replicas"].as_u64());
        let replicas = replicas.fold(0, u64::saturating_add);
        if replicas > MAX_OBJECTS as u64 {
            return Err(format!("its objects ask for {replicas} replicas, and at most {MAX_OBJECTS} are made"));
        }
        let version = self.one("ClusterVersion").ok_or("it has no ClusterVersion")?;
        let at = text(version, "/status/desired/version");
        super::graph::release(at).ok_or_else(|| format!("status.desired.version of its ClusterVersion is {at:?}, no release"))?;
        for pool in ["master", "worker"] {
            if !self.of("MachineConfigPool").any(|object| name(object) == pool) {
                return Err(format!("it has no MachineConfigPool {pool}"));
            }
        }
        let masters = self.nodes_by_pool().into_iter().find(|(pool, _)| pool == "master");
        if masters.is_none_or(|(_, nodes)| nodes.is_empty()) {
            return Err("none of its nodes is in the pool master".to_owned());
        }
        Ok(())
    }

    /// The objects of a kind.
    pub fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    fn one(&self, kind: &str) -> Option<&Value> {
        self.objects.iter().find(|object| object["kind"] == kind)
    }

    /// Each pool with the names of its nodes in the order in which they joined, `master` first.
    pub fn nodes_by_pool(&self) -> Vec<(String, Vec<String>)> {
        let mut pools: Vec<&Value> = self.of("MachineConfigPool").collect();
        pools.sort_by_key(|pool| (rank(name(pool)), name(pool)));
        let mut nodes: Vec<&Value> = self.of("Node").collect();
        nodes.sort_by_key(|node| (text(node, "/metadata/creationTimestamp"), name(node)));
        let members = |pool: &str| {
            let inside = nodes.iter().filter(|node| pool_of(&pools, node) == Some(pool));
            inside.map(|node| name(node).to_owned()).collect()
        };
        pools.iter().map(|pool| (name(pool).to_owned(), members(name(pool)))).collect()
    }

    /// The shape of a simulated cluster that looks like this.
    pub fn shape(self, seed: u64) -> ClusterShape {
        let pools = self.nodes_by_pool();
        let count = |pool: &str| pools.iter().find(|(known, _)| known == pool).map_or(0, |(_, nodes)| nodes.len());
        let others = self.of("MachineConfigPool").filter(|pool| name(pool) != "master");
        let pool_shapes = others.map(|pool| PoolShape {
            name: name(pool).to_owned(),
            nodes: count(name(pool)),
            max_unavailable: match &pool["spec"]["maxUnavailable"] {
                Value::String(share) => share.clone(),
                Value::Number(number) => number.to_string(),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => "1".to_owned(),
            },
            paused: pool["spec"]["paused"] == true,
        });
        let version = self.one("ClusterVersion").map_or("", |v| text(v, "/status/desired/version")).to_owned();
        ClusterShape {
            seed,
            control_plane: count("master"),
            pools: pool_shapes.collect(),
            channel: self.one("ClusterVersion").map_or("", |v| text(v, "/spec/channel")).to_owned(),
            workloads_per_node: 0,
            health_check_minutes: None,
            signer_days: self.signer_days(),
            admin_gates: self.gates(&version),
            removed_apis: vec![],
            installed_operators: vec![],
            not_upgradeable: self.objections(),
            overrides: false,
            timing: Timing::default(),
            graph: self.graph.clone(),
            version,
            copied: Some(Arc::new(self)),
            ..ClusterShape::default()
        }
    }

    /// Days until the signer of the kubelets' trust ends.
    fn signer_days(&self) -> i64 {
        let signer = self.of("Secret").find(|secret| name(secret) == super::config::SIGNER.1);
        let end = signer.and_then(|s| super::json::time(s, "/metadata/annotations/auth.openshift.io~1certificate-not-after"));
        end.map_or_else(|| ClusterShape::default().signer_days, |end| (end - self.taken).num_days())
    }

    /// The gates that are there, and one of the kind that the next minor release usually brings.
    fn gates(&self, version: &str) -> Vec<AdminGate> {
        let minor = super::graph::parse(version).minor;
        let gates = self.of("ConfigMap").find(|map| name(map) == super::config::ADMIN_GATES.1);
        let present = gates.and_then(|map| map["data"].as_object()).into_iter().flatten();
        let gate = |(key, text): (&String, &Value)| AdminGate {
            minor,
            key: key.clone(),
            text: text.as_str().unwrap_or_default().to_owned(),
        };
        present.map(gate).chain([AdminGate::api_removals(minor + 1)]).collect()
    }

    /// What operators object to of their own accord; the simulated ones find out some reasons for themselves.
    fn objections(&self) -> Vec<Objection> {
        let judged = ["operator-lifecycle-manager", "cloud-credential", "machine-config"];
        let others = self.of("ClusterOperator").filter(|o| !judged.contains(&name(o)));
        let objection = |operator: &Value| {
            let conditions = operator["status"]["conditions"].as_array()?;
            let said = conditions.iter().find(|c| c["type"] == "Upgradeable" && c["status"] == "False")?;
            Some(Objection {
                operator: name(operator).to_owned(),
                reason: text(said, "/reason").to_owned(),
                message: text(said, "/message").to_owned(),
            })
        };
        others.filter_map(objection).collect()
    }
}

/// The built-in pools come first and last: a custom pool wins over `worker`, and `master` over everything.
fn rank(pool: &str) -> u8 {
    match pool {
        "master" => 0,
        "worker" => 2,
        _ => 1,
    }
}

/// The pool of a node.
fn pool_of<'a>(pools: &[&'a Value], node: &Value) -> Option<&'a str> {
    // `pools` are sorted by rank, and the first that selects wins.
    pools.iter().find(|p| selects(&p["spec"]["nodeSelector"], &node["metadata"]["labels"])).map(|p| name(p))
}

/// An object's kind and name, for people.
fn told(object: &Value) -> String {
    let (kind, ns) = (text(object, "/kind"), namespace(object));
    if ns.is_empty() { format!("{kind} {}", name(object)) } else { format!("{kind} {ns}/{}", name(object)) }
}

/// Kind, namespace and name of a well-formed object.
fn check_object(index: usize, object: &Value) -> Result<(String, String, String), String> {
    let field = |at: &str, path: &str| match object.pointer(at).and_then(Value::as_str).filter(|text| !text.is_empty()) {
        Some(found) => Ok(found.to_owned()),
        None => Err(format!("objects[{index}] ({}): {path} is missing or no text", text(object, "/kind"))),
    };
    field("/apiVersion", "apiVersion")?;
    let kind = field("/kind", "kind")?;
    let name = field("/metadata/name", "metadata.name")?;
    let namespaced = super::overlays::served_as(text(object, "/apiVersion"), &kind).is_some_and(|served| served.namespaced);
    let namespace = if namespaced { field("/metadata/namespace", "metadata.namespace")? } else { String::new() };
    let listed = |at: &str, path: &str| match object.pointer(at) {
        None | Some(Value::Object(_)) => Ok(()),
        Some(_) => Err(format!("objects[{index}] ({}): {path} is no mapping", told(object))),
    };
    for (at, path) in [("/metadata/labels", "metadata.labels"), ("/metadata/annotations", "metadata.annotations")] {
        listed(at, path)?;
    }
    listed("/spec", "spec")?;
    listed("/status", "status")?;
    Ok((kind, namespace, name))
}
