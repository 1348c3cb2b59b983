//! A `kube::Client` on the service, without a socket.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, EvictParams, ListParams, Patch, PatchParams, PostParams, WatchParams,
};
use kube::core::{GroupVersionKind, WatchEvent};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Error};
use serde_json::json;
use windlass_sim::store::Preconditions;
use windlass_sim::store::resources::{CLUSTERVERSIONS, CONFIGMAPS, NODES, PODS};

use crate::rig::{Rig, config_map, node, pod};

fn client(rig: &Rig) -> Client {
    Client::new(rig.service.clone(), "default")
}

#[tokio::test(start_paused = true)]
async fn typed_and_dynamic_objects() -> Result<()> {
    let rig = Rig::new()?;
    rig.store.create(&NODES, node("n"))?;
    rig.store.create(&CLUSTERVERSIONS, json!({ "metadata": { "name": "version" }, "spec": { "channel": "eus-4.16" } }))?;
    let client = client(&rig);
    ensure!(client.apiserver_version().await?.git_version.starts_with("v1."));
    let nodes: Api<Node> = Api::all(client.clone());
    nodes.cordon("n").await?;
    ensure!(nodes.get("n").await?.spec.context("spec")?.unschedulable == Some(true));
    let kind = GroupVersionKind::gvk("config.openshift.io", "v1", "ClusterVersion");
    let versions: Api<DynamicObject> =
        Api::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&kind, "clusterversions"));
    let patch = json!({ "apiVersion": "config.openshift.io/v1", "kind": "ClusterVersion", "spec": { "desiredUpdate": { "version": "4.17.9" } } });
    let applied = versions.patch("version", &PatchParams::apply("windlass"), &Patch::Apply(&patch)).await?;
    ensure!(applied.data["spec"]["desiredUpdate"]["version"] == "4.17.9" && applied.metadata.generation == Some(2));
    let Err(Error::Api(status)) = versions.get("other").await else { bail!("there is no other") };
    ensure!(status.is_not_found());
    let maps: Api<ConfigMap> = Api::namespaced(client, "x");
    let map: ConfigMap = serde_json::from_value(config_map("a", &json!({ "k": "v" })))?;
    maps.create(&PostParams::default(), &map).await?;
    ensure!(maps.delete("a", &DeleteParams::default()).await?.is_right());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn evictions_and_pages() -> Result<()> {
    let rig = Rig::new()?;
    for n in 0..5 {
        rig.store.create(&PODS, pod(&format!("p{n}"), "n", true))?;
    }
    let pods: Api<Pod> = Api::namespaced(client(&rig), "x");
    let first = pods.list(&ListParams::default().limit(3)).await?;
    let token = first.metadata.continue_.context("more to come")?;
    ensure!(first.items.len() == 3 && pods.list(&ListParams::default().limit(3).continue_token(&token)).await?.items.len() == 2);
    pods.evict("p0", &EvictParams::default()).await?;
    ensure!(pods.get("p0").await?.metadata.deletion_timestamp.is_some());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn watchers_in_both_styles_see_every_change() -> Result<()> {
    let rig = Rig::new()?;
    rig.store.create(&CONFIGMAPS, config_map("a", &json!({})))?;
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let maps: Api<ConfigMap> = Api::all(client(&rig));
        let mut changes = watcher(maps, config).default_backoff().applied_objects().boxed();
        let mut next = async || -> Result<String> {
            let change = tokio::time::timeout(Duration::from_secs(600), changes.try_next()).await?;
            Ok(change?.and_then(|m| m.metadata.name).unwrap_or_default())
        };
        ensure!(next().await? == "a");
        let name = format!("b{}", rig.store.revision());
        rig.store.create(&CONFIGMAPS, config_map(&name, &json!({})))?;
        ensure!(next().await? == name);
        rig.store.compact(0);
        rig.store.modify(&CONFIGMAPS, Some("x"), "a", |m| m["data"]["seen"] = json!(name))?;
        ensure!(next().await? == "a");
        rig.store.delete(&CONFIGMAPS, Some("x"), &name, &Preconditions::default())?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_plain_watch_ends_with_the_reason() -> Result<()> {
    let rig = Rig::new()?;
    rig.store.create(&NODES, node("n"))?;
    rig.store.compact(0);
    let nodes: Api<Node> = Api::all(client(&rig));
    let mut events = nodes.watch(&WatchParams::default(), "1").await?.boxed();
    let event = events.try_next().await?;
    ensure!(matches!(&event, Some(WatchEvent::Error(status)) if status.code == 410), "{event:?}");
    Ok(())
}
