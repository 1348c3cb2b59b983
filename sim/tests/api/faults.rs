//! Scripted faults, the audit log and access.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use windlass_sim::FaultScript;
use windlass_sim::store::resources::{CONFIGMAPS, NODES};

use crate::rig::{MERGE, Rig, config_map, node};

fn script(api: &Value) -> Result<FaultScript> {
    Ok(serde_json::from_value(json!({ "api": api }))?)
}

/// One patch under one fault: whether a reply came, which, whether it was carried out, and what the audit log says.
#[tokio::test(start_paused = true)]
async fn replies_get_lost_before_and_after_the_effect() -> Result<()> {
    let table: &[(Value, Option<u16>, bool, &[u16])] = &[
        (json!("reset_before"), None, false, &[]),
        (json!("reset_after"), None, true, &[200]),
        (json!({ "status": { "code": 504, "applied": true } }), Some(504), true, &[200]),
        (json!({ "status": { "code": 504 } }), Some(504), false, &[504]),
        (json!({ "status": { "code": 429, "retry_after_seconds": 3 } }), Some(429), false, &[429]),
        (json!("outage"), None, false, &[]),
        (json!("expired_token"), Some(401), false, &[401]),
        (json!("forbidden"), Some(403), false, &[403]),
        (json!({ "delay": { "seconds": 4.0 } }), Some(200), true, &[200]),
    ];
    for (effect, code, applied, audited) in table {
        let rig = Rig::with_faults(script(&json!([{ "on": { "verbs": ["patch"], "resource": "nodes" }, "effect": effect }]))?)?;
        rig.store.create(&NODES, node("n"))?;
        let patch = json!({ "spec": { "unschedulable": true } });
        let answer = rig.send("PATCH /api/v1/nodes/n", MERGE, Some(&patch)).await;
        ensure!(answer.as_ref().ok().map(|a| a.code) == *code, "{effect}");
        let node = rig.store.get(&NODES, None, "n").context("node")?;
        ensure!((node["spec"]["unschedulable"] == true) == *applied, "{effect}");
        let records = rig.service.audit().records();
        ensure!(records.iter().map(|r| r.code).collect::<Vec<_>>() == *audited, "{effect}: {records:?}");
        if let Ok(answer) = answer.as_ref().map(|a| a.headers.get("retry-after")) {
            ensure!(answer.is_some() == (*code == Some(429)), "{effect}");
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_audit_log_has_every_write_and_counts_reads() -> Result<()> {
    let rig = Rig::new()?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("audit.jsonl");
    rig.service.audit().append_to(&file)?;
    rig.post("/api/v1/namespaces/x/configmaps", &config_map("a", &json!({}))).await?;
    rig.patch(MERGE, "/api/v1/namespaces/x/configmaps/a?fieldManager=me", &json!({ "data": { "k": "v" } })).await?;
    rig.delete("/api/v1/namespaces/x/configmaps/none", &json!({})).await?;
    rig.get("/api/v1/pods").await?;
    rig.get("/api/v1/pods?limit=5").await?;
    rig.get("/version").await?;
    let audit = rig.service.audit();
    let lines: Vec<String> = audit.records().iter().map(|r| format!("{} {} {}", r.verb, r.path, r.code)).collect();
    ensure!(
        lines
            == [
                "create /api/v1/namespaces/x/configmaps 201",
                "patch /api/v1/namespaces/x/configmaps/a?fieldManager=me 200",
                "delete /api/v1/namespaces/x/configmaps/none 404"
            ],
        "{lines:?}"
    );
    let record = &audit.records()[1];
    ensure!(record.who == "system:admin windlass-test/1.0" && record.body == json!({ "data": { "k": "v" } }), "{record:?}");
    let unpaged = audit.reads().iter().filter(|(k, _)| k.resource == "pods" && k.unpaged).map(|(_, n)| n).sum::<u64>();
    ensure!(audit.read_count("list", "pods") == 2 && unpaged == 1 && audit.read_count("get", "/version") == 1);
    let written = std::fs::read_to_string(file)?;
    let first: Value = serde_json::from_str(written.lines().next().context("a line")?)?;
    ensure!(written.lines().count() == 3 && first.as_object().map(serde_json::Map::len) == Some(6), "{first}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn watches_are_dropped_expired_and_cut_by_outages() -> Result<()> {
    let faults = script(&json!([
        { "on": { "verbs": ["watch"], "resource": "nodes" }, "when": { "nth": 1 }, "effect": { "drop_watch": { "after_events": 1 } } },
        { "on": { "verbs": ["watch"], "resource": "nodes" }, "when": { "nth": 2 }, "effect": "expire_watch" },
        { "when": { "from_seconds": 600, "to_seconds": 700 }, "effect": "outage" },
    ]))?;
    let rig = Rig::with_faults(faults)?;
    for name in ["a", "b"] {
        rig.store.create(&NODES, node(name))?;
    }
    let mut dropped = rig.watch("/api/v1/nodes?watch=1").await?;
    ensure!(dropped.brief().await? == "ADDED a" && dropped.brief().await.is_err());
    let mut expired = rig.watch("/api/v1/nodes?watch=1").await?;
    ensure!(expired.brief().await? == "ERROR 410" && expired.brief().await? == "END");
    let from = rig.store.revision();
    let mut cut = rig.watch(&format!("/api/v1/nodes?watch=1&resourceVersion={from}")).await?;
    ensure!(cut.brief().await.is_err());
    ensure!(rig.store.clock().elapsed().as_secs() == 600, "{:?}", rig.store.clock().elapsed());
    ensure!(rig.get("/api/v1/nodes").await.is_err());
    rig.store.clock().sleep(Duration::from_secs(100)).await;
    ensure!(rig.get("/api/v1/nodes").await?.code == 200);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn access_reviews_know_what_is_forbidden() -> Result<()> {
    let rig = Rig::with_faults(script(
        &json!([{ "on": { "verbs": ["patch"], "resource": "configmaps", "namespace": "x" }, "effect": "forbidden" }]),
    )?)?;
    rig.store.create(&CONFIGMAPS, config_map("a", &json!({})))?;
    let refused = rig.patch(MERGE, "/api/v1/namespaces/x/configmaps/a", &json!({})).await?;
    let message = "configmaps \"a\" is forbidden: User \"system:admin\" cannot patch resource \"configmaps\" in API group \"\" in the \
                   namespace \"x\"";
    ensure!(refused.code == 403 && refused.body["message"] == message, "{}", refused.body);
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    for (verb, ns, allowed) in [("patch", "x", false), ("get", "x", true), ("patch", "y", true)] {
        let asked = json!({ "spec": { "resourceAttributes": { "verb": verb, "resource": "configmaps", "namespace": ns } } });
        let review = rig.post(reviews, &asked).await?;
        ensure!(review.code == 201 && review.body["status"]["allowed"] == allowed, "{verb} {ns}: {}", review.body);
    }
    let me = rig.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &json!({})).await?;
    ensure!(me.body["status"]["userInfo"]["username"] == "system:admin", "{}", me.body);
    ensure!(rig.service.audit().records().len() == 1, "a review is no write");
    Ok(())
}
