//! Every host is told to reboot once, and is waited for through the time without an API.

use std::time::Duration;

use windlass_activities::network::reboot::{ArmReboot, AwaitReboots, Boot};
use windlass_engine::{Timestamp, WorkflowResult};

use super::Exchange;
use crate::insist::insist;
use crate::patience::PATIENT;

/// The vendor speaks of 20 minutes without an API; bare metal takes 20 for one boot.
const OUTAGE_MINUTES: u32 = 60;

/// All nodes reboot at once.
const REBOOTS_LIMIT: Duration = Duration::from_secs(3 * 3600);

impl Exchange<'_> {
    pub(super) async fn arm(&self, boots: &[Boot], at: Timestamp) -> WorkflowResult<()> {
        for boot in boots {
            let unit = format!("windlass-reboot-{}-{}", self.ctx.run_id(), boot.node);
            let arm = ArmReboot { boot: boot.clone(), at, unit };
            insist(self.ctx, &format!("arm-{}", boot.node), |_| self.ctx.run(arm.clone())).await?;
        }
        Ok(())
    }

    /// Waits through the time without an API until every node is in another boot.
    pub(super) async fn reboot(&mut self, boots: &[Boot]) -> WorkflowResult<()> {
        let ctx = self.ctx;
        ctx.status("all nodes reboot; the API goes away and comes back");
        let wait = AwaitReboots { boots: boots.to_vec(), outage_minutes: OUTAGE_MINUTES };
        let seen = insist(ctx, "reboots", |_| ctx.run(wait.clone()).timeout(REBOOTS_LIMIT).retry(PATIENT)).await?;
        self.evidence.push(seen.evidence);
        self.healthy("after-reboots").await
    }
}
