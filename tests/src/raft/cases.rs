//! What happens to pods of ovn-central, and how it comes out: the same on real servers and on the model of them.

use anyhow::{Result, ensure};
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use windlass_sim::kube_ovn::Database::{self, Northbound, Southbound};

use super::{Pods, until};

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
    a_kick_of_one_that_hangs => [
        "1 says \"started removal\"",
        "gone: 1 member of 1,2 / 2 member of 1,2",
        "it wakes: 1 member of 1,2 / 2 member of 1,2 / 3 unknown cluster (2)",
    ],
    a_kick_without_quorum => [
        "1 says \"started removal\"",
        "again: \"unknown server (2)\"",
        "a while later: 1 disconnected of 1,2, no leader",
        "all are back: kicked or not, and all agree",
    ],
    a_crashed_leader_comes_back => [
        "another leads",
        "1 member of 1,2,3 / 2 member of 1,2,3 / 3 member of 1,2,3",
        "with its old id",
    ],
    one_that_was_away_when_it_was_kicked => [
        "1 says \"started removal\"",
        "it starts: 1 member of 1,2 / 2 member of 1,2 / 3 disconnected of 1,2,3, no leader",
    ],
    a_kicked_one_comes_back_with_new_files => [
        "1 member of 1,2,3 / 2 member of 1,2,3 / 3 member of 1,2,3",
        "with a new id",
    ],
    a_fourth_joins => ["1 member of 1,2,3,4 / 2 member of 1,2,3,4 / 3 member of 1,2,3,4 / 4 member of 1,2,3,4"],
    the_first_alone_founds_another_cluster => [
        "1 member of 1 / 2 member of 1,2,3 / 3 member of 1,2,3",
        "another cluster",
    ],
    the_first_joins_where_a_leader_is => [
        "1 member of 1,2,3 / 2 member of 1,2,3 / 3 member of 1,2,3",
        "the same cluster",
    ],
    a_version_that_deletes => ["2 and 3 ended, and there are no files"],
    what_was_written_stays => [
        "written: \"\" and \"\"",
        "without quorum: refused",
        "read everywhere: before, during, after",
    ],
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

async fn a_kick_of_one_that_hangs(pods: &Pods) -> Result<Vec<String>> {
    pods.three().await?;
    pods.suspend(3, true);
    let mut out = vec![format!("1 says {:?}", pods.kick(1, Northbound, &pods.raft_address(3, Northbound)).await?)];
    pods.members(Northbound, &[1, 2]).await?;
    out.push(format!("gone: {}", pods.view(Northbound, &[1, 2]).await?));
    pods.suspend(3, false);
    let woken = pods.settled(Northbound, "1 member of 1,2 / 2 member of 1,2 / 3 unknown cluster (2)").await?;
    out.push(format!("it wakes: {woken}"));
    Ok(out)
}

async fn a_kick_without_quorum(pods: &Pods) -> Result<Vec<String>> {
    pods.three().await?;
    pods.suspend(2, true);
    pods.suspend(3, true);
    let third = pods.raft_address(3, Northbound);
    let mut out = vec![format!("1 says {:?}", pods.kick(1, Northbound, &third).await?)];
    out.push(format!("again: {:?}", pods.kick(1, Northbound, &third).await?));
    pods.await_view(Northbound, &[1], "1 disconnected of 1,2, no leader").await?;
    out.push(format!("a while later: {}", pods.view(Northbound, &[1]).await?));
    pods.suspend(2, false);
    pods.suspend(3, false);
    // Whoever is first to stand for election decides: 1 brings the removal about, 2 and 3 know nothing of it.
    let kicked = "1 member of 1,2 / 2 member of 1,2 / 3 disconnected of 1,2,3, no leader";
    let lost = "1 member of 1,2,3 / 2 member of 1,2,3 / 3 member of 1,2,3";
    until("all to agree", async || {
        let view = pods.view(Northbound, &ALL).await?;
        ensure!(view == kicked || view == lost, "{view}");
        Ok(())
    })
    .await?;
    out.push("all are back: kicked or not, and all agree".to_owned());
    Ok(out)
}

async fn a_crashed_leader_comes_back(pods: &Pods) -> Result<Vec<String>> {
    pods.three().await?;
    let id = pods.status(1, Northbound).await?.server;
    pods.crash(1, Northbound);
    pods.ended(1).await?;
    until("another to lead", async || {
        ensure!(pods.leader(2, Northbound).await? != 1, "1 leads");
        Ok(())
    })
    .await?;
    let mut out = vec!["another leads".to_owned()];
    pods.start(&[1], &ALL);
    pods.members(Northbound, &ALL).await?;
    out.push(pods.view(Northbound, &ALL).await?);
    ensure!(pods.status(1, Northbound).await?.server == id, "it has another id");
    out.push("with its old id".to_owned());
    Ok(out)
}

async fn one_that_was_away_when_it_was_kicked(pods: &Pods) -> Result<Vec<String>> {
    pods.three().await?;
    pods.stop(3).await?;
    let mut out = vec![format!("1 says {:?}", pods.kick(1, Northbound, &pods.raft_address(3, Northbound)).await?)];
    pods.members(Northbound, &[1, 2]).await?;
    pods.start(&[3], &ALL);
    let stranded = "1 member of 1,2 / 2 member of 1,2 / 3 disconnected of 1,2,3, no leader";
    out.push(format!("it starts: {}", pods.settled(Northbound, stranded).await?));
    Ok(out)
}

async fn a_kicked_one_comes_back_with_new_files(pods: &Pods) -> Result<Vec<String>> {
    pods.three().await?;
    let id = pods.status(3, Northbound).await?.server;
    for database in Database::BOTH {
        pods.kick(1, database, &pods.raft_address(3, database)).await?;
        pods.members(database, &[1, 2]).await?;
    }
    pods.stop(3).await?;
    pods.move_aside(3)?;
    pods.start(&[3], &ALL);
    pods.members(Northbound, &ALL).await?;
    pods.members(Southbound, &ALL).await?;
    ensure!(pods.status(3, Northbound).await?.server != id, "it has its old id");
    Ok(vec![pods.view(Northbound, &ALL).await?, "with a new id".to_owned()])
}

async fn a_fourth_joins(pods: &Pods) -> Result<Vec<String>> {
    pods.three().await?;
    pods.start(&[4], &[1, 2, 3, 4]);
    pods.members(Southbound, &[1, 2, 3, 4]).await?;
    pods.members(Northbound, &[1, 2, 3, 4]).await?;
    Ok(vec![pods.view(Northbound, &[1, 2, 3, 4]).await?])
}

async fn the_first_alone_founds_another_cluster(pods: &Pods) -> Result<Vec<String>> {
    pods.three().await?;
    let cluster = pods.status(2, Northbound).await?.cluster;
    pods.stop(1).await?;
    pods.move_aside(1)?;
    // With nobody to tell of a leader, the first address is told of none.
    pods.suspend(2, true);
    pods.suspend(3, true);
    pods.start(&[1], &ALL);
    pods.members(Northbound, &[1]).await?;
    pods.suspend(2, false);
    pods.suspend(3, false);
    pods.members_as(Northbound, &[2, 3], &ALL).await?;
    let out = vec![pods.view(Northbound, &ALL).await?];
    ensure!(pods.status(1, Northbound).await?.cluster != cluster, "the same cluster");
    Ok([out, vec!["another cluster".to_owned()]].concat())
}

async fn the_first_joins_where_a_leader_is(pods: &Pods) -> Result<Vec<String>> {
    pods.three().await?;
    let cluster = pods.status(2, Northbound).await?.cluster;
    for database in Database::BOTH {
        pods.kick(2, database, &pods.raft_address(1, database)).await?;
        pods.members(database, &[2, 3]).await?;
    }
    pods.stop(1).await?;
    pods.move_aside(1)?;
    pods.start(&[1], &ALL);
    pods.members(Northbound, &ALL).await?;
    ensure!(pods.status(1, Northbound).await?.cluster == cluster, "another cluster");
    Ok(vec![pods.view(Northbound, &ALL).await?, "the same cluster".to_owned()])
}

async fn a_version_that_deletes(pods: &Pods) -> Result<Vec<String>> {
    pods.three_of("1.15.9").await?;
    pods.kick(1, Northbound, &pods.raft_address(1, Northbound)).await?;
    for node in [2, 3] {
        pods.ended(node).await?;
        ensure!(!pods.has_file(node, Northbound), "{node} has its file");
    }
    Ok(vec!["2 and 3 ended, and there are no files".to_owned()])
}

async fn what_was_written_stays(pods: &Pods) -> Result<Vec<String>> {
    pods.three().await?;
    let mut out = vec![format!("written: {:?} and {:?}", pods.write(1, "before").await?, pods.write(2, "during").await?)];
    pods.suspend(1, true);
    pods.suspend(2, true);
    let refusal = pods.write(3, "perhaps").await?;
    ensure!(refusal.contains('('), "it was written");
    out.push("without quorum: refused".to_owned());
    pods.suspend(1, false);
    pods.suspend(2, false);
    pods.members(Northbound, &ALL).await?;
    pods.write(3, "after").await?;
    // What was refused without a quorum may come about later all the same.
    let all = |read: &str| read.replace(", perhaps", "") == "after, before, during";
    until("all of it to be everywhere", async || {
        for node in ALL {
            let read = pods.read(node).await?;
            ensure!(all(&read), "{node} has {read}");
        }
        Ok(())
    })
    .await?;
    out.push("read everywhere: before, during, after".to_owned());
    Ok(out)
}
