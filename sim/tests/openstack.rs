//! The cloud under the cluster, and a cluster whose pods Kuryr connects.
//!
//! Seen to fail with: tokens that never end, or that any secret buys; a Kuryr that keeps deleted pods; a load balancer whose address
//! stays; an answer that is heard all the same; a server that is told to reboot while it does; another cluster's server that reboots
//! a node of this one.

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

#[tokio::test(start_paused = true)]
async fn a_load_balancer_takes_its_time_and_its_address_with_it() {
    let sim = kuryr();
    let (cloud, openstack) = (Cloud::of(&sim).await, sim.openstack().expect("a cloud"));
    let path = "/load-balancer/v2.0/lbaas/loadbalancers";
    let tag = cloud.tag.replace('=', "%3D");
    let all = cloud.get(&format!("{path}?tags={tag}")).await.body["loadbalancers"].as_array().expect("a list").clone();
    assert!(all.len() >= 3, "{}", all.len());
    let id = |nth: usize| all[nth]["id"].as_str().expect("an id").to_owned();
    let delete = |id: String| {
        let cloud = &cloud;
        async move { cloud.delete(&format!("{path}/{id}?cascade=true")).await }
    };
    let port = format!("/network/v2.0/ports/{}", all[0]["vip_port_id"].as_str().expect("a port"));
    assert_eq!(delete(id(0)).await.code, 204);
    assert_eq!((delete(id(0)).await.code, cloud.get(&port).await.code), (409, 200), "it is going");
    pass(&sim, 1).await;
    assert_eq!((delete(id(0)).await.code, cloud.get(&port).await.code), (404, 404));
    openstack.hold_load_balancer(&id(1), std::time::Duration::from_secs(600));
    pass(&sim, 9).await;
    assert_eq!(delete(id(1)).await.code, 409);
    pass(&sim, 2).await;
    assert_eq!(delete(id(1)).await.code, 204, "the update is over");
    openstack.fail_deletion(&id(2));
    assert_eq!(delete(id(2)).await.code, 204);
    pass(&sim, 1).await;
    assert_eq!(cloud.get(&format!("{path}/{}", id(2))).await.body["loadbalancer"]["provisioning_status"], "ERROR");
    assert_eq!(delete(id(2)).await.code, 204, "what is in error may be deleted");
    pass(&sim, 1).await;
    assert_eq!(cloud.get(&format!("{path}/{}", id(2))).await.code, 404);
}

#[tokio::test(start_paused = true)]
async fn answers_are_lost_and_services_away_as_told_and_the_audit_knows() {
    let sim = kuryr();
    let (cloud, openstack) = (Cloud::of(&sim).await, sim.openstack().expect("a cloud"));
    openstack.lose_reply(2);
    let make = || json!({ "network": { "name": "mine" } });
    assert_eq!(cloud.post("/network/v2.0/networks", make()).await.code, 201);
    assert!(cloud.try_ask(Method::POST, "/network/v2.0/networks", make()).await.is_none(), "the second answer is lost");
    let found = cloud.get("/network/v2.0/networks?name=mine").await.body["networks"].as_array().map(Vec::len);
    assert_eq!(found, Some(2), "both were made");
    sim.service().set_reachable(false);
    assert_eq!(cloud.get("/network/v2.0/networks").await.code, 200, "the cloud is another machine than the cluster");
    sim.service().set_reachable(true);
    sim.service().cut_off(true);
    assert!(cloud.try_ask(Method::POST, "/network/v2.0/networks", make()).await.is_none(), "and behind the same network");
    sim.service().cut_off(false);
    openstack.be_unavailable(5);
    assert_eq!(cloud.post("/network/v2.0/networks", make()).await.code, 503);
    assert_eq!(cloud.get("/identity/v3").await.code, 503);
    pass(&sim, 6).await;
    assert_eq!(cloud.get("/network/v2.0/networks?name=mine").await.body["networks"].as_array().map(Vec::len), Some(2));
    let audit: Vec<(u16, bool)> = openstack.audit().iter().map(|record| (record.status, record.heard)).collect();
    assert_eq!(audit, [(201, true), (201, false), (503, true)]);
    assert!(openstack.audit().iter().all(|record| record.method == "POST" && record.path == "/network/v2.0/networks"));
}

#[tokio::test(start_paused = true)]
async fn a_server_reboots_its_node_once_and_says_what_was_asked_of_it() {
    let sim = kuryr();
    let cloud = Cloud::of(&sim).await;
    let servers = cloud.get("/compute/v2.1/servers/detail?name=%5Eworker-0%24").await.body["servers"].clone();
    let cluster = cloud.tag.trim_start_matches("openshiftClusterID=");
    let own = |server: &&Value| server["metadata"]["openshiftClusterID"] == cluster;
    assert_eq!(servers.as_array().map(Vec::len), Some(2), "another cluster has a worker-0, too");
    let server = servers.as_array().and_then(|all| all.iter().find(own)).expect("ours").clone();
    let id = server["id"].as_str().expect("an id");
    assert_eq!(get(&sim, &NODES, None, "worker-0")["spec"]["providerID"], format!("openstack:///{id}"));
    assert_eq!((&server["OS-EXT-STS:task_state"], &server["OS-EXT-STS:power_state"]), (&Value::Null, &json!(1)));
    let path = format!("/compute/v2.1/servers/{id}");
    let reboot = |kind: &str| json!({ "reboot": { "type": kind } });
    let told = cloud.post(&format!("{path}/action"), reboot("SOFT")).await;
    assert_eq!((told.code, told.body), (202, Value::Null));
    assert_eq!(cloud.get(&path).await.body["server"]["OS-EXT-STS:task_state"], "rebooting");
    let refused = cloud.post(&format!("{path}/action"), reboot("SOFT")).await;
    assert_eq!(refused.code, 409);
    let message = format!("Cannot 'reboot' instance {id} while it is in task_state rebooting");
    assert_eq!(refused.body, json!({ "conflictingRequest": { "code": 409, "message": message } }));
    world_support::until(&sim, 30, "the reboot", |sim| sim.reboot_counts()["worker-0"] == 1).await;
    assert_eq!(cloud.get(&path).await.body["server"]["OS-EXT-STS:task_state"], Value::Null);
    let actions = cloud.get(&format!("{path}/os-instance-actions")).await.body["instanceActions"].clone();
    assert_eq!(actions.as_array().map(Vec::len), Some(1), "what was refused is no action");
    assert_eq!((&actions[0]["action"], &actions[0]["request_id"]), (&json!("reboot"), &json!(told.request_id)));
    let one = cloud.get(&format!("{path}/os-instance-actions/{}", told.request_id)).await;
    assert_eq!(one.body["instanceAction"]["action"], "reboot");
    assert_eq!(cloud.post(&format!("{path}/action"), reboot("HARD")).await.code, 202);
    world_support::until(&sim, 30, "another", |sim| sim.reboot_counts()["worker-0"] == 2).await;
    let gone = cloud.get("/compute/v2.1/servers/nobody").await;
    assert_eq!((gone.code, &gone.body["itemNotFound"]["message"]), (404, &json!("Instance nobody could not be found.")));
    pass(&sim, 60).await;
    assert_eq!(sim.reboot_counts().values().sum::<usize>(), 2, "nothing else reboots");
}

#[tokio::test]
async fn a_served_cloud_names_its_own_address_in_the_catalog() -> anyhow::Result<()> {
    let sim = kuryr();
    let dir = tempfile::tempdir()?;
    let server = sim.serve(dir.path(), 0).await?;
    let config = kube::config::Kubeconfig::read_from(server.kubeconfig())?;
    let config = kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default()).await?;
    let account = sim.openstack().expect("a cloud").account();
    let body = by_password(&account, &account.password).to_string().into_bytes();
    let request = http::Request::post("/identity/v3/auth/tokens").header("content-type", "application/json").body(body)?;
    let given: Value = kube::Client::try_from(config)?.request(request).await?;
    let expected = format!("https://{}/identity", server.address());
    assert_eq!(given["token"]["catalog"][0]["endpoints"][0]["url"], expected.as_str());
    Ok(())
}
