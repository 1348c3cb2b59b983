//! What Kuryr left in the cloud can be taken away in the order of the vendor's text, and only in an order like it.
//!
//! Seen to fail with: a router of Kuryr's own that says the installer made it; an interface that is taken off a router and leaves its
//! port behind.

mod openstack_support;
mod world_support;

use openstack_support::Cloud;
use serde_json::{Value, json};
use windlass_sim::check::CloudBaseline;
use windlass_sim::kuryr::KuryrShape;
use windlass_sim::shape::NetworkPlugin;
use windlass_sim::{ClusterShape, Sim};
use world_support::{pass, start};

const NETWORK: &str = "/network/v2.0";
const BALANCERS: &str = "/load-balancer/v2/lbaas/loadbalancers";

/// Ids of the objects that a list has.
async fn ids(cloud: &Cloud, kind: &str, query: &str) -> Vec<String> {
    let body = cloud.get(&format!("{NETWORK}/{kind}?{query}&fields=id")).await.body;
    let all = body[kind.replace('-', "_")].as_array().expect("a list").clone();
    all.iter().map(|object| object["id"].as_str().expect("an id").to_owned()).collect()
}

/// The tag of this cluster as a filter.
fn tagged(cloud: &Cloud) -> String {
    format!("tags={}", cloud.tag.replace('=', "%3D"))
}

async fn gone(cloud: &Cloud, path: &str) {
    let answer = cloud.delete(path).await;
    assert_eq!(answer.code, 204, "{path}: {}", answer.body);
}

async fn take_balancers(sim: &Sim, cloud: &Cloud) {
    let found = cloud.get(&format!("{BALANCERS}?{}", tagged(cloud))).await.body["loadbalancers"].clone();
    for balancer in found.as_array().expect("a list") {
        gone(cloud, &format!("{BALANCERS}/{}?cascade=true", balancer["id"].as_str().expect("an id"))).await;
    }
    pass(sim, 1).await;
}

async fn take_sub_ports(cloud: &Cloud) {
    for trunk in ids(cloud, "trunks", &tagged(cloud)).await {
        let path = format!("{NETWORK}/trunks/{trunk}");
        let subs = cloud.get(&format!("{path}/get_subports")).await.body["sub_ports"].clone();
        let ports: Vec<Value> = subs.as_array().expect("a list").iter().map(|sub| json!({ "port_id": sub["port_id"] })).collect();
        assert_eq!(cloud.put(&format!("{path}/remove_subports"), json!({ "sub_ports": ports })).await.code, 200);
    }
}

/// The networks of this cluster but that of its machines, each with its subnet.
async fn networks(cloud: &Cloud) -> Vec<(String, String)> {
    let body = cloud.get(&format!("{NETWORK}/networks?{}", tagged(cloud))).await.body;
    let is_kuryrs = |network: &&Value| !network["name"].as_str().expect("a name").ends_with("-openshift");
    let text = |value: &Value| value.as_str().expect("an id").to_owned();
    let all = body["networks"].as_array().expect("a list").clone();
    all.iter().filter(is_kuryrs).map(|network| (text(&network["id"]), text(&network["subnets"][0]))).collect()
}

async fn take_networks(cloud: &Cloud, router: &str) {
    for (network, subnet) in networks(cloud).await {
        let path = format!("{NETWORK}/networks/{network}");
        assert_eq!(cloud.delete(&path).await.kind(), "NetworkInUse");
        for port in ids(cloud, "ports", &format!("network_id={network}")).await {
            let deleted = cloud.delete(&format!("{NETWORK}/ports/{port}")).await;
            assert!(deleted.code == 204 || deleted.kind() == "ServicePortInUse", "{}", deleted.body);
        }
        let remove = format!("{NETWORK}/routers/{router}/remove_router_interface");
        assert_eq!(cloud.put(&remove, json!({ "subnet_id": subnet })).await.code, 200);
        gone(cloud, &path).await;
    }
}

async fn clean_up(own_router: bool) {
    let kuryr = KuryrShape { own_router, ..KuryrShape::default() };
    let sim = start(ClusterShape { network: NetworkPlugin::Kuryr, kuryr, ..ClusterShape::default() }, vec![]);
    let (cloud, openstack) = (Cloud::of(&sim).await, sim.openstack().expect("a cloud").clone());
    let before = CloudBaseline::of(&openstack);
    let routers = cloud.get(&format!("{NETWORK}/routers?{}", tagged(&cloud))).await.body["routers"].clone();
    let routers = routers.as_array().expect("a list").clone();
    assert_eq!(routers.len(), if own_router { 2 } else { 1 });
    let is_kuryrs = |router: &&Value| (router["description"] != "Created By OpenShift Installer") == own_router;
    let router = routers.iter().find(is_kuryrs).and_then(|router| router["id"].as_str()).expect("a router").to_owned();
    let pool = ids(&cloud, "subnetpools", &tagged(&cloud)).await.remove(0);
    let group = ids(&cloud, "security-groups", &format!("{}&name={}", tagged(&cloud), group_name(&cloud))).await.remove(0);
    take_balancers(&sim, &cloud).await;
    take_sub_ports(&cloud).await;
    let held = [("routers", &router, 409), ("security-groups", &group, 409), ("subnetpools", &pool, 400)];
    for (kind, id, code) in held {
        assert_eq!(cloud.delete(&format!("{NETWORK}/{kind}/{id}")).await.code, code, "{kind} are in use");
    }
    take_networks(&cloud, &router).await;
    for (kind, id, _) in held.into_iter().skip(1) {
        gone(&cloud, &format!("{NETWORK}/{kind}/{id}")).await;
    }
    for group in ids(&cloud, "security-groups", &tagged(&cloud)).await {
        let path = format!("{NETWORK}/security-groups/{group}");
        let found = cloud.get(&path).await.body["security_group"]["description"].clone();
        if found.as_str().is_some_and(|words| words.starts_with("Kuryr-Kubernetes Network Policy")) {
            gone(&cloud, &path).await;
        }
    }
    let last = cloud.delete(&format!("{NETWORK}/routers/{router}")).await;
    assert_eq!(last.code, if own_router { 204 } else { 409 }, "the installer's router serves the machines");
    let left = CloudBaseline::left_of_kuryr(&openstack);
    assert!(left.is_empty(), "{}", left.join("\n"));
    let others: Vec<String> = before.check_others(&openstack).iter().map(ToString::to_string).collect();
    assert!(others.is_empty(), "{}", others.join("\n"));
}

fn group_name(cloud: &Cloud) -> String {
    format!("{}-kuryr-pods-security-group", cloud.tag.trim_start_matches("openshiftClusterID="))
}

#[tokio::test(start_paused = true)]
async fn all_of_kuryrs_can_be_taken_away_and_the_installers_router_stays() {
    clean_up(false).await;
}

#[tokio::test(start_paused = true)]
async fn a_router_of_kuryrs_own_can_be_taken_away_too() {
    clean_up(true).await;
}
