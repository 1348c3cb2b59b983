//! Reading, judging and kicking servers of ovn-central: activities by themselves, on a modelled raft and on a real one.
//!
//! Where there are no real servers these cases say that they are skipped; the modelled ones always run.
//!
//! Seen to fail with: the order given in the victim's own pod; the guard not asked; a member that is still in taken for gone; one that is
//! out not noticed before the order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use windlass_activities::ovn::check::{CentralReport, CheckCentral};
use windlass_activities::ovn::kick::{KickServer, ServerKicked};
use windlass_activities::ovn::members::AwaitMembers;
use windlass_activities::ovn::{Central, Database, Raft, Server};
use windlass_activities::{Cluster, Settings};
use windlass_engine::{
    Activity, ActivityContext, ActivityError, Attempt, Clock, CommandId, FailureKind, Probe, RunId, Timestamp,
};
use windlass_sim::kube_ovn::real::Settings as RealSettings;
use windlass_sim::kube_ovn::{Backend, KubeOvn, KubeOvnShape};
use windlass_sim::{ClusterShape, Scenario, Sim, SimClock};
use windlass_tests::raft::real_raft;

/// A cluster with three members, and what activities need to run on it.
struct Scene {
    sim: Sim,
    cluster: Arc<Cluster>,
    clock: Arc<dyn Clock>,
    said: Arc<Mutex<Vec<String>>>,
}

/// The cluster's time for activities.
struct SimulatedTime(SimClock);

impl Clock for SimulatedTime {
    fn now(&self) -> Timestamp {
        self.0.now().into()
    }

    fn sleep_until(&self, at: Timestamp) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.0.sleep_until(at.to_datetime()))
    }
}

fn node(number: u8) -> String {
    format!("control-plane-{number}")
}

impl Scene {
    async fn begin(real: bool) -> Result<Option<Self>> {
        let backend = if real { real_raft(RealSettings::default()) } else { None };
        if real && backend.is_none() {
            return Ok(None);
        }
        let mut kube_ovn = KubeOvnShape::default();
        if let Some(raft) = &backend {
            kube_ovn.address_base = raft.address(1);
        }
        let shape = ClusterShape { kube_ovn: Some(kube_ovn), ..ClusterShape::default() };
        let shape = shape.with_nodes("3+1").map_err(|error| anyhow::anyhow!("{error}"))?;
        let time = SimClock::new(chrono::DateTime::from_timestamp(1_762_156_800, 0).context("an epoch")?, 1.0);
        let sim = match backend {
            Some(raft) => Sim::start_with(shape, Scenario::default(), time, raft as Arc<dyn Backend>)?,
            None => Sim::start(shape, Scenario::default(), time)?,
        };
        let clock: Arc<dyn Clock> = Arc::new(SimulatedTime(sim.clock().clone()));
        let client = kube::Client::new(sim.service(), "default");
        let cluster = Arc::new(Cluster::from_client(client, Settings::simulated(clock.clone())).await?);
        let scene = Self { sim, cluster, clock, said: Arc::default() };
        scene.until("both databases to be whole", |central| central.databases.iter().all(Raft::is_whole)).await?;
        Ok(Some(scene))
    }

    fn cx(&self) -> ActivityContext<Cluster> {
        let said = self.said.clone();
        let note = move |text: String| said.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(text);
        let attempt = Attempt { run: RunId::new(Timestamp::from_micros(0), [1; 10]), command: CommandId(0), number: 1 };
        ActivityContext::new(self.cluster.clone(), attempt, self.clock.clone(), Arc::new(note))
    }

    fn kube_ovn(&self) -> Result<&KubeOvn> {
        self.sim.kube_ovn().context("a Kube-OVN cluster")
    }

    async fn run<A: Activity<World = Cluster>>(&self, activity: A) -> Result<A::Output, ActivityError> {
        activity.run(self.cx()).await
    }

    async fn sleep(&self, seconds: u64) {
        self.sim.clock().sleep(Duration::from_secs(seconds)).await;
    }

    async fn until(&self, what: &str, holds: impl Fn(&Central) -> bool) -> Result<Central> {
        let mut last = String::new();
        for _ in 0..90 {
            match Central::look(&self.cluster).await {
                Ok(central) if holds(&central) => return Ok(central),
                Ok(central) => {
                    let troubles = |raft: &Raft| raft.troubles.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                    let each = central.databases.iter().map(|raft| format!("{} ({})", raft.in_words(), troubles(raft)));
                    last = each.collect::<Vec<_>>().join("; ");
                }
                Err(error) => last = error.to_string(),
            }
            self.sleep(1).await;
        }
        bail!("waited for {what}; last: {last}")
    }

    async fn check(&self, remove: u8) -> Result<CentralReport> {
        Ok(self.run(CheckCentral { remove: Some(node(remove).as_str().into()), add: None, add_first: false }).await?)
    }

    /// The kick of a member out of a database, with everything pinned as it is now.
    async fn kick(&self, database: Database, number: u8) -> Result<KickServer> {
        let report = self.check(number).await?;
        ensure!(report.blockers.is_empty(), "{:?}", report.blockers);
        let leaving = report.leaving.context("a member leaves")?;
        let server = leaving.servers.iter().find(|server| server.database == database).context("a server leaves")?;
        Ok(KickServer {
            database,
            cluster: server.cluster,
            address: leaving.address,
            id: server.id,
            short: server.short.clone(),
            voters: report.central.node_ips,
        })
    }

    async fn agree(&self, kick: &KickServer) -> Result<String> {
        let members = kick.voters.iter().copied().filter(|member| *member != kick.address).collect();
        let agreed = self.run(AwaitMembers { database: kick.database, cluster: kick.cluster, members }).await?;
        Ok(agreed.evidence)
    }

    async fn leads(&self, database: Database) -> Result<u8> {
        let central = Central::look(&self.cluster).await?;
        let leader = central.raft(database).and_then(|raft| raft.leader).context("somebody leads")?;
        let at = central.node_ips.iter().position(|address| *address == leader).context("the leader is a member")?;
        Ok(u8::try_from(at)?)
    }

    /// A member that does not lead a database.
    async fn follows(&self, database: Database) -> Result<u8> {
        let leads = self.leads(database).await?;
        Ok((leads + 1) % 3)
    }

    fn kicks(&self) -> Result<usize> {
        Ok(self.kube_ovn()?.accepted_kicks().values().sum())
    }

    fn fault(&self, effect: &str) -> Result<()> {
        let on = json!({"resource": "pods/exec", "verbs": ["create"]});
        self.sim.faults().add(serde_json::from_value(json!({"api": [{"on": on, "when": {"times": 1}, "effect": effect}]}))?);
        Ok(())
    }
}

async fn a_follower_goes(scene: &Scene) -> Result<()> {
    let kick = scene.kick(Database::Northbound, scene.follows(Database::Northbound).await?).await?;
    let kicked: ServerKicked = scene.run(kick.clone()).await?;
    ensure!(
        kicked.evidence.contains("said \"started removal\"") && kicked.evidence.contains("is no member any more"),
        "{kicked:?}"
    );
    scene.agree(&kick).await?;
    // A repeat finds it done and sends nothing.
    let again = scene.run(kick.clone()).await?;
    ensure!(again.evidence.starts_with("it was out before anything was sent"), "{again:?}");
    let Probe::Happened { .. } = kick.probe(scene.cx()).await? else { bail!("the probe does not see it") };
    ensure!(scene.kicks()? == 1, "{:?}", scene.kube_ovn()?.kicks());
    // The southbound database is whole; that the sets differ now is seen all the same.
    let report = scene.check(scene.follows(Database::Southbound).await?).await?;
    ensure!(report.blockers.iter().any(|line| line.contains("bring them in line first")), "{:?}", report.blockers);
    Ok(())
}

async fn the_leader_goes_past_itself(scene: &Scene) -> Result<()> {
    let leads = scene.leads(Database::Southbound).await?;
    let kick = scene.kick(Database::Southbound, leads).await?;
    let kicked = scene.run(kick.clone()).await?;
    ensure!(kicked.evidence.contains("said \"sent removal request to leader\""), "{kicked:?}");
    scene.agree(&kick).await?;
    let kicks = scene.kube_ovn()?.kicks();
    ensure!(kicks.len() == 1 && kicks[0].node != node(leads), "{kicks:?}");
    Ok(())
}

async fn nobody_goes_while_another_is_away(scene: &Scene) -> Result<()> {
    let follows = scene.follows(Database::Northbound).await?;
    let kick = scene.kick(Database::Northbound, follows).await?;
    let leads = scene.leads(Database::Northbound).await?;
    let other = (0..3).find(|at| *at != follows && *at != leads).context("a third member")?;
    scene.kube_ovn()?.suspend(&node(other), true);
    let error = scene.run(kick.clone()).await.err().context("it was kicked")?;
    ensure!((error.kind, error.code.as_str()) == (FailureKind::Transient, "quorum-guard"), "{error:?}");
    ensure!(scene.kicks()? == 0);
    // The one that is away may go itself: by its address if it never told its id.
    let report = scene.check(other).await?;
    ensure!(report.blockers.is_empty(), "{:?}", report.blockers);
    ensure!(report.warnings.iter().any(|line| line.contains("is taken out by its raft address")), "{:?}", report.warnings);
    let away = scene.kick(Database::Northbound, other).await?;
    ensure!(away.id.is_none());
    scene.run(away.clone()).await?;
    scene.agree(&away).await?;
    scene.kube_ovn()?.suspend(&node(other), false);
    scene.agree(&away).await?;
    ensure!(scene.kicks()? == 1);
    Ok(())
}

/// The order was carried out and its answer lost, or it never went out: the probe knows.
async fn a_lost_answer_is_found_by_the_probe(scene: &Scene) -> Result<()> {
    let kick = scene.kick(Database::Northbound, scene.follows(Database::Northbound).await?).await?;
    scene.fault("reset_before")?;
    let error = scene.run(kick.clone()).await.err().context("the order went out")?;
    ensure!(error.kind == FailureKind::Unknown, "{error:?}");
    let Probe::DidNotHappen(seen) = kick.probe(scene.cx()).await? else { bail!("it happened") };
    ensure!(seen.contains("is a member, and nothing is under way") && scene.kicks()? == 0, "{seen}");
    scene.fault("reset_after")?;
    let error = scene.run(kick.clone()).await.err().context("its answer came")?;
    ensure!(error.kind == FailureKind::Unknown, "{error:?}");
    let Probe::Happened { evidence, .. } = kick.probe(scene.cx()).await? else { bail!("it did not happen") };
    ensure!(evidence.contains("is no member any more") && scene.kicks()? == 1, "{evidence}");
    scene.agree(&kick).await?;
    Ok(())
}

/// Somebody tells the member itself to leave, between the plan and the kick.
async fn one_that_left_by_itself_is_out(scene: &Scene) -> Result<()> {
    let follows = scene.follows(Database::Northbound).await?;
    let kick = scene.kick(Database::Northbound, follows).await?;
    let words = ["ovn-appctl", "-t", Database::Northbound.control(), "cluster/leave", Database::Northbound.schema()];
    let left = scene.kube_ovn()?.exec(&node(follows), &words).await.context("a pod")?;
    ensure!(left.code == 0, "{left:?}");
    scene.agree(&kick).await?;
    let kicked = scene.run(kick).await?;
    ensure!(kicked.evidence.starts_with("it was out before anything was sent"), "{kicked:?}");
    let kicks = scene.kube_ovn()?.kicks();
    ensure!(kicks.len() == 1 && kicks[0].server.is_empty(), "{kicks:?}");
    Ok(())
}

/// "started removal", and the leader ends before anybody has answered: the removal is lost with it, or it is carried out by the next
/// leader, whose socket may have had the entry. Either way the probe says what is so.
async fn a_removal_whose_leader_ends_is_told_by_what_is_so(scene: &Scene) -> Result<()> {
    let (leads, kube_ovn) = (scene.leads(Database::Northbound).await?, scene.kube_ovn()?);
    let others: Vec<u8> = (0..3).filter(|at| *at != leads).collect();
    let kick = scene.kick(Database::Northbound, others[0]).await?;
    for other in &others {
        kube_ovn.cut(&node(*other), true);
    }
    let id = kick.id.context("it told its id")?.to_string();
    let words = ["ovn-appctl", "-t", Database::Northbound.control(), "cluster/kick", Database::Northbound.schema(), &id];
    let told = kube_ovn.exec(&node(leads), &words).await.context("a pod")?;
    ensure!(told.stdout == b"started removal\n", "{told:?}");
    kube_ovn.kill(&node(leads));
    for other in &others {
        kube_ovn.cut(&node(*other), false);
    }
    let settled = |raft: &Raft| raft.leader.is_some() && raft.voters().all(Server::is_live);
    let central = scene.until("a leader and its members", |central| settled(&central.databases[0])).await?;
    let lists_it = central.databases[0].voters().any(|server| server.id == kick.id);
    match kick.probe(scene.cx()).await? {
        Probe::DidNotHappen(seen) => {
            ensure!(lists_it && seen.contains("is a member, and nothing is under way"), "{seen}");
            scene.run(kick.clone()).await?;
        }
        Probe::Happened { evidence, .. } => {
            ensure!(!lists_it && kube_ovn.model().is_none() && evidence.contains("is no member any more"), "{evidence}");
        }
        Probe::CannotTell(seen) => bail!("it can't tell: {seen}"),
    }
    scene.agree(&kick).await?;
    Ok(())
}

/// A member whose files were emptied, whose address is the first, and that reaches nobody, founds a cluster of its own.
async fn one_that_founded_its_own_cluster_stops_the_wait(scene: &Scene) -> Result<()> {
    let kube_ovn = scene.kube_ovn()?;
    let before = Central::look(&scene.cluster).await?;
    let cluster = before.raft(Database::Northbound).and_then(|raft| raft.cluster).context("a cluster")?;
    for other in 1..3 {
        kube_ovn.cut(&node(other), true);
    }
    std::fs::remove_dir_all(kube_ovn.directory(&node(0)).context("a directory")?)?;
    kube_ovn.kill(&node(0));
    let foreign = |central: &Central| {
        let first = |raft: &Raft| raft.servers.iter().any(|server| server.address == central.node_ips[0] && server.id.is_some());
        central.databases.iter().all(|raft| first(raft) && raft.cluster != Some(cluster))
    };
    scene.until("the first to found a cluster", foreign).await?;
    for other in 1..3 {
        kube_ovn.cut(&node(other), false);
    }
    let wait = AwaitMembers { database: Database::Northbound, cluster, members: before.node_ips };
    let error = scene.run(wait).await.err().context("they agree")?;
    ensure!((error.kind, error.code.as_str()) == (FailureKind::Permanent, "foreign-cluster"), "{error:?}");
    ensure!(error.message.contains("it founded one of its own"), "{error}");
    Ok(())
}

async fn scene(real: bool, case: impl AsyncFnOnce(&Scene) -> Result<()>) -> Result<()> {
    let Some(scene) = Scene::begin(real).await? else { return Ok(()) };
    case(&scene)
        .await
        .with_context(|| format!("said: {:?}", scene.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner)))
}

macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod modelled {
            $(#[tokio::test(start_paused = true)]
            async fn $case() -> anyhow::Result<()> {
                super::scene(false, super::$case).await
            })*
        }

        mod real {
            $(#[tokio::test]
            async fn $case() -> anyhow::Result<()> {
                super::scene(true, super::$case).await
            })*
        }
    };
}

on_both! {
    a_follower_goes,
    the_leader_goes_past_itself,
    nobody_goes_while_another_is_away,
    a_lost_answer_is_found_by_the_probe,
    one_that_left_by_itself_is_out,
    a_removal_whose_leader_ends_is_told_by_what_is_so,
    one_that_founded_its_own_cluster_stops_the_wait,
}
