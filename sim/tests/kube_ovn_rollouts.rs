//! Rollouts of what Kube-OVN runs, as Kubernetes makes them, and members of ovn-central by the vendor's steps.

mod kube_ovn_support;

use kube_ovn_support::{NODES, central, get, id_of, kick, plain, servers, settle, start, status, until};
use serde_json::{Value, json};
use windlass_sim::Sim;
use windlass_sim::kube_ovn::{Database, Health, KubeOvnShape};
use windlass_sim::store::resources::{DAEMONSETS, DEPLOYMENTS, NODES as NODE, PODS, REPLICASETS};

const SYSTEM: Option<&str> = Some("kube-system");

fn deployment(sim: &Sim, name: &str) -> Value {
    get(sim, &DEPLOYMENTS, SYSTEM, name)
}

/// As `kubectl rollout status` has it.
fn rolled_out(d: &Value) -> bool {
    let count = |field: &str| d["status"][field].as_u64().unwrap_or(0);
    let wanted = d["spec"]["replicas"].as_u64().expect("replicas");
    d["status"]["observedGeneration"] == d["metadata"]["generation"]
        && count("updatedReplicas") == wanted
        && count("replicas") == wanted
        && count("availableReplicas") == wanted
}

/// Node and readiness of the pods with this label, those that end left out.
fn pods(sim: &Sim, app: &str) -> Vec<(String, bool)> {
    let mut pods: Vec<(String, bool)> = sim
        .store()
        .list(&PODS)
        .iter()
        .filter(|p| p["metadata"]["labels"]["app"] == app && !p["metadata"]["deletionTimestamp"].is_string())
        .map(|p| {
            let conditions = p["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let ready = conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
            (p["spec"]["nodeName"].as_str().unwrap_or_default().to_owned(), ready)
        })
        .collect();
    pods.sort();
    pods
}

/// Sets the members of ovn-central: replicas and `NODE_IPS` at once.
fn set_members(sim: &Sim, addresses: &str) {
    let members = addresses.split(',').count();
    sim.store()
        .modify(&DEPLOYMENTS, SYSTEM, "ovn-central", |d| {
            d["spec"]["replicas"] = json!(members);
            let env =
                d.pointer_mut("/spec/template/spec/containers/0/env").and_then(Value::as_array_mut).expect("an environment");
            let entry = env.iter_mut().find(|entry| entry["name"] == "NODE_IPS").expect("NODE_IPS");
            entry["value"] = json!(addresses);
        })
        .expect("ovn-central");
}

fn set_role(sim: &Sim, node: &str, member: bool) {
    sim.store()
        .modify(&NODE, None, node, |n| {
            let labels = n["metadata"]["labels"].as_object_mut().expect("labels");
            if member {
                labels.insert("kube-ovn/role".into(), json!("master"))
            } else {
                labels.remove("kube-ovn/role")
            };
        })
        .expect("a node");
}

/// The most pods of ovn-central that were missing at once, until its rollout is done.
async fn most_missing(sim: &Sim, least: usize) -> usize {
    let mut most = 0;
    until(sim, 900, "ovn-central is rolled out", async |sim| {
        most = most.max(least.saturating_sub(pods(sim, "ovn-central").iter().filter(|(_, ready)| *ready).count()));
        rolled_out(&deployment(sim, "ovn-central"))
    })
    .await;
    most
}

/// Seen to fail with the old set scaled down without a look at what is available.
#[tokio::test(start_paused = true)]
async fn ovn_central_restarts_one_pod_at_a_time() {
    let sim = plain();
    settle(&sim, 1).await;
    let before = deployment(&sim, "ovn-central")["metadata"]["generation"].clone();
    set_members(&sim, "172.18.0.3,172.18.0.5,172.18.0.4");
    assert_ne!(deployment(&sim, "ovn-central")["metadata"]["generation"], before);
    assert!(!rolled_out(&deployment(&sim, "ovn-central")), "right after the change, the old green is stale");
    assert_eq!(most_missing(&sim, 3).await, 1);
    assert_eq!(pods(&sim, "ovn-central"), NODES.map(|node| (node.to_owned(), true)));
    let sets = sim.store().list(&REPLICASETS);
    let sets = sets.iter().filter(|s| s["metadata"]["ownerReferences"][0]["name"] == "ovn-central");
    let mut sizes: Vec<u64> = sets.map(|s| s["spec"]["replicas"].as_u64().expect("replicas")).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [0, 3], "the old set is kept, empty");
    for database in Database::BOTH {
        assert_eq!(servers(&status(&sim, NODES[1], database).await).len(), 3);
    }
}

/// The vendor's steps for one member to go and another node to come. Seen to fail with pods that are ready as soon as they run.
#[tokio::test(start_paused = true)]
async fn a_member_goes_and_a_new_one_comes() {
    let sim = start("4+0", KubeOvnShape { members: Some(3), ..KubeOvnShape::default() });
    settle(&sim, 1).await;
    let (gone, new) = (NODES[2], "control-plane-3");
    let mut clusters = vec![];
    for database in Database::BOTH {
        let id = id_of(&sim, gone, database).await;
        kick(&sim, NODES[0], database, &id).await.expect("a kick");
        clusters.push(cluster(&status(&sim, NODES[0], database).await));
    }
    // Whoever scales down before the pod counts as unready may lose a healthy one.
    until(&sim, 120, "the kicked one is unready", async |sim| pods(sim, "ovn-central").contains(&(gone.to_owned(), false))).await;
    set_role(&sim, gone, false);
    set_members(&sim, "172.18.0.3,172.18.0.4");
    most_missing(&sim, 2).await;
    until(&sim, 60, "the other pod is gone", async |sim| pods(sim, "ovn-central").len() == 2).await;

    set_role(&sim, new, true);
    set_members(&sim, "172.18.0.3,172.18.0.4,172.18.0.6");
    most_missing(&sim, 3).await;
    let nodes: Vec<String> = pods(&sim, "ovn-central").into_iter().map(|(node, _)| node).collect();
    assert_eq!(nodes, [NODES[0], NODES[1], new]);
    for (database, cluster_before) in Database::BOTH.into_iter().zip(clusters) {
        for node in [NODES[0], NODES[1], new] {
            let status = status(&sim, node, database).await;
            assert_eq!((cluster(&status), servers(&status).len()), (cluster_before.clone(), 3), "{status}");
        }
    }
}

fn cluster(status: &str) -> String {
    status.lines().find_map(|line| line.strip_prefix("Cluster ID: ")).expect("a cluster").to_owned()
}

/// Seen to fail with a start script that does not look at its own address.
#[tokio::test(start_paused = true)]
async fn an_address_that_is_not_listed_crashes_and_backs_off() {
    let sim = plain();
    settle(&sim, 1).await;
    set_members(&sim, "172.18.0.3,172.18.0.4,172.18.0.9");
    let crashed = |sim: &Sim| {
        let pods = sim.store().list(&PODS);
        pods.iter().find_map(|pod| {
            let container = &pod["status"]["containerStatuses"][0];
            let looping =
                container["state"]["waiting"]["reason"] == "CrashLoopBackOff" && container["restartCount"].as_u64() > Some(1);
            looping.then(|| container["lastState"]["terminated"]["message"].as_str().unwrap_or_default().to_owned())
        })
    };
    until(&sim, 600, "a pod crashes again and again", async |sim| crashed(sim).is_some()).await;
    assert_eq!(crashed(&sim).as_deref(), Some("ERROR! host ip 172.18.0.5 not in env NODE_IPS 172.18.0.3,172.18.0.4,172.18.0.9"));
    settle(&sim, 700).await;
    let said = deployment(&sim, "ovn-central")["status"]["conditions"].clone();
    let late = said.as_array().expect("conditions").iter().any(|c| c["reason"] == "ProgressDeadlineExceeded");
    assert!(late, "{said}");
    assert_eq!(pods(&sim, "ovn-central").iter().filter(|(_, ready)| *ready).count(), 2, "and no other pod is touched");
}

fn set_clients(sim: &Sim, addresses: &str) {
    sim.store()
        .modify(&DAEMONSETS, SYSTEM, "ovs-ovn", |d| {
            let env =
                d.pointer_mut("/spec/template/spec/containers/0/env").and_then(Value::as_array_mut).expect("an environment");
            let entry = env.iter_mut().find(|entry| entry["name"] == "OVN_DB_IPS").expect("OVN_DB_IPS");
            entry["value"] = json!(addresses);
        })
        .expect("ovs-ovn");
}

/// Seen to fail with the old pod deleted before the new one is ready.
#[tokio::test(start_paused = true)]
async fn ovs_rolls_by_itself_with_a_pod_more_on_the_node() {
    let sim = plain();
    settle(&sim, 1).await;
    set_clients(&sim, "172.18.0.3");
    let mut least = usize::MAX;
    until(&sim, 900, "ovs-ovn is rolled out", async |sim| {
        let mut nodes: Vec<String> = pods(sim, "ovs").into_iter().filter(|(_, ready)| *ready).map(|(node, _)| node).collect();
        nodes.dedup();
        least = least.min(nodes.len());
        let set = get(sim, &DAEMONSETS, SYSTEM, "ovs-ovn");
        set["status"]["observedGeneration"] == set["metadata"]["generation"] && set["status"]["updatedNumberScheduled"] == 4
    })
    .await;
    assert_eq!(least, 4, "no node was ever without");
}

/// Seen to fail with OnDelete taken for RollingUpdate.
#[tokio::test(start_paused = true)]
async fn older_versions_leave_the_pods_of_ovs_to_whoever_deletes_them() {
    let sim = start("3+1", KubeOvnShape { version: "1.11.4".into(), ..KubeOvnShape::default() });
    settle(&sim, 1).await;
    set_clients(&sim, "172.18.0.3");
    settle(&sim, 600).await;
    let set = get(&sim, &DAEMONSETS, SYSTEM, "ovs-ovn");
    assert_eq!(set["status"]["observedGeneration"], set["metadata"]["generation"]);
    assert_eq!(set["status"]["updatedNumberScheduled"], 0);
    let old = sim.store().list(&PODS).iter().find(|p| p["metadata"]["labels"]["app"] == "ovs").cloned().expect("a pod");
    let name = old["metadata"]["name"].as_str().expect("a name");
    sim.store().delete(&PODS, SYSTEM, name, &windlass_sim::store::Preconditions::default()).expect("a pod to delete");
    until(&sim, 120, "its node has a new one", async |sim| {
        get(sim, &DAEMONSETS, SYSTEM, "ovs-ovn")["status"]["updatedNumberScheduled"] == 1
            && pods(sim, "ovs").iter().all(|(_, r)| *r)
    })
    .await;
}

/// Seen to fail with a container that is not ended with its pod.
#[tokio::test(start_paused = true)]
async fn a_killed_pod_is_replaced_on_its_node_and_catches_up() {
    let sim = plain();
    settle(&sim, 1).await;
    let before = central(&sim).pod(NODES[1]).expect("a pod");
    central(&sim).kill(NODES[1]);
    settle(&sim, 3).await;
    let leader = status(&sim, NODES[0], Database::Northbound).await;
    assert!(leader.contains("(->"), "its connection is lost: {leader}");
    until(&sim, 120, "another pod is ready", async |sim| central(sim).health(NODES[1]) == Some(Health::Ready)).await;
    assert_ne!(central(&sim).pod(NODES[1]), Some(before));
    assert_eq!(servers(&status(&sim, NODES[1], Database::Northbound).await).len(), 3);
}
