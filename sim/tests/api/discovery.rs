//! Discovery, OpenAPI, version and health.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::rig::Rig;

fn find<'a>(list: &'a Value, key: &str, want: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|entry| entry.pointer(key).is_some_and(|v| v == want))
}

#[tokio::test(start_paused = true)]
async fn both_forms_of_discovery_tell_the_same() -> Result<()> {
    let rig = Rig::new()?;
    let media = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let groups = rig.get(&format!("/apis as {media},application/json")).await?;
    ensure!(groups.headers["content-type"] == media && groups.body["kind"] == "APIGroupDiscoveryList", "{}", groups.body);
    let old = rig.get("/apis").await?.body;
    for group in groups.body["items"].as_array().context("groups")? {
        let name = group["metadata"]["name"].as_str().context("a name")?;
        ensure!(find(&old["groups"], "/name", name).is_some(), "{name}");
        for version in group["versions"].as_array().context("versions")? {
            let list = rig.get(&format!("/apis/{name}/{}", version["version"].as_str().context("a version")?)).await?.body;
            for resource in version["resources"].as_array().context("resources")? {
                let plural = resource["resource"].as_str().context("a plural")?;
                let entry = find(&list["resources"], "/name", plural).context(plural.to_owned())?;
                ensure!(entry["kind"] == resource["responseKind"]["kind"], "{entry}");
            }
        }
    }
    let core = rig.get(&format!("/api as {media}")).await?.body;
    let pods = find(&core["items"][0]["versions"][0]["resources"], "/resource", "pods").context("pods")?;
    let eviction = find(&pods["subresources"], "/subresource", "eviction").context("pods/eviction")?;
    ensure!(eviction["responseKind"]["group"] == "policy" && pods["shortNames"][0] == "po", "{pods}");
    ensure!(rig.get("/apis/unknown.example").await?.code == 404);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn every_group_has_an_openapi_document_that_validates_fields() -> Result<()> {
    let rig = Rig::new()?;
    let index = rig.get("/openapi/v3").await?.body;
    for (path, entry) in index["paths"].as_object().context("paths")? {
        let url = entry["serverRelativeURL"].as_str().context("a url")?;
        let document = rig.get(url).await?.body;
        for (path, item) in document["paths"].as_object().context("paths")? {
            let patch = &item["patch"];
            ensure!(find(&patch["parameters"], "/name", "fieldValidation").is_some(), "{path}");
            ensure!(patch["x-kubernetes-group-version-kind"]["kind"].is_string(), "{path}");
        }
        ensure!(document["openapi"] == "3.0.0", "{path}");
    }
    ensure!(index["paths"].get("apis/config.openshift.io/v1").is_some());
    ensure!(rig.get("/openapi/v2").await?.body["swagger"] == "2.0");
    ensure!(rig.get("/openapi/v3/apis/unknown/v1").await?.code == 404);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn version_and_health() -> Result<()> {
    let rig = Rig::new()?;
    rig.service.set_version("v1.31.4");
    let version = rig.get("/version").await?.body;
    ensure!(version["gitVersion"] == "v1.31.4" && version["minor"] == "31", "{version}");
    for path in ["/healthz", "/readyz", "/livez"] {
        ensure!(rig.get(path).await?.code == 200, "{path}");
    }
    ensure!(rig.get("/metrics").await?.code == 404);
    Ok(())
}
