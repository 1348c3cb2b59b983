//! `ovn-central-replace`: one member leaves and another node joins, in the vendor's order or the other way round.

use serde::{Deserialize, Serialize};
use windlass_activities::NodeName;
use windlass_activities::ovn::check::{CentralReport, CheckCentral};
use windlass_engine::{WorkflowContext, WorkflowError, WorkflowResult};

use super::add::joining;
use super::remove::leaving;
use super::{CentralChanged, CentralTerms, Exchange, look};

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OvnCentralReplace {
    /// The node that leaves.
    pub node: NodeName,
    /// The node that joins; the one that leaves, with empty databases, if it is the same.
    pub with: NodeName,
    /// Whether the new one joins before the old one leaves: not the vendor's order, and never below three members.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub add_first: bool,
    /// What else was settled.
    #[serde(default, skip_serializing_if = "CentralTerms::is_default")]
    pub terms: CentralTerms,
}

/// Exchanges a member.
pub async fn ovn_central_replace(ctx: WorkflowContext, input: OvnCentralReplace) -> WorkflowResult<CentralChanged> {
    if input.is_same() && input.add_first {
        return Err(WorkflowError::Failed(format!("{} can't join before it leaves; plan again without --add-first", input.node)));
    }
    let check = CheckCentral { remove: Some(input.node.clone()), add: Some(input.with.clone()), add_first: input.add_first };
    let report = look(&ctx, &input.terms, check.clone()).await?;
    let mut exchange = Exchange::begin(&ctx, &input.terms, &report).await?;
    let outcome = replace(&mut exchange, &input, &report, check).await;
    exchange.end(outcome).await
}

async fn replace(
    exchange: &mut Exchange<'_>,
    input: &OvnCentralReplace,
    report: &CentralReport,
    check: CheckCentral,
) -> WorkflowResult<CentralChanged> {
    let (old, address) = (leaving(report.leaving.as_ref())?, joining(report.joining)?);
    if !input.is_same() {
        exchange.clear(&input.with, address).await?;
    }
    exchange.ask(old).await?;
    exchange.ready(check, &format!("exchange {} for {} in ovn-central", input.node, input.with), report.nodes).await?;
    if input.add_first {
        exchange.take_in(&input.with, address).await?;
        exchange.take_out(old).await?;
    } else {
        exchange.take_out(old).await?;
        exchange.take_in(&input.with, address).await?;
    }
    exchange.finish(report.central.node_ips.clone()).await
}

impl OvnCentralReplace {
    /// Whether the node that leaves is the one that joins.
    fn is_same(&self) -> bool {
        self.node == self.with
    }
}
