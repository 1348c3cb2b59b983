//! The objects of ovn-central and the copies of its databases, one activity at a time, on a simulated cluster.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use windlass_activities::NodeName;
use windlass_activities::ovn::backup::BackUpDatabase;
use windlass_activities::ovn::central::{AwaitCentralRollout, RemoveCentralPod, SetCentralMembers};
use windlass_activities::ovn::clients::{AwaitClient, Client, ListClients, ListStalePods, RestartOvsPod, SetDatabaseAddresses};
use windlass_activities::ovn::label::LabelNode;
use windlass_activities::ovn::{Database, Standing};
use windlass_engine::FailureKind;
use windlass_sim::store::resources::PODS;
use windlass_tests::scene::Scene;

fn ips(last: &[u8]) -> Vec<IpAddr> {
    last.iter().map(|last| IpAddr::from([172, 18, 0, *last])).collect()
}

fn paths(scene: &Scene) -> Vec<String> {
    scene.writes().into_iter().map(|(request, _)| request).collect()
}

const MEMBERS: [&str; 3] = ["control-plane-0", "control-plane-1", "control-plane-2"];
const DEPLOYMENT: &str = "patch /apis/apps/v1/namespaces/kube-system/deployments/ovn-central";

/// A fourth member is taken in, whatever reply is lost.
///
/// Seen to fail with: a repeat that patches again.
#[tokio::test(start_paused = true)]
async fn members_are_set_once_whatever_reply_is_lost() -> Result<()> {
    let effects = [json!("reset_before"), json!("reset_after"), json!({"status": {"code": 504, "applied": true}})];
    for effect in effects {
        let scene = Scene::begin("1.13.2").await?;
        let label = LabelNode { node: "worker-0".into(), central: true };
        scene.attempt(1, &label).await?;
        scene.fault(1, &effect);
        let set = SetCentralMembers { node_ips: ips(&[3, 4, 5, 6]), was: ips(&[3, 4, 5]) };
        let lost = scene.attempt(2, &set).await.unwrap_err();
        assert_eq!(lost.kind, FailureKind::Unknown, "{lost}");
        let again = scene.attempt(2, &set).await?;
        assert_eq!(again.already, effect != json!("reset_before"));
        assert!(scene.attempt(2, &set).await?.already);
        let wait = AwaitCentralRollout { node_ips: ips(&[3, 4, 5, 6]) };
        let done = scene.attempt(3, &wait).await?;
        assert!(done.evidence.contains("on worker-0"), "{}", done.evidence);
        let patches: Vec<Value> =
            scene.writes().into_iter().filter(|(request, _)| request == DEPLOYMENT).map(|(_, body)| body).collect();
        assert_eq!(patches.len(), 1, "{patches:?}");
        assert_eq!(patches[0].as_array().map(Vec::len), Some(5), "{patches:?}");
        let central = scene.look().await?;
        assert_eq!((central.replicas, central.node_ips.len(), central.pods.len()), (4, 4, 4));
    }
    Ok(())
}

/// Seen to fail with: the guard not asked; `NODE_IPS` without a voter let through.
#[tokio::test(start_paused = true)]
async fn nothing_is_done_to_members_that_are_needed() -> Result<()> {
    let scene = Scene::begin("1.13.2").await?;
    let without = SetCentralMembers { node_ips: ips(&[3, 4]), was: ips(&[3, 4, 5]) };
    let refused = scene.attempt(1, &without).await.unwrap_err();
    assert_eq!((refused.kind, refused.code.as_str()), (FailureKind::Permanent, "members-refused"));
    assert!(refused.message.contains("172.18.0.5 is a member of the northbound database"), "{refused}");
    let pod = RemoveCentralPod { node: "control-plane-2".into(), address: ips(&[5])[0] };
    let refused = scene.attempt(2, &pod).await.unwrap_err();
    assert_eq!((refused.kind, refused.code.as_str()), (FailureKind::Transient, "quorum-guard"));
    assert!(refused.message.contains("is a member: it must be taken out first"), "{refused}");

    scene.kube_ovn().suspend("control-plane-1", true);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let more = SetCentralMembers { node_ips: ips(&[3, 4, 5, 6]), was: ips(&[3, 4, 5]) };
    let refused = scene.attempt(3, &more).await.unwrap_err();
    assert_eq!(refused.code, "quorum-guard", "{refused}");
    assert!(refused.message.contains("restart the members one after the other"), "{refused}");
    assert_eq!(paths(&scene), Vec::<String>::new());
    assert_eq!(scene.said().len(), 8, "each refusal is looked at again: {:?}", scene.said());

    // Somebody else's change is none of ours to overwrite, and is found before the guard is asked.
    scene.kube_ovn().suspend("control-plane-1", false);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let other = SetCentralMembers { node_ips: ips(&[3, 4]), was: ips(&[3, 4]) };
    let refused = scene.attempt(4, &other).await.unwrap_err();
    assert!(refused.message.contains("somebody else changed it"), "{refused}");
    Ok(())
}

/// Seen to fail with: the leader's pod taken first.
#[tokio::test(start_paused = true)]
async fn databases_are_copied_from_a_follower_and_found_again() -> Result<()> {
    let scene = Scene::begin("1.13.2").await?;
    let mut written = false;
    for node in MEMBERS {
        // Only the leader takes it.
        written |= scene.kube_ovn().exec(node, &["ovn-nbctl", "ls-add", "kept"]).await.context("a pod")?.code == 0;
    }
    assert!(written);
    for database in Database::BOTH {
        let back_up = BackUpDatabase { database, folder: "run-1".to_owned() };
        let copy = scene.attempt(1, &back_up).await?;
        let central = scene.look().await?;
        let raft = central.raft(database).context("a raft")?;
        let source =
            raft.servers.iter().find(|server| server.pod.as_ref().is_some_and(|pod| copy.evidence.contains(pod.as_str())));
        assert_eq!(source.map(|server| &server.standing), Some(&Standing::Follower), "{}", copy.evidence);
        let text = std::fs::read_to_string(&copy.path)?;
        assert_eq!(text.len() as u64, copy.bytes);
        assert!(text.contains(database.schema()), "{text}");
        assert_eq!(text.contains("kept"), database == Database::Northbound);
        assert!(copy.path.starts_with(&scene.files.path().join("run-1").display().to_string()), "{}", copy.path);
        assert_eq!(scene.attempt(1, &back_up).await?, copy);
    }
    assert_eq!(std::fs::read_dir(scene.files.path().join("run-1"))?.count(), 2);
    assert_eq!(paths(&scene), Vec::<String>::new());

    for node in MEMBERS {
        scene.kube_ovn().suspend(node, true);
    }
    let back_up = BackUpDatabase { database: Database::Northbound, folder: "run-1".to_owned() };
    let failed = scene.attempt(1, &back_up).await.unwrap_err();
    assert_eq!((failed.kind, failed.code.as_str()), (FailureKind::Transient, "not-backed-up"));
    Ok(())
}

async fn told(scene: &Scene, client: &Client, addresses: &[IpAddr]) -> Result<String> {
    let set = SetDatabaseAddresses { client: client.clone(), addresses: addresses.to_vec() };
    assert!(!scene.attempt(1, &set).await?.already);
    assert!(scene.attempt(1, &set).await?.already);
    let wait = AwaitClient { client: client.clone(), addresses: addresses.to_vec() };
    Ok(scene.attempt(2, &wait).await?.evidence)
}

/// The addresses that the pods of ovs-ovn were started with.
fn started_with(scene: &Scene) -> BTreeSet<String> {
    let pods = scene.sim.store().list(&PODS).into_iter().filter(|pod| pod["metadata"]["labels"]["app"] == "ovs");
    let env = pods.flat_map(|pod| pod["spec"]["containers"][0]["env"].as_array().cloned().unwrap_or_default());
    env.filter(|one| one["name"] == "OVN_DB_IPS").map(|one| one["value"].to_string()).collect()
}

/// Seen to fail with: a set that waits for deletions waited for as if it replaced its pods itself.
#[tokio::test(start_paused = true)]
async fn clients_learn_the_addresses_whoever_restarts_their_pods() -> Result<()> {
    for (version, on_delete) in [("1.13.2", false), ("1.11.0", true)] {
        let scene = Scene::begin(version).await?;
        let clients = scene.attempt(0, &ListClients {}).await?;
        let names: Vec<&str> = clients.iter().map(|client| client.name.as_str()).collect();
        assert_eq!(names, ["ovs-ovn", "kube-ovn-controller", "kube-ovn-monitor"]);
        let wished = ips(&[3, 4]);
        for client in &clients {
            assert_eq!(client.on_delete, on_delete && client.name == "ovs-ovn");
            let evidence = told(&scene, client, &wished).await?;
            assert!(evidence.starts_with(&client.name), "{evidence}");
        }
        let list = ListStalePods { client: clients[0].clone(), addresses: wished.clone() };
        let stale = scene.attempt(3, &list).await?;
        assert_eq!(stale.len(), if on_delete { 5 } else { 0 });
        for pod in stale {
            let restart = RestartOvsPod { client: clients[0].clone(), pod };
            assert!(!scene.attempt(4, &restart).await?.already);
            assert!(scene.attempt(4, &restart).await?.already);
        }
        assert_eq!(started_with(&scene), BTreeSet::from([json!("172.18.0.3,172.18.0.4").to_string()]));
        let deleted = paths(&scene).iter().filter(|request| request.starts_with("delete ")).count();
        assert_eq!(deleted, if on_delete { 5 } else { 0 });
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_pod_of_a_former_member_is_deleted_once() -> Result<()> {
    let scene = Scene::begin("1.13.2").await?;
    let node = NodeName::new("control-plane-2");
    scene.take_out(&node).await?;
    let remove = RemoveCentralPod { node, address: ips(&[5])[0] };
    let before = paths(&scene).len();
    scene.fault(1, &json!("reset_after"));
    let lost = scene.attempt(5, &remove).await.unwrap_err();
    assert_eq!(lost.kind, FailureKind::Unknown, "{lost}");
    assert!(scene.attempt(5, &remove).await?.already);
    assert_eq!(paths(&scene).len(), before + 1);
    Ok(())
}
