//! `sdn-to-ovn` and `ovn-to-sdn`: the network plugin of a cluster is exchanged, through the time in which its nodes can't reach one
//! another and the API is away. Source: the vendor's offline migration; what is done otherwise, and why, is in docs/sdn-to-ovn.md.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_activities::network::NetworkPlugin;
use windlass_activities::network::backup::BackUpNetwork;
use windlass_activities::network::check::{CheckMigration, MigrationReport};
use windlass_activities::network::operator::{AwaitNetworkOperator, EndMigration, PrepareMigration};
use windlass_activities::network::prepared::CheckPrepared;
use windlass_activities::network::reboot::{ArmReboot, AwaitReboots, Boot, ReadBoots};
use windlass_activities::network::remove::{AwaitNamespaceGone, ClearPluginSettings, DeleteNamespace, NamespaceDeleted};
use windlass_activities::network::settings::{ClusterRange, Features, OvnSettings};
use windlass_activities::network::switch::{AwaitMultus, SwitchPlugin};
use windlass_activities::pool::{AwaitPool, ListPools, PoolState};
use windlass_activities::verify::CheckHealth;
use windlass_activities::windows::Calendar;
use windlass_engine::{Gate, Timestamp, WorkflowContext, WorkflowError, WorkflowResult};

use crate::hold_still::Held;
use crate::insist::insist;
use crate::patience::{HEALTH_LIMIT, PATIENT};
use crate::window::in_window;

/// The vendor's own limit for the operators before anything is changed, `OVN_SDN_MIGRATION_TIMEOUT`.
const HEALTH_SECONDS: u64 = 1200;

/// A node takes 5 minutes in a cloud and 18 on bare metal; a drain that is blocked is called degraded after an hour.
const NODE_LIMIT: Duration = Duration::from_secs(45 * 60);

/// Rendering, and the last node's way back.
const POOL_MARGIN: Duration = Duration::from_secs(3600);

/// The operator applies a change of the network within a minute or two.
const OPERATOR_LIMIT: Duration = Duration::from_secs(20 * 60);

/// Multus is waited for so long, as in the vendor's own tests; on nodes without a network it can't be rolled out.
const MULTUS_MINUTES: u32 = 5;

/// From the first host that is told to reboot to the first that does, and as much again a node: a second or two to tell each.
const LEAD: Duration = Duration::from_secs(60);
const LEAD_A_NODE: Duration = Duration::from_secs(3);

/// The control plane reboots so long after the others, so that all are told before the API goes.
const CONTROL_PLANE_AFTER: Duration = Duration::from_secs(180);

/// The vendor speaks of 20 minutes without an API; bare metal takes 20 for one boot.
const OUTAGE_MINUTES: u32 = 60;

/// From the switch to a cluster that is well again, in nine of ten cases: multus, all hosts told, one boot of bare metal, operators.
const OUTAGE_P90: Duration = Duration::from_secs(90 * 60);

/// All nodes reboot at once.
const REBOOTS_LIMIT: Duration = Duration::from_secs(3 * 3600);

/// A namespace of a plugin has some hundred objects.
const NAMESPACE_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Under which key the unfinished migration is listed as owed.
pub(crate) const OWED: &str = "network-migration";

/// The gates before a migration of somebody else is taken back, before nodes are prepared, and before the plugin is switched.
const LEFTOVER_GATE: &str = "take-back-migration";
const PREPARE_GATE: &str = "prepare-nodes";
const SWITCH_GATE: &str = "switch-network";

/// What is to be done, whichever way.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkMigration {
    /// What is carried over.
    #[serde(skip_serializing_if = "Features::is_default")]
    pub features: Features,
    /// Settings of the new plugin.
    #[serde(skip_serializing_if = "OvnSettings::is_default")]
    pub settings: OvnSettings,
    /// Other addresses for the pods, if they are to change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster_network: Vec<ClusterRange>,
    /// When the network may be switched; at any time if absent. Nodes are prepared at any time, like with every other configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<Calendar>,
    /// How long the operators are given to be well before anything is changed, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_seconds: Option<u64>,
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NetworkMigrated {
    /// The plugin before.
    pub from: NetworkPlugin,
    /// The plugin now.
    pub to: NetworkPlugin,
    /// What was seen on the way, one line each.
    pub evidence: Vec<String>,
}

/// Migrates a cluster from OpenShift SDN to OVN-Kubernetes.
pub async fn sdn_to_ovn(ctx: WorkflowContext, input: NetworkMigration) -> WorkflowResult<NetworkMigrated> {
    migrate(ctx, input, NetworkPlugin::OpenShiftSdn, NetworkPlugin::OvnKubernetes).await
}

/// The way back to OpenShift SDN: the same way, with its two rounds of reboots.
pub async fn ovn_to_sdn(ctx: WorkflowContext, input: NetworkMigration) -> WorkflowResult<NetworkMigrated> {
    migrate(ctx, input, NetworkPlugin::OvnKubernetes, NetworkPlugin::OpenShiftSdn).await
}

/// Completed, failed or cancelled: health checks that were paused go on.
async fn migrate(
    ctx: WorkflowContext,
    input: NetworkMigration,
    from: NetworkPlugin,
    to: NetworkPlugin,
) -> WorkflowResult<NetworkMigrated> {
    let mut held = Held::default();
    let mut exchange = Exchange { ctx: &ctx, input: &input, from, to, evidence: Vec::new() };
    let done = exchange.carry_out(&mut held).await;
    let evidence = exchange.evidence;
    held.end(&ctx, done.map(|()| NetworkMigrated { from, to, evidence })).await
}

/// A migration that is under way.
struct Exchange<'a> {
    ctx: &'a WorkflowContext,
    input: &'a NetworkMigration,
    from: NetworkPlugin,
    to: NetworkPlugin,
    evidence: Vec<String>,
}

impl Exchange<'_> {
    async fn carry_out(&mut self, held: &mut Held) -> WorkflowResult<()> {
        let report = self.look().await?;
        self.back_up().await?;
        self.end_leftover(&report, held).await?;
        self.prepare(held).await?;
        let boots = self.switch().await?;
        self.reboot(&boots).await?;
        held.resume_health_checks(self.ctx).await?;
        self.clean_up(report.old_namespace).await
    }

    /// Looks at everything that would stop the migration half way, and waits until the cluster is well.
    async fn look(&self) -> WorkflowResult<MigrationReport> {
        let (ctx, input) = (self.ctx, self.input);
        ctx.status("looking at the cluster before anything is changed");
        let check = CheckMigration {
            from: self.from,
            to: self.to,
            features: input.features,
            settings: input.settings.clone(),
            cluster_network: input.cluster_network.clone(),
        };
        let report = ctx.run(check).await?;
        if !report.blockers.is_empty() {
            return Err(WorkflowError::Failed(format!("the network can't be migrated now: {}", report.blockers.join("; "))));
        }
        let limit = Duration::from_secs(input.health_seconds.unwrap_or(HEALTH_SECONDS));
        ctx.run(CheckHealth { before_hop: false }).timeout(limit).await?;
        Ok(report)
    }

    async fn back_up(&mut self) -> WorkflowResult<()> {
        let folder = self.ctx.run_id().to_string();
        let copy = insist(self.ctx, "backup", |_| self.ctx.run(BackUpNetwork { folder: folder.clone() })).await?;
        self.evidence.push(format!("the network before: {} (sha256 {})", copy.path, copy.sha256));
        Ok(())
    }

    /// Takes back a migration that somebody asked for before, once a person agrees: nodes that were prepared for it reboot.
    async fn end_leftover(&self, report: &MigrationReport, held: &mut Held) -> WorkflowResult<()> {
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

    /// Has every node drained, prepared and rebooted, a pool's at a time, and proves it.
    async fn prepare(&self, held: &mut Held) -> WorkflowResult<()> {
        let ctx = self.ctx;
        let nodes: u32 = self.pools().await?.iter().map(|pool| pool.nodes).sum();
        let question =
            format!("Prepare {nodes} nodes for {}? Each drains and reboots once, pool by pool; workloads go on.", self.to);
        ctx.gate(Gate::new(PREPARE_GATE, question)).await?;
        let text = format!(
            "a migration of the network to {} is under way; `windlass resume` goes on; taking spec.migration out of \
             networks.operator.openshift.io/cluster before the switch reboots every node once more",
            self.to
        );
        // A health check would replace nodes that are long in booting.
        held.hold_health_checks(ctx).await?;
        ctx.hold(OWED, text, &self.from)?;
        ctx.status(format!("preparing all nodes for {}", self.to));
        // Right before the change, because a person may have taken days to agree: a green that is older is no proof.
        let pools = self.pools().await?;
        let settings = self.input.settings.clone();
        ctx.run(PrepareMigration { to: self.to, features: self.input.features, settings }).await?;
        self.applied(self.from, Some(self.to), "accepted").await?;
        self.pools_rolled_out(&pools, "prepared").await?;
        let check = CheckPrepared { to: self.to };
        insist(ctx, "prepared", |_| ctx.run(check.clone()).timeout(HEALTH_LIMIT)).await?;
        self.healthy("before-switch").await
    }

    /// The point of no return: from here on only reboots bring the network back. Returns the boots that are to end.
    async fn switch(&self) -> WorkflowResult<Vec<Boot>> {
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
        ctx.run(switch).approved(&approval).await?;
        self.applied(self.to, Some(self.to), "switched").await?;
        ctx.run(AwaitMultus { minutes: MULTUS_MINUTES }).timeout(OPERATOR_LIMIT).await?;
        ctx.status("telling every node to reboot");
        // Only now: a node that rebooted before the switch was applied runs the old plugin.
        let boots = ctx.run(ReadBoots {}).await?;
        let count = u32::try_from(boots.workers.len() + boots.control_plane.len()).unwrap_or(u32::MAX);
        let at = ctx.now().plus(LEAD + LEAD_A_NODE * count);
        self.arm(&boots.workers, at).await?;
        self.arm(&boots.control_plane, at.plus(CONTROL_PLANE_AFTER)).await?;
        Ok(boots.workers.into_iter().chain(boots.control_plane).collect())
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

    async fn arm(&self, boots: &[Boot], at: Timestamp) -> WorkflowResult<()> {
        for boot in boots {
            let unit = format!("windlass-reboot-{}-{}", self.ctx.run_id(), boot.node);
            let arm = ArmReboot { boot: boot.clone(), at, unit };
            insist(self.ctx, &format!("arm-{}", boot.node), |_| self.ctx.run(arm.clone())).await?;
        }
        Ok(())
    }

    /// Waits through the time without an API until every node is in another boot.
    async fn reboot(&mut self, boots: &[Boot]) -> WorkflowResult<()> {
        let ctx = self.ctx;
        ctx.status("all nodes reboot; the API goes away and comes back");
        let wait = AwaitReboots { boots: boots.to_vec(), outage_minutes: OUTAGE_MINUTES };
        let seen = insist(ctx, "reboots", |_| ctx.run(wait.clone()).timeout(REBOOTS_LIMIT).retry(PATIENT)).await?;
        self.evidence.push(seen.evidence);
        self.healthy("after-reboots").await
    }

    /// Takes away what only the old plugin needed, once the cluster is well on the new one.
    async fn clean_up(&mut self, old_namespace: Option<String>) -> WorkflowResult<()> {
        let ctx = self.ctx;
        ctx.status(format!("taking away what is left of {}", self.from));
        let end = EndMigration { applied: self.to };
        insist(ctx, "end", |_| ctx.run(end.clone())).await?;
        self.applied(self.to, None, "ended").await?;
        ctx.give_back(OWED);
        let clear = ClearPluginSettings { plugin: self.from };
        insist(ctx, "settings", |_| ctx.run(clear.clone())).await?;
        let Some(uid) = old_namespace else { return Ok(()) };
        let name = self.from.namespace().to_owned();
        let delete = DeleteNamespace { name: name.clone(), uid: uid.clone() };
        if insist(ctx, "namespace", |_| ctx.run(delete.clone())).await? == NamespaceDeleted::Deleted {
            let wait = AwaitNamespaceGone { name, uid };
            insist(ctx, "namespace-gone", |_| ctx.run(wait.clone()).timeout(NAMESPACE_LIMIT).retry(PATIENT)).await?;
        }
        self.healthy("at-the-end").await
    }

    async fn applied(&self, applied: NetworkPlugin, migration: Option<NetworkPlugin>, name: &str) -> WorkflowResult<()> {
        let wait = AwaitNetworkOperator { applied, migration };
        let step = |_| self.ctx.run(wait.clone()).timeout(OPERATOR_LIMIT).retry(PATIENT);
        insist(self.ctx, &format!("operator-{name}"), step).await.map(drop)
    }

    /// The pools that have nodes, each with the configuration that it has.
    async fn pools(&self) -> WorkflowResult<Vec<PoolState>> {
        let mut pools = self.ctx.run(ListPools {}).await?;
        pools.retain(|pool| pool.nodes > 0);
        Ok(pools)
    }

    /// Waits for all pools at the same time, because they roll at the same time.
    async fn pools_rolled_out(&self, pools: &[PoolState], name: &str) -> WorkflowResult<()> {
        let ctx = self.ctx;
        let waits = pools.iter().map(|pool| async move {
            let wait = AwaitPool { pool: pool.name.clone(), was: Some(pool.target.clone()) };
            let limit = NODE_LIMIT * pool.nodes.max(1) + POOL_MARGIN;
            insist(ctx, &format!("{name}-{}", pool.name), |_| ctx.run(wait.clone()).timeout(limit).retry(PATIENT)).await
        });
        ctx.all(waits).await.into_iter().collect::<WorkflowResult<Vec<_>>>().map(drop)
    }

    async fn healthy(&self, name: &str) -> WorkflowResult<()> {
        let check = CheckHealth { before_hop: false };
        insist(self.ctx, &format!("health-{name}"), |_| self.ctx.run(check.clone()).timeout(HEALTH_LIMIT).retry(PATIENT))
            .await
            .map(drop)
    }
}
