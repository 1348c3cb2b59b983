//! Every host is told to reboot once, and is waited for through the time without an API.

use std::time::Duration;

use windlass_activities::network::reboot::{ArmReboot, AwaitReboots, Boot};
use windlass_engine::{RetryPolicy, Timestamp, WorkflowResult};

use super::Exchange;
use crate::insist::insist;
use crate::patience::PATIENT;

/// The vendor speaks of 20 minutes without an API; bare metal takes 20 for one boot.
const OUTAGE_MINUTES: u32 = 60;

/// What can't be done while the API is away is done when it is back, without a person: hosts were told already. Two hours.
const THROUGH_OUTAGE: RetryPolicy =
    RetryPolicy { initial: Duration::from_secs(2), factor: 2.0, longest: Duration::from_secs(60), attempts: 120 };

/// All nodes reboot at once.
const REBOOTS_LIMIT: Duration = Duration::from_secs(3 * 3600);

impl Exchange<'_> {
    pub(super) async fn arm(&self, boots: &[Boot], at: Timestamp) -> WorkflowResult<()> {
        for boot in boots {
            let unit = format!("windlass-reboot-{}-{}", self.ctx.run_id(), boot.node);
            let arm = ArmReboot { boot: boot.clone(), at, unit, way: self.input.reboot_by.clone() };
            insist(self.ctx, &format!("arm-{}", boot.node), |_| self.ctx.run(arm.clone()).retry(THROUGH_OUTAGE)).await?;
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
        // The API may go once more: operators and its own servers settle.
        self.healthy_with(THROUGH_OUTAGE, "after-reboots").await
    }
}
