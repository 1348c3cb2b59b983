//! The server on a socket: TLS, tokens, broken connections.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, Error};
use serde_json::json;
use windlass_sim::Server;
use windlass_sim::store::resources::NODES;

use crate::rig::{Rig, node};

async fn nodes(kubeconfig: &Path, token: Option<&str>) -> Result<Api<Node>> {
    let mut kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    if let (Some(token), Some(auth)) = (token, kubeconfig.auth_infos[0].auth_info.as_mut()) {
        auth.token = Some(token.to_owned().into());
    }
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(Api::all(Client::try_from(config)?))
}

/// The HTTP status of a list, 0 when no reply came.
async fn code(nodes: &Api<Node>) -> Result<u16> {
    match nodes.list(&ListParams::default()).await {
        Ok(list) => {
            ensure!(list.items.len() == 1);
            Ok(200)
        }
        Err(Error::Api(status)) => Ok(status.code),
        Err(Error::Service(_) | Error::HyperError(_)) => Ok(0),
        Err(other) => bail!("{other}"),
    }
}

fn fault(rig: &Rig, effect: &str) -> Result<()> {
    rig.service.faults().clear();
    let script = json!({ "api": [{ "on": { "verbs": ["list"] }, "when": { "times": 3 }, "effect": effect }] });
    rig.service.faults().add(serde_json::from_value(script)?);
    Ok(())
}

#[tokio::test]
async fn the_token_decides_until_the_login_ends() -> Result<()> {
    let rig = Rig::new()?;
    rig.store.create(&NODES, node("n"))?;
    let dir = tempfile::tempdir()?;
    let server = Server::start(rig.service.clone(), dir.path(), 0).await?;
    let ours = nodes(server.kubeconfig(), None).await?;
    ensure!(code(&ours).await? == 200);
    ensure!(code(&nodes(server.kubeconfig(), Some("wrong")).await?).await? == 401);
    fault(&rig, "expired_token")?;
    ensure!(code(&ours).await? == 401, "the login has ended");
    std::fs::write(dir.path().join("token"), "fresh\n")?;
    ensure!(code(&ours).await? == 401, "the old token stays dead");
    ensure!(code(&nodes(server.kubeconfig(), Some("fresh")).await?).await? == 200, "a new login works");
    Ok(())
}

#[tokio::test]
async fn connections_break_without_a_reply() -> Result<()> {
    let rig = Rig::new()?;
    rig.store.create(&NODES, node("n"))?;
    let dir = tempfile::tempdir()?;
    let server = Server::start(rig.service.clone(), dir.path(), 0).await?;
    let ours = nodes(server.kubeconfig(), None).await?;
    ensure!(code(&ours).await? == 200);
    for effect in ["reset_before", "reset_after", "outage"] {
        fault(&rig, effect)?;
        ensure!(code(&ours).await? == 0, "{effect}");
    }
    rig.service.faults().clear();
    ensure!(code(&ours).await? == 200, "the next connection works");
    drop(server);
    ensure!(code(&ours).await? == 0, "nobody listens any more");
    Ok(())
}
