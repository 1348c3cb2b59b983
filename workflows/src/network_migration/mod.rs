//! `sdn-to-ovn` and `ovn-to-sdn`: the network plugin of a cluster is exchanged, through the time in which its nodes can't reach one
//! another and the API is away. Source: the vendor's offline migration; what is done otherwise, and why, is in docs/sdn-to-ovn.md.

mod adopt;
mod clean_up;
mod look;
mod prepare;
mod reboot;
mod switch;
mod waits;

use serde::{Deserialize, Serialize};
use windlass_activities::network::NetworkPlugin;
use windlass_activities::network::check::MigrationReport;
use windlass_activities::network::reboot::{Boot, RebootWay};
use windlass_activities::network::settings::{ClusterRange, Features, OvnSettings};
use windlass_activities::windows::Calendar;
use windlass_engine::{WorkflowContext, WorkflowResult};

use crate::hold_still::Held;

pub(crate) use adopt::CaughtUp;

/// Under which key the unfinished migration is listed as owed.
pub(crate) const OWED: &str = "network-migration";

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
    /// How the hosts are told to reboot.
    #[serde(skip_serializing_if = "RebootWay::is_daemon")]
    pub reboot_by: RebootWay,
    /// Whether somebody began it by hand, and it is to be gone on with.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub adopt: bool,
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

/// Completed, failed or cancelled: health checks that were paused go on, unless nodes are still to reboot.
async fn migrate(
    ctx: WorkflowContext,
    input: NetworkMigration,
    from: NetworkPlugin,
    to: NetworkPlugin,
) -> WorkflowResult<NetworkMigrated> {
    let mut held = Held::default();
    let mut exchange = Exchange::new(&ctx, &input, from, to);
    let done = if input.adopt { exchange.take_over(&mut held).await } else { exchange.carry_out(&mut held).await };
    exchange.end(held, done).await
}

/// A migration that is under way.
pub(crate) struct Exchange<'a> {
    ctx: &'a WorkflowContext,
    input: &'a NetworkMigration,
    from: NetworkPlugin,
    to: NetworkPlugin,
    pub(crate) evidence: Vec<String>,
    outage: Outage,
}

/// Whether nodes are to boot without a network, or without having been drained.
enum Outage {
    /// The plugin is not switched, or every node is back.
    None,
    /// The plugin is switched, and not every node was told to reboot.
    Switched,
    /// These will reboot by themselves, whatever becomes of the run.
    Told(Vec<Boot>),
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(ctx: &'a WorkflowContext, input: &'a NetworkMigration, from: NetworkPlugin, to: NetworkPlugin) -> Self {
        Self { ctx, input, from, to, evidence: Vec::new(), outage: Outage::None }
    }

    async fn carry_out(&mut self, held: &mut Held) -> WorkflowResult<()> {
        let report = self.look().await?;
        self.change_over(&report, held).await?;
        self.clean_up(report.old_namespace).await
    }

    /// From the first copy to a cluster that is well on the new plugin.
    pub(crate) async fn change_over(&mut self, report: &MigrationReport, held: &mut Held) -> WorkflowResult<()> {
        self.back_up().await?;
        self.end_leftover(report, held).await?;
        self.delete_host_policies(report).await?;
        self.prepare(held).await?;
        let boots = self.switch().await?;
        self.reboot(&boots).await?;
        held.resume_health_checks(self.ctx).await
    }

    /// Ends the run, however it went.
    pub(crate) async fn end(mut self, mut held: Held, done: WorkflowResult<()>) -> WorkflowResult<NetworkMigrated> {
        if done.is_err() {
            self.end_outage(&mut held).await;
        }
        let migrated = NetworkMigrated { from: self.from, to: self.to, evidence: self.evidence };
        held.end(self.ctx, done.map(|()| migrated)).await
    }
}
