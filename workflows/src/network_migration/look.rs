//! Before anything is changed: the look, the copy, and what somebody else left behind.

use std::time::Duration;

use windlass_activities::network::backup::BackUpNetwork;
use windlass_activities::network::check::{CheckMigration, MigrationReport};
use windlass_activities::network::operator::EndMigration;
use windlass_activities::network::policies::{BackUpHostPolicies, DeleteHostPolicy, HostPolicyDeleted};
use windlass_activities::network::reboot::{CheckLogins, RebootWay};
use windlass_activities::verify::CheckHealth;
use windlass_engine::{Gate, WorkflowError, WorkflowResult};

use super::Exchange;
use crate::hold_still::Held;
use crate::insist::insist;

/// The vendor's own limit for the operators before anything is changed, `OVN_SDN_MIGRATION_TIMEOUT`.
const HEALTH_SECONDS: u64 = 1200;

/// A host that is gone is given up after a minute, eight at a time.
const LOGINS_LIMIT: Duration = Duration::from_secs(30 * 60);

/// The gate before a migration of somebody else is taken back.
const LEFTOVER_GATE: &str = "take-back-migration";

/// The gate before policies of the hosts' network are deleted.
const POLICIES_GATE: &str = "delete-host-policies";

impl Exchange<'_> {
    /// Looks at everything that would stop the migration half way, and waits until the cluster is well.
    pub(crate) async fn look(&self) -> WorkflowResult<MigrationReport> {
        let report = self.check().await?;
        let limit = Duration::from_secs(self.input.health_seconds.unwrap_or(HEALTH_SECONDS));
        self.ctx.run(CheckHealth { before_hop: false }).timeout(limit).await?;
        Ok(report)
    }

    pub(super) async fn check(&self) -> WorkflowResult<MigrationReport> {
        let (ctx, input) = (self.ctx, self.input);
        ctx.status("looking at the cluster before anything is changed");
        let check = CheckMigration {
            from: self.from,
            to: self.to,
            features: input.features,
            settings: input.settings.clone(),
            cluster_network: input.cluster_network.clone(),
            adopt: input.adopt,
        };
        let report = ctx.run(check).await?;
        refuse(&[report.blockers.clone(), self.login_troubles().await?].concat())?;
        Ok(report)
    }

    /// Whether the hosts can be told that are still to reboot.
    pub(super) async fn check_logins(&self) -> WorkflowResult<()> {
        refuse(&self.login_troubles().await?)
    }

    /// Which hosts could not be told to reboot: once the network is switched, it is too late to let anybody in.
    async fn login_troubles(&self) -> WorkflowResult<Vec<String>> {
        let RebootWay::Ssh { user } = &self.input.reboot_by else { return Ok(Vec::new()) };
        let check = CheckLogins { user: user.clone() };
        Ok(self.ctx.run(check).timeout(LOGINS_LIMIT).await?.blockers)
    }

    pub(super) async fn back_up(&mut self) -> WorkflowResult<()> {
        let folder = self.ctx.run_id().to_string();
        let copy = insist(self.ctx, "backup", |_| self.ctx.run(BackUpNetwork { folder: folder.clone() })).await?;
        self.evidence.push(format!("the network before: {} (sha256 {})", copy.path, copy.sha256));
        Ok(())
    }

    /// Deletes the policies of the hosts' network that would keep the new plugin's bridge from being made, once a person agrees; the
    /// hosts stay as they are.
    pub(super) async fn delete_host_policies(&mut self, report: &MigrationReport) -> WorkflowResult<()> {
        let policies = &report.host_policies;
        if policies.is_empty() {
            return Ok(());
        }
        let (ctx, folder) = (self.ctx, self.ctx.run_id().to_string());
        let back_up = BackUpHostPolicies { folder, policies: policies.clone() };
        let copy = insist(ctx, "policies-backup", |_| ctx.run(back_up.clone())).await?;
        let each: Vec<String> = policies.iter().map(|policy| format!("{}: {}", policy.name, policy.why)).collect();
        let question = format!(
            "Delete these policies of the hosts' network? On a host whose default route they hold the bridge br-ex can't be made. The hosts \
             stay as they are, and the policies are not put back; they are in {}.\n- {}",
            copy.path,
            each.join("\n- ")
        );
        ctx.gate(Gate::new(POLICIES_GATE, question)).await?;
        for policy in policies {
            let delete = DeleteHostPolicy { policy: policy.clone() };
            let step = |_| ctx.run(delete.clone());
            if insist(ctx, &format!("policy-{}", policy.name), step).await? == HostPolicyDeleted::Another {
                self.evidence.push(format!("there is another policy {} now, which was left alone", policy.name));
            }
        }
        self.evidence.push(copy.evidence);
        Ok(())
    }

    /// Takes back a migration that somebody asked for before, once a person agrees: nodes that were prepared for it reboot.
    pub(super) async fn end_leftover(&self, report: &MigrationReport, held: &mut Held) -> WorkflowResult<()> {
        let Some(leftover) = &report.leftover else { return Ok(()) };
        let ctx = self.ctx;
        let question = format!(
            "Somebody asked for a migration of the network to {leftover} before. Take that back first? Every node that was prepared for \
             it drains and reboots; find out who asked for it, and why it was not finished."
        );
        ctx.gate(Gate::new(LEFTOVER_GATE, question)).await?;
        held.hold_health_checks(ctx).await?;
        ctx.status("taking back a migration that was asked for before");
        let pools = self.pools().await?;
        let end = EndMigration { applied: self.from };
        insist(ctx, "end-leftover", |_| ctx.run(end.clone())).await?;
        self.applied(self.from, None, "taken-back").await?;
        self.pools_rolled_out(&pools, "taken-back").await
    }
}

fn refuse(blockers: &[String]) -> WorkflowResult<()> {
    if blockers.is_empty() {
        return Ok(());
    }
    Err(WorkflowError::Failed(format!("the network can't be migrated now: {}", blockers.join("; "))))
}
