//! `ovn-central-remove`: a member leaves both databases, and everything that knows its address forgets it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use windlass_activities::NodeName;
use windlass_activities::ovn::central::RemoveCentralPod;
use windlass_activities::ovn::check::{CentralReport, CheckCentral, Leaving};
use windlass_activities::ovn::directory::{DIRECTORY, HostAccess, MoveDirectoryAside};
use windlass_activities::ovn::kick::KickServer;
use windlass_activities::ovn::label::LabelNode;
use windlass_engine::{Gate, WorkflowContext, WorkflowError, WorkflowResult};

use super::{CentralChanged, CentralTerms, DISK_LIMIT, Exchange, kick_gate, look, question};
use crate::insist::insist;

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OvnCentralRemove {
    /// The node that leaves; a member whose node is gone, by its address.
    pub node: NodeName,
    /// What else was settled.
    #[serde(default, skip_serializing_if = "CentralTerms::is_default")]
    pub terms: CentralTerms,
}

/// Takes a member out.
pub async fn ovn_central_remove(ctx: WorkflowContext, input: OvnCentralRemove) -> WorkflowResult<CentralChanged> {
    let check = CheckCentral { remove: Some(input.node), add: None, add_first: false };
    let report = look(&ctx, &input.terms, check.clone()).await?;
    let mut exchange = Exchange::begin(&ctx, &input.terms, &report).await?;
    let outcome = remove(&mut exchange, &report, check).await;
    exchange.end(outcome).await
}

async fn remove(exchange: &mut Exchange<'_>, report: &CentralReport, check: CheckCentral) -> WorkflowResult<CentralChanged> {
    let leaving = leaving(report.leaving.as_ref())?;
    exchange.ask(leaving).await?;
    exchange.ready(check, &format!("take {} out of ovn-central", leaving.node), report.nodes).await?;
    exchange.take_out(leaving).await?;
    exchange.finish(report.central.node_ips.clone()).await
}

/// The member that a look found for a node that shall leave.
pub(super) fn leaving(found: Option<&Leaving>) -> WorkflowResult<&Leaving> {
    found.ok_or_else(|| WorkflowError::Failed("the node that shall leave was not found among the members".to_owned()))
}

impl Exchange<'_> {
    /// A person agrees before a member is taken out, with what is known of it.
    pub(super) async fn ask(&self, leaving: &Leaving) -> WorkflowResult<()> {
        let gate = Gate::new(kick_gate(&leaving.node), question(leaving, self.node_ips.len()));
        self.ctx.gate(gate).await.map(drop)
    }

    /// Out of both databases, then out of the Deployment, then out of the clients' addresses, then off its disk.
    pub(super) async fn take_out(&mut self, leaving: &Leaving) -> WorkflowResult<()> {
        let (node, address) = (&leaving.node, leaving.address);
        let before = self.node_ips.clone();
        let rest: Vec<IpAddr> = before.iter().copied().filter(|member| *member != address).collect();
        // A member whose node is gone may have lost its place in NODE_IPS by hand.
        let voters: Vec<IpAddr> = rest.iter().copied().chain([address]).collect();
        for server in &leaving.servers {
            let database = server.database;
            self.ctx.status(format!("taking {node} out of the {database} database"));
            let kick = KickServer {
                database,
                cluster: server.cluster,
                address,
                id: server.id,
                short: server.short.clone(),
                voters: voters.clone(),
            };
            insist(self.ctx, &format!("kick-{database}-{node}"), |_| self.ctx.run(kick.clone())).await?;
            // The next database only once this one is sure: never two changes at a time.
            self.agree(&format!("without-{node}"), &[database], &rest).await?;
        }
        self.ctx.status(format!("taking {node} out of the deployment"));
        if !leaving.gone {
            let unlabel = LabelNode { node: node.clone(), central: false };
            insist(self.ctx, &format!("unlabel-{node}"), |_| self.ctx.run(unlabel.clone())).await?;
        }
        // Its pod goes first, by name: a ReplicaSet that is made smaller would choose one for itself, perhaps a healthy one.
        let remove = RemoveCentralPod { node: node.clone(), address };
        insist(self.ctx, &format!("pod-{node}"), |_| self.ctx.run(remove.clone())).await?;
        self.set_members(&format!("without-{node}"), rest).await?;
        self.tell_clients(&format!("without-{node}")).await?;
        if leaving.gone && matches!(self.access, HostAccess::Pod { .. }) {
            // No pod reaches a machine that is no node; what joins is looked at before, whatever it was.
            self.evidence.push(format!("{address} is no node any more: what lies in {DIRECTORY} on its disk was left there"));
            return Ok(());
        }
        self.put_aside(node, address).await
    }

    /// The files of a server that was taken out are of no use to the cluster, and in the way of the node's return.
    pub(super) async fn put_aside(&mut self, node: &NodeName, address: IpAddr) -> WorkflowResult<()> {
        self.ctx.status(format!("moving the databases on {node} aside"));
        self.reach_disks()?;
        let (access, marker) = (self.access.clone(), self.ctx.run_id().to_string());
        let aside = MoveDirectoryAside { node: node.clone(), address, access, marker };
        let moved = insist(self.ctx, &format!("directory-{node}"), |_| self.ctx.run(aside.clone()).timeout(DISK_LIMIT)).await?;
        self.evidence.extend(moved.to.map(|to| format!("the databases of {node} lie in {to} on its disk")));
        Ok(())
    }
}
