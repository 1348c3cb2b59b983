//! What goes wrong with ovn-central's rafts, by number, as whoever looks at the cluster sees it.

mod kube_ovn_support;

use chrono::DateTime;
use kube_ovn_support::{NODES, central, exec, get, id_of, kick, plain, servers, settle, status, until};
use windlass_sim::hazards::{Faults, KUBE_OVN};
use windlass_sim::kube_ovn::Database::{self, Northbound, Southbound};
use windlass_sim::kube_ovn::Health;
use windlass_sim::store::resources::{DAEMONSETS, PODS};
use windlass_sim::{ClusterShape, Sim, SimClock};

/// A cluster of three members and a worker that has this hazard.
fn with(hazard: &str) -> Sim {
    let faults = Faults::read(hazard).expect("a hazard");
    let mut shape = ClusterShape::default().with_nodes("3+1").expect("node counts");
    faults.apply(&mut shape);
    let scenario = faults.scenario(&shape).expect("a scenario");
    let epoch = DateTime::parse_from_rfc3339("2026-03-02T06:00:00Z").expect("a time").to_utc();
    Sim::start(shape, scenario, SimClock::new(epoch, 1.0)).expect("a shape that can be built")
}

#[test]
fn every_hazard_makes_its_cluster_one_with_kube_ovn() {
    for hazard in KUBE_OVN {
        let mut shape = ClusterShape::default();
        (hazard.apply)(&mut shape);
        assert!(shape.kube_ovn.is_some(), "F{}", hazard.number);
    }
}

/// Seen to fail with a version that deletes nothing.
#[tokio::test(start_paused = true)]
async fn f50_the_databases_of_the_others_are_deleted_after_a_kick() {
    let sim = with("F50");
    settle(&sim, 1).await;
    let file = |node: &str| central(&sim).directory(node).expect("a disk").join("ovnnb_db.db");
    assert!(file(NODES[0]).exists());
    let id = id_of(&sim, NODES[2], Northbound).await;
    kick(&sim, NODES[0], Northbound, &id).await.expect("a kick");
    until(
        &sim,
        30,
        "the leader's container ends",
        async |sim| matches!(central(sim).health(NODES[0]), Some(Health::Ended(said)) if said.contains("databases were deleted")),
    )
    .await;
    assert!(!file(NODES[0]).exists());
}

#[tokio::test(start_paused = true)]
async fn f51_a_member_is_down() {
    let sim = with("F51");
    settle(&sim, 60).await;
    let status = status(&sim, NODES[0], Northbound).await;
    assert!(status.contains("(->"), "its connection is lost: {status}");
    assert_eq!(servers(&status).len(), 3);
    // Nobody could say what it is, except the member itself, and that does not answer.
    let dead = tokio::time::timeout(std::time::Duration::from_secs(30), central(&sim).status(NODES[1], Northbound)).await;
    assert!(dead.is_err(), "it hangs");
}

/// Seen to fail with the ids left as they were.
#[tokio::test(start_paused = true)]
async fn f52_a_member_has_another_id_than_before() {
    let sim = with("F52");
    settle(&sim, 1).await;
    let before = id_of(&sim, NODES[2], Southbound).await;
    settle(&sim, 6 * 60).await;
    let after = id_of(&sim, NODES[2], Southbound).await;
    assert_ne!(before, after);
    let leader = status(&sim, NODES[0], Southbound).await;
    assert!(leader.contains(&after[..4]) && !leader.contains(&before[..4]), "{leader}");
    assert_eq!(kick(&sim, NODES[0], Southbound, &before).await, Err("unknown server".to_owned()), "by its full id it is safe");
}

#[tokio::test(start_paused = true)]
async fn f53_stale_files_lie_where_nobody_is_a_member() {
    let sim = with("F53");
    let names = |node: &str| {
        let entries = std::fs::read_dir(central(&sim).directory(node).expect("a disk"));
        let mut names: Vec<String> =
            entries.into_iter().flatten().flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names("worker-0"), ["ovnnb_db.db", "ovnsb_db.db"]);
}

#[tokio::test(start_paused = true)]
async fn f54_all_members_come_back_as_one_cluster() {
    let sim = with("F54");
    settle(&sim, 10 * 60).await;
    let mut clusters = vec![];
    for node in NODES {
        let status = status(&sim, node, Northbound).await;
        clusters.push(status.lines().find(|line| line.starts_with("Cluster ID: ")).expect("a cluster").to_owned());
    }
    clusters.dedup();
    assert_eq!(clusters.len(), 1);
}

/// Seen to fail with an election that needs no majority.
#[tokio::test(start_paused = true)]
async fn f55_nobody_is_elected_without_a_majority() {
    let sim = with("F55");
    settle(&sim, 60).await;
    let first = status(&sim, NODES[2], Northbound).await;
    assert!(first.contains("Role: candidate\n") && first.contains("Leader: unknown\n"), "{first}");
    assert!(first.contains("Status: disconnected from the cluster (election timeout)\n"), "{first}");
    let refused = exec(&sim, NODES[2], &["ovn-nbctl", "ls-add", "lost"]).await;
    assert_eq!(refused.code, 1);
    settle(&sim, 40 * 60).await;
    let again = status(&sim, NODES[2], Northbound).await;
    assert!(again.contains("Status: cluster member\n"), "{again}");
}

#[tokio::test(start_paused = true)]
async fn f56_the_labels_of_leaders_stand_elsewhere() {
    let sim = with("F56");
    settle(&sim, 1).await;
    let labelled: Vec<String> = sim
        .store()
        .list(&PODS)
        .iter()
        .filter(|pod| {
            pod["metadata"]["labels"]["ovn-nb-leader"] == "true" && pod["metadata"]["labels"]["ovn-sb-leader"] == "true"
        })
        .map(|pod| pod["spec"]["nodeName"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(labelled, [NODES[2]]);
    for database in Database::BOTH {
        assert!(status(&sim, NODES[0], database).await.contains("Role: leader"));
    }
}

#[tokio::test(start_paused = true)]
async fn f58_pods_of_ovs_wait_to_be_deleted() {
    let sim = with("F58");
    let set = get(&sim, &DAEMONSETS, Some("kube-system"), "ovs-ovn");
    assert_eq!(set["spec"]["updateStrategy"]["type"], "OnDelete");
}

#[tokio::test(start_paused = true)]
async fn f57_a_server_of_nowhere_is_listed() {
    let sim = with("F57");
    settle(&sim, 1).await;
    for database in Database::BOTH {
        let status = status(&sim, NODES[0], database).await;
        assert_eq!(servers(&status).len(), 4, "{status}");
        assert!(servers(&status).iter().any(|line| line.contains("172.18.255.250") && !line.contains("last msg")), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn f61_a_command_never_ends() {
    let sim = with("F61");
    settle(&sim, 1).await;
    let asked = central(&sim).status(NODES[1], Northbound);
    assert!(tokio::time::timeout(std::time::Duration::from_secs(60), asked).await.is_err());
    let status = status(&sim, NODES[0], Northbound).await;
    assert!(status.contains("last msg"), "and the raft goes on: {status}");
}

/// A leader that loses its followers before a removal is agreed on forgets it. Seen to fail with a follower that keeps what its new leader
/// does not have.
#[tokio::test(start_paused = true)]
async fn a_removal_that_began_may_be_lost_with_its_leader() {
    let sim = plain();
    settle(&sim, 1).await;
    let id = id_of(&sim, NODES[2], Northbound).await;
    for node in &NODES[1..] {
        central(&sim).cut(node, true);
    }
    assert_eq!(kick(&sim, NODES[0], Northbound, &id).await, Ok("started removal\n".to_owned()));
    settle(&sim, 1).await;
    central(&sim).cut(NODES[0], true);
    for node in &NODES[1..] {
        central(&sim).cut(node, false);
    }
    until(&sim, 60, "another one leads", async |sim| {
        status(sim, NODES[1], Northbound).await.contains("Role: leader")
            || status(sim, NODES[2], Northbound).await.contains("Role: leader")
    })
    .await;
    central(&sim).cut(NODES[0], false);
    settle(&sim, 30).await;
    for node in NODES {
        let status = status(&sim, node, Northbound).await;
        assert_eq!(servers(&status).len(), 3, "{status}");
        assert!(!status.contains("emoving"), "{status}");
    }
}
