//! What happens to pods of ovn-central, and how it comes out: the same on real servers and on the model of them.

use anyhow::{Result, ensure};
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use windlass_sim::kube_ovn::Database::{self, Northbound, Southbound};

use super::Pods;

/// One of [`CASES`]: what is done to four nodes on which nothing runs yet, and what comes out, line by line.
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// Does it.
    pub run: fn(&Pods) -> LocalBoxFuture<'_, Result<Vec<String>>>,
    /// What comes out.
    pub comes_out: &'static [&'static str],
}

macro_rules! cases {
    ($($name:ident => [$($line:literal),* $(,)?]),* $(,)?) => {
        /// Every case.
        pub const CASES: &[Case] =
            &[$(Case { name: stringify!($name), run: |pods| $name(pods).boxed_local(), comes_out: &[$($line),*] }),*];
    };
}

cases! {
    three_form_one_cluster => [
        "OVN_Northbound: 1 member of 1,2,3 / 2 member of 1,2,3 / 3 member of 1,2,3; 1 cluster",
        "OVN_Southbound: 1 member of 1,2,3 / 2 member of 1,2,3 / 3 member of 1,2,3; 1 cluster",
        "not in NODE_IPS: it ended",
    ],
    a_follower_is_kicked => [
        "1 says \"started removal\"",
        "1 member of 1,2 / 2 member of 1,2 / 3 unknown cluster (2)",
        "again: \"unknown server (2)\"",
        "OVN_Southbound: 1 member of 1,2,3 / 2 member of 1,2,3 / 3 member of 1,2,3",
        "started with its old files, 3 ends",
    ],
    a_follower_forwards => [
        "2 says \"sent removal request to leader\"",
        "1 member of 1,2 / 2 member of 1,2 / 3 unknown cluster (2)",
    ],
    the_leader_is_kicked_in_its_own_pod => [
        "1 says \"\"",
        "1 unknown cluster (2) / 2 member of 2,3 / 3 member of 2,3",
        "another leads",
    ],
    the_leader_is_kicked_by_a_follower => [
        "2 says \"sent removal request to leader\"",
        "1 unknown cluster (2) / 2 member of 2,3 / 3 member of 2,3",
        "another leads",
    ],
    the_last_one_takes_any_name_for_its_own => [
        "two left: \"unknown server (2)\"",
        "one left: \"\"",
        "1 leaving of 1, no leader",
    ],
    an_unknown_database => ["unknown cluster (2)"],
}

const ALL: [usize; 3] = [1, 2, 3];

async fn three_form_one_cluster(pods: &Pods) -> Result<Vec<String>> {
    pods.three().await?;
    let mut out = Vec::new();
    for database in Database::BOTH {
        let mut clusters = Vec::new();
        for node in ALL {
            clusters.push(pods.status(node, database).await?.cluster);
        }
        clusters.dedup();
        out.push(format!("{}: {}; {} cluster", database.schema(), pods.view(database, &ALL).await?, clusters.len()));
    }
    pods.start(&[4], &ALL);
    let words = pods.ended(4).await?;
    ensure!(words.contains("not in env NODE_IPS"), "{words}");
    out.push("not in NODE_IPS: it ended".to_owned());
    Ok(out)
}

async fn a_follower_is_kicked(pods: &Pods) -> Result<Vec<String>> {
    pods.three().await?;
    let id = pods.status(3, Northbound).await?.server.to_string();
    let mut out = vec![format!("1 says {:?}", pods.kick(1, Northbound, &id).await?)];
    out.push(pods.settled(Northbound, "1 member of 1,2 / 2 member of 1,2 / 3 unknown cluster (2)").await?);
    out.push(format!("again: {:?}", pods.kick(1, Northbound, &id).await?));
    out.push(format!("OVN_Southbound: {}", pods.view(Southbound, &ALL).await?));
    pods.stop(3).await?;
    pods.start(&[3], &ALL);
    let words = pods.ended(3).await?;
    ensure!(words.contains("left the cluster"), "{words}");
    out.push("started with its old files, 3 ends".to_owned());
    Ok(out)
}

async fn a_follower_forwards(pods: &Pods) -> Result<Vec<String>> {
    pods.three().await?;
    let address = pods.raft_address(3, Northbound);
    let out = format!("2 says {:?}", pods.kick(2, Northbound, &address).await?);
    Ok(vec![out, pods.settled(Northbound, "1 member of 1,2 / 2 member of 1,2 / 3 unknown cluster (2)").await?])
}

async fn the_leader_is_kicked_in_its_own_pod(pods: &Pods) -> Result<Vec<String>> {
    the_leader_is_kicked(pods, 1).await
}

async fn the_leader_is_kicked_by_a_follower(pods: &Pods) -> Result<Vec<String>> {
    the_leader_is_kicked(pods, 2).await
}

async fn the_leader_is_kicked(pods: &Pods, at: usize) -> Result<Vec<String>> {
    pods.three().await?;
    let id = pods.status(1, Northbound).await?.server.to_string();
    let mut out = vec![format!("{at} says {:?}", pods.kick(at, Northbound, &id).await?)];
    out.push(pods.settled(Northbound, "1 unknown cluster (2) / 2 member of 2,3 / 3 member of 2,3").await?);
    let leader = pods.members(Northbound, &[2, 3]).await?;
    ensure!(leader != 1, "it leads still");
    out.push("another leads".to_owned());
    Ok(out)
}

async fn the_last_one_takes_any_name_for_its_own(pods: &Pods) -> Result<Vec<String>> {
    pods.start(&[1], &[1, 2]);
    pods.ready(&[1]).await?;
    pods.start(&[2], &[1, 2]);
    pods.members(Northbound, &[1, 2]).await?;
    let mut out = vec![format!("two left: {:?}", pods.kick(1, Northbound, "nonsense").await?)];
    pods.kick(1, Northbound, &pods.raft_address(2, Northbound)).await?;
    pods.members(Northbound, &[1]).await?;
    out.push(format!("one left: {:?}", pods.kick(1, Northbound, "nonsense").await?));
    pods.await_view(Northbound, &[1], "1 leaving of 1, no leader").await?;
    out.push(pods.view(Northbound, &[1]).await?);
    Ok(out)
}

async fn an_unknown_database(pods: &Pods) -> Result<Vec<String>> {
    pods.start(&[1], &[1]);
    pods.ready(&[1]).await?;
    let words = ["ovn-appctl", "-t", "/var/run/ovn/ovnnb_db.ctl", "cluster/status", "OVN_Southbound"];
    Ok(vec![super::said(&pods.run(1, &words).await?)])
}
