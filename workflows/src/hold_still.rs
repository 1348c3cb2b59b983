//! What an update changes for its own time, and how that is given back on every ending.

use std::collections::BTreeSet;

use windlass_activities::machine_health::{HealthCheckResumed, ListHealthChecks, PauseHealthCheck, ResumeHealthCheck};
use windlass_activities::pool::{ListPools, PausePool, PoolReturned, PoolState, ReturnPool};
use windlass_activities::{HealthCheckName, PoolName};
use windlass_engine::{WorkflowContext, WorkflowResult};

/// The pool that the update itself rolls; pausing it would make the update wait for ever.
const MASTER: &str = "master";

/// The temporary changes that are out.
#[derive(Default)]
pub(crate) struct Held {
    pools: BTreeSet<PoolName>,
    health_checks: BTreeSet<HealthCheckName>,
}

impl Held {
    /// Pauses the machine health checks, then every pool with nodes but `master`; those come back, smallest first.
    pub(crate) async fn hold_still(&mut self, ctx: &WorkflowContext) -> WorkflowResult<Vec<PoolState>> {
        ctx.status("holding the other pools and the health checks still");
        for check in ctx.run(ListHealthChecks {}).await? {
            if check.paused.is_none() {
                ctx.hold(health_key(&check.name), health_text(&check.name), &check.paused)?;
                self.health_checks.insert(check.name.clone());
                ctx.run(PauseHealthCheck { name: check.name }).await?;
            }
        }
        let pools = to_hold(ctx.run(ListPools {}).await?);
        for pool in &pools {
            ctx.hold(pool_key(&pool.name), pool_text(&pool.name), &pool.paused)?;
            self.pools.insert(pool.name.clone());
            ctx.run(PausePool { pool: pool.name.clone() }).await?;
        }
        Ok(pools)
    }

    /// Notes that a pool was let go by its own step.
    pub(crate) fn let_go(&mut self, ctx: &WorkflowContext, pool: &PoolName) {
        if self.pools.remove(pool) {
            ctx.give_back(pool_key(pool));
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

    /// Gives back what can be given back without rebooting anything; the rest is named, and stays on record as held.
    pub(crate) async fn give_back(&mut self, ctx: &WorkflowContext) -> WorkflowResult<Vec<String>> {
        if !self.pools.is_empty() || !self.health_checks.is_empty() {
            ctx.status("giving back what was changed for the update");
        }
        let mut owed = Vec::new();
        for pool in std::mem::take(&mut self.pools) {
            match ctx.run(ReturnPool { pool: pool.clone() }).await? {
                PoolReturned::Returned | PoolReturned::AlreadyReturned | PoolReturned::Gone => ctx.give_back(pool_key(&pool)),
                PoolReturned::Owed { why } => owed.push(why),
            }
        }
        self.resume_health_checks(ctx).await?;
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

fn pool_key(pool: &PoolName) -> String {
    format!("pool/{pool}/paused")
}

fn pool_text(pool: &PoolName) -> String {
    format!("pool {pool} is paused; by hand: oc patch mcp/{pool} --type=merge -p '{{\"spec\":{{\"paused\":false}}}}'")
}

fn health_key(check: &HealthCheckName) -> String {
    format!("machine-health-check/{check}/paused")
}

fn health_text(check: &HealthCheckName) -> String {
    format!(
        "machine health check {check} is paused; by hand: oc -n openshift-machine-api annotate mhc/{check} cluster.x-k8s.io/paused-"
    )
}
