//! The modelled raft under a Kube-OVN cluster, by commands in its pods.

mod kube_ovn_support;

use kube_ovn_support::{NODES, central, get, id_of, kick, plain, servers, settle, status, until};
use windlass_sim::kube_ovn::Database::{Northbound, Southbound};
use windlass_sim::kube_ovn::{Database, Health};
use windlass_sim::scenario::{When, WorldFault};
use windlass_sim::store::resources::{NODES as NODE, PODS};

#[tokio::test(start_paused = true)]
async fn a_cluster_that_has_run_for_a_while_is_whole() {
    let sim = plain();
    settle(&sim, 1).await;
    for database in Database::BOTH {
        for node in NODES {
            let status = status(&sim, node, database).await;
            assert_eq!(servers(&status).len(), 3, "{status}");
            assert!(status.contains("Status: cluster member\n"), "{status}");
            assert!(status.contains("Entries not yet committed: 0\n"), "{status}");
        }
        assert!(status(&sim, NODES[0], database).await.contains("Role: leader\n"));
    }
    for node in NODES {
        assert_eq!(central(&sim).health(node), Some(Health::Ready));
    }
}

#[tokio::test(start_paused = true)]
async fn a_kicked_follower_is_gone_everywhere_and_stays_out() {
    let sim = plain();
    settle(&sim, 1).await;
    let id = id_of(&sim, NODES[2], Northbound).await;
    assert_eq!(kick(&sim, NODES[0], Northbound, &id).await, Ok("started removal\n".to_owned()));
    let early = status(&sim, NODES[0], Northbound).await;
    assert!(early.contains("Removing server ") && early.contains("(removing)\n"), "{early}");
    settle(&sim, 5).await;
    for node in &NODES[..2] {
        assert_eq!(servers(&status(&sim, node, Northbound).await).len(), 2);
        assert_eq!(servers(&status(&sim, node, Southbound).await).len(), 3);
    }
    assert_eq!(central(&sim).status(NODES[2], Northbound).await, None, "its database is closed");
    assert_eq!(kick(&sim, NODES[0], Northbound, &id).await, Err("unknown server".to_owned()));
    assert!(matches!(central(&sim).health(NODES[2]), Some(Health::Unready(_))));
    assert_eq!(central(&sim).accepted_kicks().len(), 1);
}

/// Seen to fail with followers that judge their leader before it was heard.
#[tokio::test(start_paused = true)]
async fn nothing_happens_where_nothing_goes_wrong() {
    let sim = plain();
    settle(&sim, 1).await;
    let leads = |status: &str| -> Vec<String> {
        status
            .lines()
            .filter(|line| ["Term: ", "Role: ", "Log: "].iter().any(|key| line.starts_with(key)))
            .map(str::to_owned)
            .collect()
    };
    let before = status(&sim, NODES[0], Northbound).await;
    settle(&sim, 6 * 3600).await;
    let after = status(&sim, NODES[0], Northbound).await;
    assert_eq!(leads(&before), leads(&after));
    assert!(after.contains("Role: leader\n"), "{after}");
}

/// Seen to fail with pods that tolerate an unreachable node evicted from it.
#[tokio::test(start_paused = true)]
async fn a_node_without_power_keeps_its_pod_and_nothing_runs_in_it() {
    let sim = plain();
    settle(&sim, 1).await;
    let pod = central(&sim).pod(NODES[0]).expect("a pod");
    sim.disturb(WorldFault::NodeOff { when: When::default(), node: NODES[0].to_owned(), minutes: Some(30.0) });
    settle(&sim, 600).await;
    let says = |object: &serde_json::Value| {
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().find(|one| one["type"] == "Ready").map(|one| one["status"].clone())
    };
    assert_eq!(says(&get(&sim, &NODE, None, NODES[0])), Some("Unknown".into()));
    let left = get(&sim, &PODS, Some("kube-system"), &pod);
    assert!(left["metadata"]["deletionTimestamp"].is_null() && left["status"]["phase"] == "Running", "{left}");
    assert_eq!(says(&left), Some("False".into()));
    assert!(matches!(central(&sim).health(NODES[0]), Some(Health::Ended(_))));
    for database in Database::BOTH {
        assert_eq!(central(&sim).status(NODES[0], database).await, None);
    }
    until(&sim, 1800, "the node has power again", async |sim| central(sim).health(NODES[0]) == Some(Health::Ready)).await;
    assert_eq!(central(&sim).pod(NODES[0]), Some(pod));
    assert_eq!(central(&sim).violations().await, Vec::<String>::new());
}
