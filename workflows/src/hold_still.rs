//! What an update changes for its own time, and how that is given back on every ending.

use std::collections::{BTreeMap, BTreeSet};

use windlass_activities::canary::{ReadWave, Wave};
use windlass_activities::machine_health::{HealthCheckResumed, ListHealthChecks, PauseHealthCheck, ResumeHealthCheck};
use windlass_activities::pool::{ListPools, PausePool, PoolReturned, PoolState, ReturnPool};
use windlass_activities::{HealthCheckName, PoolName};
use windlass_engine::{WorkflowContext, WorkflowError, WorkflowResult};

use crate::canary::give_wave_back;

/// The pool that the update itself rolls; pausing it would make the update wait for ever.
const MASTER: &str = "master";

/// The temporary changes that are out.
#[derive(Default)]
pub(crate) struct Held {
    pools: BTreeSet<PoolName>,
    health_checks: BTreeSet<HealthCheckName>,
    waves: BTreeMap<PoolName, Wave>,
    /// What stays out on purpose, in words.
    kept: Vec<String>,
}

impl Held {
    /// Pauses the machine health checks, then every pool with nodes but `master`; those come back, smallest first. The health
    /// checks of a single node are left alone: none of its machines could be replaced while it is away.
    pub(crate) async fn hold_still(&mut self, ctx: &WorkflowContext) -> WorkflowResult<Vec<PoolState>> {
        ctx.status("holding the other pools and the health checks still");
        let pools = if ctx.patched("pools-before-health-checks") {
            let pools = ctx.run(ListPools {}).await?;
            if !is_single_node(&pools) {
                self.pause_health_checks(ctx).await?;
            }
            pools
        } else {
            self.pause_health_checks(ctx).await?;
            ctx.run(ListPools {}).await?
        };
        let pools = to_hold(pools);
        for pool in &pools {
            ctx.hold(pool_key(&pool.name), pool_text(&pool.name), &pool.paused)?;
            self.pools.insert(pool.name.clone());
            ctx.run(PausePool { pool: pool.name.clone() }).await?;
        }
        Ok(pools)
    }

    /// Pauses the machine health checks alone, for nodes that all reboot at once.
    pub(crate) async fn hold_health_checks(&mut self, ctx: &WorkflowContext) -> WorkflowResult<()> {
        self.pause_health_checks(ctx).await
    }

    async fn pause_health_checks(&mut self, ctx: &WorkflowContext) -> WorkflowResult<()> {
        for check in ctx.run(ListHealthChecks {}).await? {
            if check.paused.is_none() {
                ctx.hold(health_key(&check.name), health_text(&check.name), &check.paused)?;
                self.health_checks.insert(check.name.clone());
                ctx.run(PauseHealthCheck { name: check.name }).await?;
            }
        }
        Ok(())
    }

    /// Notes that a pool was let go by its own step.
    pub(crate) fn let_go(&mut self, ctx: &WorkflowContext, pool: &PoolName) {
        if self.pools.remove(pool) {
            ctx.give_back(pool_key(pool));
        }
    }

    /// Notes the pool of a wave and the labels of its nodes, right before they are made.
    pub(crate) fn hold_wave(&mut self, ctx: &WorkflowContext, wave: &Wave) -> WorkflowResult<()> {
        ctx.hold(wave_key(&wave.pool), wave_text(wave), &None::<PoolName>)?;
        self.waves.insert(wave.pool.clone(), wave.clone());
        Ok(())
    }

    /// Notes that a wave was given back by its own step.
    pub(crate) fn wave_given_back(&mut self, ctx: &WorkflowContext, pool: &PoolName) {
        if self.waves.remove(pool).is_some() {
            ctx.give_back(wave_key(pool));
        }
    }

    /// Lets the health checks that this run paused go on.
    pub(crate) async fn resume_health_checks(&mut self, ctx: &WorkflowContext) -> WorkflowResult<()> {
        while let Some(name) = self.health_checks.first().cloned() {
            let outcome = ctx.run(ResumeHealthCheck { name: name.clone() }).await?;
            self.health_checks.remove(&name);
            match outcome {
                HealthCheckResumed::Resumed
                | HealthCheckResumed::AlreadyActive
                | HealthCheckResumed::PausedByOther { .. }
                | HealthCheckResumed::Gone => ctx.give_back(health_key(&name)),
            }
        }
        Ok(())
    }

    /// Leaves the health checks that this run paused as they are, on record as held, for a reason that the run's end tells.
    pub(crate) fn keep_health_checks(&mut self, why: &str) {
        let names: Vec<&str> = self.health_checks.iter().map(HealthCheckName::as_str).collect();
        let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
        self.kept.push(format!("{why}{names}"));
        self.health_checks.clear();
    }

    /// Gives back what can be given back without rebooting anything; the rest is named, and stays on record as held.
    pub(crate) async fn give_back(&mut self, ctx: &WorkflowContext) -> WorkflowResult<Vec<String>> {
        if !self.pools.is_empty() || !self.health_checks.is_empty() || !self.waves.is_empty() {
            ctx.status("giving back what was changed for the update");
        }
        let mut owed = Vec::new();
        for pool in std::mem::take(&mut self.pools) {
            match ctx.run(ReturnPool { pool: pool.clone() }).await? {
                PoolReturned::Returned | PoolReturned::AlreadyReturned | PoolReturned::Gone => ctx.give_back(pool_key(&pool)),
                PoolReturned::Owed { why } => owed.push(why),
            }
        }
        owed.extend(self.give_waves_back(ctx).await?);
        self.resume_health_checks(ctx).await?;
        Ok(owed)
    }

    /// Ends a run, however it went: gives back what can be, and adds what is owed to the error.
    pub(crate) async fn end<T>(mut self, ctx: &WorkflowContext, outcome: WorkflowResult<T>) -> WorkflowResult<T> {
        let mut owed = self.give_back(ctx).await?;
        owed.append(&mut self.kept);
        match outcome {
            Err(error) if !owed.is_empty() => Err(WorkflowError::Failed(format!("{error}; still owed: {}", owed.join("; ")))),
            outcome => outcome,
        }
    }

    /// Comes after the pauses: nodes go back only into a pool that takes them.
    async fn give_waves_back(&mut self, ctx: &WorkflowContext) -> WorkflowResult<Vec<String>> {
        let mut owed = Vec::new();
        for (pool, wave) in std::mem::take(&mut self.waves) {
            let state = ctx.run(ReadWave { wave: wave.clone() }).await?;
            match give_wave_back(ctx, state).await {
                Ok(None) => ctx.give_back(wave_key(&pool)),
                Ok(Some(why)) => owed.push(why),
                // The rest is given back all the same.
                Err(WorkflowError::Activity { error, .. }) => owed.push(format!("{error}; {}", wave.by_hand())),
                Err(other) => return Err(other),
            }
        }
        Ok(owed)
    }
}

/// The pools that an update holds still, in the order in which they are let go: smallest first, so that a bad release is found
/// where it hurts least.
pub(crate) fn to_hold(mut pools: Vec<PoolState>) -> Vec<PoolState> {
    pools.retain(|pool| pool.name.as_str() != MASTER && pool.nodes > 0);
    pools.sort_by(|a, b| (a.nodes, &a.name).cmp(&(b.nodes, &b.name)));
    pools
}

/// Whether the only node is a control-plane node.
fn is_single_node(pools: &[PoolState]) -> bool {
    let mut with_nodes = pools.iter().filter(|pool| pool.nodes > 0);
    with_nodes.next().is_some_and(|pool| pool.name.as_str() == MASTER && pool.nodes == 1) && with_nodes.next().is_none()
}

fn pool_key(pool: &PoolName) -> String {
    format!("pool/{pool}/paused")
}

fn pool_text(pool: &PoolName) -> String {
    format!("pool {pool} is paused; by hand: oc patch mcp/{pool} --type=merge -p '{{\"spec\":{{\"paused\":false}}}}'")
}

fn wave_key(pool: &PoolName) -> String {
    format!("pool/{pool}/wave")
}

fn wave_text(wave: &Wave) -> String {
    format!("pool {} and its label are windlass's own; by hand, {}", wave.pool, wave.by_hand())
}

fn health_key(check: &HealthCheckName) -> String {
    format!("machine-health-check/{check}/paused")
}

fn health_text(check: &HealthCheckName) -> String {
    format!(
        "machine health check {check} is paused; by hand: oc -n openshift-machine-api annotate mhc/{check} cluster.x-k8s.io/paused-"
    )
}
