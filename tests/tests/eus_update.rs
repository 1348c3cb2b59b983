//! The EUS-to-EUS update on a simulated cluster, through crashes, repeats, failures and lost replies.

use serde_json::{Value, json};
use windlass_sim::ClusterShape;
use windlass_sim::store::resources;
use windlass_tests::{
    Around, Proof, Stage, crash_at_every_append, crash_before_every_effect, fail_every_activity, lose_every_reply,
    repeat_every_activity,
};

/// The smallest cluster that has everything: two pools beside `master`, health checks, an acknowledgement after hop 1.
fn proof() -> Proof {
    Proof {
        workflow: "eus-update",
        input: json!({"channel": "eus-4.18", "target": "4.18", "pause_days": 14}),
        approvals: ["ack-hop-1", "ack-hop-2", "release-pool-infra", "release-pool-worker"].map(str::to_owned).to_vec(),
        shape: ClusterShape::default(),
        around: Around::default(),
    }
}

/// The same with everything that a person may settle: a canary wave, windows, credentials, deadlines watched beside the work.
fn proof_with_terms() -> Proof {
    let terms = json!({
        "windows": {"zone": "Europe/Berlin", "slots": [{"days": ["mon", "tue", "wed"], "from": "00:00", "until": "24:00"}]},
        "canary": {"waves": [{"name": "first", "select": {"percent": 25}}], "soak_minutes": 10},
        "credentials": {},
        "deadlines": true,
    });
    let mut proof = proof();
    proof.input["terms"] = terms;
    proof.approvals.push("release-pool-workerpool-first".to_owned());
    proof
}

#[test]
fn with_terms_it_survives_a_crash_at_every_append() {
    crash_at_every_append(&proof_with_terms());
}

#[test]
fn with_terms_it_survives_the_repeat_of_every_activity() {
    repeat_every_activity(&proof_with_terms());
}

#[test]
fn with_terms_it_survives_the_loss_of_every_reply() {
    lose_every_reply(&proof_with_terms());
}

#[test]
fn it_survives_a_crash_at_every_append() {
    crash_at_every_append(&proof());
}

#[test]
fn it_survives_a_crash_before_every_effect() {
    crash_before_every_effect(&proof());
}

#[test]
fn it_survives_the_repeat_of_every_activity() {
    repeat_every_activity(&proof());
}

#[test]
fn it_survives_the_failure_of_every_activity() {
    fail_every_activity(&proof(), nothing_left_behind_unseen);
}

#[test]
fn it_survives_the_loss_of_every_reply() {
    lose_every_reply(&proof());
}

/// Whatever is still changed on the cluster stands in the journal as held, and nothing else does.
fn nothing_left_behind_unseen(stage: &Stage, what: &str) {
    let held: Vec<String> = stage.state().map(|state| state.held.into_keys().collect()).unwrap_or_default();
    assert_eq!(held, temporary_changes(stage), "{what}: held on record, and out on the cluster");
}

fn temporary_changes(stage: &Stage) -> Vec<String> {
    let store = stage.sim.store();
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let checks = store.list(&resources::MACHINEHEALTHCHECKS);
    let checks = checks.iter().filter(|check| check["metadata"]["annotations"].get("cluster.x-k8s.io/paused").is_some());
    let pools = store.list(&resources::MACHINECONFIGPOOLS);
    let pools = pools.iter().filter(|pool| pool["spec"]["paused"] == true);
    let checks = checks.map(|check| format!("machine-health-check/{}/paused", name(check)));
    checks.chain(pools.map(|pool| format!("pool/{}/paused", name(pool)))).collect()
}
