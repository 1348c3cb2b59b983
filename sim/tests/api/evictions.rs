//! Evictions and budgets.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use windlass_sim::api::Budget;
use windlass_sim::store::resources::{PDBS, PODS, STATEFULSETS};

use crate::rig::{Rig, pod};

fn budget(name: &str, spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec["selector"] = json!({ "matchLabels": { "app": "web" } });
    json!({ "metadata": { "name": name, "namespace": "x" }, "spec": spec })
}

fn eviction(pod: &str, options: &Value) -> Value {
    json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": pod, "namespace": "x" }, "deleteOptions": options })
}

async fn evict(rig: &Rig, pod: &str, options: &Value) -> Result<(u16, Value)> {
    let path = format!("/api/v1/namespaces/x/pods/{pod}/eviction");
    let answer = rig.post(&path, &eviction(pod, options)).await?;
    Ok((answer.code, answer.body))
}

fn pods(rig: &Rig, ready: usize, unready: usize) -> Result<()> {
    for n in 0..ready + unready {
        rig.store.create(&PODS, pod(&format!("p{n}"), "n", n < ready))?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn budgets_decide_who_may_go() -> Result<()> {
    // Pods ready and not, the budget's spec, the pod to evict, the code that comes back.
    let table: &[(usize, usize, Value, &str, u16)] = &[
        (3, 0, json!({ "minAvailable": 2 }), "p0", 201),
        (2, 0, json!({ "minAvailable": 2 }), "p0", 429),
        (3, 0, json!({ "minAvailable": "100%" }), "p0", 429),
        (3, 0, json!({ "maxUnavailable": 0 }), "p0", 429),
        (3, 0, json!({ "maxUnavailable": "34%" }), "p0", 201),
        (2, 1, json!({ "maxUnavailable": 1 }), "p0", 429),
        (2, 1, json!({ "maxUnavailable": 1 }), "p2", 201),
        (1, 1, json!({ "minAvailable": 2 }), "p1", 429),
        (1, 1, json!({ "minAvailable": 2, "unhealthyPodEvictionPolicy": "AlwaysAllow" }), "p1", 201),
    ];
    for (ready, unready, spec, name, code) in table {
        let rig = Rig::new()?;
        pods(&rig, *ready, *unready)?;
        rig.store.create(&PDBS, budget("b", spec))?;
        let (got, body) = evict(&rig, name, &json!({})).await?;
        ensure!(got == *code, "{ready}+{unready} {spec} {name}: {body}");
        let marked = rig.store.get(&PODS, Some("x"), name).context("the pod has its grace period")?;
        ensure!(marked["metadata"]["deletionTimestamp"].is_string() == (*code == 201), "{marked}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_refusal_names_the_budget() -> Result<()> {
    let rig = Rig::new()?;
    pods(&rig, 2, 0)?;
    rig.store.create(&PDBS, budget("guard", &json!({ "minAvailable": 2 })))?;
    let (code, body) = evict(&rig, "p0", &json!({})).await?;
    ensure!(code == 429 && body["reason"] == "TooManyRequests", "{body}");
    let cause = &body["details"]["causes"][0];
    ensure!(cause["reason"] == "DisruptionBudget", "{body}");
    ensure!(cause["message"] == "The disruption budget guard needs 2 healthy pods and has 2 currently", "{body}");
    rig.store.create(&PDBS, budget("second", &json!({ "minAvailable": 0 })))?;
    let (code, body) = evict(&rig, "p0", &json!({})).await?;
    ensure!(code == 500 && body["reason"] == "InternalError", "{body}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_eviction_spends_the_budget_at_once() -> Result<()> {
    let rig = Rig::new()?;
    pods(&rig, 3, 0)?;
    rig.store.create(&PDBS, budget("b", &json!({ "minAvailable": 2 })))?;
    ensure!(evict(&rig, "p0", &json!({ "dryRun": ["All"] })).await?.0 == 201);
    ensure!(evict(&rig, "p0", &json!({ "preconditions": { "uid": "other" } })).await?.0 == 409);
    ensure!(evict(&rig, "p0", &json!({})).await?.0 == 201);
    ensure!(evict(&rig, "p1", &json!({})).await?.0 == 429, "the first one spent it");
    ensure!(evict(&rig, "p0", &json!({})).await?.0 == 201, "who is already going costs nothing");
    ensure!(rig.store.get(&PDBS, Some("x"), "b").context("budget")?["status"]["disruptionsAllowed"] == 0);
    ensure!(evict(&rig, "gone", &json!({})).await?.0 == 404);
    let wrong = rig.post("/api/v1/namespaces/x/pods/p1/eviction", &eviction("p2", &json!({}))).await?;
    ensure!(wrong.code == 400, "{}", wrong.body);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_owner_says_how_many_pods_there_should_be() -> Result<()> {
    let rig = Rig::new()?;
    rig.store.create(&STATEFULSETS, json!({ "metadata": { "name": "web", "namespace": "x" }, "spec": { "replicas": 5 } }))?;
    for n in 0..3 {
        let mut pod = pod(&format!("p{n}"), "n", true);
        pod["metadata"]["ownerReferences"] = json!([{ "kind": "StatefulSet", "name": "web", "uid": "u", "controller": true }]);
        rig.store.create(&PODS, pod)?;
    }
    let pdb = rig.store.create(&PDBS, budget("b", &json!({ "maxUnavailable": 1 })))?;
    ensure!(Budget::of(&rig.store, &pdb)? == Budget { expected: 5, healthy: 3, desired: 4 });
    ensure!(evict(&rig, "p0", &json!({})).await?.0 == 429);
    Ok(())
}
