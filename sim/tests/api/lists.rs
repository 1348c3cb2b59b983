//! Lists: selectors, pages, old versions, tables.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use windlass_sim::store::Preconditions;
use windlass_sim::store::resources::{MACHINECONFIGPOOLS, NODES, PODS};

use crate::rig::{Rig, node, pod, pool};

fn names(list: &Value) -> String {
    let items = list["items"].as_array().into_iter().flatten();
    items.filter_map(|i| i["metadata"]["name"].as_str()).collect::<Vec<_>>().join(" ")
}

#[tokio::test(start_paused = true)]
async fn selectors_and_namespaces_narrow_a_list() -> Result<()> {
    let rig = Rig::new()?;
    for (name, on) in [("a", "n1"), ("b", "n2"), ("c", "n1")] {
        rig.store.create(&PODS, pod(name, on, true))?;
    }
    let mut other = pod("d", "n1", true);
    other["metadata"]["namespace"] = json!("y");
    rig.store.create(&PODS, other)?;
    for (path, expect) in [
        ("/api/v1/pods", "a b c d"),
        ("/api/v1/namespaces/x/pods", "a b c"),
        ("/api/v1/namespaces/z/pods", ""),
        ("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1", "a c d"),
        ("/api/v1/pods?fieldSelector=metadata.namespace!%3Dx,status.phase%3DRunning", "d"),
        ("/api/v1/pods?labelSelector=app+in+(web),!zone&fieldSelector=metadata.name%3Db", "b"),
    ] {
        let list = rig.get(path).await?;
        ensure!(list.code == 200 && names(&list.body) == expect && list.body["kind"] == "PodList", "{path}: {}", list.body);
    }
    ensure!(rig.get("/api/v1/pods?labelSelector=app+near+web").await?.code == 400);
    ensure!(rig.get("/api/v1/pods?fieldSelector=spec.hostname%3Dx").await?.code == 400);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn pages_show_one_moment_until_it_is_forgotten() -> Result<()> {
    let rig = Rig::new()?;
    for name in ["a", "b", "c", "d", "e"] {
        rig.store.create(&NODES, node(name))?;
    }
    let first = rig.get("/api/v1/nodes?limit=2").await?.body;
    ensure!(names(&first) == "a b" && first["metadata"]["remainingItemCount"] == 3, "{first}");
    rig.store.delete(&NODES, None, "c", &Preconditions::default())?;
    rig.store.modify(&NODES, None, "d", |n| n["spec"]["unschedulable"] = json!(true))?;
    rig.store.create(&NODES, node("cc"))?;
    let token = first["metadata"]["continue"].as_str().context("a token")?.to_owned();
    let second = rig.get(&format!("/api/v1/nodes?limit=2&continue={token}")).await?.body;
    ensure!(names(&second) == "c d" && second["items"][1]["spec"] == json!({}), "{second}");
    ensure!(second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]);
    let token = second["metadata"]["continue"].as_str().context("a token")?.to_owned();
    let last = rig.get(&format!("/api/v1/nodes?limit=2&continue={token}")).await?.body;
    ensure!(names(&last) == "e" && last["metadata"].get("continue").is_none(), "{last}");
    ensure!(names(&rig.get("/api/v1/nodes").await?.body) == "a b cc d e");
    rig.store.compact(0);
    let late = rig.get(&format!("/api/v1/nodes?limit=2&continue={token}")).await?;
    ensure!(late.code == 410 && late.body["reason"] == "Expired", "{}", late.body);
    ensure!(rig.get("/api/v1/nodes?limit=2&continue=garbage").await?.code == 400);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_version_can_be_asked_for() -> Result<()> {
    let rig = Rig::new()?;
    rig.store.create(&NODES, node("a"))?;
    let then = rig.store.revision();
    rig.store.create(&NODES, node("b"))?;
    let exact = rig.get(&format!("/api/v1/nodes?resourceVersion={then}&resourceVersionMatch=Exact")).await?.body;
    ensure!(names(&exact) == "a" && exact["metadata"]["resourceVersion"].as_str() == Some(&then.to_string()), "{exact}");
    ensure!(names(&rig.get(&format!("/api/v1/nodes?resourceVersion={then}")).await?.body) == "a b");
    ensure!(names(&rig.get("/api/v1/nodes?resourceVersion=0").await?.body) == "a b");
    let future = rig.get("/api/v1/nodes?resourceVersion=99999").await?;
    ensure!(future.code == 504 && future.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge", "{}", future.body);
    ensure!(rig.get("/api/v1/nodes?resourceVersion=abc").await?.code == 400);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn clients_choose_tables_or_bare_metadata() -> Result<()> {
    let rig = Rig::new()?;
    rig.store.create(&MACHINECONFIGPOOLS, pool("worker"))?;
    let pools = "/apis/machineconfiguration.openshift.io/v1/machineconfigpools";
    let table = rig.get(&format!("{pools} as application/json;as=Table;v=v1;g=meta.k8s.io")).await?.body;
    ensure!(table["kind"] == "Table" && table["columnDefinitions"][1]["name"] == "Config", "{table}");
    ensure!(table["rows"][0]["cells"][0] == "worker" && table["rows"][0]["object"]["kind"] == "PartialObjectMetadata", "{table}");
    let one = rig.get(&format!("{pools}/worker as application/json;as=Table;v=v1;g=meta.k8s.io")).await?.body;
    ensure!(one["rows"][0]["cells"] == table["rows"][0]["cells"], "{one}");
    let bare = rig.get(&format!("{pools} as application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")).await?.body;
    ensure!(bare["kind"] == "PartialObjectMetadataList" && bare["items"][0].get("spec").is_none(), "{bare}");
    ensure!(rig.get(&format!("{pools} as application/vnd.kubernetes.protobuf")).await?.code == 406);
    Ok(())
}
