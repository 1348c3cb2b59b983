//! Kuryr's controller: gives pods their ports and takes them back, for as long as Kuryr connects the cluster's pods.
//!
//! Once another plugin does, nobody takes Kuryr's finalizers off any more, and what has one stays.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::mirror::{News, PodKey};
use super::{Controller, Cx};
use crate::kuryr::cloud::{self, NamespaceNetwork};
use crate::kuryr::objects::{self, PodPort};
use crate::kuryr::{POD_FINALIZER, Tenant, is_connected};
use crate::openstack::{Kind, OpenStack, Owner};
use crate::store::Preconditions;
use crate::store::resources::{INFRASTRUCTURES, KURYRNETWORKS, KURYRPORTS, PODS};
use crate::world::json::{name, namespace, text};
use crate::world::network::Network;
use crate::world::shape::NetworkPlugin;

/// Kuryr's controller.
pub(super) struct Kuryr {
    openstack: OpenStack,
}

impl Kuryr {
    pub(super) fn new(openstack: OpenStack) -> Self {
        Self { openstack }
    }

    /// Gives a pod that came a port, if its namespace has not enough of them already, and takes that of one that goes.
    fn notice(&self, cx: &Cx<'_>, key: &PodKey) {
        match cx.mirror.pod(key) {
            Some(pod) if pod.terminating => self.let_go(cx, key, &pod.object),
            Some(pod) if !pod.node.is_empty() && is_connected(&pod.object) && !is_kept(&pod.object) => {
                self.connect(cx, key, &pod.object, &pod.node);
            }
            Some(_) => {}
            None => self.forget(cx, key),
        }
    }

    fn let_go(&self, cx: &Cx<'_>, key: &PodKey, pod: &Value) {
        if !is_kept(pod) {
            return;
        }
        self.forget(cx, key);
        cx.modify(&PODS, Some(&key.0), &key.1, |pod| {
            if let Some(finalizers) = pod["metadata"]["finalizers"].as_array_mut() {
                finalizers.retain(|finalizer| finalizer != POD_FINALIZER);
            }
        });
    }

    /// Takes the port of a pod away, in the cluster and in the cloud.
    fn forget(&self, cx: &Cx<'_>, key: &PodKey) {
        let Some(port) = cx.store.get(&KURYRPORTS, Some(&key.0), &key.1) else { return };
        let id = text(&port, "/status/vifs/eth0/vif/versioned_object.data/id").to_owned();
        {
            let mut state = self.openstack.lock();
            let trunks: Vec<String> = state.all(Kind::Trunk).map(|trunk| text(trunk, "/id").to_owned()).collect();
            for trunk in trunks {
                if let Some(subs) = state.get_mut(Kind::Trunk, &trunk).and_then(|trunk| trunk["sub_ports"].as_array_mut()) {
                    subs.retain(|sub| sub["port_id"] != id);
                }
            }
            state.remove(Kind::Port, &id);
        }
        cx.modify(&KURYRPORTS, Some(&key.0), &key.1, |port| port["metadata"]["finalizers"] = json!([]));
        if cx.store.delete(&KURYRPORTS, Some(&key.0), &key.1, &Preconditions::default()).is_err() {
            tracing::debug!(ns = key.0, name = key.1, "a pod's port was gone already");
        }
    }

    fn connect(&self, cx: &Cx<'_>, key: &PodKey, pod: &Value, node: &str) {
        let (ns, pod_name) = (key.0.as_str(), key.1.as_str());
        let Some(network) = cx.store.get(&KURYRNETWORKS, Some(ns), ns) else { return };
        let ports = cx.store.list(&KURYRPORTS);
        let has: Vec<&str> = ports.iter().filter(|port| namespace(port) == ns).map(|port| name(port)).collect();
        if has.len() >= cx.shared.shape.kuryr.pods_per_namespace.max(1) {
            return;
        }
        let made = network_of(&network);
        let infra = cx.store.get(&INFRASTRUCTURES, None, "cluster");
        let infra = infra.map_or(String::new(), |infra| text(&infra, "/status/infrastructureName").to_owned());
        let mut state = self.openstack.lock();
        let Some(trunk) = trunk_of(&state, &infra, node) else { return };
        let groups = groups_of(&state, &infra);
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let used = state.all(Kind::Port).filter(|port| port["network_id"] == made.network.as_str()).count();
        let address = cloud::address(&made, 200 + used);
        let tags = vec![format!("openshiftClusterID={infra}")];
        let project = state.project().to_owned();
        let mut tenant = Tenant { state: &mut state, infra, owner: Owner::Kuryr, tags, at: cx.now };
        let port = cloud::pod_port(&mut tenant, &made, (pod_name, &address), &trunk, &groups);
        drop(state);
        let uid = text(pod, "/metadata/uid");
        let of = PodPort { ns, pod: pod_name, uid, node, project: &project, port: &port, address: &address };
        cx.create(&KURYRPORTS, objects::port(&of, &made));
        cx.modify(&PODS, Some(ns), pod_name, |pod| pod["metadata"]["finalizers"] = json!([POD_FINALIZER]));
    }
}

impl Controller for Kuryr {
    fn name(&self) -> &'static str {
        "kuryr"
    }

    fn concerns(&self, news: &News) -> bool {
        !news.pods.is_empty()
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>> {
        if Network::read(cx.store).running == NetworkPlugin::Kuryr {
            for key in &cx.news.pods {
                self.notice(cx, key);
            }
        }
        None
    }
}

fn is_kept(pod: &Value) -> bool {
    pod["metadata"]["finalizers"].as_array().is_some_and(|all| all.iter().any(|f| f == POD_FINALIZER))
}

fn network_of(network: &Value) -> NamespaceNetwork {
    let cidr = text(network, "/status/subnetCIDR").to_owned();
    NamespaceNetwork {
        network: text(network, "/status/netId").to_owned(),
        subnet: text(network, "/status/subnetId").to_owned(),
        index: cloud::index_of(&cidr),
        cidr,
    }
}

fn trunk_of(state: &crate::openstack::State, infra: &str, node: &str) -> Option<String> {
    let wanted = format!("{infra}-{node}-trunk");
    state.all(Kind::Trunk).find(|trunk| trunk["name"] == wanted.as_str()).map(|trunk| text(trunk, "/id").to_owned())
}

fn groups_of(state: &crate::openstack::State, infra: &str) -> Vec<String> {
    let wanted = format!("{infra}-kuryr-pods-security-group");
    let groups = state.all(Kind::SecurityGroup).filter(|group| group["name"] == wanted.as_str());
    groups.map(|group| text(group, "/id").to_owned()).collect()
}
