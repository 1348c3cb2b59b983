//! Canary waves on a simulated cluster: formed and dissolved without a reboot, through crashes, repeats, failures and lost replies.

use serde_json::{Value, json};
use windlass_engine::Event;
use windlass_engine::control::What;
use windlass_sim::store::resources::{MACHINECONFIGPOOLS, NODES};
use windlass_sim::{ClusterShape, Scenario};
use windlass_tests::{
    Around, Ending, Proof, Stage, crash_at_every_append, crash_before_every_effect, fail_every_activity, lose_every_reply,
    repeat_every_activity,
};

fn proof() -> Proof {
    Proof {
        workflow: "canary-drill",
        input: json!({"spec": {"pool": "worker", "soak_minutes": 5, "waves": [{"name": "canary", "select": {"percent": 10}}]}}),
        approvals: Vec::new(),
        shape: ClusterShape::default(),
        around: Around::default(),
    }
}

#[test]
fn waves_survive_a_crash_at_every_append() {
    crash_at_every_append(&proof());
}

#[test]
fn waves_survive_a_crash_before_every_effect() {
    crash_before_every_effect(&proof());
}

#[test]
fn waves_survive_the_repeat_of_every_activity() {
    repeat_every_activity(&proof());
}

#[test]
fn waves_survive_the_failure_of_every_activity() {
    fail_every_activity(&proof(), nothing_left_behind_unseen);
}

#[test]
fn waves_survive_the_loss_of_every_reply() {
    lose_every_reply(&proof());
}

/// A wave that fails is cordoned, drained and, once a person takes it for well, filled again.
fn failing_proof() -> Proof {
    let waves = json!([{"name": "canary", "select": {"percent": 10}}]);
    let spec = json!({"pool": "worker", "soak_minutes": 5, "probes": failing(), "on_failure": "drain", "waves": waves});
    Proof { input: json!({"spec": spec}), approvals: vec!["canary-canary".to_owned()], ..proof() }
}

#[test]
fn a_failed_wave_survives_a_crash_at_every_append() {
    crash_at_every_append(&failing_proof());
}

#[test]
fn a_failed_wave_survives_the_repeat_of_every_activity() {
    repeat_every_activity(&failing_proof());
}

#[test]
fn a_failed_wave_survives_the_loss_of_every_reply() {
    lose_every_reply(&failing_proof());
}

/// Whatever is still changed on the cluster stands in the journal as held, and nothing reboots.
fn nothing_left_behind_unseen(stage: &Stage, what: &str) {
    let held: Vec<String> = stage.state().map(|state| state.held.into_keys().collect()).unwrap_or_default();
    let pools = stage.sim.store().list(&MACHINECONFIGPOOLS);
    let waves = pools.iter().map(|pool| name(pool)).filter(|name| name.starts_with("workerpool-"));
    let out: Vec<String> = waves.map(|pool| format!("pool/{pool}/wave")).chain(cordons(stage)).collect();
    // A step that failed before it did anything is on record as held until a look finds nothing.
    assert!(out.iter().all(|change| held.contains(change)), "{what}: out on the cluster {out:?}, on record {held:?}");
    assert_eq!(stage.sim.reboots().len(), 0, "{what}");
}

fn cordons(stage: &Stage) -> Vec<String> {
    let nodes = stage.sim.store().list(&NODES);
    nodes.iter().filter(|node| node["spec"]["unschedulable"] == true).map(|node| format!("node/{}/cordon", name(node))).collect()
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// The writes to pools and nodes, shortened to what they do.
fn moves(stage: &Stage) -> Vec<String> {
    let records = stage.sim.audit().records();
    let own =
        records.iter().filter(|record| record.code < 300 && (record.path.contains("pools") || record.path.contains("nodes")));
    own.map(|record| {
        let label = |value: &Value| value["metadata"]["labels"].as_object().map(|labels| json!(labels).to_string());
        let what = label(&record.body).filter(|_| record.verb == "patch").unwrap_or_default();
        format!(
            "{} {} {what}",
            record.verb,
            record.path.rsplit('/').next().and_then(|name| name.split('?').next()).unwrap_or_default()
        )
        .trim_end()
        .to_owned()
    })
    .collect()
}

async fn driven(spec: Value, shape: ClusterShape) -> Stage {
    let stage = Stage::new("canary-drill", shape, Scenario::default());
    stage.start(&json!({"spec": spec}), &[], None, None).await.expect("the stage works");
    stage
}

fn three_waves() -> Value {
    json!({"pool": "worker", "soak_minutes": 30, "waves": [
        {"name": "canary", "select": {"percent": 10}},
        {"name": "second", "select": {"percent": 30}, "max_unavailable": "2"},
    ]})
}

fn shape(workers: usize) -> ClusterShape {
    let mut shape = ClusterShape::default();
    shape.pools.iter_mut().filter(|pool| pool.name == "worker").for_each(|pool| pool.nodes = workers);
    shape
}

#[tokio::test(start_paused = true)]
async fn waves_are_formed_and_dissolved_without_a_reboot_and_in_the_safe_order() {
    let stage = driven(three_waves(), shape(5)).await;
    assert_eq!(stage.ending(), Ending::Completed);
    assert_eq!(stage.sim.reboots().len(), 0);
    let (canary, second) = ("node-role.kubernetes.io/workerpool-canary", "node-role.kubernetes.io/workerpool-second");
    let set = |node: &str, label: &str, value: &Value| format!("patch {node} {}", json!({label: value}));
    let (on, off) = (json!(""), Value::Null);
    let expect = [
        "create machineconfigpools".to_owned(),
        "create machineconfigpools".to_owned(),
        set("worker-0", canary, &on),
        set("worker-1", second, &on),
        set("worker-2", second, &on),
        set("worker-0", canary, &off),
        "delete workerpool-canary".to_owned(),
        set("worker-1", second, &off),
        set("worker-2", second, &off),
        "delete workerpool-second".to_owned(),
    ];
    assert_eq!(moves(&stage), expect);
    assert!(stage.state().unwrap().held.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_renders_something_else_moves_no_node_and_is_taken_back() {
    let stage = Stage::new("canary-drill", shape(5), Scenario::default());
    let config = json!({
        "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfig",
        "metadata": {"name": "99-canary-extra", "labels": {"machineconfiguration.openshift.io/role": "workerpool-canary"}},
        "spec": {"config": {"ignition": {"version": "3.4.0"}, "storage": {"files": [
            {"path": "/etc/extra", "mode": 420, "contents": {"source": "data:,"}}]}}},
    });
    stage.sim.store().create(&windlass_sim::store::resources::MACHINECONFIGS, config).unwrap();
    stage.start(&json!({"spec": three_waves()}), &[], None, None).await.unwrap();
    let Ending::Failed(error) = stage.ending() else { panic!("{:?}", stage.ending()) };
    assert!(error.contains("the contents differ, so every node that moves would reboot"), "{error}");
    assert_eq!(moves(&stage), ["create machineconfigpools", "delete workerpool-canary"]);
    assert!(stage.state().unwrap().held.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_in_its_soak_gives_the_waves_back() {
    let stage = Stage::new("canary-drill", shape(5), Scenario::default());
    let spec = json!({"pool": "worker", "soak_minutes": 30, "probes": failing(), "waves": [{"name": "canary", "select": {"percent": 10}}]});
    stage.start(&json!({"spec": spec}), &[], None, None).await.unwrap();
    assert_eq!(stage.ending(), Ending::AtGates(vec!["canary-canary".to_owned()]));
    stage.tell(What::Cancel).unwrap().unwrap();
    stage.resume(None).await.unwrap();
    assert!(matches!(stage.ending(), Ending::Failed(_)), "{:?}", stage.ending());
    nothing_left_behind_unseen(&stage, "cancelled");
    assert!(stage.state().unwrap().held.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_begins_to_fire_in_the_soak_stops_there_and_is_shown() {
    let alert = json!({"name": "ShopDown", "severity": "critical", "summary": "nobody can buy", "from_minutes": 15});
    let shape = ClusterShape { alerts: serde_json::from_value(json!([alert])).unwrap(), ..shape(5) };
    let probes = json!({"prometheus": {"url": "http://simulated/prometheus"}});
    let waves = json!([{"name": "canary", "select": {"percent": 10}}, {"name": "second", "select": {"percent": 10}}]);
    let stage = driven(json!({"pool": "worker", "soak_minutes": 30, "probes": probes, "waves": waves}), shape).await;
    assert_eq!(stage.ending(), Ending::AtGates(vec!["canary-canary".to_owned()]));
    let told = |event: Event| if let Event::GateOpened { text, .. } = event { Some(text) } else { None };
    let question = stage.history().into_iter().find_map(|record| told(record.event)).unwrap();
    assert!(
        question.starts_with("Wave canary failed: ask the health probes for wave canary after its soak: alerts: ShopDown"),
        "{question}"
    );
    assert!(question.contains("nobody can buy") && question.contains("Approve to go on"), "{question}");
}

/// The simulated cluster has no such address.
fn failing() -> Value {
    json!({"http": [{"url": "http://shop.example.com/no-such-path", "expect_status": 200}]})
}

#[tokio::test(start_paused = true)]
async fn a_wave_that_fails_is_drained_if_asked_and_stays_so_when_a_person_stops_there() {
    let check = async |on_failure: &str, approve: bool, expect: &str, owed: &[&str]| {
        let stage = Stage::new("canary-drill", shape(5), Scenario::default());
        let waves = json!([{"name": "canary", "select": {"nodes": ["worker-1"]}}]);
        let spec = json!({"pool": "worker", "soak_minutes": 5, "probes": failing(), "on_failure": on_failure, "waves": waves});
        stage.start(&json!({"spec": spec}), &[], None, None).await.unwrap();
        let gate = "canary-canary".to_owned();
        assert_eq!(stage.ending(), Ending::AtGates(vec![gate.clone()]));
        assert_eq!(cordons(&stage), if on_failure == "drain" { vec!["node/worker-1/cordon"] } else { vec![] });
        let what =
            if approve { What::Approve { gate, in_advance: false, seen: None, plan: None } } else { What::Reject { gate } };
        stage.tell(what).unwrap().unwrap();
        stage.resume(None).await.unwrap();
        let ending = match stage.ending() {
            Ending::Failed(error) => error,
            other @ (Ending::Completed | Ending::Parked(_) | Ending::AtGates(_) | Ending::Stuck(_)) => format!("{other:?}"),
        };
        assert!(ending.contains(expect), "{ending}");
        let held: Vec<String> = stage.state().unwrap().held.into_keys().collect();
        assert_eq!(held, owed, "on record");
        nothing_left_behind_unseen(&stage, expect);
    };
    check("hold", true, "Completed", &[]).await;
    check("hold", false, "tester stopped the update after wave canary had failed", &[]).await;
    check("drain", true, "Completed", &[]).await;
    let owed = ["node/worker-1/cordon", "pool/workerpool-canary/wave"];
    check("drain", false, "still cordoned: worker-1; once they are well: oc adm uncordon worker-1", &owed).await;
}

/// The update itself, with one wave before the other workers.
fn update(probes: &Value) -> Value {
    let waves = json!([{"name": "canary", "select": {"percent": 20}}]);
    let canary = json!({"pool": "worker", "soak_minutes": 30, "probes": probes, "waves": waves});
    json!({"channel": "eus-4.18", "target": "4.18", "pause_days": 14, "terms": {"canary": canary}})
}

fn approvals() -> Vec<String> {
    let pools = ["workerpool-canary", "infra", "worker"].map(|pool| format!("release-pool-{pool}"));
    ["ack-hop-1", "ack-hop-2"].map(str::to_owned).into_iter().chain(pools).collect()
}

#[tokio::test(start_paused = true)]
async fn an_update_with_a_wave_reboots_each_worker_once_and_the_wave_first() {
    let stage = Stage::new("eus-update", shape(5), Scenario::default());
    stage.start(&update(&json!({})), &approvals(), None, None).await.unwrap();
    assert_eq!(stage.ending(), Ending::Completed);
    let workers: Vec<String> =
        stage.sim.reboots().into_iter().map(|reboot| reboot.node).filter(|node| node.starts_with("worker")).collect();
    assert_eq!((workers.len(), workers[0].as_str()), (5, "worker-0"), "{workers:?}");
    assert!(stage.sim.reboot_counts().iter().all(|(node, count)| !node.starts_with("worker") || *count == 1));
    let pools: Vec<String> = stage.sim.store().list(&MACHINECONFIGPOOLS).iter().map(|pool| name(pool)).collect();
    assert_eq!(pools, ["infra", "master", "worker"]);
    assert!(stage.state().unwrap().held.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_update_that_stops_at_its_wave_leaves_the_other_workers_as_they_are_and_names_what_is_owed() {
    let stage = Stage::new("eus-update", shape(5), Scenario::default());
    stage.start(&update(&failing()), &approvals(), None, None).await.unwrap();
    let gate = "canary-canary".to_owned();
    assert_eq!(stage.ending(), Ending::AtGates(vec![gate.clone()]));
    stage.tell(What::Reject { gate }).unwrap().unwrap();
    stage.resume(None).await.unwrap();
    let Ending::Failed(error) = stage.ending() else { panic!("{:?}", stage.ending()) };
    for told in
        ["stopped the update after wave canary had failed", "unpausing pool worker reboots", "oc delete mcp workerpool-canary"]
    {
        assert!(error.contains(told), "{told}: {error}");
    }
    let rebooted: Vec<String> =
        stage.sim.reboots().into_iter().map(|reboot| reboot.node).filter(|node| !node.starts_with("master")).collect();
    assert_eq!(rebooted, ["worker-0"]);
    let held: Vec<String> = stage.state().unwrap().held.into_keys().collect();
    assert_eq!(held, ["pool/infra/paused", "pool/worker/paused", "pool/workerpool-canary/wave"]);
}
