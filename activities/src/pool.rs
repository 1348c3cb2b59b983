//! Machine config pools: held still, let go one by one, and waited for until every node is back.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, Probe, Timestamp};

use crate::cluster::{Cluster, Patch, Query};
use crate::condition::{Verdict, pool_rolled_out};
use crate::ids::{PoolName, RenderedConfig};
use crate::requests::{ASSUMED, patch_line};
use crate::snapshot::Snapshot;
use crate::views::{MachineConfigPool, View as _};
use crate::wait::{Wait, wait_for};

/// The pool of the control plane; the update itself rolls it.
const MASTER: &str = "master";

/// The operator renders the configurations of all pools before it calls itself updated, so a pool whose target is
/// still the old one after this long has nothing to roll out.
const RENDER_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Lists the machine config pools as they are.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ListPools {}

/// One machine config pool as it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PoolState {
    /// Its name.
    pub name: PoolName,
    /// Whether it is paused.
    pub paused: bool,
    /// The configuration that its nodes should have.
    pub target: RenderedConfig,
    /// The configuration that all of its nodes have.
    pub rolled_out: RenderedConfig,
    /// Its nodes.
    pub nodes: u32,
    /// How many of them may be down at once, as written in the pool: `1`, `10%`.
    pub max_unavailable: String,
}

impl PoolState {
    /// A pool of which only the name and the pause are known, for results that nobody has looked up.
    pub(crate) fn unseen(name: &PoolName, paused: bool) -> Self {
        let unknown = RenderedConfig::new(String::new());
        Self {
            name: name.clone(),
            paused,
            target: unknown.clone(),
            rolled_out: unknown,
            nodes: 0,
            max_unavailable: String::new(),
        }
    }

    /// What a pool says of itself.
    pub fn of(pool: &MachineConfigPool) -> Self {
        use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
        let max_unavailable = match &pool.spec.max_unavailable {
            Some(IntOrString::Int(count)) => count.to_string(),
            Some(IntOrString::String(share)) => share.clone(),
            None => "1".to_owned(),
        };
        Self {
            name: PoolName::new(pool.name()),
            paused: pool.spec.paused,
            target: RenderedConfig::new(&pool.spec.configuration.name),
            rolled_out: RenderedConfig::new(&pool.status.configuration.name),
            nodes: u32::try_from(pool.status.machine_count).unwrap_or_default(),
            max_unavailable,
        }
    }
}

impl Activity for ListPools {
    const NAME: ActivityName = ActivityName::new("list-pools");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Vec<PoolState>;

    fn summary(&self) -> String {
        "list the machine config pools".to_owned()
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Vec<PoolState>, ActivityError> {
        let mut pools: Vec<MachineConfigPool> = cx.world().list(&Query::default()).await?;
        pools.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(pools.iter().map(PoolState::of).collect())
    }
}

/// Keeps a pool's nodes where they are while the control plane moves on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PausePool {
    /// Which; never `master`.
    pub pool: PoolName,
}

/// A pool that is paused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PoolPaused {
    /// The pool as it then was.
    pub pool: PoolState,
    /// Whether it was paused already.
    pub already: bool,
}

impl Activity for PausePool {
    const NAME: ActivityName = ActivityName::new("pause-pool");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = PoolPaused;

    fn summary(&self) -> String {
        format!("pause pool {}", self.pool)
    }

    fn requests(&self) -> Vec<String> {
        vec![paused_line(&self.pool, true)]
    }

    fn assumed(&self) -> Option<PoolPaused> {
        Some(PoolPaused { pool: PoolState::unseen(&self.pool, true), already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<PoolPaused, ActivityError> {
        if self.pool.as_str() == MASTER {
            let message = "pool master must not be paused: the update would wait for it for ever";
            return Err(ActivityError::permanent("not-pausable", message));
        }
        let pool: MachineConfigPool = cx.world().must_get(None, self.pool.as_str()).await?;
        if pool.spec.paused {
            return Ok(PoolPaused { pool: PoolState::of(&pool), already: true });
        }
        let paused = set_paused(cx.world(), &self.pool, true).await?;
        Ok(PoolPaused { pool: PoolState::of(&paused), already: false })
    }
}

async fn set_paused(cluster: &Cluster, pool: &PoolName, paused: bool) -> Result<MachineConfigPool, ActivityError> {
    Ok(cluster.patch(None, pool.as_str(), &paused_patch(paused)).await?)
}

fn paused_patch(paused: bool) -> Patch {
    Patch::Merge(json!({"spec": {"paused": paused}}))
}

fn paused_line(pool: &PoolName, paused: bool) -> String {
    patch_line::<MachineConfigPool>(None, pool.as_str(), &paused_patch(paused))
}

/// Lets a pool go: its nodes begin to drain and reboot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReleasePool {
    /// Which.
    pub pool: PoolName,
    /// The configuration that its nodes had when it was paused.
    pub was: RenderedConfig,
}

/// A pool that was let go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PoolReleased {
    /// The pool as it then was.
    pub pool: PoolState,
}

impl Activity for ReleasePool {
    const NAME: ActivityName = ActivityName::new("release-pool");
    const EFFECT: Effect = Effect::Irreversible;
    type World = Cluster;
    type Output = PoolReleased;

    fn summary(&self) -> String {
        format!("unpause pool {}: its nodes drain and reboot", self.pool)
    }

    fn requests(&self) -> Vec<String> {
        vec![paused_line(&self.pool, false)]
    }

    fn assumed(&self) -> Option<PoolReleased> {
        Some(PoolReleased { pool: PoolState::unseen(&self.pool, false) })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<PoolReleased, ActivityError> {
        let pool: MachineConfigPool = cx.world().must_get(None, self.pool.as_str()).await?;
        let released = if pool.spec.paused { set_paused(cx.world(), &self.pool, false).await? } else { pool };
        Ok(PoolReleased { pool: PoolState::of(&released) })
    }

    async fn probe(&self, cx: ActivityContext<Cluster>) -> Result<Probe<PoolReleased>, ActivityError> {
        let pool: Option<MachineConfigPool> = cx.world().get(None, self.pool.as_str()).await?;
        Ok(match pool {
            None => Probe::CannotTell(format!("pool {} no longer exists", self.pool)),
            Some(pool) if pool.spec.paused => Probe::DidNotHappen(format!("pool {} is paused", self.pool)),
            Some(pool) => Probe::Happened {
                output: PoolReleased { pool: PoolState::of(&pool) },
                evidence: format!("pool {} is not paused and moves from {} to {}", self.pool, self.was, target(&pool)),
            },
        })
    }
}

fn target(pool: &MachineConfigPool) -> &str {
    &pool.spec.configuration.name
}

/// Gives a pause back without starting anything: only if the pool has nothing to roll out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReturnPool {
    /// Which.
    pub pool: PoolName,
}

/// What became of a pause that was to be given back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolReturned {
    /// The pool is no longer paused.
    Returned,
    /// It was not paused.
    AlreadyReturned,
    /// It stays paused, since unpausing would reboot its nodes; a person decides when.
    Owed {
        /// What unpausing would do, and how.
        why: String,
    },
    /// The pool no longer exists.
    Gone,
}

impl Activity for ReturnPool {
    const NAME: ActivityName = ActivityName::new("return-pool");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = PoolReturned;

    fn summary(&self) -> String {
        format!("unpause pool {} if that reboots nothing", self.pool)
    }

    fn requests(&self) -> Vec<String> {
        vec![paused_line(&self.pool, false)]
    }

    fn assumed(&self) -> Option<PoolReturned> {
        Some(PoolReturned::Returned)
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<PoolReturned, ActivityError> {
        let pool: Option<MachineConfigPool> = cx.world().get(None, self.pool.as_str()).await?;
        let outcome = pool.as_ref().map_or(PoolReturned::Gone, returnable);
        if outcome == PoolReturned::Returned {
            set_paused(cx.world(), &self.pool, false).await?;
        }
        Ok(outcome)
    }
}

fn returnable(pool: &MachineConfigPool) -> PoolReturned {
    let (name, target, rolled_out) = (pool.name(), target(pool), &pool.status.configuration.name);
    if !pool.spec.paused {
        return PoolReturned::AlreadyReturned;
    }
    if target == rolled_out {
        return PoolReturned::Returned;
    }
    let why = format!(
        "unpausing pool {name} reboots its {} nodes to move them from {rolled_out} to {target}; when that suits, run \
         `oc patch mcp/{name} --type=merge -p '{{\"spec\":{{\"paused\":false}}}}'`",
        pool.status.machine_count
    );
    PoolReturned::Owed { why }
}

/// Waits until every node of a pool has the pool's target and is back; follows the target if it moves.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitPool {
    /// Which.
    pub pool: PoolName,
    /// The configuration from before the rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<RenderedConfig>,
}

/// A pool that is rolled out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PoolRolledOut {
    /// The pool as it then was.
    pub pool: PoolState,
    /// Every target that was waited for, in order; more than one means that somebody changed a configuration.
    pub targets: Vec<RenderedConfig>,
    /// What was seen.
    pub evidence: String,
}

impl Activity for AwaitPool {
    const NAME: ActivityName = ActivityName::new("await-pool");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = PoolRolledOut;

    fn summary(&self) -> String {
        format!("wait until every node of pool {} is updated and back", self.pool)
    }

    fn assumed(&self) -> Option<PoolRolledOut> {
        Some(PoolRolledOut { pool: PoolState::unseen(&self.pool, false), targets: Vec::new(), evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<PoolRolledOut, ActivityError> {
        let mut rollout = Rollout { input: self, began: cx.now(), targets: Vec::new() };
        let seen = wait_for(&cx, Wait::default(), |snapshot| rollout.judge(snapshot, cx.now())).await?;
        let Some(pool) = seen.snapshot.pool(&rollout.input.pool) else {
            return Err(ActivityError::transient("not-found", format!("pool {} vanished", rollout.input.pool)));
        };
        Ok(PoolRolledOut { pool: PoolState::of(pool), targets: rollout.targets, evidence: seen.evidence })
    }
}

/// A pool on its way, with the targets it had.
struct Rollout {
    input: AwaitPool,
    began: Timestamp,
    targets: Vec<RenderedConfig>,
}

impl Rollout {
    fn judge(&mut self, snapshot: &Snapshot, now: Timestamp) -> Verdict {
        let nothing_to_do = now.since(self.began) >= RENDER_LIMIT;
        let was = self.input.was.as_ref().filter(|_| !nothing_to_do);
        if let Some(pool) = snapshot.pool(&self.input.pool) {
            let target = RenderedConfig::new(target(pool));
            if self.input.was.as_ref() != Some(&target) && self.targets.last() != Some(&target) {
                self.targets.push(target);
            }
        }
        let mut verdict = pool_rolled_out(snapshot, &self.input.pool, was);
        if let (Verdict::NotYet { reasons }, [.., before, last]) = (&mut verdict, self.targets.as_slice()) {
            let what = format!("was given another configuration on the way, {last} after {before}; it is followed");
            reasons.push(crate::condition::Reason::waiting(format!("pool {}", self.input.pool), what));
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::fixtures::{at, healthy, pool};

    #[test]
    fn a_pause_is_given_back_only_if_that_reboots_nothing() {
        let check = |edit: &dyn Fn(&mut MachineConfigPool), expect: PoolReturned| {
            let mut snapshot = healthy();
            pool(&mut snapshot, "worker", |pool| {
                pool.spec.paused = true;
                edit(pool);
            });
            assert_eq!(returnable(snapshot.pool(&"worker".into()).unwrap()), expect);
        };
        check(&|_| {}, PoolReturned::Returned);
        check(&|pool| pool.spec.paused = false, PoolReturned::AlreadyReturned);
        let why = "unpausing pool worker reboots its 2 nodes to move them from rendered-worker-r0 to rendered-worker-r1; \
                   when that suits, run `oc patch mcp/worker --type=merge -p '{\"spec\":{\"paused\":false}}'`";
        check(&|pool| pool.spec.configuration.name = "rendered-worker-r1".to_owned(), PoolReturned::Owed { why: why.to_owned() });
    }

    #[test]
    fn a_target_that_moves_is_followed_and_said() {
        let mut snapshot = healthy();
        let input = AwaitPool { pool: "worker".into(), was: Some("rendered-worker-r0".into()) };
        let mut rollout = Rollout { input, began: at(0), targets: Vec::new() };
        let mut check = |config: &str, minute: i64, last_reason: Option<&str>| {
            pool(&mut snapshot, "worker", |pool| pool.spec.configuration.name = config.to_owned());
            let verdict = rollout.judge(&snapshot, at(minute));
            assert_eq!(verdict.reasons().last().map(ToString::to_string).as_deref(), last_reason, "{verdict}");
        };
        check(
            "rendered-worker-r0",
            1,
            Some("pool worker still targets rendered-worker-r0; the update's configuration is not rendered yet"),
        );
        check("rendered-worker-r1", 2, Some("2 nodes wait for their turn, among them worker-0, at rendered-worker-r0"));
        check(
            "rendered-worker-r2",
            3,
            Some(
                "pool worker was given another configuration on the way, rendered-worker-r2 after rendered-worker-r1; \
                 it is followed",
            ),
        );
        assert_eq!(rollout.targets, ["rendered-worker-r1".into(), "rendered-worker-r2".into()]);
    }

    #[test]
    fn a_pool_with_nothing_to_roll_out_is_let_through_after_a_while() {
        let snapshot = healthy();
        let input = AwaitPool { pool: "worker".into(), was: Some("rendered-worker-r0".into()) };
        let mut rollout = Rollout { input, began: at(0), targets: Vec::new() };
        assert!(!rollout.judge(&snapshot, at(9)).is_met());
        assert!(rollout.judge(&snapshot, at(10)).is_met());
    }
}
