//! What a migration waits for more than once: the operator, the pools, a cluster that is well.

use std::time::Duration;

use windlass_activities::network::NetworkPlugin;
use windlass_activities::network::operator::AwaitNetworkOperator;
use windlass_activities::pool::{AwaitPool, ListPools, PoolState};
use windlass_activities::verify::CheckHealth;
use windlass_engine::{RetryPolicy, WorkflowResult};

use super::Exchange;
use crate::insist::insist;
use crate::patience::{HEALTH_LIMIT, PATIENT};

/// A node takes 5 minutes in a cloud and 18 on bare metal; a drain that is blocked is called degraded after an hour.
const NODE_LIMIT: Duration = Duration::from_secs(45 * 60);

/// Rendering, and the last node's way back.
const POOL_MARGIN: Duration = Duration::from_secs(3600);

/// The operator applies a change of the network within a minute or two.
pub(super) const OPERATOR_LIMIT: Duration = Duration::from_secs(20 * 60);

impl Exchange<'_> {
    pub(super) async fn applied(
        &self,
        applied: NetworkPlugin,
        migration: Option<NetworkPlugin>,
        name: &str,
    ) -> WorkflowResult<()> {
        let wait = AwaitNetworkOperator { applied, migration };
        let step = |_| self.ctx.run(wait.clone()).timeout(OPERATOR_LIMIT).retry(PATIENT);
        insist(self.ctx, &format!("operator-{name}"), step).await.map(drop)
    }

    /// The pools that have nodes, each with the configuration that it has.
    pub(super) async fn pools(&self) -> WorkflowResult<Vec<PoolState>> {
        let mut pools = self.ctx.run(ListPools {}).await?;
        pools.retain(|pool| pool.nodes > 0);
        Ok(pools)
    }

    /// Waits for all pools at the same time, because they roll at the same time; each gets another target than the one it had.
    pub(super) async fn pools_rolled_out(&self, pools: &[PoolState], name: &str) -> WorkflowResult<()> {
        self.await_pools(pools, true, name).await
    }

    /// The same for pools that have their target already.
    pub(super) async fn pools_settled(&self, pools: &[PoolState], name: &str) -> WorkflowResult<()> {
        self.await_pools(pools, false, name).await
    }

    async fn await_pools(&self, pools: &[PoolState], moves: bool, name: &str) -> WorkflowResult<()> {
        let ctx = self.ctx;
        let waits = pools.iter().map(|pool| async move {
            let wait = AwaitPool { pool: pool.name.clone(), was: moves.then(|| pool.target.clone()) };
            let limit = NODE_LIMIT * pool.nodes.max(1) + POOL_MARGIN;
            insist(ctx, &format!("{name}-{}", pool.name), |_| ctx.run(wait.clone()).timeout(limit).retry(PATIENT)).await
        });
        ctx.all(waits).await.into_iter().collect::<WorkflowResult<Vec<_>>>().map(drop)
    }

    pub(crate) async fn healthy(&self, name: &str) -> WorkflowResult<()> {
        self.healthy_with(PATIENT, name).await
    }

    pub(super) async fn healthy_with(&self, retry: RetryPolicy, name: &str) -> WorkflowResult<()> {
        let check = CheckHealth { before_hop: false };
        insist(self.ctx, &format!("health-{name}"), |_| self.ctx.run(check.clone()).timeout(HEALTH_LIMIT).retry(retry))
            .await
            .map(drop)
    }
}
