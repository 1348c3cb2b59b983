//! How long steps take: from the cluster's own history where there is one, else from measured clusters.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, Registry};

use crate::cluster::Cluster;
use crate::views::{ClusterVersion, HistoryEntry, HistoryState, nullable, view};

/// Registers the activities of this family.
pub(crate) fn register(registry: Registry, cluster: &Arc<Cluster>) -> Registry {
    registry.activity::<ReadEstimates>(cluster)
}

/// How long something takes, in one of two cases and in nine of ten.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Spread {
    /// Half of the cases take no longer.
    pub p50_seconds: u64,
    /// Nine of ten cases take no longer.
    pub p90_seconds: u64,
}

impl Spread {
    const fn minutes(p50: u64, p90: u64) -> Self {
        Self { p50_seconds: p50 * 60, p90_seconds: p90 * 60 }
    }

    /// So many of them, one after the other. The slow case is slow each time: the rounds of a pool share their hardware and
    /// their disruption budgets, so that they do not even out.
    #[must_use]
    pub const fn times(self, rounds: u64) -> Self {
        Self { p50_seconds: self.p50_seconds.saturating_mul(rounds), p90_seconds: self.p90_seconds.saturating_mul(rounds) }
    }
}

/// How long the long steps take on a cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Estimates {
    /// The control plane, from one release to the next.
    pub hop: Spread,
    /// One node: drained, written, rebooted, ready.
    pub node: Spread,
    /// Where the numbers are from, for people.
    pub source: Vec<String>,
}

/// 74 completed updates of one build cluster over years. The slow quarter was stuck until somebody looked, hence the distance
/// between the two.
const MODEL_HOP: Spread = Spread::minutes(81, 887);

/// Fewer updates than this say nothing of the slow case.
const ENOUGH: usize = 5;

impl Default for Estimates {
    fn default() -> Self {
        Self::from_facts(&[], None)
    }
}

impl Estimates {
    /// How long a pool takes once it is unpaused. `max_unavailable` is a number or a percentage as in the pool; it is rounded
    /// as the machine config operator does, down and to at least one.
    pub fn pool(&self, nodes: u32, max_unavailable: &str) -> Spread {
        self.node.times(nodes.div_ceil(at_once(nodes, max_unavailable)).into())
    }

    fn from_facts(history: &[HistoryEntry], platform: Option<&str>) -> Self {
        let (hop, hop_source) = hop(history);
        let (node, hardware) = node(platform);
        let node_source = format!("node: {} on {hardware}, measured elsewhere", in_minutes(node));
        Self { hop, node, source: vec![hop_source, node_source] }
    }
}

fn at_once(nodes: u32, max_unavailable: &str) -> u32 {
    let written = max_unavailable.trim();
    let count = match written.strip_suffix('%') {
        Some(share) => share.parse().map_or(1, |share: u64| u64::from(nodes) * share / 100),
        None => written.parse().unwrap_or(1),
    };
    u32::try_from(count).unwrap_or(u32::MAX).max(1)
}

/// The control plane's time, and where it is from.
fn hop(history: &[HistoryEntry]) -> (Spread, String) {
    // The oldest entry is the installation.
    let updates = history.split_last().map_or(&[][..], |(_, updates)| updates);
    let mut seconds: Vec<u64> = updates.iter().filter_map(seconds_of).collect();
    if seconds.len() < ENOUGH {
        let own = seconds.len();
        let source = format!(
            "control plane: {}, as 74 updates of another cluster; this one has {own} completed, {ENOUGH} are needed",
            in_minutes(MODEL_HOP)
        );
        return (MODEL_HOP, source);
    }
    seconds.sort_unstable();
    let spread = Spread { p50_seconds: rank(&seconds, 50), p90_seconds: rank(&seconds, 90) };
    (spread, format!("control plane: {}, from {} updates of this cluster", in_minutes(spread), seconds.len()))
}

/// How long a completed update took. One that was given up for another says nothing.
fn seconds_of(entry: &HistoryEntry) -> Option<u64> {
    let took = entry.completion_time? - entry.started_time?;
    let completed = entry.state == HistoryState::Completed;
    u64::try_from(took.num_seconds()).ok().filter(|seconds| completed && *seconds > 0)
}

/// The smallest of the sorted values that so many of a hundred do not exceed; zero if there are none.
fn rank(sorted: &[u64], of_hundred: usize) -> u64 {
    let index = (sorted.len() * of_hundred).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

/// A node's time, and on what hardware. A slow one is half-way from the median to where each part is at its slowest: drain
/// 10 min, image 5, reboot 2 (virtual), 3 (cloud) or 20 (metal), kubelet 1.5.
fn node(platform: Option<&str>) -> (Spread, String) {
    let (spread, hardware) = match platform {
        Some("AWS" | "Azure" | "GCP" | "IBMCloud" | "PowerVS" | "AlibabaCloud") => (Spread::minutes(5, 12), "cloud machines"),
        Some("VSphere" | "OpenStack" | "oVirt" | "Nutanix" | "KubeVirt") => (Spread::minutes(6, 12), "virtual machines"),
        Some("BareMetal" | "EquinixMetal") => (Spread::minutes(18, 27), "bare metal"),
        // Without an integration the machines may be anything: count with the slowest.
        Some(_) | None => (Spread::minutes(18, 27), "unknown hardware, counted as bare metal"),
    };
    (spread, platform.map_or_else(|| hardware.to_owned(), |platform| format!("{hardware} ({platform})")))
}

fn in_minutes(spread: Spread) -> String {
    format!("{} min, in nine of ten cases at most {}", spread.p50_seconds.div_ceil(60), spread.p90_seconds.div_ceil(60))
}

/// Reads how long the long steps take on this cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReadEstimates {}

impl Activity for ReadEstimates {
    const NAME: ActivityName = ActivityName::new("read-estimates");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Estimates;

    fn summary(&self) -> String {
        "read how long updates took on this cluster".to_owned()
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Estimates, ActivityError> {
        let version: ClusterVersion = cx.world().must_get(None, "version").await?;
        let infrastructure: Option<Infrastructure> = cx.world().get(None, "cluster").await?;
        let platform = infrastructure.as_ref().and_then(Infrastructure::platform);
        Ok(Estimates::from_facts(&version.status.history, platform))
    }
}

/// What the cluster runs on.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Infrastructure {
    metadata: ObjectMeta,
    #[serde(deserialize_with = "nullable")]
    status: InfrastructureStatus,
}
view!(Infrastructure, Cluster, "config.openshift.io", "v1", "Infrastructure", "infrastructures");

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct InfrastructureStatus {
    #[serde(deserialize_with = "nullable")]
    platform_status: PlatformStatus,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct PlatformStatus {
    #[serde(rename = "type", deserialize_with = "nullable")]
    kind: String,
}

impl Infrastructure {
    fn platform(&self) -> Option<&str> {
        Some(self.status.platform_status.kind.as_str()).filter(|kind| !kind.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::testing::{Server, VERSIONS, attempt};

    fn entry(minutes: u64, state: &str) -> serde_json::Value {
        let began = chrono::DateTime::UNIX_EPOCH;
        let ended = began + Duration::from_secs(minutes * 60);
        json!({"state": state, "startedTime": began, "completionTime": ended, "version": "4.16.1", "image": "x"})
    }

    fn history(entries: Vec<serde_json::Value>) -> Vec<HistoryEntry> {
        serde_json::from_value(entries.into()).unwrap()
    }

    #[test]
    fn a_hop_takes_what_it_took_here_if_there_are_enough_of_them() {
        let check = |minutes: &[u64], expect: (u64, u64)| {
            // The installation, which is no update, took a minute.
            let entries = minutes.iter().chain([&1]).map(|minutes| entry(*minutes, "Completed")).collect();
            assert_eq!(hop(&history(entries)).0, Spread::minutes(expect.0, expect.1), "{minutes:?}");
        };
        check(&[], (81, 887));
        check(&[10, 20, 30, 40], (81, 887));
        check(&[50, 40, 30, 20, 10], (30, 50));
        check(&[10, 20, 30, 40, 50, 60, 70, 80, 90, 1000], (50, 90));
        let measured = [
            17, 20, 30, 30, 34, 36, 37, 39, 39, 40, 40, 43, 49, 52, 53, 54, 58, 60, 61, 63, 64, 64, 65, 67, 67, 69, 70, 70, 70,
            70, 72, 73, 73, 76, 76, 80, 80, 81, 84, 84, 87, 89, 90, 91, 91, 94, 95, 97, 100, 104, 123, 123, 132, 136, 140, 157,
            167, 181, 210, 247, 334, 366, 374, 530, 542, 669, 887, 941, 1187, 1209, 1247, 1420, 1624, 3270,
        ];
        check(&measured, (80, 887));
    }

    #[test]
    fn what_was_given_up_or_has_no_end_does_not_count() {
        let mut entries: Vec<_> = [10, 20, 30, 40].map(|minutes| entry(minutes, "Completed")).into();
        entries.push(entry(5000, "Partial"));
        entries.push(json!({"state": "Completed", "startedTime": "2026-01-01T00:00:00Z", "version": "", "image": "x"}));
        entries.push(entry(1, "Completed"));
        let (spread, source) = hop(&history(entries));
        assert_eq!(spread, MODEL_HOP);
        assert!(source.ends_with("this one has 4 completed, 5 are needed"), "{source}");
    }

    #[test]
    fn a_pool_takes_as_many_rounds_as_its_nodes_need() {
        let estimates = Estimates { node: Spread::minutes(8, 10), ..Estimates::default() };
        let check = |nodes: u32, max_unavailable: &str, rounds: u64| {
            let expect = Spread::minutes(8 * rounds, 10 * rounds);
            assert_eq!(estimates.pool(nodes, max_unavailable), expect, "{nodes} nodes, {max_unavailable}");
        };
        check(100, "10%", 10);
        check(100, "1", 100);
        check(30, "10", 3);
        check(31, "10", 4);
        check(5, "10%", 5);
        check(0, "1", 0);
        check(4, "0", 4);
        check(4, "-3", 4);
        check(4, "", 4);
        check(4, "half", 4);
        check(4, "400%", 1);
    }

    #[test]
    fn nodes_take_as_long_as_their_platform() {
        let check = |platform: Option<&str>, expect: Spread, said: &str| {
            let (spread, hardware) = node(platform);
            assert_eq!((spread, hardware.as_str()), (expect, said));
        };
        check(Some("AWS"), Spread::minutes(5, 12), "cloud machines (AWS)");
        check(Some("VSphere"), Spread::minutes(6, 12), "virtual machines (VSphere)");
        check(Some("BareMetal"), Spread::minutes(18, 27), "bare metal (BareMetal)");
        check(Some("None"), Spread::minutes(18, 27), "unknown hardware, counted as bare metal (None)");
        check(None, Spread::minutes(18, 27), "unknown hardware, counted as bare metal");
    }

    #[tokio::test(start_paused = true)]
    async fn estimates_are_read_from_the_cluster() {
        let server = Server::healthy();
        let updates: Vec<_> = [60, 60, 60, 60, 90, 1].map(|minutes| entry(minutes, "Completed")).into();
        server.edit(VERSIONS, "version", |version| version["status"]["history"] = updates.into());
        let platform =
            json!({"metadata": {"name": "cluster"}, "status": {"platform": "AWS", "platformStatus": {"type": "AWS", "aws": {}}}});
        server.put(&serde_json::from_value::<Infrastructure>(platform).unwrap());
        let cluster = server.cluster().await;
        let (cx, _) = attempt(&cluster);
        let estimates = ReadEstimates {}.run(cx).await.unwrap();
        assert_eq!((estimates.hop, estimates.node), (Spread::minutes(60, 90), Spread::minutes(5, 12)));
        let expect = [
            "control plane: 60 min, in nine of ten cases at most 90, from 5 updates of this cluster",
            "node: 5 min, in nine of ten cases at most 12 on cloud machines (AWS), measured elsewhere",
        ];
        assert_eq!(estimates.source, expect);
    }
}
