//! The plan of a run: its own workflow, led along what the cluster shows now and what its steps are taken to bring about.

use std::sync::Arc;
use std::time::Duration;

use windlass_activities::Cluster;
use windlass_activities::admin_ack::{Gate, Gates};
use windlass_activities::canary::{ReadWave, WaveState, Waves};
use windlass_activities::estimate::{Estimates, Spread};
use windlass_activities::kuryr::KuryrInventory;
use windlass_activities::network::check::MigrationReport;
use windlass_activities::network::infer::Inferred;
use windlass_activities::network::reboot::Logins;
use windlass_activities::ovn::check::CentralReport;
use windlass_activities::pool::{AwaitPool, PoolState};
use windlass_activities::preflight::PreflightReport;
use windlass_activities::release::{Release, ResolveHop};
use windlass_engine::foresee::{Answer, Asked, Deed, Foresight, Oracle, Unforeseeable, foresee};
use windlass_engine::{ActivityError, Clock, FailureKind, Json, Registry, Timestamp};

/// A run as it would go, with what was found out on the way.
pub struct Draft {
    /// What it would do.
    pub foresight: Foresight,
    /// What the preflight found.
    pub preflight: Option<PreflightReport>,
    /// What the look at ovn-central found.
    pub central: Option<CentralReport>,
    /// What the look at the network found.
    pub migration: Option<MigrationReport>,
    /// How far a migration had come that is taken over.
    pub adoption: Option<Inferred>,
    /// What Kuryr has in the cloud.
    pub kuryr: Option<KuryrInventory>,
    /// How long its steps take, by the place of their deed.
    pub spreads: Vec<Spread>,
}

/// Why there is no plan.
pub type NoDraft = Unforeseeable<ActivityError>;

/// Three good samples, half a minute apart; or operators that take their time.
const SETTLE: Spread = Spread { p50_seconds: 60, p90_seconds: 20 * 60 };

/// A pool that renders, or nodes that change pools without a reboot.
const MOVE: Spread = Spread { p50_seconds: 60, p90_seconds: 10 * 60 };

/// A pod that is started again, or a database that agrees.
const POD: Spread = Spread { p50_seconds: 20, p90_seconds: 2 * 60 };

/// A few pods that are started again, one after the other.
const ROLLOUT: Spread = Spread { p50_seconds: 2 * 60, p90_seconds: 6 * 60 };

/// A copy of a few megabytes, or a short-lived pod on a node.
const COPY: Spread = Spread { p50_seconds: 10, p90_seconds: 60 };

/// All nodes boot at once, and the API comes back with the control plane.
const REBOOT_ALL: Spread = Spread { p50_seconds: 15 * 60, p90_seconds: 45 * 60 };

/// One read or one write.
const QUICK: Spread = Spread { p50_seconds: 1, p90_seconds: 5 };

/// Reads that are made for real when a plan is made: they end at once and say how things stand.
const LOOKS: &[&str] = &[
    "capture-kuryr",
    "check-credential-files",
    "check-disconnected",
    "check-logins",
    "check-network-migration",
    "check-ovn-central",
    "choose-waves",
    "find-window",
    "infer-network-step",
    "list-database-clients",
    "list-health-checks",
    "list-pools",
    "list-stale-ovs-pods",
    "preflight",
    "read-boots",
    "read-credentials",
    "read-deadlines",
    "read-gates",
    "read-update-state",
    "resolve-hop",
    "resolve-path",
    "resolve-target",
];

/// Leads a workflow along what would happen; reads the cluster, changes nothing.
///
/// # Errors
/// What a read of the cluster, or a rule of workflows, says against it.
pub async fn draft(
    cluster: &Arc<Cluster>,
    clock: &Arc<dyn Clock>,
    workflow: &str,
    input: &Json,
    estimates: &Estimates,
) -> Result<Draft, NoDraft> {
    let registry = crate::register(Registry::new(), cluster);
    let mut teller = Teller {
        registry: &registry,
        clock,
        estimates: estimates.clone(),
        hops: 0,
        waves: None,
        pools: Vec::new(),
        preflight: None,
        central: None,
        migration: None,
        adoption: None,
        kuryr: None,
        spreads: Vec::new(),
    };
    let foresight = foresee(&registry, workflow, input, clock.now(), &mut teller).await?;
    let mut spreads = std::mem::take(&mut teller.spreads).into_iter();
    let of_deed = |deed: &Deed| match deed {
        Deed::Activity { .. } => spreads.next().unwrap_or(QUICK),
        Deed::Gate { .. } | Deed::Sleep | Deed::Hold { .. } | Deed::GiveBack { .. } => Spread { p50_seconds: 0, p90_seconds: 0 },
    };
    let spreads = foresight.deeds.iter().map(|deed| &deed.what).map(of_deed).collect();
    let Teller { preflight, central, migration, adoption, kuryr, .. } = teller;
    Ok(Draft { foresight, preflight, central, migration, adoption, kuryr, spreads })
}

struct Teller<'a> {
    registry: &'a Registry,
    clock: &'a Arc<dyn Clock>,
    estimates: Estimates,
    /// Control-plane updates that were foreseen so far.
    hops: u32,
    waves: Option<Waves>,
    pools: Vec<PoolState>,
    preflight: Option<PreflightReport>,
    central: Option<CentralReport>,
    migration: Option<MigrationReport>,
    adoption: Option<Inferred>,
    kuryr: Option<KuryrInventory>,
    spreads: Vec<Spread>,
}

impl Oracle for Teller<'_> {
    type Error = ActivityError;

    async fn answer(&mut self, asked: &Asked, now: Timestamp) -> Result<Answer, ActivityError> {
        let spread = self.spread(asked);
        self.spreads.push(spread);
        let result = self.result(asked, now).await;
        // A calendar that has run out is an answer that the workflow knows what to do with; the rest ends the plan.
        let result = match result {
            Err(error) if asked.activity != "find-window" => return Err(error),
            result => result,
        };
        Ok(Answer { result, takes: Duration::from_secs(spread.p50_seconds) })
    }
}

impl Teller<'_> {
    async fn result(&mut self, asked: &Asked, now: Timestamp) -> Result<Json, ActivityError> {
        match asked.activity.as_str() {
            "read-gates" if self.hops > 0 => written(&unknown_gates(self.hops)),
            "resolve-hop" if self.hops > 0 => written(&unknown_release(asked)?),
            // The wave is not there yet, and will be when the run comes here.
            "read-wave" => {
                let wave: ReadWave = read(&asked.input)?;
                written(&WaveState::Movable { uid: Some("known once it is made".to_owned()), wave: wave.wave })
            }
            name if LOOKS.contains(&name) => {
                let output = self.look(asked, now).await?;
                self.learn(asked, output)
            }
            name => {
                if name == "await-control-plane" {
                    self.hops += 1;
                }
                self.assumed(asked)
            }
        }
    }

    fn assumed(&self, asked: &Asked) -> Result<Json, ActivityError> {
        self.registry.foresee(&asked.activity, &asked.input).ok_or_else(|| {
            let message = format!("nobody can foresee what comes of {:?}; this is a bug in windlass", asked.summary);
            ActivityError::permanent("unforeseeable", message)
        })
    }

    /// Tries a read again for as long as an API server takes to restart.
    async fn look(&self, asked: &Asked, now: Timestamp) -> Result<Json, ActivityError> {
        // Each try begins at the same moment: what it took to be heard is no part of the run.
        let clock = || Arc::new(ShiftedClock { base: self.clock.clone(), since: self.clock.now(), began: now });
        for attempt in 1..MOST_LOOKS {
            match self.registry.look(&asked.activity, &asked.input, clock()).await {
                Err(error) if error.kind == FailureKind::Transient && error.code != "unauthorized" => {
                    let wished = Duration::from_secs(error.retry_after_seconds.unwrap_or(0));
                    let pause = wished.clamp(Duration::from_secs(1), LONGEST_WISH) * attempt;
                    self.clock.sleep_until(self.clock.now().plus(pause)).await;
                }
                outcome => return outcome,
            }
        }
        self.registry.look(&asked.activity, &asked.input, clock()).await
    }

    /// Keeps what later answers depend on, and answers as the cluster will be when the run comes there.
    fn learn(&mut self, asked: &Asked, output: Json) -> Result<Json, ActivityError> {
        match asked.activity.as_str() {
            "preflight" => {
                self.preflight = Some(read(&output)?);
                // A plan shows what comes after a blocker, too; it is the start that refuses.
                written(&PreflightReport { checks: Vec::new(), drains: Vec::new() })
            }
            "check-ovn-central" => {
                let report: CentralReport = read(&output)?;
                self.central = Some(report.clone());
                written(&CentralReport { blockers: Vec::new(), ..report })
            }
            "check-network-migration" => {
                let report: MigrationReport = read(&output)?;
                self.pools.clone_from(&report.pools);
                self.migration = Some(report.clone());
                written(&MigrationReport { blockers: Vec::new(), ..report })
            }
            "check-logins" => {
                let logins: Logins = read(&output)?;
                // Without a report the run itself says why it would end.
                let Some(report) = &mut self.migration else { return Ok(output) };
                report.blockers.extend(logins.blockers.iter().cloned());
                written(&Logins { blockers: Vec::new(), ..logins })
            }
            "infer-network-step" => {
                self.adoption = Some(read(&output)?);
                Ok(output)
            }
            "capture-kuryr" => {
                let inventory: KuryrInventory = read(&output)?;
                // Pods come and go every minute: what is there when its turn comes is shown at the gate, each with its id.
                let later = KuryrInventory { cluster: inventory.cluster.clone(), ..KuryrInventory::default() };
                self.kuryr = Some(inventory);
                written(&later)
            }
            "choose-waves" => {
                self.waves = Some(read(&output)?);
                Ok(output)
            }
            "list-pools" => {
                self.pools = with_waves(read(&output)?, self.waves.as_ref());
                written(&self.pools)
            }
            _ => Ok(output),
        }
    }

    fn spread(&self, asked: &Asked) -> Spread {
        match asked.activity.as_str() {
            "await-control-plane" => self.estimates.hop,
            "await-wave-healthy" | "check-health" | "final-verification" => SETTLE,
            "await-multus"
            | "await-namespace-gone"
            | "await-network-operator"
            | "await-wave-dissolved"
            | "await-wave-formed"
            | "await-wave-rendered" => MOVE,
            "await-pool" => {
                let pool = asked.input.to::<AwaitPool>().ok().map(|wait| wait.pool);
                let pool = self.pools.iter().find(|known| Some(&known.name) == pool.as_ref());
                pool.map_or(self.estimates.node, |pool| self.estimates.pool(pool.nodes, &pool.max_unavailable))
            }
            "await-reboots" => REBOOT_ALL,
            "await-ovn-members" | "kick-ovn-server" | "restart-ovs-pod" => POD,
            "await-central-rollout" | "await-database-client" | "remove-kuryr-finalizers" => ROLLOUT,
            "back-up-ovn-database" | "look-at-ovn-directory" | "move-ovn-directory-aside" => COPY,
            _ => QUICK,
        }
    }
}

/// How often a read is tried before the plan is given up: an API server that restarts is back within half a minute.
const MOST_LOOKS: u32 = 7;

/// A server may ask for a delay, but nobody waits for a plan for long.
const LONGEST_WISH: Duration = Duration::from_secs(10);

/// A clock that another one drives from a moment of its own: a look into a window of next week is made as if next week were now.
struct ShiftedClock {
    base: Arc<dyn Clock>,
    since: Timestamp,
    began: Timestamp,
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        self.began.plus(self.base.now().since(self.since))
    }

    fn sleep_until(&self, at: Timestamp) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let left = at.since(self.now());
        self.base.sleep_until(self.base.now().plus(left))
    }

    fn speed(&self) -> f64 {
        self.base.speed()
    }
}

/// Stands for an acknowledgement whose key is known only once the hop before is done.
pub const LATER: &str = "what the vendor then asks for";

/// The gates of a later hop exist only once the hop before is done, so the plan names one in any case.
fn unknown_gates(hops: u32) -> Gates {
    let key = LATER.to_owned();
    Gates { missing: vec![Gate { key, text: format!("Known once hop {hops} is done.") }], acknowledged: Vec::new() }
}

/// A release that is pinned right before its hop has no version yet.
fn unknown_release(asked: &Asked) -> Result<Release, ActivityError> {
    let minor = asked.input.to::<ResolveHop>().map_err(|e| unreadable(&e))?.minor;
    let mut version = semver::Version::new(minor.major, minor.minor, 0);
    version.pre = semver::Prerelease::new("newest").unwrap_or_default();
    Ok(Release { version, image: "pinned right before its hop".to_owned() })
}

/// The pools as they are once the waves have theirs.
fn with_waves(mut pools: Vec<PoolState>, waves: Option<&Waves>) -> Vec<PoolState> {
    for wave in waves.iter().flat_map(|waves| &waves.waves) {
        let count = u32::try_from(wave.nodes.len()).unwrap_or(u32::MAX);
        let Some(source) = pools.iter_mut().find(|pool| pool.name == wave.source) else { continue };
        source.nodes = source.nodes.saturating_sub(count);
        let max_unavailable = wave.max_unavailable.clone().unwrap_or_else(|| source.max_unavailable.clone());
        let formed = PoolState { name: wave.pool.clone(), nodes: count, max_unavailable, ..source.clone() };
        pools.push(formed);
    }
    pools
}

fn written<T: serde::Serialize>(value: &T) -> Result<Json, ActivityError> {
    Json::of(value).map_err(|e| unreadable(&e))
}

fn read<T: serde::de::DeserializeOwned>(json: &Json) -> Result<T, ActivityError> {
    json.to().map_err(|e| unreadable(&e))
}

fn unreadable(error: &serde_json::Error) -> ActivityError {
    ActivityError::permanent("unreadable", format!("an answer can't be read by this build: {error}"))
}
