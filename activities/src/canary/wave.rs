use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, RunId};

use crate::cluster::Cluster;
use crate::ids::{NodeName, PoolName, RenderedConfig};
use crate::views::{LabelSelector, MachineConfigPool, Requirement, View as _};

/// Names the run that made a pool or cordoned a node.
pub(super) const OWNER: &str = "windlass.dev/owner";

/// By what pools select the configurations that they render from.
const ROLE: &str = "machineconfiguration.openshift.io/role";

/// Nodes that take the update together, in a pool of their own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Wave {
    /// Its name.
    pub name: String,
    /// Its pool: `workerpool-<name>`.
    pub pool: PoolName,
    /// The pool that its nodes come from.
    pub source: PoolName,
    /// The label that puts a node into the pool.
    pub label: String,
    /// How many of its nodes may be down at once; one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<String>,
    /// Its nodes, by name.
    pub nodes: Vec<CanaryNode>,
}

/// A node of a wave as it was when it was chosen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CanaryNode {
    /// Its name.
    pub name: NodeName,
    /// Which boot it was in.
    pub boot_id: String,
    /// The configuration that it had.
    pub rendered: RenderedConfig,
}

impl Wave {
    /// The label of a wave's pool.
    pub(super) fn label_of(pool: &PoolName) -> String {
        format!("node-role.kubernetes.io/{pool}")
    }

    /// How many of its nodes may be down at once: as the operator reckons, at least one.
    pub(super) fn at_once(&self) -> usize {
        let Some(limit) = &self.max_unavailable else { return 1 };
        let share = limit.strip_suffix('%').and_then(|share| share.parse::<usize>().ok());
        let count = share.map_or_else(|| limit.parse().unwrap_or(1), |share| self.nodes.len() * share / 100);
        count.clamp(1, self.nodes.len().max(1))
    }

    /// How a person gives the wave's nodes back.
    pub fn by_hand(&self) -> String {
        let nodes: Vec<&str> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        format!(
            "once pools {pool} and {source} are unpaused and updated: oc label node {nodes} {label}- ; wait until `oc get mcp {pool}` \
             counts 0 machines; oc delete mcp {pool}",
            pool = self.pool,
            source = self.source,
            nodes = nodes.join(" "),
            label = self.label,
        )
    }

    /// What selects the configurations that the wave's pool renders from: all that its nodes have now.
    fn config_selector(&self) -> LabelSelector {
        let values = vec![self.source.as_str().to_owned(), self.pool.as_str().to_owned()];
        let role = Requirement { key: ROLE.to_owned(), operator: "In".to_owned(), values };
        LabelSelector { match_expressions: vec![role], ..LabelSelector::default() }
    }

    fn node_selector(&self) -> LabelSelector {
        LabelSelector { match_labels: [(self.label.clone(), String::new())].into(), ..LabelSelector::default() }
    }

    fn manifest(&self, owner: &str) -> Value {
        let limit = self.max_unavailable.as_ref().map(|limit| limit.parse::<u32>().map_or(json!(limit), |count| json!(count)));
        let mut spec = json!({
            "machineConfigSelector": {"matchExpressions": self.config_selector().match_expressions},
            "nodeSelector": {"matchLabels": self.node_selector().match_labels},
            "paused": false,
        });
        if let Some(limit) = limit {
            spec["maxUnavailable"] = limit;
        }
        json!({
            "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfigPool",
            "metadata": {"name": self.pool, "annotations": {OWNER: owner}},
            "spec": spec,
        })
    }
}

/// The value by which a run's own changes are known.
pub(super) fn owner_of(run: RunId) -> String {
    format!("windlass/{run}")
}

/// Creates the pool of a wave, empty.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CreateWavePool {
    /// The wave.
    pub wave: Wave,
}

/// The pool of a wave.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WavePool {
    /// Its name.
    pub pool: PoolName,
    /// Its uid.
    pub uid: String,
    /// Whether this run had created it already.
    pub already: bool,
}

impl Activity for CreateWavePool {
    const NAME: ActivityName = ActivityName::new("create-wave-pool");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = WavePool;

    fn summary(&self) -> String {
        format!("create pool {} for {} nodes", self.wave.pool, self.wave.nodes.len())
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("POST {} {}", collection(), self.wave.manifest("windlass/RUN"))]
    }

    fn assumed(&self) -> Option<WavePool> {
        Some(WavePool { pool: self.wave.pool.clone(), uid: String::new(), already: true })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<WavePool, ActivityError> {
        let owner = owner_of(cx.attempt().run);
        let pool = self.wave.pool.clone();
        let there: Option<MachineConfigPool> = cx.world().get(None, pool.as_str()).await?;
        if let Some(there) = there {
            check_own(&there, &self.wave, &owner).map_err(|cause| ActivityError::permanent("foreign", cause))?;
            return Ok(WavePool { pool, uid: there.uid_text().to_owned(), already: true });
        }
        let made: MachineConfigPool = cx.world().create(None, &self.wave.manifest(&owner)).await?;
        Ok(WavePool { pool, uid: made.uid_text().to_owned(), already: false })
    }
}

/// Where pools are served.
pub(super) fn collection() -> String {
    <MachineConfigPool as kube::Resource>::url_path(&(), None)
}

/// Whether a pool that is there is the one that this run makes.
fn check_own(pool: &MachineConfigPool, wave: &Wave, owner: &str) -> Result<(), String> {
    let name = pool.name();
    match pool.annotation(OWNER) {
        Some(by) if by == owner => {}
        Some(by) => return Err(format!("pool {name} belongs to {by}; end that run, or give the wave another name")),
        None => return Err(format!("pool {name} exists and is somebody else's; give the wave another name")),
    }
    let same = pool.spec.machine_config_selector.as_ref() == Some(&wave.config_selector())
        && pool.spec.node_selector.as_ref() == Some(&wave.node_selector());
    if same {
        Ok(())
    } else {
        Err(format!("pool {name} was changed since this run created it; delete it if it is empty, then retry"))
    }
}

#[cfg(test)]
pub(super) mod fixtures {
    use super::*;

    /// The wave `canary` of `worker-0`.
    pub(in crate::canary) fn wave() -> Wave {
        let pool = PoolName::new("workerpool-canary");
        let rendered = RenderedConfig::new("rendered-worker-r0");
        let node = CanaryNode { name: "worker-0".into(), boot_id: "b0".to_owned(), rendered };
        let label = Wave::label_of(&pool);
        Wave { name: "canary".to_owned(), pool, source: "worker".into(), label, max_unavailable: None, nodes: vec![node] }
    }

    /// The pool of a wave as the server has it once it rendered `config`.
    pub(in crate::canary) fn pool_of(wave: &Wave, owner: &str, config: &str, nodes: i32) -> MachineConfigPool {
        let mut object = wave.manifest(owner);
        let rendered = json!({"name": format!("rendered-{}-{config}", wave.pool)});
        object["metadata"]["uid"] = json!("uid-1");
        object["metadata"]["generation"] = json!(2);
        object["spec"]["configuration"] = rendered.clone();
        let updated = json!({"type": "Updated", "status": "True", "lastTransitionTime": "2026-03-01T10:00:00Z"});
        object["status"] = json!({"observedGeneration": 2, "configuration": rendered, "machineCount": nodes,
            "updatedMachineCount": nodes, "readyMachineCount": nodes, "conditions": [updated]});
        serde_json::from_value(object).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_that_is_there_is_taken_only_if_it_is_the_runs_own() {
        let check = |edit: &dyn Fn(&mut MachineConfigPool), expect: &str| {
            let wave = fixtures::wave();
            let mut pool = fixtures::pool_of(&wave, "windlass/1", "r0", 0);
            edit(&mut pool);
            let outcome = check_own(&pool, &wave, "windlass/1").err().unwrap_or_default();
            assert_eq!(outcome, expect);
        };
        check(&|_| {}, "");
        check(
            &|pool| drop(pool.metadata.annotations.take()),
            "pool workerpool-canary exists and is somebody else's; give the wave another name",
        );
        check(
            &|pool| drop(pool.metadata.annotations.get_or_insert_default().insert(OWNER.to_owned(), "windlass/2".to_owned())),
            "pool workerpool-canary belongs to windlass/2; end that run, or give the wave another name",
        );
        check(
            &|pool| pool.spec.node_selector = Some(LabelSelector::default()),
            "pool workerpool-canary was changed since this run created it; delete it if it is empty, then retry",
        );
    }

    #[test]
    fn the_pool_renders_what_its_nodes_have_and_selects_them_by_label() {
        let wave = Wave { max_unavailable: Some("3".to_owned()), ..fixtures::wave() };
        let manifest = wave.manifest("windlass/1");
        let expect = json!({
            "machineConfigSelector": {"matchExpressions": [{"key": ROLE, "operator": "In", "values": ["worker", "workerpool-canary"]}]},
            "nodeSelector": {"matchLabels": {"node-role.kubernetes.io/workerpool-canary": ""}},
            "paused": false, "maxUnavailable": 3,
        });
        assert_eq!(manifest["spec"], expect);
    }
}
