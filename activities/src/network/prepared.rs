//! The proof that every host is prepared for the new plugin, before the old one is taken away.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::NetworkPlugin;
use crate::cluster::{Cluster, Query};
use crate::requests::ASSUMED;
use crate::views::{MachineConfig, Node, View as _};

/// The unit that makes the host's bridges before the kubelet starts.
const UNIT: &str = "ovs-configuration.service";

/// How many nodes are named in an error.
const NAMED: usize = 5;

/// Looks at the machine configuration that every node runs: one that was not prepared comes back from its reboot without a network.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckPrepared {
    /// The plugin that they must be prepared for.
    pub to: NetworkPlugin,
}

/// That every node is prepared, and which boot each is in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodesPrepared {
    /// What was seen.
    pub evidence: String,
}

impl Activity for CheckPrepared {
    const NAME: ActivityName = ActivityName::new("check-nodes-prepared");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = NodesPrepared;

    fn summary(&self) -> String {
        format!("check that every node is prepared for {}", self.to)
    }

    fn assumed(&self) -> Option<NodesPrepared> {
        Some(NodesPrepared { evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<NodesPrepared, ActivityError> {
        let nodes: Vec<Node> = cx.world().list(&Query::default()).await?;
        let configs = self.configs(cx.world(), &nodes, &Configs::new()).await?;
        let troubles: Vec<String> = nodes.iter().filter_map(|node| trouble(node, self.to, &configs)).collect();
        if troubles.is_empty() {
            let evidence = format!(
                "{} nodes run one of {} configurations, each with `{}`",
                nodes.len(),
                configs.len(),
                self.to.exec_start()
            );
            return Ok(NodesPrepared { evidence });
        }
        let more = troubles.len().saturating_sub(NAMED);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let named = troubles.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join("; ");
        let advice = "see `oc describe node` and the log of its machine-config-daemon, mend that, then retry";
        Err(ActivityError::transient(
            "not-prepared",
            format!("not every node is prepared for {}: {named}{more}; {advice}", self.to),
        ))
    }
}

/// Configurations by name; none for one that is gone.
pub(super) type Configs = BTreeMap<String, Option<MachineConfig>>;

impl CheckPrepared {
    /// The configurations that nodes run, those that are known already among them.
    pub(super) async fn configs(&self, cluster: &Cluster, nodes: &[Node], known: &Configs) -> Result<Configs, ActivityError> {
        let mut configs = known.clone();
        for config in nodes.iter().map(Node::current_config).filter(|config| !config.is_empty()) {
            if !configs.contains_key(config) {
                // They are large: each is read once, by its name.
                configs.insert(config.to_owned(), cluster.get(None, config).await?);
            }
        }
        Ok(configs)
    }
}

/// Why a node is not prepared for a plugin; none if it is.
pub(super) fn trouble(node: &Node, to: NetworkPlugin, configs: &Configs) -> Option<String> {
    let (name, current, desired, state) = (node.name(), node.current_config(), node.desired_config(), node.config_state());
    if current.is_empty() {
        return Some(format!("{name} has no machine configuration"));
    }
    if current != desired || state != "Done" {
        return Some(format!("{name} is {state}, on its way from {current} to {desired}"));
    }
    match configs.get(current) {
        Some(Some(config)) if prepares(config, to) => None,
        Some(Some(_)) => Some(format!("{name} runs {current}, which has no `{}`", to.exec_start())),
        Some(None) | None => Some(format!("{name} runs {current}, which does not exist any more")),
    }
}

/// Whether a configuration prepares its nodes for a plugin.
pub(super) fn prepares(config: &MachineConfig, to: NetworkPlugin) -> bool {
    let wanted = to.exec_start();
    let unit = config.spec.config.systemd.units.iter().find(|unit| unit.name == UNIT);
    unit.is_some_and(|unit| unit.contents.lines().any(|line| line.trim() == wanted))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_that_is_not_prepared_is_named_with_what_it_lacks() {
        let config = |contents: &str| -> Option<MachineConfig> {
            let units = json!([{"name": UNIT, "contents": contents}]);
            serde_json::from_value(json!({"spec": {"config": {"systemd": {"units": units}}}})).unwrap()
        };
        let ready = config("[Service]\nExecStart=/usr/local/bin/configure-ovs.sh OVNKubernetes\n");
        let configs = BTreeMap::from([
            ("new".to_owned(), ready),
            ("old".to_owned(), config("ExecStart=/usr/local/bin/configure-ovs.sh OpenShiftSDN")),
            ("odd".to_owned(), config("ExecStart=/usr/local/bin/configure-ovs.sh OVNKubernetesToo")),
            ("gone".to_owned(), None),
        ]);
        let check = |current: &str, desired: &str, state: &str, expect: Option<&str>| {
            let key = |name: &str| format!("machineconfiguration.openshift.io/{name}");
            let annotations = json!({key("currentConfig"): current, key("desiredConfig"): desired, key("state"): state});
            let node: Node = serde_json::from_value(json!({"metadata": {"name": "a", "annotations": annotations}})).unwrap();
            let found = trouble(&node, NetworkPlugin::OvnKubernetes, &configs);
            assert_eq!(found.as_deref(), expect);
        };
        check("new", "new", "Done", None);
        check("old", "new", "Working", Some("a is Working, on its way from old to new"));
        check("new", "new", "Degraded", Some("a is Degraded, on its way from new to new"));
        let lacks = "which has no `ExecStart=/usr/local/bin/configure-ovs.sh OVNKubernetes`";
        check("old", "old", "Done", Some(&format!("a runs old, {lacks}")));
        check("odd", "odd", "Done", Some(&format!("a runs odd, {lacks}")));
        check("gone", "gone", "Done", Some("a runs gone, which does not exist any more"));
        check("", "", "", Some("a has no machine configuration"));
    }
}
