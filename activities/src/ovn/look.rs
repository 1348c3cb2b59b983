//! One look at ovn-central: its Deployment, pods and nodes, and every server of both databases asked at once.
//!
//! The pods are found by the label of the application, not by those of the leaders: these are missing exactly when a look is needed most.

use std::net::IpAddr;
use std::time::Duration;

use futures::future::join_all;
use uuid::Uuid;
use windlass_engine::ActivityError;

use super::raft::{Answer, Said};
use super::status::RaftStatus;
use super::{Central, CentralNode, CentralPod, Database, NAMESPACE, Raft};
use crate::cluster::{Cluster, Query};
use crate::error::CallError;
use crate::exec::{Ended, Exec, Purpose};
use crate::ids::NodeName;
use crate::views::{Conditions as _, Deployment, Node, Pod, Status, View as _};

/// The Deployment, its container, and the label of its pods.
pub(super) const CENTRAL: &str = "ovn-central";

/// The label of nodes that ovn-central runs on, with its value.
const ROLE: (&str, &str) = ("kube-ovn/role", "master");

/// A server that is stopped in its tracks never answers; one that works answers within a second.
const LIMIT: Duration = Duration::from_secs(10);

/// More than any status; what is longer is something else.
const MOST_BYTES: u64 = 64 << 10;

/// How often a guard that says no is asked again before it is believed: leaders are busy for moments.
pub(super) const LOOKS: u32 = 5;

/// How long between two looks.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// What one look brings.
pub(super) struct Look {
    pub(super) central: Central,
    /// Every node of the cluster.
    pub(super) nodes: Vec<Node>,
}

impl Central {
    /// Looks at ovn-central once, with all that its pods tell.
    ///
    /// # Errors
    /// If the API server does not answer, if a permission is missing, or if ovn-central is not a Deployment whose pods are told their
    /// addresses by `NODE_IPS`. A pod that does not answer is no error but a trouble of its raft.
    pub async fn look(cluster: &Cluster) -> Result<Self, ActivityError> {
        Ok(look(cluster).await?.central)
    }
}

pub(super) async fn look(cluster: &Cluster) -> Result<Look, ActivityError> {
    let settings = CentralSettings::read(cluster).await?;
    let nodes: Vec<Node> = cluster.list(&Query::default()).await?;
    let pods = pods(cluster, &nodes, &settings.node_ips).await?;
    let answers = join_all(Database::BOTH.map(|database| ask(cluster, database, &pods))).await;
    let raft = |(database, answers): (Database, Result<Vec<Answer>, CallError>)| {
        Ok::<_, CallError>(Raft::of_cluster(database, None, &answers?))
    };
    let databases = Database::BOTH.into_iter().zip(answers).map(raft).collect::<Result<_, _>>()?;
    let central = Central {
        version: version_of(&settings.image),
        image: settings.image,
        replicas: settings.replicas,
        nodes: central_nodes(&nodes, &pods, &settings.node_ips),
        node_ips: settings.node_ips,
        pods,
        databases,
    };
    Ok(Look { central, nodes })
}

/// One database as it is now; `known` is the cluster that it must be, if that is settled.
pub(super) async fn look_at(cluster: &Cluster, database: Database, known: Option<Uuid>) -> Result<Raft, ActivityError> {
    let settings = CentralSettings::read(cluster).await?;
    let nodes: Vec<Node> = cluster.list(&Query::default()).await?;
    let pods = pods(cluster, &nodes, &settings.node_ips).await?;
    Ok(Raft::of_cluster(database, known, &ask(cluster, database, &pods).await?))
}

/// What the Deployment says.
struct CentralSettings {
    image: String,
    replicas: u32,
    node_ips: Vec<IpAddr>,
}

impl CentralSettings {
    async fn read(cluster: &Cluster) -> Result<Self, ActivityError> {
        let found: Option<Deployment> = cluster.get(Some(NAMESPACE), CENTRAL).await?;
        found
            .map_or_else(|| Err(other_mode("there is none (a hosted control plane has a StatefulSet)")), |found| Self::of(&found))
    }

    fn of(deployment: &Deployment) -> Result<Self, ActivityError> {
        let container = deployment.spec.template.spec.containers.iter().find(|container| container.name == CENTRAL);
        let container = container.ok_or_else(|| other_mode("it has no container of that name"))?;
        let text = container.variable("NODE_IPS").unwrap_or_default();
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let node_ips =
            parts.map(|part| part.trim_matches(['[', ']']).parse().map_err(|_| part)).collect::<Result<Vec<IpAddr>, _>>();
        let node_ips = node_ips.map_err(|part| other_mode(&format!("NODE_IPS has {part:?}, which is no address")))?;
        if node_ips.is_empty() {
            return Err(other_mode("it has no NODE_IPS: a single replica on a volume of its own is no raft"));
        }
        let replicas = deployment.spec.replicas.unwrap_or(1);
        Ok(Self { image: container.image.clone(), replicas: u32::try_from(replicas).unwrap_or_default(), node_ips })
    }
}

fn other_mode(why: &str) -> ActivityError {
    let rule = "members can be exchanged only where the Deployment ovn-central in kube-system tells its pods their addresses by NODE_IPS";
    ActivityError::permanent(
        "not-node-ips",
        format!("{rule}, and {why}; see `kubectl get deployment,statefulset -n kube-system`"),
    )
}

async fn pods(cluster: &Cluster, nodes: &[Node], node_ips: &[IpAddr]) -> Result<Vec<CentralPod>, CallError> {
    let query = Query { namespace: Some(NAMESPACE.to_owned()), labels: Some(format!("app={CENTRAL}")), ..Query::default() };
    let mut pods: Vec<Pod> = cluster.list(&query).await?;
    pods.sort_by(|a, b| a.name().cmp(b.name()));
    let address = |pod: &Pod| {
        let node = pod.spec.node_name.as_ref().and_then(|name| nodes.iter().find(|node| node.name() == name));
        node.and_then(|node| address_of(node, node_ips)).or_else(|| pod.status.host_ip.as_ref()?.parse().ok())
    };
    let of = |pod: &Pod| CentralPod {
        name: pod.name().to_owned(),
        uid: pod.uid_text().to_owned(),
        node: pod.spec.node_name.as_deref().map(NodeName::from),
        address: address(pod),
        ready: pod.is_ready(),
        runs: pod.runs(),
    };
    Ok(pods.iter().map(of).collect())
}

/// A node's address: the one that ovn-central knows, else the first of the family that ovn-central uses.
pub(super) fn address_of(node: &Node, node_ips: &[IpAddr]) -> Option<IpAddr> {
    let family = |address: &IpAddr| node_ips.first().is_none_or(|first| first.is_ipv4() == address.is_ipv4());
    let known = node.internal_addresses().find(|address| node_ips.contains(address));
    known.or_else(|| node.internal_addresses().find(family)).or_else(|| node.internal_addresses().next())
}

/// Whether a node has the label that ovn-central's pods go by.
pub(super) fn is_labelled(node: &Node) -> bool {
    node.metadata.labels.as_ref().and_then(|labels| labels.get(ROLE.0)).is_some_and(|role| role == ROLE.1)
}

fn central_nodes(nodes: &[Node], pods: &[CentralPod], node_ips: &[IpAddr]) -> Vec<CentralNode> {
    let carries = |node: &Node| pods.iter().any(|pod| pod.node.as_ref().is_some_and(|name| name.as_str() == node.name()));
    let of = |node: &Node| {
        Some(CentralNode {
            name: NodeName::from(node.name()),
            address: address_of(node, node_ips)?,
            labelled: is_labelled(node),
            ready: node.says("Ready") == Status::True,
        })
    };
    let mut found: Vec<CentralNode> = nodes.iter().filter(|node| is_labelled(node) || carries(node)).filter_map(of).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Kube-OVN's version by the tag of its image: `kubeovn/kube-ovn:v1.13.2`, with a digest or without.
pub(super) fn version_of(image: &str) -> Option<semver::Version> {
    let (name, _) = image.split_once('@').unwrap_or((image, ""));
    let (_, tag) = name.rsplit_once(':')?;
    semver::Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()
}

/// Asks every pod about one database, all at once. Only what the API server itself refuses is an error.
async fn ask(cluster: &Cluster, database: Database, pods: &[CentralPod]) -> Result<Vec<Answer>, CallError> {
    let each = pods.iter().map(|pod| async move {
        let said =
            if pod.runs { said(cluster, database, &pod.name).await? } else { Said::Nothing("the pod does not run".to_owned()) };
        Ok(Answer { pod: pod.name.clone(), address: pod.address, runs: pod.runs, said })
    });
    join_all(each).await.into_iter().collect()
}

async fn said(cluster: &Cluster, database: Database, pod: &str) -> Result<Said, CallError> {
    let status = match told(cluster, database, pod, "cluster/status").await? {
        Ok(text) => text,
        Err(why) if why.lines().next() == Some(UNKNOWN_CLUSTER) => return Ok(Said::NotServed),
        Err(why) => return Ok(Said::Nothing(why)),
    };
    let status = match RaftStatus::parse(&status) {
        Ok(status) => status,
        Err(error) => return Ok(Said::Nothing(error.to_string())),
    };
    let storage = told(cluster, database, pod, "ovsdb-server/get-db-storage-status").await?;
    Ok(storage.map_or_else(Said::Nothing, |storage| Said::Status(Box::new(status), storage)))
}

/// What a server says to a database's name that it does not serve.
pub(super) const UNKNOWN_CLUSTER: &str = "unknown cluster";

/// What a command told, or why it told nothing. Warnings beside an answer make it no answer: nobody knows what they mean for it.
async fn told(cluster: &Cluster, database: Database, pod: &str, command: &str) -> Result<Result<String, String>, CallError> {
    let words = ["ovn-appctl", "-t", database.control(), command, database.schema()];
    match cluster.exec(&exec(pod, &words, Purpose::Look)).await {
        Err(error) if error.is_forbidden() || error.is_unauthorized() => Err(error),
        Err(error) => Ok(Err(error.to_string())),
        Ok(Ended { code: 0, stdout, stderr }) if stderr.is_empty() => {
            Ok(String::from_utf8(stdout).map_err(|_| format!("{command} told something that is no text")))
        }
        Ok(ended) => Ok(Err(ended.in_words())),
    }
}

/// A command in the container of ovn-central's pod.
pub(super) fn exec<'a>(pod: &'a str, words: &'a [&'a str], purpose: Purpose) -> Exec<'a> {
    Exec { namespace: NAMESPACE, pod, container: CENTRAL, words, purpose, limit: LIMIT, most_bytes: MOST_BYTES }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_version_is_that_of_the_tag() {
        let check = |image: &str, expect: Option<&str>| {
            assert_eq!(version_of(image).map(|version| version.to_string()).as_deref(), expect, "{image}");
        };
        check("docker.io/kubeovn/kube-ovn:v1.13.2", Some("1.13.2"));
        check("registry:5000/kube-ovn:v1.12.22-mc1", Some("1.12.22-mc1"));
        check("kube-ovn:1.15.9@sha256:aa", Some("1.15.9"));
        check("kube-ovn:latest", None);
        check("kube-ovn", None);
        check("registry:5000/kube-ovn", None);
    }

    #[test]
    fn the_mode_is_told_apart() {
        let check = |containers: serde_json::Value, expect: Result<&[&str], &str>| {
            let spec = json!({"replicas": 3, "template": {"spec": {"containers": containers}}});
            let found = CentralSettings::of(&serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap());
            match (found, expect) {
                (Ok(found), Ok(ips)) => {
                    assert_eq!(found.node_ips.iter().map(ToString::to_string).collect::<Vec<_>>(), ips);
                    assert_eq!(found.replicas, 3);
                }
                (Err(error), Err(part)) => assert!(error.message.contains(part), "{error}"),
                (found, expect) => panic!("{:?} is not {expect:?}", found.map(|found| found.node_ips)),
            }
        };
        let central = |ips: &str| json!([{"name": "ovn-central", "env": [{"name": "NODE_IPS", "value": ips}]}]);
        check(central("172.18.0.3,172.18.0.4"), Ok(&["172.18.0.3", "172.18.0.4"]));
        check(central("[fd00::3], fd00::4"), Ok(&["fd00::3", "fd00::4"]));
        check(central(""), Err("no NODE_IPS"));
        check(central("172.18.0.3,node-b"), Err("NODE_IPS has \"node-b\""));
        check(json!([{"name": "ovn-central"}]), Err("no NODE_IPS"));
        check(json!([{"name": "other"}]), Err("no container of that name"));
    }
}
