//! A cluster of three members and two workers whose databases are real servers: one member is exchanged for a worker while others
//! write, and what that left is judged.

mod data;
mod together;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use windlass_activities::ovn::{RaftStatus, Who};
use windlass_engine::control::What;
use windlass_engine::journal::MemoryJournal;
use windlass_engine::{AttemptHook, OpenCommand};
use windlass_sim::ClusterShape;
use windlass_sim::kube_ovn::real::{RealRaft, Settings};
use windlass_sim::kube_ovn::{Database, Health, KubeOvn, KubeOvnShape};
use windlass_sim::scenario::{When, WorldFault};
use windlass_sim::store::resources::NODES;

use crate::raft::{real_raft, until};
use crate::stage::{Ending, Stage};
use data::{rows, write};
pub use together::{Case, try_all};

/// Kubernetes may hurry; the databases take the time that they take.
const SPEED: f64 = 20.0;

/// A host that hangs does so for good: no kubelet is left on it to start its containers again.
const FOR_GOOD: Duration = Duration::from_secs(600);

/// A command that asks a server that hangs is given up; any other takes some tens of milliseconds.
const COMMAND_LIMIT: Duration = Duration::from_secs(3);

/// The node that joins.
pub const JOINING: &str = "worker-0";

/// The workflow.
pub const REPLACE: &str = "ovn-central-replace";

/// The step that can't be done on a node that is dead.
const DISK: &str = "move-ovn-directory-aside";

/// How the member is that leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leaving {
    /// It leads neither database.
    Follower,
    /// It leads the northbound database alone.
    NorthboundLeader,
    /// It leads both.
    LeaderOfBoth,
    /// Its servers are there and stand still; it led both.
    Hanging,
    /// Its node has no power; it led neither.
    DeadFollower,
    /// Its node has no power; it led both.
    DeadLeader,
}

impl Leaving {
    /// Whether its node has no power.
    pub fn is_dead(self) -> bool {
        matches!(self, Self::DeadFollower | Self::DeadLeader)
    }
}

/// The cluster, and one exchange on it.
pub struct Real {
    /// The cluster, and the run that exchanges the member.
    pub stage: Stage,
    /// The member's node.
    pub node: String,
    leaving: Leaving,
    /// The ids of the servers that leave.
    ids: BTreeMap<Database, String>,
    /// What was written and acknowledged, and by which database.
    written: Mutex<BTreeSet<(Database, String)>>,
    _raft: Arc<RealRaft>,
}

impl Real {
    /// A whole cluster with something in both databases, whose leaving member is as asked for; none where there are no real servers.
    ///
    /// # Errors
    /// If it does not become whole.
    pub async fn start(leaving: Leaving) -> Result<Option<Self>> {
        Self::start_with(leaving, Settings::default().restart_dead).await
    }

    /// As [`Real::start`], with kubelets that leave a server alone for so long after its end.
    ///
    /// # Errors
    /// As there.
    pub async fn start_with(leaving: Leaving, restart_dead: Duration) -> Result<Option<Self>> {
        let settings = Settings { restart_unready: FOR_GOOD, command_limit: COMMAND_LIMIT, restart_dead, ..Settings::default() };
        let Some(raft) = real_raft(settings) else { return Ok(None) };
        let kube_ovn = KubeOvnShape { address_base: raft.address(1), ..KubeOvnShape::default() };
        let shape = ClusterShape { kube_ovn: Some(kube_ovn), ..ClusterShape::default() };
        let shape = shape.with_nodes("3+2").map_err(anyhow::Error::msg)?;
        let stage = Stage::on_backend(REPLACE, shape, SPEED, raft.clone());
        let (node, ids, written) = (String::new(), BTreeMap::new(), Mutex::default());
        let mut real = Self { stage, node, leaving, ids, written, _raft: raft };
        real.whole().await?;
        for database in Database::BOTH {
            ensure!(real.write("control-plane-1", database, "before").await, "nothing can be written");
        }
        real.node = real.choose().await?;
        real.ids = real.told_ids().await?;
        real.disable().await?;
        Ok(Some(real))
    }

    /// The databases.
    ///
    /// # Panics
    /// Never: the cluster was made with them.
    pub fn kube_ovn(&self) -> &KubeOvn {
        self.stage.sim.kube_ovn().expect("a Kube-OVN cluster")
    }

    /// The members that stay.
    pub fn others(&self) -> Vec<String> {
        self.kube_ovn().central_nodes().into_iter().filter(|other| *other != self.node && other != JOINING).collect()
    }

    /// The node of the member that leaves; leaders are moved to where they are wanted.
    async fn choose(&self) -> Result<String> {
        for database in Database::BOTH {
            ensure!(self.leads("control-plane-0", database).await?, "the first does not lead {database:?}");
        }
        Ok(match self.leaving {
            Leaving::Follower | Leaving::DeadFollower => "control-plane-2".to_owned(),
            Leaving::LeaderOfBoth | Leaving::DeadLeader | Leaving::Hanging => "control-plane-0".to_owned(),
            Leaving::NorthboundLeader => self.hand_over("control-plane-0", Database::Northbound).await?,
        })
    }

    /// Has another member than the one that leads lead a database, and returns which.
    async fn hand_over(&self, from: &str, database: Database) -> Result<String> {
        let words = ["ovn-appctl", "-t", database.control(), "cluster/failure-test", "transfer-leadership"];
        self.kube_ovn().exec(from, &words).await.context("it runs")?;
        self.led_by(&["control-plane-1", "control-plane-2"], database).await
    }

    /// Waits until one of these leads a database, and returns which.
    async fn led_by(&self, nodes: &[&str], database: Database) -> Result<String> {
        until("another to lead", async || {
            let mut leaders = Vec::new();
            for node in nodes {
                leaders.extend(self.leads(node, database).await?.then(|| (*node).to_owned()));
            }
            ensure!(leaders.len() == 1, "{leaders:?} lead {database:?}");
            Ok(leaders.remove(0))
        })
        .await
    }

    /// Lets the leaving member hang or its node die, as asked for, and waits until the others have a leader and Kubernetes has noticed.
    async fn disable(&self) -> Result<()> {
        if self.leaving.is_dead() {
            self.stage.sim.disturb(WorldFault::NodeOff { when: When::default(), node: self.node.clone(), minutes: None });
        } else if self.leaving == Leaving::Hanging {
            self.kube_ovn().suspend(&self.node, true);
        } else {
            return Ok(());
        }
        let others = self.others();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        for database in Database::BOTH {
            self.led_by(&others, database).await?;
        }
        if !self.leaving.is_dead() {
            return Ok(());
        }
        until("the node to be unreachable", async || {
            let node = self.stage.sim.store().get(&NODES, None, &self.node).context("the node")?;
            ensure!(!is_ready(&node), "it is ready");
            Ok(())
        })
        .await
    }

    /// Waits until both databases have the members that `NODE_IPS` names, of one mind, and every pod is ready.
    ///
    /// # Errors
    /// If that does not come about.
    pub async fn whole(&self) -> Result<()> {
        until("ovn-central to be whole", async || {
            let violations = self.kube_ovn().violations().await;
            ensure!(violations.is_empty(), "{violations:?}");
            for node in self.kube_ovn().central_nodes() {
                let health = self.kube_ovn().health(&node);
                ensure!(health == Some(Health::Ready), "{node}: {health:?}");
            }
            Ok(())
        })
        .await
    }

    /// A node's address.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn address_of(&self, node: &str) -> Result<String> {
        let node = self.stage.sim.store().get(&NODES, None, node).context("a node")?;
        Ok(node["status"]["addresses"][0]["address"].as_str().context("an address")?.to_owned())
    }

    /// What a member says of a database.
    ///
    /// # Errors
    /// If it says nothing.
    pub async fn status(&self, node: &str, database: Database) -> Result<RaftStatus> {
        let text = self.kube_ovn().status(node, database).await.with_context(|| format!("{node} does not answer"))?;
        Ok(RaftStatus::parse(&text)?)
    }

    /// Whether a member leads a database, by its own words.
    ///
    /// # Errors
    /// If it says nothing.
    pub async fn leads(&self, node: &str, database: Database) -> Result<bool> {
        Ok(self.status(node, database).await?.leader == Who::Oneself)
    }

    /// The ids of the leaving node's servers.
    async fn told_ids(&self) -> Result<BTreeMap<Database, String>> {
        let mut ids = BTreeMap::new();
        for database in Database::BOTH {
            ids.insert(database, self.status(&self.node, database).await?.server.to_string());
        }
        Ok(ids)
    }

    /// The input of the run and the gates that are approved from the start.
    pub fn terms(&self) -> (Value, Vec<String>) {
        (json!({"node": self.node, "with": JOINING}), vec![format!("kick-{}", self.node)])
    }

    /// One worker: begins the run or goes on with it, as far as its journal and its hook let it. On a dead node a person gives up
    /// the disk, once that step has failed.
    ///
    /// # Errors
    /// If the worker fails otherwise than by its journal.
    pub async fn drive(&self, journal: MemoryJournal, hook: Option<Arc<dyn AttemptHook>>) -> Result<Ending> {
        let (input, approvals) = self.terms();
        let first = self.stage.state().is_none().then(|| self.stage.creation(&input, &approvals)).transpose()?;
        let driven = self.stage.drive(Box::new(journal), first, hook);
        tokio::select! {
            driven = driven => driven?,
            told = self.watch_the_disk() => told?,
        }
        // The worker may have gone with the person's word.
        self.give_up_the_disk().await?;
        Ok(self.stage.ending())
    }

    async fn watch_the_disk(&self) -> Result<()> {
        loop {
            self.give_up_the_disk().await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What a person does when the step that needs the disk of a dead node is open and has failed.
    async fn give_up_the_disk(&self) -> Result<()> {
        let Some(state) = self.stage.state().filter(|_| self.leaving.is_dead()) else { return Ok(()) };
        let failed = |open: &OpenCommand| matches!(open, OpenCommand::Activity(one) if one.name == DISK && one.failures > 0);
        if state.open.values().any(failed) {
            let skip = What::Skip { step: DISK.to_owned() };
            // Refused if the step has ended meanwhile.
            let _ = self.stage.tell_why(skip, "the node has no power").await?;
        }
        Ok(())
    }

    /// Drives the run to its end while others write by way of the members that stay.
    ///
    /// # Errors
    /// If it does not come to its end, or if next to nothing could be written meanwhile.
    pub async fn exchanged(&self) -> Result<()> {
        let driven = self.drive(self.stage.journal.reopen(), None);
        let (ending, acknowledged) = self.writing(driven).await;
        ensure!(ending? == Ending::Completed, "{:?}: {}", self.stage.ending(), self.stage.last_failure());
        ensure!(acknowledged > 4, "next to nothing could be written meanwhile");
        Ok(())
    }

    /// Does something while both databases are written to; says how often that was acknowledged.
    pub async fn writing<T>(&self, doing: impl Future<Output = T>) -> (T, usize) {
        let nodes = self.others();
        let before = self.written().len();
        let write_on = async {
            for number in 0.. {
                let (node, database) = (&nodes[number % nodes.len()], Database::BOTH[(number / 2) % 2]);
                self.write(node, database, &format!("during-{number}")).await;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        };
        let done = tokio::select! {
            done = doing => done,
            () = write_on => unreachable!("it writes for ever"),
        };
        (done, self.written().len() - before)
    }

    fn written(&self) -> BTreeSet<(Database, String)> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes a name by way of a node; says whether that was acknowledged, and remembers it then.
    pub async fn write(&self, node: &str, database: Database, name: &str) -> bool {
        let done = write(self.kube_ovn(), node, database, name).await;
        if done {
            self.written.lock().unwrap_or_else(PoisonError::into_inner).insert((database, name.to_owned()));
        }
        done
    }

    /// The run is complete, and [the cluster](Self::judge_cluster) is as it must be then.
    ///
    /// # Errors
    /// If anything of it is not so.
    pub async fn judge(&self) -> Result<()> {
        ensure!(self.stage.ending() == Ending::Completed, "{:?}: {}", self.stage.ending(), self.stage.last_failure());
        self.judge_cluster().await
    }

    /// The members are whole, the old ids are gone, each was kicked once; what was written before and meanwhile is everywhere, and so
    /// is what each member is given now.
    ///
    /// # Errors
    /// If anything of it is not so.
    pub async fn judge_cluster(&self) -> Result<()> {
        self.whole().await?;
        let kube_ovn = self.kube_ovn();
        let accepted = kube_ovn.accepted_kicks();
        ensure!(accepted.len() == 2 && accepted.values().all(|times| *times == 1), "{accepted:?}");
        let nodes = kube_ovn.central_nodes();
        ensure!(nodes.len() == 3 && nodes.contains(JOINING), "{nodes:?}");
        for (node, database) in nodes.iter().flat_map(|node| Database::BOTH.map(|database| (node, database))) {
            let status = self.status(node, database).await?;
            let old = &self.ids[&database][..4];
            ensure!(status.servers.iter().all(|server| server.id != old), "{node} lists the old server: {status:?}");
            let name = format!("after-{node}");
            ensure!(self.write(node, database, &name).await, "{node} takes nothing into {database:?} after the run");
        }
        until("all that was written to be everywhere", async || {
            for (node, database) in nodes.iter().flat_map(|node| Database::BOTH.map(|database| (node, database))) {
                let rows = rows(kube_ovn, node, database).await?;
                for (_, name) in self.written().iter().filter(|(of, _)| *of == database) {
                    ensure!(rows.contains(&format!("{name} ")), "{node} lacks {name} of {database:?}: {rows}");
                }
            }
            Ok(())
        })
        .await
    }
}

fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
