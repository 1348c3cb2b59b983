use serde_json::{Value, json};

use super::*;
use crate::condition::fixtures::{at, healthy};
use crate::preflight::Look;

fn node(name: &str, cores: &str) -> Node {
    let mut node = (*healthy().nodes["worker-0"]).clone();
    node.metadata.name = Some(name.to_owned());
    let labels = node.metadata.labels.get_or_insert_default();
    labels.insert("kubernetes.io/hostname".to_owned(), name.to_owned());
    node.status.allocatable = serde_json::from_value(json!({"cpu": cores, "memory": "16Gi", "pods": "250"})).unwrap();
    node
}

/// A pod of a replica set that asks for a core, on worker-0 unless the patch says otherwise.
fn pod(name: &str, patch: &Value) -> Pod {
    let mut object = json!({
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": "cart"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart", "uid": "u", "controller": true}]},
        "spec": {"nodeName": "worker-0", "containers": [{"resources": {"requests": {"cpu": "1"}}}]},
        "status": {"phase": "Running"}
    });
    json_patch::merge(&mut object, patch);
    serde_json::from_value(object).unwrap()
}

fn budget(name: &str, allowed: i32, healthy: i32, desired: i32, expected: i32) -> Budget {
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": {"matchLabels": {"app": "cart"}}},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": expected}
    }))
    .unwrap()
}

fn facts(pods: Vec<Pod>, budgets: Vec<Budget>) -> Facts {
    Facts { now: at(0), nodes: vec![node("worker-1", "4"), node("worker-0", "4")], pods, budgets, ..Facts::default() }
}

/// What is said of worker-0.
fn check(facts: &Facts, expect: &[&str]) -> PredictedDrain {
    let drains = predict(facts);
    assert_eq!(drains.iter().map(|drain| drain.node.as_str()).collect::<Vec<_>>(), ["worker-0", "worker-1"]);
    let first = drains.into_iter().next().unwrap();
    let line = |blocker: &Blocker| {
        let budget = blocker.budget.as_ref().map(|budget| format!(" [{budget}]")).unwrap_or_default();
        let grade = if blocker.for_ever { "!! " } else { "" };
        format!("{grade}{}/{}{budget} {}", blocker.namespace, blocker.pod, blocker.cause)
    };
    assert_eq!(first.blockers.iter().map(line).collect::<Vec<_>>(), expect);
    first
}

#[test]
fn budgets_hold_pods() {
    let cart = || vec![pod("cart-1", &json!({}))];
    check(&facts(cart(), vec![]), &[]);
    check(&facts(cart(), vec![budget("cart", 1, 3, 2, 3)]), &[]);
    check(&facts(cart(), vec![budget("cart", 0, 1, 1, 1)]), &["!! shop/cart-1 [cart] its budget never allows an eviction"]);
    check(&facts(cart(), vec![budget("cart", 0, 2, 2, 3)]), &["shop/cart-1 [cart] its budget allows no eviction now"]);
    check(
        &facts(cart(), vec![budget("a", 1, 2, 1, 2), budget("b", 1, 2, 1, 2)]),
        &["!! shop/cart-1 [a, b] is under several budgets: no eviction passes"],
    );
    let mut structural = budget("cart", 0, 1, 3, 3);
    structural.spec = serde_json::from_value(json!({"minAvailable": "100%", "selector": {}})).unwrap();
    check(&facts(cart(), vec![structural]), &["!! shop/cart-1 [cart] its budget never allows an eviction"]);
}

#[test]
fn what_a_drain_ignores_is_ignored() {
    let daemon =
        json!({"metadata": {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u"}]}});
    let mirror = json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": ""}, "ownerReferences": null}});
    let ended = json!({"status": {"phase": "Succeeded"}, "metadata": {"ownerReferences": null}});
    let pods = vec![pod("a", &daemon), pod("b", &mirror), pod("c", &ended)];
    let drain = check(&facts(pods, vec![budget("cart", 0, 1, 1, 1)]), &[]);
    assert_eq!((drain.pods, drain.never_ends()), (0, false));
}

#[test]
fn what_is_lost_or_down_is_named() {
    check(
        &facts(vec![pod("job", &json!({"metadata": {"ownerReferences": null}}))], vec![]),
        &["shop/job nothing makes it anew: it is lost"],
    );
    let here = json!({"spec": {"nodeSelector": {"kubernetes.io/hostname": "worker-0"}}});
    check(
        &facts(vec![pod("cart-1", &here)], vec![]),
        &["shop/cart-1 only this node is what it asks for: it is down until the node is back"],
    );
    let claims =
        json!({"spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "tmp"}]}});
    let mut tied = facts(vec![pod("cart-1", &claims)], vec![]);
    check(&tied, &[]);
    let affinity = json!([{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["worker-0"]}]}]);
    let volume = json!({"metadata": {"name": "pv-1"}, "spec": {"local": {"path": "/mnt/a"},
        "claimRef": {"namespace": "shop", "name": "data"}, "nodeAffinity": {"required": {"nodeSelectorTerms": affinity}}}});
    tied.volumes = Look::Seen(vec![serde_json::from_value(volume).unwrap()]);
    check(&tied, &["shop/cart-1 its volume is on this node: it is down until the node is back"]);
    let ending = |ends: &str| vec![pod("cart-1", &json!({"metadata": {"deletionTimestamp": ends}}))];
    check(&facts(ending("2026-03-01T11:58:00Z"), vec![]), &[]);
    check(&facts(ending("2026-03-01T11:50:00Z"), vec![]), &["!! shop/cart-1 is being deleted and does not end"]);
}

#[test]
fn room_is_reckoned_on_the_other_nodes() {
    let cart = |name: &str, patch: Value| pod(name, &patch);
    let four = || (1..=4).map(|n| cart(&format!("cart-{n}"), json!({}))).collect::<Vec<_>>();
    check(&facts(four(), vec![]), &[]);
    let mut five = four();
    five.push(cart("cart-5", json!({"spec": {"nodeName": "worker-1"}})));
    check(&facts(five.clone(), vec![]), &["shop/cart-4 no other node has room for it"]);
    let mut cordoned = facts(four(), vec![]);
    cordoned.nodes[0].spec.unschedulable = true;
    assert_eq!(check_count(&cordoned), 4);
    let mut tainted = facts(vec![cart("cart-1", json!({}))], vec![]);
    tainted.nodes[0].spec.taints = serde_json::from_value(json!([{"key": "gpu", "effect": "NoSchedule"}])).unwrap();
    check(&tainted, &["shop/cart-1 only this node is what it asks for: it is down until the node is back"]);
    // With a budget that lets one go, the last of two without a place is never let go.
    let here = |name: &str| cart(name, json!({"spec": {"nodeSelector": {"kubernetes.io/hostname": "worker-0"}}}));
    check(
        &facts(vec![here("cart-1"), here("cart-2")], vec![budget("cart", 1, 2, 1, 2)]),
        &[
            "!! shop/cart-1 [cart] its budget waits for replacements that have no other node to run on",
            "!! shop/cart-2 [cart] its budget waits for replacements that have no other node to run on",
        ],
    );
}

fn check_count(facts: &Facts) -> usize {
    predict(facts)[0].blockers.len()
}

#[test]
fn a_virtual_machine_holds_its_node_only_if_it_must_be_moved_and_cannot() {
    let launcher = json!({"metadata": {"ownerReferences":
        [{"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "name": "db", "uid": "u", "controller": true}]}});
    let with = |strategy: &str, status: &str| {
        let machine = json!({"metadata": {"name": "db", "namespace": "shop"}, "spec": {"evictionStrategy": strategy},
            "status": {"nodeName": "worker-0", "conditions": [{"type": "LiveMigratable", "status": status}]}});
        let mut facts = facts(vec![pod("launcher", &launcher)], vec![budget("vm", 0, 1, 1, 1)]);
        facts.virtual_machines = Look::Seen(vec![serde_json::from_value(machine).unwrap()]);
        facts
    };
    check(&with("LiveMigrate", "True"), &[]);
    check(&with("LiveMigrate", "False"), &["!! shop/launcher is a virtual machine that can't be moved"]);
    check(&with("None", "False"), &[]);
}

#[test]
fn the_time_follows_the_rounds_of_a_budget_and_the_list_is_bounded() {
    let many = |count: usize| (0..count).map(|n| pod(&format!("cart-{n:02}"), &json!({}))).collect::<Vec<_>>();
    assert_eq!(predict(&facts(many(3), vec![]))[0].seconds, 30);
    assert_eq!(predict(&facts(many(3), vec![budget("cart", 1, 3, 2, 3)]))[0].seconds, 180);
    assert_eq!(predict(&facts(many(3), vec![budget("cart", 2, 3, 1, 3)]))[0].seconds, 120);
    let crowd = predict(&facts(many(25), vec![budget("cart", 0, 25, 25, 25)]));
    assert_eq!((crowd[0].blockers.len(), crowd[0].more > 0, crowd[0].never_ends()), (LISTED, true, true));
}

#[test]
fn six_thousand_pods_are_predicted_at_once() {
    let nodes: Vec<Node> = (0..100).map(|n| node(&format!("worker-{n:02}"), "64")).collect();
    let pods = (0..6000).map(|n| pod(&format!("cart-{n}"), &json!({"spec": {"nodeName": format!("worker-{:02}", n % 100)}})));
    let facts = Facts { now: at(0), nodes, pods: pods.collect(), budgets: vec![budget("cart", 1, 2, 1, 2)], ..Facts::default() };
    let began = std::time::Instant::now();
    let drains = predict(&facts);
    assert_eq!((drains.len(), drains[7].pods), (100, 60));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
