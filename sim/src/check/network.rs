//! What must hold after a migration of the network.

use serde_json::Value;

use super::{Baseline, Violation, no_machine_deleted, no_node_remediated, rebooted};
use crate::sim::Sim;
use crate::store::resources::{DAEMONSETS, NAMESPACES, NETWORKS_CONFIG, NETWORKS_OPERATOR, NODES};
use crate::world::json::{name, node_ready, text};
use crate::world::network::CLUSTER;
use crate::world::shape::NetworkPlugin;

/// One reboot to be prepared, and one to take the new plugin.
const REBOOTS: usize = 2;

impl Baseline {
    /// Everything that a migration to this plugin must have kept and done.
    pub fn check_migration(&self, sim: &Sim, to: NetworkPlugin) -> Vec<Violation> {
        let (store, ledger) = (sim.store(), sim.ledger());
        let mut found = vec![];
        let config = store.get(&NETWORKS_CONFIG, None, CLUSTER).map_or(Value::Null, |config| (*config).clone());
        for at in ["/spec/networkType", "/status/networkType"] {
            if text(&config, at) != to.name() {
                found.push(Violation(format!("{at} of the network is {:?}", text(&config, at))));
            }
        }
        let operator = store.get(&NETWORKS_OPERATOR, None, CLUSTER).map_or(Value::Null, |operator| (*operator).clone());
        if !operator["spec"]["migration"].is_null() || !config["status"]["migration"].is_null() {
            found.push(Violation("the migration is still asked for".to_owned()));
        }
        for plugin in NetworkPlugin::ALL.into_iter().filter(|plugin| *plugin != to) {
            let (namespace, set) = plugin.daemon_set();
            if store.get(&DAEMONSETS, Some(namespace), set).is_some() || store.get(&NAMESPACES, None, namespace).is_some() {
                found.push(Violation(format!("{} is still there", plugin.name())));
            }
        }
        let silent = store.list(&NODES).into_iter().filter(|node| !node_ready(node));
        found.extend(silent.map(|node| Violation(format!("node {} is not ready", name(&node)))));
        let nodes = self.control_plane.iter().chain(&self.workers).collect();
        found.extend(rebooted(&ledger.reboots, &nodes, REBOOTS..=REBOOTS));
        found.extend(self.check_given_back(sim));
        found.extend(no_machine_deleted(&ledger));
        found.extend(no_node_remediated(&ledger));
        found
    }
}
