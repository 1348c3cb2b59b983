//! Create, update, patch, delete.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use windlass_sim::store::resources::{CLUSTERVERSIONS, CONFIGMAPS, MACHINECONFIGPOOLS, NODES, PODS};

use crate::rig::{APPLY, JSON, MERGE, Rig, STRATEGIC, config_map, node, pod, pool};

const MAPS: &str = "/api/v1/namespaces/x/configmaps";
const POOLS: &str = "/apis/machineconfiguration.openshift.io/v1/machineconfigpools";

/// A request, its media type and body; the code and reason that refuse it.
type Refusal = (&'static str, &'static str, Value, u16, &'static str);

fn refused_patches() -> Vec<Refusal> {
    vec![
        ("PATCH /api/v1/namespaces/x/configmaps/b", MERGE, json!({}), 404, "NotFound"),
        ("PATCH /api/v1/namespaces/x/configmaps/a", "application/json", json!({}), 415, "UnsupportedMediaType"),
        ("PATCH /api/v1/namespaces/x/configmaps/a", MERGE, json!({ "metadata": { "name": "b" } }), 422, "Invalid"),
        ("PATCH /api/v1/namespaces/x/configmaps/a", MERGE, json!({ "metadata": { "resourceVersion": "1" } }), 409, "Conflict"),
        ("PATCH /api/v1/namespaces/x/configmaps/a", MERGE, json!({ "metadata": { "uid": "other" } }), 409, "Conflict"),
        ("PATCH /api/v1/nodes/n", MERGE, json!({ "metadata": { "labels": { "a": "no blanks" } } }), 422, "Invalid"),
        ("PATCH /api/v1/nodes/n", JSON, json!([{ "op": "test", "path": "/spec/unschedulable", "value": true }]), 422, "Invalid"),
        (
            "PATCH /apis/machineconfiguration.openshift.io/v1/machineconfigpools/worker",
            STRATEGIC,
            json!({}),
            415,
            "UnsupportedMediaType",
        ),
        (
            "PATCH /apis/machineconfiguration.openshift.io/v1/machineconfigpools/worker",
            MERGE,
            json!({ "spec": { "paused": "true" } }),
            422,
            "Invalid",
        ),
        ("PATCH /apis/machineconfiguration.openshift.io/v1/machineconfigpools/worker", APPLY, json!({}), 422, "Invalid"),
        (
            "PATCH /apis/config.openshift.io/v1/clusterversions/version",
            MERGE,
            json!({ "spec": { "desiredUpdate": { "force": true } } }),
            422,
            "Invalid",
        ),
        ("PATCH /api/v1/namespaces/x/configmaps/a?dryRun=Some", MERGE, json!({}), 400, "BadRequest"),
    ]
}

fn other_refusals() -> Vec<Refusal> {
    vec![
        ("GET /api/v1/namespaces/x/configmaps/b", "", Value::Null, 404, "NotFound"),
        ("GET /apis/nothing.example/v1/things", "", Value::Null, 404, "NotFound"),
        ("POST /api/v1/namespaces/x/configmaps", "application/json", config_map("a", &json!({})), 409, "AlreadyExists"),
        ("POST /api/v1/namespaces/x/configmaps", "application/json", config_map("A_b", &json!({})), 422, "Invalid"),
        ("POST /api/v1/namespaces/y/configmaps", "application/json", config_map("b", &json!({})), 400, "BadRequest"),
        ("POST /api/v1/namespaces/y/configmaps", "application/json", json!({ "metadata": { "name": "b" } }), 404, "NotFound"),
        ("POST /api/v1/namespaces/x/configmaps", "application/json", json!({ "metadata": {} }), 422, "Invalid"),
        (
            "POST /api/v1/namespaces/x/configmaps",
            "application/json",
            json!({ "kind": "Pod", "apiVersion": "v1" }),
            400,
            "BadRequest",
        ),
        ("POST /api/v1/namespaces/x/configmaps", "application/json", config_map("b", &json!({ "k": 1 })), 400, "BadRequest"),
        (
            "PUT /apis/machineconfiguration.openshift.io/v1/machineconfigpools/worker",
            "application/json",
            json!({ "metadata": { "name": "worker" } }),
            422,
            "Invalid",
        ),
        ("PUT /api/v1/nodes/n", "application/json", json!({ "metadata": { "name": "m" } }), 400, "BadRequest"),
        ("POST /api/v1/nodes/n", "application/json", json!({}), 405, "MethodNotAllowed"),
        ("DELETE /api/v1/nodes/n", "application/json", json!({ "preconditions": { "uid": "other" } }), 409, "Conflict"),
        ("DELETE /api/v1/nodes/n", "application/json", json!({ "propagationPolicy": "Sideways" }), 422, "Invalid"),
        ("GET /api/v1/namespaces/x/pods/p/log", "", Value::Null, 501, "NotImplemented"),
    ]
}

#[tokio::test(start_paused = true)]
async fn refusals_say_what_a_real_server_says_and_change_nothing() -> Result<()> {
    let rig = Rig::new()?;
    rig.store.create(&CONFIGMAPS, config_map("a", &json!({})))?;
    rig.store.create(&MACHINECONFIGPOOLS, pool("worker"))?;
    rig.store.create(&CLUSTERVERSIONS, json!({ "metadata": { "name": "version" }, "spec": { "channel": "c" } }))?;
    rig.store.create(&NODES, node("n"))?;
    let before = rig.store.revision();
    for (line, media, body, code, reason) in refused_patches().into_iter().chain(other_refusals()) {
        let answer = rig.send(line, media, Some(&body).filter(|b| !b.is_null())).await?;
        let got = (answer.code, answer.body["reason"].as_str().unwrap_or_default(), answer.body["kind"].as_str());
        ensure!(got == (code, reason, Some("Status")), "{line} {body}: {}", answer.body);
    }
    ensure!(rig.store.revision() == before, "a refused request changed something");
    let version = "/apis/config.openshift.io/v1/clusterversions/version";
    ensure!(rig.patch(MERGE, version, &json!({ "spec": { "desiredUpdate": { "version": "4.17.1" } } })).await?.code == 200);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_server_fills_in_what_it_owns() -> Result<()> {
    let rig = Rig::new()?;
    let mut asked = pool("infra");
    asked["metadata"]["uid"] = json!("mine");
    asked["metadata"]["generation"] = json!(99);
    let made = rig.post(POOLS, &asked).await?;
    ensure!(made.code == 201);
    let meta = &made.body["metadata"];
    ensure!(meta["generation"] == 1 && meta["uid"] != "mine" && meta["creationTimestamp"] == "2025-06-15T15:06:40Z", "{meta}");
    ensure!(made.body["kind"] == "MachineConfigPool" && made.body.get("status").is_none(), "{}", made.body);
    ensure!(made.headers["date"] == "Sun, 15 Jun 2025 15:06:40 GMT", "{:?}", made.headers);
    let generated = json!({ "metadata": { "generateName": "job-" } });
    let names = [rig.post(MAPS, &generated).await?.body, rig.post(MAPS, &generated).await?.body];
    let [one, two] = names.map(|o| o["metadata"]["name"].as_str().unwrap_or_default().to_owned());
    ensure!(one != two && one.starts_with("job-") && one.len() == 9, "{one} {two}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn generation_counts_changes_of_the_spec_alone() -> Result<()> {
    let rig = Rig::new()?;
    rig.store.create(&MACHINECONFIGPOOLS, pool("worker"))?;
    let path = format!("{POOLS}/worker");
    let steps: &[(&str, Value, u64, bool)] = &[
        ("", json!({ "metadata": { "labels": { "a": "b" } } }), 1, true),
        ("", json!({ "spec": { "paused": true } }), 2, true),
        ("", json!({ "spec": { "paused": true } }), 2, false),
        ("", json!({ "status": { "machineCount": 9 } }), 2, false),
        ("/status", json!({ "status": { "machineCount": 4 }, "spec": { "paused": false } }), 2, true),
        ("/status", json!({ "metadata": { "labels": { "a": "c" } } }), 2, false),
    ];
    for (part, patch, generation, written) in steps {
        let before = rig.store.revision();
        let body = rig.patch(MERGE, &format!("{path}{part}"), patch).await?.body;
        ensure!(body["metadata"]["generation"] == *generation, "{patch}: {body}");
        ensure!((rig.store.revision() > before) == *written, "{patch}: a write that changes nothing makes no resourceVersion");
    }
    let pool = rig.store.get(&MACHINECONFIGPOOLS, None, "worker").context("pool")?;
    ensure!(
        pool["spec"]["paused"] == true && pool["status"]["machineCount"] == 4 && pool["metadata"]["labels"]["a"] == "b",
        "{pool}"
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_update_needs_the_newest_version() -> Result<()> {
    let rig = Rig::new()?;
    let path = format!("{MAPS}/a");
    let mut mine = rig.post(MAPS, &config_map("a", &json!({ "n": "1" }))).await?.body;
    rig.patch(MERGE, &path, &json!({ "data": { "other": "x" } })).await?;
    mine["data"]["n"] = json!("2");
    let late = rig.put(&path, &mine).await?;
    ensure!(late.code == 409 && late.body["reason"] == "Conflict", "{}", late.body);
    mine["metadata"]["resourceVersion"] = json!(rig.version_of(&CONFIGMAPS, Some("x"), "a")?);
    let done = rig.put(&path, &mine).await?;
    ensure!(done.code == 200 && done.body["data"] == json!({ "n": "2" }), "{}", done.body);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_changes_nothing() -> Result<()> {
    let rig = Rig::new()?;
    rig.store.create(&NODES, node("n"))?;
    let before = rig.store.revision();
    ensure!(rig.post(&format!("{MAPS}?dryRun=All"), &config_map("a", &json!({}))).await?.code == 201);
    let patched = rig.patch(MERGE, "/api/v1/nodes/n?dryRun=All", &json!({ "spec": { "unschedulable": true } })).await?;
    ensure!(patched.body["spec"]["unschedulable"] == true);
    ensure!(rig.delete("/api/v1/nodes/n", &json!({ "dryRun": ["All"] })).await?.code == 200);
    let applied = rig.patch(APPLY, &format!("{MAPS}/b?fieldManager=m&dryRun=All"), &config_map("b", &json!({}))).await?;
    ensure!(applied.code == 201, "{}", applied.body);
    ensure!(rig.store.revision() == before);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn finalizers_and_grace_hold_what_is_deleted() -> Result<()> {
    let rig = Rig::new()?;
    let ending = rig.store.clone();
    tokio::spawn(async move { ending.end_pods(|_, pod| pod["spec"]["nodeName"] == "dead").await });
    let mut held = config_map("a", &json!({}));
    held["metadata"]["finalizers"] = json!(["windlass/held"]);
    rig.store.create(&CONFIGMAPS, held)?;
    let deleted = rig.delete(&format!("{MAPS}/a"), &json!({})).await?;
    ensure!(deleted.body["metadata"]["deletionTimestamp"].is_string(), "{}", deleted.body);
    ensure!(rig.get(&format!("{MAPS}/a")).await?.code == 200);
    rig.patch(MERGE, &format!("{MAPS}/a"), &json!({ "metadata": { "finalizers": null } })).await?;
    ensure!(rig.get(&format!("{MAPS}/a")).await?.code == 404);

    for (name, on) in [("p", "n"), ("q", "dead")] {
        rig.store.create(&PODS, pod(name, on, true))?;
        let deleted = rig.delete(&format!("/api/v1/namespaces/x/pods/{name}"), &json!({ "gracePeriodSeconds": 20 })).await?;
        ensure!(deleted.body["metadata"]["deletionTimestamp"] == "2025-06-15T15:07:00Z", "{}", deleted.body);
    }
    rig.store.clock().sleep(std::time::Duration::from_secs(19)).await;
    ensure!(rig.store.get(&PODS, Some("x"), "p").is_some(), "the grace period is not over");
    rig.store.clock().sleep(std::time::Duration::from_secs(2)).await;
    ensure!(rig.store.get(&PODS, Some("x"), "p").is_none(), "the grace period is over");
    ensure!(rig.store.get(&PODS, Some("x"), "q").is_some(), "nobody confirms the end of a pod on a dead node");
    rig.delete("/api/v1/namespaces/x/pods/q?gracePeriodSeconds=0", &json!({})).await?;
    ensure!(rig.store.get(&PODS, Some("x"), "q").is_none(), "force takes it away");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_collection_is_deleted_by_selector_and_a_namespace_with_all_that_is_in_it() -> Result<()> {
    let rig = Rig::new()?;
    for (name, kind) in [("a", "old"), ("b", "old"), ("c", "new")] {
        let mut map = config_map(name, &json!({}));
        map["metadata"]["labels"] = json!({ "kind": kind });
        rig.store.create(&CONFIGMAPS, map)?;
    }
    let gone = rig.delete(&format!("{MAPS}?labelSelector=kind%3Dold"), &json!({})).await?;
    ensure!(gone.body["items"].as_array().map(Vec::len) == Some(2), "{}", gone.body);
    ensure!(rig.store.list(&CONFIGMAPS).len() == 1);
    ensure!(rig.delete("/api/v1/namespaces/x", &json!({})).await?.code == 200);
    ensure!(rig.store.list(&CONFIGMAPS).is_empty() && rig.get("/api/v1/namespaces/x").await?.code == 404);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn applies_create_share_and_conflict() -> Result<()> {
    let rig = Rig::new()?;
    let apply = async |manager: &str, data: Value| {
        rig.patch(APPLY, &format!("{MAPS}/a?fieldManager={manager}"), &config_map("a", &data)).await
    };
    ensure!(apply("one", json!({ "x": "1" })).await?.code == 201);
    ensure!(apply("two", json!({ "y": "1" })).await?.code == 200);
    let conflict = apply("two", json!({ "x": "2" })).await?;
    ensure!(
        conflict.code == 409 && conflict.body["details"]["causes"][0]["reason"] == "FieldManagerConflict",
        "{}",
        conflict.body
    );
    ensure!(conflict.body["details"]["causes"][0]["field"] == ".data.x");
    let forced =
        rig.patch(APPLY, &format!("{MAPS}/a?fieldManager=two&force=true"), &config_map("a", &json!({ "x": "2" }))).await?;
    ensure!(forced.body["data"] == json!({ "x": "2" }), "{}", forced.body);
    let before = rig.store.revision();
    apply("two", json!({ "x": "2" })).await?;
    ensure!(rig.store.revision() == before, "applying the same again writes nothing");
    let missing = rig
        .patch(
            APPLY,
            "/api/v1/namespaces/nowhere/configmaps/a?fieldManager=one",
            &json!({ "kind": "ConfigMap", "apiVersion": "v1" }),
        )
        .await?;
    ensure!(missing.code == 404, "{}", missing.body);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn scale_changes_the_replicas_of_its_object() -> Result<()> {
    let rig = Rig::new()?;
    let deployments = "/apis/apps/v1/namespaces/x/deployments";
    rig.post(
        deployments,
        &json!({ "metadata": { "name": "d" }, "spec": { "replicas": 2, "selector": { "matchLabels": { "a": "b" } } } }),
    )
    .await?;
    let scale = rig.get(&format!("{deployments}/d/scale")).await?.body;
    ensure!(scale["kind"] == "Scale" && scale["spec"]["replicas"] == 2 && scale["status"]["selector"] == "a=b", "{scale}");
    ensure!(
        rig.patch(MERGE, &format!("{deployments}/d/scale"), &json!({ "spec": { "replicas": 5 } })).await?.body["spec"]["replicas"]
            == 5
    );
    ensure!(rig.put(&format!("{deployments}/d/scale"), &json!({ "spec": { "replicas": -1 } })).await?.code == 422);
    let deployment = rig.get(&format!("{deployments}/d")).await?.body;
    ensure!(deployment["spec"]["replicas"] == 5 && deployment["metadata"]["generation"] == 2, "{deployment}");
    Ok(())
}
