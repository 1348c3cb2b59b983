//! The cloud under the cluster, and a cluster whose pods Kuryr connects.

mod openstack_support;
mod world_support;

use chrono::TimeDelta;
use http::Method;
use openstack_support::{Cloud, by_password, kuryr};
use serde_json::{Value, json};
use windlass_sim::check::CloudBaseline;
use windlass_sim::openstack::Owner;
use windlass_sim::store::resources::{KURYRNETWORKS, KURYRPORTS, NODES, PODS, SERVICES};
use world_support::{get, pass};

#[tokio::test(start_paused = true)]
async fn tokens_are_given_for_the_right_secret_and_end_after_an_hour() {
    let sim = kuryr();
    let account = sim.openstack().expect("a cloud").account();
    let secret = |secret: &str| {
        json!({ "auth": { "identity": { "methods": ["application_credential"],
        "application_credential": { "id": account.application_credential_id, "secret": secret } } } })
    };
    let mut cloud = Cloud::anonymous(&sim);
    let refused = cloud.ask(Method::POST, "/identity/v3/auth/tokens", secret("wrong")).await;
    assert_eq!((refused.code, &refused.body["error"]["code"]), (401, &json!(401)));
    let refused = cloud.ask(Method::POST, "/identity/v3/auth/tokens", by_password(&account, "wrong")).await;
    assert_eq!(refused.code, 401);
    assert_eq!(cloud.get("/network/v2.0/networks").await.code, 401, "without a token");
    for body in [secret(&account.application_credential_secret), by_password(&account, &account.password)] {
        let given = cloud.ask(Method::POST, "/identity/v3/auth/tokens", body).await;
        assert_eq!(given.code, 201);
        assert_eq!(given.body["token"]["project"]["id"], account.project_id.as_str());
        let catalog = given.body["token"]["catalog"].as_array().expect("a catalog").clone();
        let network = catalog.iter().find(|entry| entry["type"] == "network").expect("Neutron");
        assert_eq!(network["endpoints"][0]["url"], "http://openstack.sim/network");
        cloud.token = given.token.clone();
        assert_eq!(cloud.get("/network/v2.0/networks").await.code, 200);
    }
    sim.clock().sleep(TimeDelta::minutes(61).to_std().expect("a time")).await;
    let late = cloud.get("/network/v2.0/networks").await;
    assert_eq!(late.code, 401, "tokens end");
    assert!(late.request_id.starts_with("req-"));
}

#[tokio::test(start_paused = true)]
async fn every_namespace_with_pods_has_a_network_and_every_pod_a_port_on_its_nodes_trunk() {
    let sim = kuryr();
    let cloud = Cloud::of(&sim).await;
    let networks = sim.store().list(&KURYRNETWORKS);
    assert!(networks.len() > 4, "{}", networks.len());
    let tag = cloud.tag.clone();
    for network in &networks {
        let id = network["status"]["netId"].as_str().expect("an id");
        let found = cloud.get(&format!("/network/v2.0/networks/{id}")).await;
        assert_eq!(found.body["network"]["tags"], json!([tag]));
        let subnet = network["status"]["subnetId"].as_str().expect("an id");
        let path = format!("/network/v2.0/ports?fixed_ips=subnet_id%3D{subnet}&device_owner=network:router_interface");
        assert_eq!(cloud.get(&path).await.body["ports"][0]["device_id"], network["status"]["routerId"]);
    }
    let ports = sim.store().list(&KURYRPORTS);
    assert!(ports.len() >= networks.len());
    for port in ports {
        let (ns, name) = (port["metadata"]["namespace"].as_str(), port["metadata"]["name"].as_str().expect("a name"));
        let pod = get(&sim, &PODS, ns, name);
        assert_eq!(pod["metadata"]["finalizers"], json!(["kuryr.openstack.org/pod-finalizer"]));
        let id = port["status"]["vifs"]["eth0"]["vif"]["versioned_object.data"]["id"].as_str().expect("an id");
        let trunks = cloud.get("/network/v2.0/trunks").await.body["trunks"].clone();
        let holds = |trunk: &&Value| trunk["sub_ports"].as_array().is_some_and(|all| all.iter().any(|sub| sub["port_id"] == id));
        let trunk = trunks.as_array().and_then(|all| all.iter().find(holds)).expect("a trunk").clone();
        let node = pod["spec"]["nodeName"].as_str().expect("a node");
        assert!(trunk["name"].as_str().is_some_and(|name| name.ends_with(&format!("-{node}-trunk"))), "{}", trunk["name"]);
    }
    let gateway = get(&sim, &SERVICES, Some("openshift-kuryr"), "service-subnet-gateway-ip");
    assert!(gateway["metadata"]["finalizers"].is_null());
    assert!(
        sim.store().list(&NODES).iter().all(|n| n["spec"]["providerID"].as_str().is_some_and(|p| p.starts_with("openstack:///")))
    );
}

#[tokio::test(start_paused = true)]
async fn the_project_holds_another_cluster_and_a_persons_things() {
    let sim = kuryr();
    let openstack = sim.openstack().expect("a cloud");
    let objects = openstack.objects();
    for owner in [Owner::Kuryr, Owner::Cluster, Owner::OtherCluster, Owner::Person] {
        assert!(objects.iter().any(|object| object.owner.as_ref() == Some(&owner)), "{owner:?}");
    }
    let before = CloudBaseline::of(openstack);
    assert!(before.check_others(openstack).is_empty());
    assert!(!CloudBaseline::left_of_kuryr(openstack).is_empty());
    let cloud = Cloud::of(&sim).await;
    let lab = objects.iter().find(|object| object.object["name"] == "lab-vm").expect("a port").id.clone();
    assert_eq!(cloud.delete(&format!("/network/v2.0/ports/{lab}")).await.code, 204);
    assert_eq!(before.check_others(openstack).len(), 1, "a port of a person's is gone");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_loses_its_port_and_its_successor_gets_one() {
    let sim = kuryr();
    let cloud = Cloud::of(&sim).await;
    let port = sim.store().list(&KURYRPORTS).into_iter().find(|p| p["metadata"]["namespace"] == "shop-0").expect("a port");
    let name = port["metadata"]["name"].as_str().expect("a name");
    let id = port["status"]["vifs"]["eth0"]["vif"]["versioned_object.data"]["id"].as_str().expect("an id");
    let before = sim.store().list(&KURYRPORTS).len();
    world_support::send(&sim, Method::DELETE, &format!("/api/v1/namespaces/shop-0/pods/{name}"), None).await;
    pass(&sim, 3).await;
    assert!(sim.store().get(&PODS, Some("shop-0"), name).is_none(), "Kuryr let it go");
    let gone = cloud.get(&format!("/network/v2.0/ports/{id}")).await;
    assert_eq!((gone.code, gone.kind()), (404, "PortNotFound"));
    assert_eq!(sim.store().list(&KURYRPORTS).len(), before);
    assert!(CloudBaseline::of(sim.openstack().expect("a cloud")).check_others(sim.openstack().expect("a cloud")).is_empty());
}
