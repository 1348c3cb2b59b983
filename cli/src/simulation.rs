//! A simulated cluster as the command line shapes it, and its time as the engine reads it.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use windlass_activities::openstack::{CloudAccess, Secret};
use windlass_engine::{Clock, Timestamp};
use windlass_sim::hazards::Faults;
use windlass_sim::kube_ovn::real::{RealRaft, Settings};
use windlass_sim::kube_ovn::{self, KubeOvnShape};
use windlass_sim::shape::NetworkPlugin;
use windlass_sim::snapshot::Snapshot;
use windlass_sim::{ClusterShape, Scenario, Sim, SimClock};

use crate::failure::{Failure, Kind};
use crate::ui::Ui;

/// The heading of the options that shape a simulated cluster.
const CLUSTER: &str = "Simulated cluster";

/// The shape of a simulated cluster.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ShapeArgs {
    /// Control-plane nodes and workers
    #[arg(long, value_name = "CONTROL+WORKERS", global = true, help_heading = CLUSTER)]
    nodes: Option<String>,
    /// Worker pools and their nodes, for instance worker=4,infra=2
    #[arg(long, value_name = "NAME=COUNT,…", global = true, help_heading = CLUSTER)]
    pools: Option<String>,
    /// The release that is installed
    #[arg(long, value_name = "VERSION", global = true, help_heading = CLUSTER)]
    version: Option<String>,
    /// Kube-OVN of this version on plain Kubernetes, instead of OpenShift
    #[arg(long, value_name = "VERSION", num_args = 0..=1, default_missing_value = kube_ovn::VERSION, value_parser = kube_ovn_version,
        global = true, help_heading = CLUSTER)]
    kube_ovn: Option<String>,
    /// What connects the pods
    #[arg(long, value_name = "PLUGIN", value_parser = network, conflicts_with = "kube_ovn", global = true, help_heading = CLUSTER)]
    network: Option<NetworkPlugin>,
    /// A snapshot of a real cluster, to be simulated as it is
    #[arg(long, value_name = "FILE", conflicts_with_all = ["nodes", "pools", "version", "kube_ovn"], global = true, help_heading = CLUSTER)]
    from: Option<PathBuf>,
    /// What every random choice of the cluster follows from
    #[arg(long, value_name = "NUMBER", default_value_t = 1, global = true, help_heading = CLUSTER)]
    pub(crate) seed: u64,
    /// What goes wrong: hazards by number (F1,F7), built-in scenarios (calm, harsh, clock-jump) and scenario files, joined by commas
    #[arg(long, value_name = "NAME|FILE,…", global = true, help_heading = CLUSTER)]
    faults: Option<String>,
}

impl ShapeArgs {
    /// The cluster as asked for, with what is wrong with it from the start and what goes wrong later; `suit` makes it one that a
    /// workflow is for, whatever was asked for.
    pub(crate) fn plan(&self, suit: impl Fn(&mut ClusterShape)) -> Result<PlannedSim, Failure> {
        let faults = Faults::read(self.faults.as_deref().unwrap_or_default()).map_err(|e| instructed(&e.to_string()))?;
        let copied = self.from.as_deref().map(Snapshot::load).transpose().map_err(|e| instructed(&e.to_string()))?;
        let epoch = copied.as_ref().map_or_else(epoch, |copied| copied.taken);
        let notes = copied.as_ref().map(Snapshot::notes).unwrap_or_default();
        let mut shape = match copied {
            Some(copied) => copied.shape(self.seed),
            None => self.shape()?,
        };
        suit(&mut shape);
        faults.apply(&mut shape);
        let scenario = faults.scenario(&shape).map_err(|e| instructed(&e.to_string()))?;
        Ok(PlannedSim { shape, scenario, epoch, notes, is_troubled: !faults.is_empty() })
    }

    fn shape(&self) -> Result<ClusterShape, Failure> {
        let mut shape = ClusterShape { seed: self.seed, ..ClusterShape::default() };
        if let Some(version) = &self.version {
            let minor = version.rsplit_once('.').map_or(version.as_str(), |(minor, _)| minor);
            shape.channel = format!("stable-{minor}");
            shape.version.clone_from(version);
        }
        if let Some(version) = &self.kube_ovn {
            shape.kube_ovn = Some(KubeOvnShape { version: version.clone(), ..KubeOvnShape::default() });
        }
        if let Some(plugin) = self.network {
            shape.network = plugin;
        }
        if shape.network == NetworkPlugin::Kuryr {
            shape.suit_kuryr();
        }
        if let Some(pools) = &self.pools {
            shape = shape.with_pools(pools).map_err(|e| instructed(&e.to_string()))?;
        }
        if let Some(nodes) = &self.nodes {
            shape = shape.with_nodes(nodes).map_err(|e| instructed(&e.to_string()))?;
        }
        Ok(shape)
    }
}

/// A simulated cluster that is not built yet.
pub(crate) struct PlannedSim {
    pub(crate) shape: ClusterShape,
    /// Where its time begins.
    pub(crate) epoch: DateTime<Utc>,
    scenario: Scenario,
    notes: Vec<String>,
    is_troubled: bool,
}

/// How long what is wrong from the start has been so when somebody first looks: operators report within minutes.
const SETTLING: Duration = Duration::from_secs(5 * 60);

impl PlannedSim {
    /// Builds the cluster and starts its controllers.
    pub(crate) fn start(self, clock: SimClock) -> Result<Sim, Failure> {
        Sim::start(self.shape, self.scenario, clock).map_err(|e| {
            Failure::usage(format!("the simulated cluster can't be built: {e}"), "change its nodes, pools or snapshot")
        })
    }

    /// As [`PlannedSim::start`], with real database servers of this machine under Kube-OVN.
    pub(crate) fn start_on_real_raft(mut self, clock: SimClock) -> Result<Sim, Failure> {
        let Some(kube_ovn) = &mut self.shape.kube_ovn else {
            return Err(Failure::usage("there is no raft without Kube-OVN", "add --kube-ovn"));
        };
        let raft = RealRaft::new(Settings::default())
            .map_err(|e| Failure::new(Kind::Failed, format!("no real raft can run here: {e}"), "leave out --raft real"))?;
        kube_ovn.address_base = raft.address(1);
        let unbuildable =
            |e| Failure::usage(format!("the simulated cluster can't be built: {e}"), "change its nodes, pools or snapshot");
        Sim::start_with(self.shape, self.scenario, clock, Arc::new(raft)).map_err(unbuildable)
    }

    /// Says what of a snapshot is simulated otherwise.
    pub(crate) fn say_notes(&self, ui: &Ui) {
        for note in &self.notes {
            ui.talk(&format!("note: {note}"));
        }
    }

    /// As [`PlannedSim::start`], and waits until trouble that is there from the start shows.
    pub(crate) async fn start_settled(self, clock: SimClock) -> Result<Sim, Failure> {
        let is_troubled = self.is_troubled;
        let sim = self.start(clock)?;
        if is_troubled {
            sim.clock().sleep(SETTLING).await;
        }
        Ok(sim)
    }
}

/// Reads a version of Kube-OVN; what follows the option without being one was not meant for it.
fn kube_ovn_version(text: &str) -> Result<String, String> {
    let version = text.trim_start_matches('v');
    let said = |_| format!("{text:?} is no version; write it as in --kube-ovn=1.13.2, or put --kube-ovn last");
    semver::Version::parse(version).map(|version| version.to_string()).map_err(said)
}

/// Reads the name of a network plugin.
fn network(text: &str) -> Result<NetworkPlugin, String> {
    let known = NetworkPlugin::ALL.map(NetworkPlugin::name).join(", ");
    NetworkPlugin::named(text).ok_or_else(|| format!("{text:?} is no network plugin that is simulated; name one of: {known}"))
}

/// The simulated cluster's errors say what could not be done, a colon, and what to do.
fn instructed(text: &str) -> Failure {
    match text.split_once(": ") {
        Some((what, advice)) => Failure::usage(format!("can't {what}"), advice),
        None => Failure::usage(text, "look at `windlass sim --help`"),
    }
}

/// A Monday morning: simulated time begins there, so that two rehearsals of one seed are the same to the second.
const EPOCH_SECONDS: i64 = 1_762_156_800;

/// Where simulated time begins, unless it is a real cluster's.
fn epoch() -> DateTime<Utc> {
    DateTime::from_timestamp(EPOCH_SECONDS, 0).unwrap_or_default()
}

/// Refuses speeds at which nothing would happen.
pub(crate) fn checked_speed(speed: f64) -> Result<f64, Failure> {
    if speed.is_finite() && speed > 0.0 {
        return Ok(speed);
    }
    Err(Failure::new(Kind::Usage, format!("time can't pass at speed {speed}"), "write it as in: --speed 600"))
}

/// The simulated cluster's time, as the engine's clock.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedTime(pub(crate) SimClock);

impl Clock for SimulatedTime {
    fn now(&self) -> Timestamp {
        self.0.now().into()
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.0.sleep_until(at.to_datetime()))
    }
}

/// The login at the cloud under a simulated cluster, where there is one.
pub(crate) fn cloud_access(sim: &Sim) -> Option<CloudAccess> {
    let account = sim.openstack()?.account();
    let url = format!("http://openstack.sim{}", account.auth_path);
    let secret = Secret::new(account.application_credential_secret);
    Some(CloudAccess::application(&url, &account.application_credential_id, secret))
}
