//! Every host is told to reboot once, and is waited for through the time without an API.

use std::time::Duration;

use windlass_activities::network::NetworkPlugin;
use windlass_activities::network::reboot::{ArmReboot, AwaitReboots, Boot};
use windlass_engine::{RetryPolicy, Timestamp, WorkflowResult};

use super::{Exchange, Outage};
use crate::hold_still::Held;
use crate::insist::insist;
use crate::patience::PATIENT;
use crate::{OVN_TO_SDN, SDN_TO_OVN};

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
        self.outage = Outage::None;
        // The API may go once more: operators and its own servers settle.
        self.healthy_with(THROUGH_OUTAGE, "after-reboots").await
    }

    /// A run that ends in the outage gives health checks back only when it has seen every node come back: they would replace nodes that
    /// boot. Nodes that nobody told to reboot are a person's, and the checks with them.
    pub(super) async fn end_outage(&mut self, held: &mut Held) {
        let boots = match std::mem::replace(&mut self.outage, Outage::None) {
            Outage::None => return,
            Outage::Switched => return held.keep_health_checks(&self.still_out()),
            Outage::Told(boots) => boots,
        };
        self.ctx.status("waiting for the nodes that reboot, before health checks go on");
        let wait = AwaitReboots { boots, outage_minutes: OUTAGE_MINUTES };
        if self.ctx.run(wait).timeout(REBOOTS_LIMIT).retry(PATIENT).await.is_err() {
            held.keep_health_checks(&self.still_out());
        }
    }

    fn still_out(&self) -> String {
        let (from, to) = (self.from, self.to);
        let workflow = if from == NetworkPlugin::OpenShiftSdn { SDN_TO_OVN } else { OVN_TO_SDN };
        format!(
            "the network is switched from {from} to {to} and not every node was seen to reboot: `windlass adopt-procedure {workflow}` \
             goes on; machine health checks stay paused until then, or they would replace nodes that boot"
        )
    }
}
