//! The members of Kube-OVN's ovn-central: taken out, taken in, exchanged, one at a time, in both databases and in everything that
//! knows their addresses. Source: Kube-OVN's "replace ovn-central node"; what is done otherwise, and why, is in docs/ovn-central.md.

mod add;
mod clients;
mod remove;
mod replace;
mod terms;

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use windlass_activities::NodeName;
use windlass_activities::ovn::Database;
use windlass_activities::ovn::backup::BackUpDatabase;
use windlass_activities::ovn::central::{AwaitCentralRollout, SetCentralMembers};
use windlass_activities::ovn::check::{CentralReport, CheckCentral, Leaving};
use windlass_activities::ovn::clients::Client;
use windlass_activities::ovn::directory::{HostAccess, SweepHostPods};
use windlass_activities::ovn::members::AwaitMembers;
use windlass_engine::{WorkflowContext, WorkflowError, WorkflowResult};

pub use add::{OvnCentralAdd, ovn_central_add};
pub use remove::{OvnCentralRemove, ovn_central_remove};
pub use replace::{OvnCentralReplace, ovn_central_replace};
pub use terms::{CentralTerms, Pins};

use crate::insist::insist;
use crate::patience::PATIENT;
use crate::window::in_window;

/// Both pods of a pair restart one after the other, each within a minute or two; images may have to be pulled.
const ROLLOUT_LIMIT: Duration = Duration::from_secs(20 * 60);

/// A new member is sent the whole database first: hundreds of megabytes at most.
const MEMBERS_LIMIT: Duration = Duration::from_secs(15 * 60);

/// A database of half a gigabyte over a slow line.
const BACKUP_LIMIT: Duration = Duration::from_secs(30 * 60);

/// A look at a node's disk, or a new name on it: a pod is made for it, and its image may have to be pulled first.
const DISK_LIMIT: Duration = Duration::from_secs(10 * 60);

/// How long a member takes to leave or to join, in nine of ten cases; in a plan it is the sum of the steps.
const CHANGE_P90: Duration = Duration::from_secs(45 * 60);

/// As long for each pod of ovs-ovn, where they are restarted one by one.
const OVS_POD_P90: Duration = Duration::from_secs(60);

/// Under which key the pods that reach disks are listed.
const HOST_PODS: &str = "host-pods";

/// Under which key the unfinished change is listed as owed.
pub(crate) const OWED: &str = "ovn-central-members";

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CentralChanged {
    /// The members before, in the order of `NODE_IPS`.
    pub from: Vec<IpAddr>,
    /// The members now.
    pub to: Vec<IpAddr>,
    /// What the last look showed, and where the copies of the databases are, one line each.
    pub evidence: Vec<String>,
}

/// A change that is under way: what was found before it, and the members as they are by now.
struct Exchange<'a> {
    ctx: &'a WorkflowContext,
    terms: &'a CentralTerms,
    clusters: Vec<(Database, Uuid)>,
    access: HostAccess,
    node_ips: Vec<IpAddr>,
    clients: Vec<Client>,
    evidence: Vec<String>,
    /// Whether pods of ours may be out.
    reaches_disks: bool,
}

/// Looks at everything before anything is changed, and stops if it is not as the plan saw it.
async fn look(ctx: &WorkflowContext, terms: &CentralTerms, check: CheckCentral) -> WorkflowResult<CentralReport> {
    ctx.status("looking at ovn-central before anything is changed");
    let report = ctx.run(check).await?;
    if !report.blockers.is_empty() {
        return Err(WorkflowError::Failed(format!("ovn-central can't be changed now:\n{}", report.blockers.join("\n"))));
    }
    let moved = terms.planned.as_ref().map(|planned| planned.moved(&Pins::of(&report))).unwrap_or_default();
    if moved.is_empty() {
        return Ok(report);
    }
    Err(WorkflowError::Failed(format!("ovn-central has changed since the plan: {}; plan again", moved.join("; "))))
}

impl<'a> Exchange<'a> {
    /// Gathers what a change needs to know.
    async fn begin(ctx: &'a WorkflowContext, terms: &'a CentralTerms, report: &CentralReport) -> WorkflowResult<Self> {
        let central = &report.central;
        let id = |database| central.raft(database).and_then(|raft| raft.cluster).map(|cluster| (database, cluster));
        let clusters: Vec<_> = Database::BOTH.into_iter().filter_map(id).collect();
        let access = terms.access.clone().unwrap_or_else(|| HostAccess::Pod { image: central.image.clone() });
        let node_ips = central.node_ips.clone();
        let clients = clients::listed(ctx, &node_ips).await?;
        Ok(Self { ctx, terms, clusters, access, node_ips, clients, evidence: Vec::new(), reaches_disks: false })
    }

    /// The moment before the first write: inside a window that the whole change fits, with ovn-central as the plan saw it, and a copy of
    /// both databases as they are then.
    async fn ready(&mut self, check: CheckCentral, what: &str, nodes: u32) -> WorkflowResult<()> {
        if let Some(calendar) = &self.terms.windows {
            let ovs_pods = if self.clients.iter().any(|client| client.on_delete) { nodes } else { 0 };
            let changes = u32::from(check.remove.is_some()) + u32::from(check.add.is_some());
            let needs = (CHANGE_P90 + OVS_POD_P90 * ovs_pods) * changes;
            loop {
                let latest_start = in_window(self.ctx, calendar, OWED, what, needs).await?;
                // Days may have passed since the plan's look.
                look(self.ctx, self.terms, check.clone()).await?;
                if latest_start.is_none_or(|latest| self.ctx.now() <= latest) {
                    break;
                }
            }
        }
        self.back_up().await?;
        self.owe()
    }

    /// From the first write to the last, the databases, `NODE_IPS`, the labels and the clients do not say the same.
    fn owe(&self) -> WorkflowResult<()> {
        let text = "ovn-central is between two sets of members: its databases, NODE_IPS, labels and clients must be brought in line \
                    (`windlass resume` goes on; by hand, see docs/ovn-central.md)";
        self.ctx.hold(OWED, text, &self.node_ips)
    }

    async fn back_up(&mut self) -> WorkflowResult<()> {
        let folder = self.ctx.run_id().to_string();
        for (database, _) in self.clusters.clone() {
            let copy = BackUpDatabase { database, folder: folder.clone() };
            let step = |_| self.ctx.run(copy.clone()).timeout(BACKUP_LIMIT);
            let copy = insist(self.ctx, &format!("backup-{database}"), step).await?;
            self.evidence.push(format!("{database} database: {} ({} bytes, sha256 {})", copy.path, copy.bytes, copy.sha256));
        }
        Ok(())
    }

    /// Waits until the members of both databases are these and agree.
    async fn agree(&self, name: &str, databases: &[Database], members: &[IpAddr]) -> WorkflowResult<Vec<String>> {
        let mut evidence = Vec::new();
        for &(database, cluster) in self.clusters.iter().filter(|(database, _)| databases.contains(database)) {
            let wait = AwaitMembers { database, cluster, members: members.to_vec() };
            let step = |_| self.ctx.run(wait.clone()).timeout(MEMBERS_LIMIT).retry(PATIENT);
            let agreed = insist(self.ctx, &format!("members-{database}-{name}"), step).await?;
            evidence.push(format!("{database} database: {}", agreed.evidence));
        }
        Ok(evidence)
    }

    /// Sets replicas and `NODE_IPS`, and waits until every pod has them and both databases are whole again.
    async fn set_members(&mut self, name: &str, node_ips: Vec<IpAddr>) -> WorkflowResult<()> {
        let ctx = self.ctx;
        let set = SetCentralMembers { node_ips: node_ips.clone(), was: self.node_ips.clone() };
        insist(ctx, &format!("set-{name}"), |_| ctx.run(set.clone())).await?;
        let wait = AwaitCentralRollout { node_ips: node_ips.clone() };
        insist(ctx, &format!("rollout-{name}"), |_| ctx.run(wait.clone()).timeout(ROLLOUT_LIMIT).retry(PATIENT)).await?;
        self.node_ips = node_ips;
        self.agree(name, &Database::BOTH, &self.node_ips).await.map(drop)
    }

    /// Notes that pods of ours may be out, before the first of them is made.
    fn reach_disks(&mut self) -> WorkflowResult<()> {
        if self.reaches_disks || !matches!(self.access, HostAccess::Pod { .. }) {
            return Ok(());
        }
        self.reaches_disks = true;
        let text = "pods windlass-host-… in kube-system reach the disks of nodes, each for one step; by hand: \
                    kubectl delete pod -n kube-system -l app.kubernetes.io/managed-by=windlass";
        self.ctx.hold(HOST_PODS, text, &None::<String>)
    }

    /// However it ended, cancelled too: no pod of ours stays out. A member that is half way in or out stays owed.
    async fn end(self, outcome: WorkflowResult<CentralChanged>) -> WorkflowResult<CentralChanged> {
        if self.reaches_disks {
            match insist(self.ctx, HOST_PODS, |_| self.ctx.run(SweepHostPods {})).await {
                Ok(_) => self.ctx.give_back(HOST_PODS),
                Err(left) => return outcome.and(Err(left)),
            }
        }
        outcome
    }

    /// The last look: both databases whole, with exactly these members.
    async fn finish(&mut self, from: Vec<IpAddr>) -> WorkflowResult<CentralChanged> {
        self.ctx.status("looking at the result");
        let seen = self.agree("at-the-end", &Database::BOTH, &self.node_ips).await?;
        self.evidence.extend(seen);
        self.ctx.give_back(OWED);
        Ok(CentralChanged { from, to: self.node_ips.clone(), evidence: self.evidence.clone() })
    }
}

/// What a person is asked before a member is taken out.
fn question(leaving: &Leaving, members: usize) -> String {
    let each = leaving.servers.iter().map(|server| {
        let part = if server.leads { ", its leader" } else { "" };
        format!(
            "{} of the {} database{part}",
            server.id.map_or_else(|| server.short.clone(), |id| id.to_string()),
            server.database
        )
    });
    let each: Vec<String> = each.collect();
    let rest = members.saturating_sub(1);
    let outage = if rest == 2 {
        " Two members are left: while each of them restarts, nothing can be written to the databases; existing traffic goes on."
    } else {
        ""
    };
    format!(
        "Take {} out of ovn-central? It is server {}. A server that was taken out can never come back under its id.{outage}",
        leaving.in_words(),
        each.join(" and "),
    )
}

/// The gate before a member is taken out.
fn kick_gate(node: &NodeName) -> String {
    format!("kick-{node}")
}
