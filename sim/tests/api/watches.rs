//! Watches.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use windlass_sim::store::Preconditions;
use windlass_sim::store::resources::{CONFIGMAPS, NODES, PODS};

use crate::rig::{Rig, config_map, node, pod};

/// The resourceVersion of an event's object.
fn version(event: &Value) -> u64 {
    event["object"]["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok()).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_from_its_version() -> Result<()> {
    let rig = Rig::new()?;
    rig.store.create(&NODES, node("a"))?;
    let from = rig.store.revision();
    rig.store.create(&NODES, node("b"))?;
    let mut watch = rig.watch(&format!("/api/v1/nodes?watch=true&resourceVersion={from}")).await?;
    ensure!(watch.brief().await? == "ADDED b");
    rig.store.modify(&NODES, None, "a", |n| n["spec"]["unschedulable"] = json!(true))?;
    rig.store.create(&CONFIGMAPS, config_map("elsewhere", &json!({})))?;
    rig.store.delete(&NODES, None, "b", &Preconditions::default())?;
    ensure!(watch.brief().await? == "MODIFIED a");
    let deleted = watch.next().await?.unwrap_or_default();
    ensure!(deleted["type"] == "DELETED" && version(&deleted) == rig.store.revision());
    ensure!(watch.is_quiet().await);
    ensure!(rig.service.audit().open_watches() == 1);
    drop(watch);
    ensure!(rig.service.audit().open_watches() == 0 && rig.service.audit().most_watches() == 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_watch_without_a_version_starts_with_what_there_is() -> Result<()> {
    let rig = Rig::new()?;
    rig.store.create(&NODES, node("a"))?;
    for version in ["", "&resourceVersion=0"] {
        let mut watch = rig.watch(&format!("/api/v1/nodes?watch=1{version}")).await?;
        ensure!(watch.brief().await? == "ADDED a");
        ensure!(watch.is_quiet().await);
    }
    let path = "/api/v1/nodes?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    let mut watch = rig.watch(path).await?;
    ensure!(watch.brief().await? == "ADDED a");
    let end = watch.next().await?.unwrap_or_default();
    ensure!(
        end["type"] == "BOOKMARK" && end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true",
        "{end}"
    );
    ensure!(version(&end) == rig.store.revision(), "{end}");
    ensure!(rig.get("/api/v1/nodes?watch=1&sendInitialEvents=true").await?.code == 422);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn bookmarks_keep_a_quiet_watch_fresh() -> Result<()> {
    let rig = Rig::new()?;
    let from = rig.store.revision();
    let mut watch = rig.watch(&format!("/api/v1/nodes?watch=1&allowWatchBookmarks=true&resourceVersion={from}")).await?;
    rig.store.create(&CONFIGMAPS, config_map("elsewhere", &json!({})))?;
    let started = rig.store.clock().now();
    let bookmark = watch.next().await?.unwrap_or_default();
    ensure!(bookmark["type"] == "BOOKMARK" && bookmark["object"]["kind"] == "Node", "{bookmark}");
    ensure!(version(&bookmark) == rig.store.revision());
    ensure!((59..=61).contains(&(rig.store.clock().now() - started).num_seconds()));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_object_that_leaves_the_selection_is_deleted_from_it() -> Result<()> {
    let rig = Rig::new()?;
    let from = rig.store.revision();
    let path = format!("/api/v1/namespaces/x/pods?watch=1&labelSelector=app%3Dweb&resourceVersion={from}");
    let mut watch = rig.watch(&path).await?;
    let mut elsewhere = pod("other", "n", true);
    elsewhere["metadata"]["namespace"] = json!("y");
    rig.store.create(&PODS, elsewhere)?;
    rig.store.create(&PODS, pod("p", "n", true))?;
    let relabel = |to: &str| rig.store.modify(&PODS, Some("x"), "p", |p| p["metadata"]["labels"]["app"] = json!(to));
    ensure!(watch.brief().await? == "ADDED p");
    relabel("api")?;
    let left = watch.next().await?.unwrap_or_default();
    ensure!(left["type"] == "DELETED" && left["object"]["metadata"]["labels"]["app"] == "web", "{left}");
    ensure!(version(&left) == rig.store.revision(), "{left}");
    relabel("web")?;
    ensure!(watch.brief().await? == "ADDED p");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_forgotten_is_gone() -> Result<()> {
    let rig = Rig::new()?;
    rig.store.keep_history(2);
    let from = rig.store.revision();
    let path = format!("/api/v1/nodes?watch=1&resourceVersion={from}");
    let mut early = rig.watch(&path).await?;
    for name in ["a", "b", "c"] {
        rig.store.create(&NODES, node(name))?;
    }
    for watch in [&mut early, &mut rig.watch(&path).await?] {
        ensure!(watch.brief().await? == "ERROR 410");
        ensure!(watch.brief().await? == "END");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_at_its_timeout_or_when_the_server_goes_away() -> Result<()> {
    let rig = Rig::new()?;
    let from = rig.store.revision();
    let started = tokio::time::Instant::now();
    let mut watch = rig.watch(&format!("/api/v1/nodes?watch=1&timeoutSeconds=300&resourceVersion={from}")).await?;
    ensure!(watch.brief().await? == "END");
    ensure!(started.elapsed() == Duration::from_secs(300), "{:?}", started.elapsed());
    let mut watch = rig.watch(&format!("/api/v1/nodes?watch=1&resourceVersion={from}")).await?;
    rig.service.set_reachable(false);
    ensure!(watch.brief().await.is_err(), "the connection breaks");
    ensure!(rig.get("/api/v1/nodes").await.is_err(), "nobody answers");
    rig.service.set_reachable(true);
    ensure!(rig.get("/api/v1/nodes").await?.code == 200);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn tables_are_watched_too() -> Result<()> {
    let rig = Rig::new()?;
    rig.store.create(&NODES, node("a"))?;
    let mut watch = rig.watch("/api/v1/nodes?watch=1 as application/json;as=Table;v=v1;g=meta.k8s.io").await?;
    let first = watch.next().await?.unwrap_or_default();
    ensure!(first["object"]["kind"] == "Table" && first["object"]["columnDefinitions"].is_array(), "{first}");
    rig.store.modify(&NODES, None, "a", |n| n["spec"]["unschedulable"] = json!(true))?;
    let second = watch.next().await?.unwrap_or_default();
    ensure!(second["object"]["rows"][0]["cells"][1] == "Ready,SchedulingDisabled", "{second}");
    ensure!(second["object"].get("columnDefinitions").is_none(), "the columns come once");
    Ok(())
}
