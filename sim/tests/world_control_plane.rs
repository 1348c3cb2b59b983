//! Control planes that clients can't always reach, clusters of one node, and health checks that reboot nodes.

mod world_support;

use bytes::Bytes;
use chrono::TimeDelta;
use http::Request;
use http_body_util::Full;
use serde_json::json;
use windlass_sim::check::Baseline;
use windlass_sim::scenario::{When, WorldFault};
use windlass_sim::store::resources::{MACHINECONFIGPOOLS, PODS};
use windlass_sim::{ClusterShape, Sim};
use world_support::{
    calm, completed, get, hop, node, pass, patch, pause_health_check, pool, prepare, request_update, rolled_out, says,
    set_channel, start, until,
};

fn one_node() -> ClusterShape {
    ClusterShape::default().with_nodes("1+0").expect("a shape")
}

async fn answers(sim: &Sim) -> bool {
    let request = Request::get("/readyz").body(Full::<Bytes>::default()).expect("a request");
    sim.service().handle(request).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn the_only_node_takes_the_api_with_it_when_it_reboots() {
    let sim = start(one_node(), vec![]);
    assert!(answers(&sim).await);
    let labels = node(&sim, "master-0")["metadata"]["labels"].clone();
    assert!(["master", "worker", "control-plane"].iter().all(|role| labels[format!("node-role.kubernetes.io/{role}")] == ""));
    assert!(node(&sim, "master-0")["spec"]["taints"].is_null());
    set_channel(&sim, "eus-4.18").await;
    pass(&sim, 1).await;
    request_update(&sim, "4.17.11").await;
    until(&sim, 24 * 60, "the outage", |sim| !sim.ledger().api_outages.is_empty()).await;
    assert!(!answers(&sim).await);
    until(&sim, 24 * 60, "the update", |sim| completed(sim, "4.17.11")).await;
    assert!(answers(&sim).await);
    let [outage] = sim.ledger().api_outages.try_into().expect("one outage");
    let back = outage.to.expect("it is over");
    assert!(back - outage.from > TimeDelta::minutes(1), "{}", back - outage.from);
    assert!(sim.reboots()[0].at > outage.from && sim.reboots()[0].at < back, "away from before the boot until after it");
    assert_eq!(sim.reboot_counts()["master-0"], 1);
    assert_eq!((rolled_out(&sim, "master"), pool(&sim, "worker")["status"]["machineCount"].as_u64()), (true, Some(0)));
    let pods = sim.store().list(&PODS);
    assert!(pods.iter().all(|p| says(p, "Ready") == "True"), "nothing was drained, and all pods are back");
}

#[tokio::test(start_paused = true)]
async fn each_reboot_of_a_master_takes_the_api_away_for_a_moment() {
    let sim = start(ClusterShape { api_outage_on_master_reboot: true, ..ClusterShape::default() }, vec![]);
    prepare(&sim).await;
    hop(&sim, "4.17.11").await;
    let outages = sim.ledger().api_outages;
    assert_eq!(outages.len(), 3, "{outages:?}");
    for outage in outages {
        let away = outage.to.map(|to| to - outage.from);
        assert!(away.is_some_and(|away| away <= TimeDelta::seconds(151) && away >= TimeDelta::seconds(60)), "{away:?}");
    }
    let sim = calm();
    prepare(&sim).await;
    hop(&sim, "4.17.11").await;
    assert!(sim.ledger().api_outages.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_health_check_reboots_a_silent_node_unless_it_is_paused() {
    for paused in [false, true] {
        let silent = WorldFault::NodeSilent { when: When::default(), node: "worker/1".into(), minutes: Some(30.0) };
        let shape = ClusterShape { node_health_checks: true, health_check_minutes: None, ..ClusterShape::default() };
        let sim = start(shape, vec![silent]);
        let path = "/apis/remediation.medik8s.io/v1alpha1/nodehealthchecks/worker-nodes";
        let requests = if paused { json!(["maintenance"]) } else { json!([]) };
        patch(&sim, path, json!({ "spec": { "pauseRequests": requests } })).await;
        pass(&sim, 40).await;
        let remediated: Vec<String> = sim.ledger().remediations.iter().map(|r| r.node.clone()).collect();
        assert_eq!(remediated.len(), usize::from(!paused), "{remediated:?}");
        assert_eq!(sim.reboot_counts()["worker-1"], usize::from(!paused));
        assert_eq!(says(&node(&sim, "worker-1"), "Ready"), "True");
        let check = get(&sim, &windlass_sim::store::resources::NODEHEALTHCHECKS, None, "worker-nodes");
        assert_eq!(check["status"]["phase"], if paused { "Paused" } else { "Enabled" });
        assert_eq!((&check["status"]["observedNodes"], &check["status"]["healthyNodes"]), (&json!(6), &json!(6)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_client_leaves_behind_is_found() {
    let worker = "/api/v1/nodes/worker-0";
    let check = "/apis/remediation.medik8s.io/v1alpha1/nodehealthchecks/worker-nodes";
    let cordon = |on: bool| json!({ "spec": { "unschedulable": on } });
    let role = |value| json!({ "metadata": { "labels": { "node-role.kubernetes.io/canary": value } } });
    let cases = [
        (worker, cordon(true), cordon(false), "worker-0 is cordoned, and was not before"),
        (worker, role(json!("")), role(json!(null)), "worker-0 has the roles"),
        (check, json!({ "spec": { "pauseRequests": ["me"] } }), json!({ "spec": { "pauseRequests": [] } }), "pause requests are"),
    ];
    let sim = start(ClusterShape { node_health_checks: true, ..ClusterShape::default() }, vec![]);
    let before = Baseline::of(&sim);
    for (path, write, undo, words) in cases {
        patch(&sim, path, write).await;
        let found: Vec<String> = before.check_given_back(&sim).iter().map(ToString::to_string).collect();
        assert!(matches!(found.as_slice(), [one] if one.starts_with(words)), "{words}: {found:?}");
        patch(&sim, path, undo).await;
        assert!(before.check_given_back(&sim).is_empty(), "{words}");
    }
    let pool = json!({ "metadata": { "name": "canary" }, "spec": { "machineConfigSelector": {}, "nodeSelector": {} } });
    sim.store().create(&MACHINECONFIGPOOLS, pool).expect("a new pool");
    let found: Vec<String> = before.check_given_back(&sim).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["pool canary is still there, and was not before"]);
}

#[tokio::test(start_paused = true)]
async fn a_cordon_of_the_clusters_own_is_not_the_clients() {
    let foreign = WorldFault::NodeCordoned { when: When::default(), node: "worker/0".into(), minutes: None };
    let sim = start(ClusterShape::default(), vec![foreign]);
    let before = Baseline::of(&sim);
    pause_health_check(&sim, false).await;
    pass(&sim, 5).await;
    assert_eq!(node(&sim, "worker-0")["spec"]["unschedulable"], true);
    assert!(before.check_given_back(&sim).is_empty());
}
