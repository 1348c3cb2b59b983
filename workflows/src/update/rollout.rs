//! Letting a pool go: once a person agrees, in a window that it fits, and waited for until all of its nodes are back.

use std::time::Duration;

use windlass_activities::PoolName;
use windlass_activities::pool::{AwaitPool, PoolState, ReleasePool};
use windlass_engine::{Approval, Gate, WorkflowContext, WorkflowResult};

use crate::hold_still::Held;
use crate::insist::insist;
use crate::patience::PATIENT;
use crate::terms::Terms;
use crate::update::begin::{Disruptive, ready};

/// A node takes 5 minutes in a cloud and 18 on bare metal; a drain that is blocked is called degraded after an hour.
const NODE_LIMIT: Duration = Duration::from_secs(45 * 60);

/// Rendering, and the last node's way back.
const POOL_MARGIN: Duration = Duration::from_secs(3600);

/// Lets one pool go and waits until all of its nodes are back.
pub(super) async fn release(ctx: &WorkflowContext, terms: &Terms, pool: &PoolState, held: &mut Held) -> WorkflowResult<()> {
    ctx.status(format!("pool {}", pool.name));
    let spread = terms.estimates().pool(pool.nodes, &pool.max_unavailable);
    let step = Disruptive {
        name: &format!("pool-{}", pool.name),
        what: &format!("unpause pool {}", pool.name),
        needs: Duration::from_secs(spread.p90_seconds),
        before_hop: false,
    };
    // With windows a person decides first, in daylight; the window and the cluster's health come last, right before the act.
    let approval = if terms.windows.is_some() {
        let approval = ask(ctx, pool).await?;
        ready(ctx, terms, &step).await?;
        approval
    } else {
        ready(ctx, terms, &step).await?;
        ask(ctx, pool).await?
    };
    let was = pool.target.clone();
    ctx.run(ReleasePool { pool: pool.name.clone(), was: was.clone() }).approved(&approval).await?;
    held.let_go(ctx, &pool.name);
    let wait = AwaitPool { pool: pool.name.clone(), was: Some(was) };
    let limit = NODE_LIMIT * pool.nodes.max(1) + POOL_MARGIN;
    insist(ctx, &format!("rollout-{}", pool.name), |_| ctx.run(wait.clone()).timeout(limit).retry(PATIENT)).await.map(drop)
}

/// A paused pool is forgotten easily and gets no updates; letting it go reboots every node. So a person is asked each time.
async fn ask(ctx: &WorkflowContext, pool: &PoolState) -> WorkflowResult<Approval> {
    let question =
        format!("Unpause pool {}? Its {} nodes drain and reboot, {} at a time.", pool.name, pool.nodes, pool.max_unavailable);
    ctx.gate(Gate::new(release_gate(&pool.name), question)).await
}

/// The gate before a pool is let go.
fn release_gate(pool: &PoolName) -> String {
    format!("release-pool-{pool}")
}
