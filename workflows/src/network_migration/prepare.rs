//! The nodes are prepared: each drains and reboots once, pool by pool, while workloads go on.

use windlass_activities::network::operator::PrepareMigration;
use windlass_activities::network::prepared::CheckPrepared;
use windlass_engine::{Gate, WorkflowResult};

use super::{Exchange, OWED};
use crate::hold_still::Held;
use crate::insist::insist;
use crate::patience::HEALTH_LIMIT;

/// The gate before nodes are prepared.
const PREPARE_GATE: &str = "prepare-nodes";

impl Exchange<'_> {
    /// Has every node drained, prepared and rebooted, a pool's at a time, and proves it.
    pub(super) async fn prepare(&self, held: &mut Held) -> WorkflowResult<()> {
        let ctx = self.ctx;
        let nodes: u32 = self.pools().await?.iter().map(|pool| pool.nodes).sum();
        let question =
            format!("Prepare {nodes} nodes for {}? Each drains and reboots once, pool by pool; workloads go on.", self.to);
        ctx.gate(Gate::new(PREPARE_GATE, question)).await?;
        // A health check would replace nodes that are long in booting.
        held.hold_health_checks(ctx).await?;
        self.owe()?;
        ctx.status(format!("preparing all nodes for {}", self.to));
        // Right before the change, because a person may have taken days to agree: a green that is older is no proof.
        let pools = self.pools().await?;
        let settings = self.input.settings.clone();
        ctx.run(PrepareMigration { to: self.to, features: self.input.features, settings }).await?;
        self.applied(self.from, Some(self.to), "accepted").await?;
        self.pools_rolled_out(&pools, "prepared").await?;
        self.proven().await
    }

    /// Proves that every node is prepared, and that the cluster is well.
    pub(super) async fn proven(&self) -> WorkflowResult<()> {
        let check = CheckPrepared { to: self.to };
        insist(self.ctx, "prepared", |_| self.ctx.run(check.clone()).timeout(HEALTH_LIMIT)).await?;
        self.healthy("before-switch").await
    }

    /// Notes that the migration is under way until it is ended.
    pub(super) fn owe(&self) -> WorkflowResult<()> {
        let text = format!(
            "a migration of the network to {} is under way; `windlass resume` goes on; taking spec.migration out of \
             networks.operator.openshift.io/cluster before the switch reboots every node once more",
            self.to
        );
        self.ctx.hold(OWED, text, &self.from)
    }
}
