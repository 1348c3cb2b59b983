//! The point of no return: the plugin is switched, in a window.

use std::time::Duration;

use windlass_activities::network::prepared::CheckPrepared;
use windlass_activities::network::reboot::{Boot, Boots, ReadBoots};
use windlass_activities::network::switch::{AwaitMultus, SwitchPlugin};
use windlass_engine::{Gate, WorkflowError, WorkflowResult};

use super::waits::OPERATOR_LIMIT;
use super::{Exchange, OWED, Outage};
use crate::insist::insist;
use crate::patience::HEALTH_LIMIT;
use crate::window::in_window;

/// Multus is waited for so long, as in the vendor's own tests; on nodes without a network it can't be rolled out.
const MULTUS_MINUTES: u32 = 5;

/// From the first host that is told to reboot to the first that does, and as much again a node: a second or two to tell each.
const LEAD: Duration = Duration::from_secs(60);
const LEAD_A_NODE: Duration = Duration::from_secs(3);

/// The control plane reboots so long after the others, so that all are told before the API goes.
const CONTROL_PLANE_AFTER: Duration = Duration::from_secs(180);

/// From the switch to a cluster that is well again, in nine of ten cases: multus, all hosts told, one boot of bare metal, operators.
const OUTAGE_P90: Duration = Duration::from_secs(90 * 60);

/// The gate before the plugin is switched.
const SWITCH_GATE: &str = "switch-network";

impl Exchange<'_> {
    /// The point of no return: from here on only reboots bring the network back. Returns the boots that are to end.
    pub(super) async fn switch(&mut self) -> WorkflowResult<Vec<Boot>> {
        let ctx = self.ctx;
        let question = format!(
            "Switch the network from {} to {}? Pods lose it at once, on every node, until all nodes have rebooted together. The API \
             will be away for 5 to 20 minutes, longer on bare metal. There is no way back but the same way once more.",
            self.from, self.to
        );
        let approval = ctx.gate(Gate::new(SWITCH_GATE, question)).await?;
        self.in_window().await?;
        ctx.status(format!("switching the network to {}", self.to));
        let switch = SwitchPlugin { from: self.from, to: self.to, cluster_network: self.input.cluster_network.clone() };
        let switched = ctx.run(switch).approved(&approval).await;
        // What was cancelled on its way may have arrived.
        if !matches!(switched, Err(WorkflowError::Activity { .. })) {
            self.outage = Outage::Switched;
        }
        switched?;
        self.applied(self.to, Some(self.to), "switched").await?;
        ctx.run(AwaitMultus { minutes: MULTUS_MINUTES }).timeout(OPERATOR_LIMIT).await?;
        // Only now: a node that rebooted before the switch was applied runs the old plugin.
        let boots = ctx.run(ReadBoots {}).await?;
        self.tell_all(boots).await
    }

    /// Tells nodes to reboot, the control plane after the others, and returns all of them.
    pub(super) async fn tell_all(&mut self, boots: Boots) -> WorkflowResult<Vec<Boot>> {
        let ctx = self.ctx;
        ctx.status("telling nodes to reboot");
        let count = u32::try_from(boots.workers.len() + boots.control_plane.len()).unwrap_or(u32::MAX);
        let at = ctx.now().plus(LEAD + LEAD_A_NODE * count);
        self.arm(&boots.workers, at).await?;
        self.arm(&boots.control_plane, at.plus(CONTROL_PLANE_AFTER)).await?;
        let told: Vec<Boot> = boots.workers.into_iter().chain(boots.control_plane).collect();
        self.outage = Outage::Told(told.clone());
        Ok(told)
    }

    /// Waits for a window that the whole outage fits, with the cluster well and every node prepared when it begins.
    async fn in_window(&self) -> WorkflowResult<()> {
        let Some(calendar) = &self.input.windows else { return Ok(()) };
        loop {
            let latest_start = in_window(self.ctx, calendar, OWED, "switch the network", OUTAGE_P90).await?;
            // Days may have passed.
            let check = CheckPrepared { to: self.to };
            insist(self.ctx, "still-prepared", |_| self.ctx.run(check.clone()).timeout(HEALTH_LIMIT)).await?;
            self.healthy("in-window").await?;
            if latest_start.is_none_or(|latest| self.ctx.now() <= latest) {
                return Ok(());
            }
        }
    }
}
