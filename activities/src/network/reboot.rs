//! Reboots that happen once: each host is told to reboot at a time, by a unit that ends only the boot that was journaled, and nothing
//! has to reach it at that time any more.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, Timestamp};

use crate::cluster::{Cluster, Query};
use crate::condition::{Reason, Verdict};
use crate::exec::{Exec, Purpose};
use crate::ids::NodeName;
use crate::requests::ASSUMED;
use crate::snapshot::Snapshot;
use crate::views::{Conditions as _, Node, Pod, Status, View as _};
use crate::wait::{Wait, wait_for};

/// Where the machine-config daemon lives; its DaemonSet and its container have one name.
const NAMESPACE: &str = "openshift-machine-config-operator";
const DAEMON: &str = "machine-config-daemon";

/// A host whose time has come is told to reboot after so long, for the answer to be heard.
const AT_ONCE: Duration = Duration::from_secs(10);

const LIMIT: Duration = Duration::from_secs(60);
const MOST_BYTES: u64 = 64 << 10;

/// How many nodes are named in a line.
const NAMED: usize = 3;

/// A node and the boot that it is in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Boot {
    /// The node.
    pub node: NodeName,
    /// `status.nodeInfo.bootID`, the kernel's own.
    pub boot_id: String,
}

/// Lists all nodes with the boots that they are in, right before they are told to reboot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReadBoots {}

/// The nodes of a cluster with their boots.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Boots {
    /// Those of the control plane, by name.
    pub control_plane: Vec<Boot>,
    /// All others, by name.
    pub workers: Vec<Boot>,
}

impl Activity for ReadBoots {
    const NAME: ActivityName = ActivityName::new("read-boots");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Boots;

    fn summary(&self) -> String {
        "read which boot every node is in".to_owned()
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Boots, ActivityError> {
        let mut nodes: Vec<Node> = cx.world().list(&Query::default()).await?;
        nodes.sort_by(|a, b| a.name().cmp(b.name()));
        if let Some(silent) = nodes.iter().find(|node| node.status.node_info.boot_id.is_empty()) {
            let message = format!("node {} does not tell its boot id; nothing could prove that it rebooted once", silent.name());
            return Err(ActivityError::permanent("no-boot-id", message));
        }
        let boot = |node: &Node| Boot { node: NodeName::new(node.name()), boot_id: node.status.node_info.boot_id.clone() };
        let (control_plane, workers): (Vec<&Node>, Vec<&Node>) = nodes.iter().partition(|node| is_control_plane(node));
        Ok(Boots {
            control_plane: control_plane.into_iter().map(boot).collect(),
            workers: workers.into_iter().map(boot).collect(),
        })
    }
}

fn is_control_plane(node: &Node) -> bool {
    ["node-role.kubernetes.io/master", "node-role.kubernetes.io/control-plane"].iter().any(|role| node.has_label(role))
}

/// Tells a host to reboot at a time, by a transient unit that compares the boot id first: told again before, the unit is there already;
/// told again after, the boot is another one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ArmReboot {
    /// The node, and the boot that is to end.
    pub boot: Boot,
    /// When.
    pub at: Timestamp,
    /// The unit's name, which carries run and node.
    pub unit: String,
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RebootArmed {
    /// The host will reboot.
    Armed,
    /// It was told already.
    AlreadyArmed,
    /// It has rebooted already.
    AlreadyRebooted {
        /// The boot that it is in now.
        boot_id: String,
    },
}

impl Activity for ArmReboot {
    const NAME: ActivityName = ActivityName::new("arm-reboot");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = RebootArmed;

    fn summary(&self) -> String {
        format!("tell {} to reboot once, unless it has", self.boot.node)
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("EXEC {NAMESPACE}/{DAEMON} on {}: systemd-run … systemctl reboot", self.boot.node)]
    }

    fn assumed(&self) -> Option<RebootArmed> {
        Some(RebootArmed::Armed)
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<RebootArmed, ActivityError> {
        let cluster = cx.world();
        let node: Node = cluster.must_get(None, self.boot.node.as_str()).await?;
        let boot_id = node.status.node_info.boot_id;
        if boot_id != self.boot.boot_id {
            return Ok(RebootArmed::AlreadyRebooted { boot_id });
        }
        let pod = daemon_on(cluster, &self.boot.node).await?;
        let seconds = Duration::max(self.at.since(cluster.time()), AT_ONCE).as_secs();
        let words = self.words(seconds);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let told = cluster.exec(&exec(&pod, &words, Purpose::Act)).await?;
        if told.code == 0 {
            return Ok(RebootArmed::Armed);
        }
        let timer = format!("{}.timer", self.unit);
        let show = ["chroot", "/rootfs", "systemctl", "show", "--property=ActiveState", "--value", &timer];
        let shown = cluster.exec(&exec(&pod, &show, Purpose::Look)).await?;
        if String::from_utf8_lossy(&shown.stdout).trim() == "active" {
            return Ok(RebootArmed::AlreadyArmed);
        }
        let message = format!(
            "{} could not be told to reboot: {}; look at `oc -n {NAMESPACE} rsh {pod} chroot /rootfs systemctl list-timers`, then retry",
            self.boot.node,
            told.in_words()
        );
        Err(ActivityError::transient("not-armed", message))
    }
}

impl ArmReboot {
    fn words(&self, seconds: u64) -> Vec<String> {
        let script = format!("[ \"$(cat /proc/sys/kernel/random/boot_id)\" = \"{}\" ] && systemctl reboot", self.boot.boot_id);
        let unit = format!("--unit={}", self.unit);
        let active = format!("--on-active={seconds}");
        let words =
            ["chroot", "/rootfs", "systemd-run", &unit, &active, "--timer-property=AccuracySec=1s", "/bin/sh", "-c", &script];
        words.into_iter().map(str::to_owned).collect()
    }
}

fn exec<'a>(pod: &'a str, words: &'a [&'a str], purpose: Purpose) -> Exec<'a> {
    Exec { namespace: NAMESPACE, pod, container: DAEMON, words, purpose, limit: LIMIT, most_bytes: MOST_BYTES }
}

/// The daemon's pod on a node.
async fn daemon_on(cluster: &Cluster, node: &NodeName) -> Result<String, ActivityError> {
    let query = Query { namespace: Some(NAMESPACE.to_owned()), fields: Some(format!("spec.nodeName={node}")), labels: None };
    let pods: Vec<Pod> = cluster.list(&query).await?;
    let is_daemon = |pod: &&Pod| {
        let owners = pod.metadata.owner_references.iter().flatten();
        owners.into_iter().any(|owner| owner.kind == "DaemonSet" && owner.name == DAEMON)
    };
    let running = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).find(is_daemon);
    running.map(|pod| pod.name().to_owned()).ok_or_else(|| {
        let advice = format!("look at `oc -n {NAMESPACE} get pods -o wide`, then retry");
        ActivityError::transient("no-daemon", format!("no {DAEMON} runs on {node}; {advice}"))
    })
}

/// Waits until every node is in another boot, and ready; the API may be away meanwhile.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitReboots {
    /// The nodes, and the boots that are to end.
    pub boots: Vec<Boot>,
    /// For how many minutes the API may be away at a time.
    pub outage_minutes: u32,
}

/// That every node has rebooted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rebooted {
    /// The boots that the nodes are in now.
    pub boots: Vec<Boot>,
    /// What was seen.
    pub evidence: String,
}

impl Activity for AwaitReboots {
    const NAME: ActivityName = ActivityName::new("await-reboots");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Rebooted;

    fn summary(&self) -> String {
        format!("wait until {} nodes have rebooted and are ready", self.boots.len())
    }

    fn assumed(&self) -> Option<Rebooted> {
        Some(Rebooted { boots: self.boots.clone(), evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Rebooted, ActivityError> {
        let outage_budget = Duration::from_secs(u64::from(self.outage_minutes) * 60);
        // Without a network nothing else is well, and nobody should have to read that.
        let wait = Wait { outage_budget, alone: true, ..Wait::default() };
        let seen = wait_for(&cx, wait, |snapshot| self.judge(snapshot)).await?;
        let boots = self.boots.iter().filter_map(|boot| {
            let node = seen.snapshot.nodes.get(boot.node.as_str())?;
            Some(Boot { node: boot.node.clone(), boot_id: node.status.node_info.boot_id.clone() })
        });
        Ok(Rebooted { boots: boots.collect(), evidence: seen.evidence })
    }
}

impl AwaitReboots {
    fn judge(&self, snapshot: &Snapshot) -> Verdict {
        let mut waiting: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for boot in &self.boots {
            let name = boot.node.as_str();
            let what = match snapshot.nodes.get(name) {
                None => "not there",
                Some(node) if node.status.node_info.boot_id == boot.boot_id => "not rebooted yet",
                Some(node) if node.says("Ready") != Status::True => "rebooted and not ready",
                Some(_) => continue,
            };
            waiting.entry(what).or_default().push(name);
        }
        let reasons = waiting.into_iter().map(|(what, nodes)| {
            let names = nodes.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
            let more = if nodes.len() > NAMED { ", …" } else { "" };
            Reason::waiting(format!("{} of {} nodes", nodes.len(), self.boots.len()), format!("{what}: {names}{more}"))
        });
        Verdict::from_reasons(reasons.collect(), || format!("{} nodes have rebooted and are ready", self.boots.len()))
    }
}
