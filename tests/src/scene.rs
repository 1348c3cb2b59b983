//! A simulated Kube-OVN cluster on which single activities are tried, without a run around them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use chrono::{TimeZone as _, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_activities::ovn::kick::KickServer;
use windlass_activities::ovn::label::LabelNode;
use windlass_activities::ovn::{Central, Database};
use windlass_activities::{Cluster, NodeName, Settings};
use windlass_engine::{Activity, ActivityContext, ActivityError, Attempt, Clock, CommandId, FailureKind, RunId, Timestamp};
use windlass_sim::kube_ovn::real::RealRaft;
use windlass_sim::kube_ovn::{KubeOvn, KubeOvnShape};
use windlass_sim::store::ApiError;
use windlass_sim::{ClusterShape, Scenario, Sim, SimClock};

use crate::raft::until;
use crate::stage::SimulatedTime;

/// The cluster, and one worker's link to it. With a modelled raft it must be made on a paused current-thread runtime.
pub struct Scene {
    /// The cluster.
    pub sim: Sim,
    /// The link.
    pub cluster: Arc<Cluster>,
    /// Where copies are kept.
    pub files: TempDir,
    clock: Arc<dyn Clock>,
    said: Arc<Mutex<Vec<String>>>,
}

impl Scene {
    /// Three members and two more nodes, when every server has found its leader.
    pub async fn begin(version: &str) -> anyhow::Result<Self> {
        Self::begin_with(version, Scenario::default()).await
    }

    /// As [`Scene::begin`], on a cluster that has its troubles.
    pub async fn begin_with(version: &str, scenario: Scenario) -> anyhow::Result<Self> {
        let kube_ovn = KubeOvnShape { version: version.to_owned(), ..KubeOvnShape::default() };
        let scene = Self::of(kube_ovn, |shape, clock| Sim::start(shape, scenario, clock)).await?;
        tokio::time::sleep(Duration::from_secs(60)).await;
        Ok(scene)
    }

    /// As [`Scene::begin`], with real database servers and in real time.
    pub async fn begin_real(raft: Arc<RealRaft>) -> anyhow::Result<Self> {
        let kube_ovn = KubeOvnShape { address_base: raft.address(1), ..KubeOvnShape::default() };
        let scene = Self::of(kube_ovn, |shape, clock| Sim::start_with(shape, Scenario::default(), clock, raft)).await?;
        until("both databases to be whole", async || {
            let central = scene.look().await?;
            let members = central.databases.iter().map(|raft| raft.voters().filter(|_| raft.is_whole()).count());
            anyhow::ensure!(members.eq([3, 3]), "{:?}", central.databases);
            Ok(())
        })
        .await?;
        Ok(scene)
    }

    async fn of(
        kube_ovn: KubeOvnShape,
        start: impl FnOnce(ClusterShape, SimClock) -> Result<Sim, ApiError>,
    ) -> anyhow::Result<Self> {
        let shape = ClusterShape { kube_ovn: Some(kube_ovn), ..ClusterShape::default() };
        let shape = shape.with_nodes("3+2").map_err(anyhow::Error::msg)?;
        let epoch = Utc.with_ymd_and_hms(2026, 3, 2, 6, 0, 0).single().unwrap_or_default();
        let sim = start(shape, SimClock::new(epoch, 1.0))?;
        let clock: Arc<dyn Clock> = Arc::new(SimulatedTime(sim.clock().clone()));
        let client = kube::Client::new(sim.service(), "default");
        let cluster = Arc::new(Cluster::from_client(client, Settings::simulated(clock.clone())).await?);
        let files = tempfile::tempdir()?;
        cluster.keep_files_in(files.path().to_owned());
        Ok(Self { sim, cluster, files, clock, said: Arc::default() })
    }

    /// The databases below.
    pub fn kube_ovn(&self) -> &KubeOvn {
        self.sim.kube_ovn().expect("the shape is one of Kube-OVN")
    }

    /// ovn-central as a look shows it.
    pub async fn look(&self) -> Result<Central, ActivityError> {
        Central::look(&self.cluster).await
    }

    /// Makes an attempt of an activity that is the run's step of that number.
    pub async fn attempt<A: Activity<World = Cluster>>(&self, step: u32, activity: &A) -> Result<A::Output, ActivityError> {
        let run = RunId::new(Timestamp::from_micros(0), [1; 10]);
        let attempt = Attempt { run, command: CommandId(step), number: 1 };
        let said = self.said.clone();
        let note = move |text: String| said.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        activity.clone().run(ActivityContext::new(self.cluster.clone(), attempt, self.clock.clone(), Arc::new(note))).await
    }

    /// Tries an activity until it succeeds, as a worker does when replies are lost; says how many attempts that took.
    pub async fn insist<A: Activity<World = Cluster>>(&self, step: u32, activity: &A) -> anyhow::Result<(A::Output, usize)> {
        for tried in 1..10 {
            match self.attempt(step, activity).await {
                Ok(output) => return Ok((output, tried)),
                Err(error) if error.kind == FailureKind::Permanent => return Err(error.into()),
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        anyhow::bail!("{} does not succeed", activity.summary())
    }

    /// Takes the member on a node out of both databases, and the label from the node; its pod stays.
    pub async fn take_out(&self, node: &NodeName) -> anyhow::Result<()> {
        for (step, database) in (101..).zip(Database::BOTH) {
            let central = self.look().await?;
            let found = central.nodes.iter().find(|one| one.name == *node).context("a node of ovn-central")?;
            let raft = central.raft(database).context("a database")?;
            let server = raft.at(found.address).context("a member")?;
            let voters = raft.voters().map(|server| server.address).collect();
            let (cluster, id, short) = (raft.cluster.context("a cluster")?, server.id, server.short.clone());
            let kick = KickServer { database, cluster, address: found.address, id, short, voters };
            self.attempt(step, &kick).await?;
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
        self.attempt(103, &LabelNode { node: node.clone(), central: false }).await?;
        Ok(())
    }

    /// What attempts said of their progress so far.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The requests that changed something, with their bodies; looks by commands are none.
    pub fn writes(&self) -> Vec<(String, Value)> {
        let records = self.sim.audit().records().into_iter();
        let writes = records.filter(|record| record.code < 300 && !record.path.contains("selfsubjectaccessreview"));
        writes.map(|record| (format!("{} {}", record.verb, path_of(&record.path)), record.body)).collect()
    }

    /// The nth write from now on meets this fault.
    pub fn fault(&self, nth: usize, effect: &Value) {
        let on = json!({"verbs": ["create", "update", "patch", "delete"]});
        let fault = json!({"api": [{"on": on, "when": {"nth": nth, "times": 1}, "effect": effect}]});
        self.sim.faults().add(serde_json::from_value(fault).expect("a fault"));
    }
}

fn path_of(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}
