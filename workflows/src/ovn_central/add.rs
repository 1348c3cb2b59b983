//! `ovn-central-add`: a node joins both databases, and everything that must know its address learns it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use windlass_activities::NodeName;
use windlass_activities::ovn::check::{CentralReport, CheckCentral};
use windlass_activities::ovn::directory::{DIRECTORY, LookAtDirectory};
use windlass_activities::ovn::label::LabelNode;
use windlass_engine::{WorkflowContext, WorkflowError, WorkflowResult};

use super::{CentralChanged, CentralTerms, DISK_LIMIT, Exchange, look};
use crate::insist::insist;

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OvnCentralAdd {
    /// The node that joins.
    pub node: NodeName,
    /// What else was settled.
    #[serde(default, skip_serializing_if = "CentralTerms::is_default")]
    pub terms: CentralTerms,
}

/// Takes a member in.
pub async fn ovn_central_add(ctx: WorkflowContext, input: OvnCentralAdd) -> WorkflowResult<CentralChanged> {
    let check = CheckCentral { remove: None, add: Some(input.node.clone()), add_first: false };
    let report = look(&ctx, &input.terms, check.clone()).await?;
    let mut exchange = Exchange::begin(&ctx, &input.terms, &report).await?;
    let outcome = add(&mut exchange, &input.node, &report, check).await;
    exchange.end(outcome).await
}

async fn add(
    exchange: &mut Exchange<'_>,
    node: &NodeName,
    report: &CentralReport,
    check: CheckCentral,
) -> WorkflowResult<CentralChanged> {
    let address = joining(report.joining)?;
    exchange.clear(node, address).await?;
    exchange.ready(check, &format!("take {node} into ovn-central"), report.nodes).await?;
    exchange.take_in(node, address).await?;
    exchange.finish(report.central.node_ips.clone()).await
}

/// The address that a look found for a node that shall join.
pub(super) fn joining(found: Option<IpAddr>) -> WorkflowResult<IpAddr> {
    found.ok_or_else(|| WorkflowError::Failed("the node that shall join has no address".to_owned()))
}

impl Exchange<'_> {
    /// Nothing of an earlier membership may lie on the disk of a node that joins; found before anything is changed.
    pub(super) async fn clear(&mut self, node: &NodeName, address: IpAddr) -> WorkflowResult<()> {
        self.ctx.status(format!("looking at the disk of {node}"));
        self.reach_disks()?;
        let look = LookAtDirectory { node: node.clone(), address, access: self.access.clone() };
        let found = insist(self.ctx, &format!("look-{node}"), |_| self.ctx.run(look.clone()).timeout(DISK_LIMIT)).await?;
        if found.stale.is_empty() {
            return Ok(());
        }
        if self.terms.move_stale {
            return self.put_aside(node, address).await;
        }
        let owner = if found.belongs_to.is_empty() { String::new() } else { format!(" (of {})", found.belongs_to.join(", ")) };
        Err(WorkflowError::Failed(format!(
            "{node} has files of an earlier membership in {DIRECTORY}: {}{owner}; a member that begins with them never gets in. \
             Plan again with --move-stale to have them moved aside, or move them by hand. Nothing was changed",
            found.stale.join(", "),
        )))
    }

    /// Into the Deployment, from where its pod joins both databases, then into the clients' addresses.
    pub(super) async fn take_in(&mut self, node: &NodeName, address: IpAddr) -> WorkflowResult<()> {
        self.ctx.status(format!("taking {node} into ovn-central"));
        let before = self.node_ips.clone();
        let label = LabelNode { node: node.clone(), central: true };
        insist(self.ctx, &format!("label-{node}"), |_| self.ctx.run(label.clone())).await?;
        // The new address comes last: a pod whose address is first and that finds no leader founds a cluster of its own.
        let members = before.iter().copied().chain([address]).collect();
        self.set_members(&format!("with-{node}"), members).await?;
        self.tell_clients(&format!("with-{node}")).await
    }
}
