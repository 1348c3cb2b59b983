//! Putting a cluster and its neighbours on the cloud, when the simulation starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::cloud::{self, Base};
use super::ground::{self, Ground};
use super::objects::{self, PodPort, ServiceBalancer};
use super::tenant::Tenant;
use super::{POD_FINALIZER, POLICY_FINALIZER, SERVICE_FINALIZER};
use crate::clock::rfc3339;
use crate::machine_daemon::Units;
use crate::openstack::objects::Device;
use crate::openstack::{OpenStack, Owner, State};
use crate::store::resources::{
    INFRASTRUCTURES, KURYRLOADBALANCERS, KURYRNETWORKPOLICIES, KURYRNETWORKS, KURYRPORTS, MACHINES, NAMESPACES, NETWORKPOLICIES,
    NODES, PODS, SERVICES,
};
use crate::store::{ApiError, Resource, Store};
use crate::world::CLUSTER_AGE;
use crate::world::json::{name, namespace, text};
use crate::world::nodes::address_of;
use crate::world::shape::{ClusterShape, NetworkPlugin};

/// The namespace of Kuryr's own pods.
const KURYR: &str = "openshift-kuryr";

/// Builds the cloud under the cluster that is stored, its neighbours in it, and what Kuryr made of both if the cluster has it.
pub(crate) fn install(store: &Store, shape: &ClusterShape, machines: Arc<Units>) -> Result<OpenStack, ApiError> {
    let mut state = State::new(shape.seed);
    let at = store.clock().now() - CLUSTER_AGE;
    let infra = store.get(&INFRASTRUCTURES, None, "cluster");
    let infra = infra.map_or(String::new(), |infra| text(&infra, "/status/infrastructureName").to_owned());
    let nodes: Vec<(String, String)> =
        store.list(&NODES).iter().map(|node| (name(node).to_owned(), address_of(node).to_owned())).collect();
    let tags = vec![format!("openshiftClusterID={infra}")];
    let mut tenant = Tenant { state: &mut state, infra, owner: Owner::Cluster, tags, at };
    let has_kuryr = shape.network == NetworkPlugin::Kuryr;
    let ground = ground::lay(&mut tenant, &nodes, (has_kuryr && shape.kuryr.own_router).then_some(Owner::Kuryr));
    tell_providers(store, &ground)?;
    if has_kuryr {
        Laying { store, tenant: tenant.of(Owner::Kuryr), ground: &ground, shape }.lay()?;
    }
    neighbours(&mut state, at);
    Ok(OpenStack::new(state, store.clock().clone(), machines))
}

/// Writes into nodes and machines which server each is.
fn tell_providers(store: &Store, ground: &Ground) -> Result<(), ApiError> {
    for (node, server) in &ground.servers {
        let provider = json!(format!("openstack:///{server}"));
        store.modify(&NODES, None, node, |node| node["spec"]["providerID"] = provider.clone())?;
    }
    for machine in store.list(&MACHINES) {
        let Some(server) = ground.servers.get(text(&machine, "/status/nodeRef/name")) else { continue };
        let provider = json!(format!("openstack:///{server}"));
        store.modify(&MACHINES, Some(namespace(&machine)), name(&machine), |m| m["spec"]["providerID"] = provider)?;
    }
    Ok(())
}

/// Kuryr at work on the cluster that is stored.
struct Laying<'a> {
    store: &'a Store,
    tenant: Tenant<'a>,
    ground: &'a Ground,
    shape: &'a ClusterShape,
}

impl Laying<'_> {
    fn lay(mut self) -> Result<(), ApiError> {
        let base = cloud::base(&mut self.tenant, self.ground);
        let mut by_namespace: BTreeMap<String, Vec<Arc<Value>>> = BTreeMap::new();
        for pod in self.store.list(&PODS).into_iter().filter(|pod| is_connected(pod)) {
            by_namespace.entry(namespace(&pod).to_owned()).or_default().push(pod);
        }
        for (index, (ns, pods)) in by_namespace.iter().enumerate() {
            self.namespace(&base, ns, index, pods)?;
        }
        self.create(&SERVICES, gateway_service())
    }

    fn namespace(&mut self, base: &Base, ns: &str, index: usize, pods: &[Arc<Value>]) -> Result<(), ApiError> {
        let project = self.tenant.state.project().to_owned();
        let network = cloud::namespace(&mut self.tenant, base, ns, index);
        self.create(&KURYRNETWORKS, objects::network(ns, &project, &base.router, &network))?;
        let is_application = !ns.starts_with("openshift-");
        let policy = if is_application && index.is_multiple_of(2) { Some(self.policy(ns)?) } else { None };
        let groups: Vec<&str> = [Some(base.group.as_str()), policy.as_deref()].into_iter().flatten().collect();
        for (nth, pod) in pods.iter().take(self.shape.kuryr.pods_per_namespace.max(1)).enumerate() {
            let node = text(pod, "/spec/nodeName");
            let Some(trunk) = self.ground.trunks.get(node) else { continue };
            let address = cloud::address(&network, nth + 1);
            let port = cloud::pod_port(&mut self.tenant, &network, (name(pod), &address), trunk, &groups);
            let (uid, address) = (text(pod, "/metadata/uid"), address.as_str());
            let of = PodPort { ns, pod: name(pod), uid, node, project: &project, port: &port, address };
            self.create(&KURYRPORTS, objects::port(&of, &network))?;
            self.keep(&PODS, ns, name(pod), POD_FINALIZER)?;
        }
        // Ports are made ahead of the pods that get them.
        if let Some(trunk) = pods.first().and_then(|pod| self.ground.trunks.get(text(pod, "/spec/nodeName"))) {
            let spare = ("kuryr-pool-port", cloud::address(&network, 200));
            cloud::pod_port(&mut self.tenant, &network, (spare.0, &spare.1), trunk, &[&base.group]);
        }
        if is_application {
            self.service(base, ns, index, if index.is_multiple_of(3) { "LoadBalancer" } else { "ClusterIP" })?;
        }
        Ok(())
    }

    /// A network policy with its security group; the group's id.
    fn policy(&mut self, ns: &str) -> Result<String, ApiError> {
        let policy = "allow-same-namespace";
        let group = cloud::policy_group(&mut self.tenant, &format!("{ns}/{policy}"));
        let spec = json!({ "podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{ "from": [{ "podSelector": {} }] }] });
        self.create(&NETWORKPOLICIES, json!({ "metadata": { "name": policy, "namespace": ns }, "spec": spec }))?;
        self.keep(&NETWORKPOLICIES, ns, policy, POLICY_FINALIZER)?;
        self.create(&KURYRNETWORKPOLICIES, objects::policy(ns, policy, &group))?;
        Ok(group)
    }

    fn service(&mut self, base: &Base, ns: &str, index: usize, kind: &str) -> Result<(), ApiError> {
        let (service, address) = ("web", format!("172.30.{}.{}", 10 + index / 250, 1 + index % 250));
        let at = (base.service_network.as_str(), base.service_subnet.as_str(), address.as_str());
        let (balancer, port) = self.tenant.balancer(&format!("{ns}/{service}"), at);
        let mut object = service_object(ns, service, kind, &address);
        object["spec"]["selector"] = json!({ "app": service });
        self.create(&SERVICES, object)?;
        self.keep(&SERVICES, ns, service, SERVICE_FINALIZER)?;
        let project = self.tenant.state.project().to_owned();
        let (balancer, port, subnet) = (balancer.as_str(), port.as_str(), base.service_subnet.as_str());
        let of = ServiceBalancer { ns, service, kind, project: &project, balancer, port, subnet, address: &address };
        self.create(&KURYRLOADBALANCERS, objects::balancer(&of))
    }

    /// Stores an object as old as the cluster.
    fn create(&self, r: &Resource, object: Value) -> Result<(), ApiError> {
        let ns = namespace(&object).to_owned();
        if self.store.get(&NAMESPACES, None, &ns).is_none() {
            let (meta, status) = (json!({ "name": ns }), json!({ "phase": "Active" }));
            self.store
                .create(&NAMESPACES, json!({ "metadata": meta, "spec": { "finalizers": ["kubernetes"] }, "status": status }))?;
        }
        let stored = self.store.create(r, object)?;
        self.store
            .modify(r, Some(&ns), name(&stored), |o| o["metadata"]["creationTimestamp"] = json!(rfc3339(self.tenant.at)))
            .map(drop)
    }

    fn keep(&self, r: &Resource, ns: &str, name: &str, finalizer: &str) -> Result<(), ApiError> {
        self.store.modify(r, Some(ns), name, |object| object["metadata"]["finalizers"] = json!([finalizer])).map(drop)
    }
}

/// Whether a pod is on the pods' network: what every node runs is on the hosts'.
pub(crate) fn is_connected(pod: &Value) -> bool {
    let on_every_node = pod.pointer("/metadata/ownerReferences/0/kind").is_some_and(|kind| kind == "DaemonSet");
    let is_static = pod.pointer("/metadata/annotations/kubernetes.io~1config.mirror").is_some();
    !on_every_node && !is_static && pod["spec"]["hostNetwork"] != true
}

fn service_object(ns: &str, name: &str, kind: &str, address: &str) -> Value {
    let ports = json!([{ "name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080 }]);
    json!({ "metadata": { "name": name, "namespace": ns }, "status": { "loadBalancer": {} },
        "spec": { "type": kind, "clusterIP": address, "clusterIPs": [address], "ports": ports, "sessionAffinity": "None" } })
}

/// Keeps the address of the services' gateway from being given to a service.
fn gateway_service() -> Value {
    service_object(KURYR, "service-subnet-gateway-ip", "ClusterIP", "172.30.255.254")
}

/// Another cluster with Kuryr, and what a person made.
fn neighbours(state: &mut State, at: DateTime<Utc>) {
    let infra = "quayside-x7k2p".to_owned();
    let tags = vec![format!("openshiftClusterID={infra}")];
    let mut tenant = Tenant { state, infra, owner: Owner::OtherCluster, tags, at };
    let nodes = ["master-0", "worker-0", "worker-1"].map(|node| (node.to_owned(), "10.0.64.7".to_owned()));
    let ground = ground::lay(&mut tenant, &nodes, Some(Owner::OtherCluster));
    let base = cloud::base(&mut tenant, &ground);
    for (index, ns) in ["shop-0", "shop-1"].into_iter().enumerate() {
        let network = cloud::namespace(&mut tenant, &base, ns, index);
        let policy = cloud::policy_group(&mut tenant, &format!("{ns}/allow-same-namespace"));
        for (nth, trunk) in ground.trunks.values().enumerate() {
            let address = cloud::address(&network, nth + 1);
            cloud::pod_port(&mut tenant, &network, (&format!("web-{nth}"), &address), trunk, &[&base.group, &policy]);
        }
        let address = format!("172.30.10.{}", index + 1);
        tenant.balancer(&format!("{ns}/web"), (&base.service_network, &base.service_subnet, &address));
    }
    let mut person = Tenant { state, infra: String::new(), owner: Owner::Person, tags: vec![], at };
    let router = person.router("lab-router", "");
    let (network, subnet) = person.network(["lab".to_owned(), "lab-subnet".to_owned()], "192.168.24.0/24", "192.168.24.1", None);
    person.interface(&router, (&network, &subnet), "192.168.24.1");
    let group = person.security_group("lab-ssh", "Kuryr-Kubernetes Network Policy experiments");
    let server = person.server("lab-vm", "", "192.168.24.10");
    let device = Device { id: &server, owner: "compute:nova" };
    person.port("lab-vm", (&network, &subnet, "192.168.24.10"), &device, &[&group]);
    person.balancer("lab-lb", (&network, &subnet, "192.168.24.20"));
}
