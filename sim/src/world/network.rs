//! The network's two objects: what is asked for and is, and what the network operator is told.

use serde_json::{Value, json};

use super::config::namespace;
use super::shape::NetworkPlugin;
use super::{Draft, Plan};
use crate::store::Store;
use crate::store::resources::{NETWORKS_CONFIG, NETWORKS_OPERATOR};
use crate::world::json::text;

/// The name of both objects.
pub(crate) const CLUSTER: &str = "cluster";

pub(super) fn drafts(plan: &Plan<'_>) -> Vec<Draft> {
    let plugin = plan.shape.network;
    let mut all = vec![config(plugin), operator(plugin)];
    if plugin != NetworkPlugin::default() {
        all.push(namespace(plugin.daemon_set().0));
    }
    all
}

fn config(plugin: NetworkPlugin) -> Draft {
    let ranges = json!([{ "cidr": "10.128.0.0/14", "hostPrefix": 23 }]);
    let spec = json!({ "clusterNetwork": ranges, "serviceNetwork": ["172.30.0.0/16"], "networkType": plugin.name(),
        "externalIP": { "policy": {} } });
    // The overlay of OVN-Kubernetes takes 100 bytes of each packet, that of OpenShift SDN 50.
    let mtu = match plugin {
        NetworkPlugin::Ovn => 8901,
        NetworkPlugin::Sdn => 8951,
        // Kuryr takes what Neutron says of the networks.
        NetworkPlugin::Kuryr => 1450,
    };
    let status = json!({ "clusterNetwork": ranges, "serviceNetwork": ["172.30.0.0/16"], "networkType": plugin.name(),
        "clusterNetworkMTU": mtu });
    Draft::new(NETWORKS_CONFIG, json!({ "metadata": { "name": CLUSTER }, "spec": spec, "status": status }))
}

fn operator(plugin: NetworkPlugin) -> Draft {
    let mut default = json!({ "type": plugin.name() });
    match plugin {
        NetworkPlugin::Ovn => {
            default["ovnKubernetesConfig"] = json!({ "mtu": 8901, "genevePort": 6081, "policyAuditConfig": {} });
        }
        NetworkPlugin::Sdn => {
            default["openshiftSDNConfig"] = json!({ "mode": "NetworkPolicy", "mtu": 8951, "vxlanPort": 4789 });
        }
        NetworkPlugin::Kuryr => {
            default["kuryrConfig"] = json!({ "enablePortPoolsPrepopulation": false, "poolBatchPorts": 3, "poolMaxPorts": 0,
                "poolMinPorts": 1, "mtu": 1450 });
        }
    }
    let spec = json!({ "clusterNetwork": [{ "cidr": "10.128.0.0/14", "hostPrefix": 23 }], "serviceNetwork": ["172.30.0.0/16"],
        "defaultNetwork": default, "managementState": "Managed", "logLevel": "Normal", "operatorLogLevel": "Normal" });
    Draft::new(NETWORKS_OPERATOR, json!({ "metadata": { "name": CLUSTER }, "spec": spec }))
}

/// What connects the pods, and what the nodes are being prepared for, if a migration is under way.
pub(crate) struct Network {
    pub(crate) running: NetworkPlugin,
    pub(crate) prepared: Option<NetworkPlugin>,
}

impl Network {
    /// As `status` of the configuration says; what is not there or not known is OVN-Kubernetes.
    pub(crate) fn read(store: &Store) -> Self {
        let config = store.get(&NETWORKS_CONFIG, None, CLUSTER);
        let named = |at: &str| config.as_deref().and_then(|c: &Value| NetworkPlugin::named(text(c, at)));
        Self { running: named("/status/networkType").unwrap_or_default(), prepared: named("/status/migration/networkType") }
    }

    /// What `configure-ovs.sh` is told on every node.
    pub(crate) fn rendered(&self) -> NetworkPlugin {
        self.prepared.unwrap_or(self.running)
    }
}
