//! What must hold of ovn-central after a maintenance, whatever went wrong in between.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::objects::{CENTRAL, NAMESPACE};
use super::{Database, KubeOvn};
use crate::store::resources::{DAEMONSETS, DEPLOYMENTS, PODS};
use crate::world::json::{label, name, text};

impl KubeOvn {
    /// What is broken, one line each: a database whose members are not those of `NODE_IPS` and of one mind, a server that was taken
    /// out twice, a client that was told other addresses.
    pub async fn violations(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let Some(central) = self.store.get(&DEPLOYMENTS, Some(NAMESPACE), CENTRAL) else {
            return vec!["the deployment ovn-central is gone".to_owned()];
        };
        let wanted: BTreeSet<String> =
            environment(&central, "NODE_IPS").iter().flat_map(|ips| ips.split(',')).map(str::to_owned).collect();
        for database in Database::BOTH {
            broken.extend(self.database_violations(database, &wanted).await);
        }
        for ((database, server), times) in self.accepted_kicks().into_iter().filter(|(_, times)| *times > 1) {
            broken.push(format!("server {server} of {} was taken out {times} times", database.schema()));
        }
        let clients = [self.store.list(&DEPLOYMENTS), self.store.list(&DAEMONSETS)].concat();
        for client in &clients {
            let told = environment(client, "OVN_DB_IPS");
            let told = told.map(|ips| ips.split(',').map(str::to_owned).collect::<BTreeSet<_>>());
            if told.is_some_and(|told| told != wanted) {
                broken.push(format!("{} is told other addresses than ovn-central has", name(client)));
            }
        }
        broken
    }

    async fn database_violations(&self, database: Database, wanted: &BTreeSet<String>) -> Vec<String> {
        let mut broken = Vec::new();
        let (mut leaders, mut clusters, mut answered) = (0, BTreeSet::new(), BTreeMap::new());
        for node in self.central_nodes() {
            let Some(status) = self.status(&node, database).await else {
                broken.push(format!("{} on {node} does not answer", database.schema()));
                continue;
            };
            let says =
                |key: &str| status.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap_or_default().trim().to_owned();
            leaders += usize::from(says("Role:") == "leader");
            clusters.insert(says("Cluster ID:"));
            if says("Status:") != "cluster member" {
                broken.push(format!("{} on {node} is no member: {}", database.schema(), says("Status:")));
            }
            answered.insert(node, servers(&status));
        }
        if leaders != 1 || clusters.len() != 1 {
            broken.push(format!("{} has {leaders} leaders and {} cluster ids", database.schema(), clusters.len()));
        }
        for (node, servers) in answered.iter().filter(|(_, servers)| *servers != wanted) {
            broken.push(format!("{} on {node} has the servers {servers:?}, NODE_IPS are {wanted:?}", database.schema()));
        }
        broken
    }

    /// The nodes that have a pod of ovn-central.
    pub fn central_nodes(&self) -> BTreeSet<String> {
        let pods = self.store.list(&PODS);
        let here =
            pods.iter().filter(|pod| label(pod, "app") == Some(CENTRAL) && !pod["metadata"]["deletionTimestamp"].is_string());
        here.map(|pod| text(pod, "/spec/nodeName").to_owned()).filter(|node| !node.is_empty()).collect()
    }
}

/// The value of a variable in the template of a workload.
fn environment<'a>(workload: &'a Value, variable: &str) -> Option<&'a str> {
    let containers = workload.pointer("/spec/template/spec/containers")?.as_array()?;
    let mut variables = containers.iter().filter_map(|container| container["env"].as_array()).flatten();
    variables.find(|known| known["name"] == variable)?["value"].as_str()
}

/// The addresses under `Servers:`.
fn servers(status: &str) -> BTreeSet<String> {
    let lines = status.lines().skip_while(|line| line.trim() != "Servers:").skip(1);
    lines.filter_map(|line| Some(line.split_once("tcp:[")?.1.split_once(']')?.0.to_owned())).collect()
}
