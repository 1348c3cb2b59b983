//! The workloads that are told where the databases are, one after the other.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use windlass_activities::ovn::clients::{AwaitClient, Client, ListClients, ListStalePods, RestartOvsPod, SetDatabaseAddresses};
use windlass_activities::ovn::list;
use windlass_engine::{WorkflowContext, WorkflowError, WorkflowResult};

use super::Exchange;
use crate::insist::insist;
use crate::patience::PATIENT;

/// One node after the other, each within minutes; a thousand of them take a working day.
const CLIENT_LIMIT: Duration = Duration::from_secs(12 * 3600);

/// One pod, on one node.
const POD_LIMIT: Duration = Duration::from_secs(15 * 60);

impl Exchange<'_> {
    /// Tells every workload the members' addresses as they are now.
    pub(super) async fn tell_clients(&mut self, name: &str) -> WorkflowResult<()> {
        for client in self.clients.clone() {
            self.ctx.status(format!("telling {} where the databases are", client.name));
            self.tell(name, &client).await?;
        }
        for client in &mut self.clients {
            client.addresses.clone_from(&self.node_ips);
        }
        Ok(())
    }

    async fn tell(&self, name: &str, client: &Client) -> WorkflowResult<()> {
        let (ctx, addresses) = (self.ctx, self.node_ips.clone());
        let set = SetDatabaseAddresses { client: client.clone(), addresses: addresses.clone() };
        insist(ctx, &format!("tell-{}-{name}", client.name), |_| ctx.run(set.clone())).await?;
        let wait = AwaitClient { client: client.clone(), addresses: addresses.clone() };
        let step = |_| ctx.run(wait.clone()).timeout(CLIENT_LIMIT).retry(PATIENT);
        let rolled = insist(ctx, &format!("await-{}-{name}", client.name), step).await?;
        if !client.on_delete && !rolled.held_up {
            return Ok(());
        }
        // Older versions leave it to us, and a node that is dead stops newer ones: one node after the other, because a restart
        // interrupts its node's traffic.
        let stale = ctx.run(ListStalePods { client: client.clone(), addresses }).await?;
        for pod in stale {
            let restart = RestartOvsPod { client: client.clone(), pod: pod.clone() };
            let step = |_| ctx.run(restart.clone()).timeout(POD_LIMIT);
            insist(ctx, &format!("restart-{}-{}-{name}", client.name, pod.node), step).await?;
        }
        Ok(())
    }
}

/// Lists the workloads that are told where the databases are; all of them must be told the same as ovn-central is.
pub(super) async fn listed(ctx: &WorkflowContext, node_ips: &[IpAddr]) -> WorkflowResult<Vec<Client>> {
    let sorted = |addresses: &[IpAddr]| addresses.iter().copied().collect::<BTreeSet<_>>();
    let clients = ctx.run(ListClients {}).await?;
    let other = clients.iter().filter(|client| sorted(&client.addresses) != sorted(node_ips));
    let other: Vec<String> = other.map(|client| format!("{} {}", client.name, list(&client.addresses))).collect();
    if other.is_empty() {
        return Ok(clients);
    }
    Err(WorkflowError::Failed(format!(
        "OVN_DB_IPS and NODE_IPS differ: ovn-central {}, {}; bring them in line, then plan again. Nothing was changed",
        list(node_ips),
        other.join(", "),
    )))
}
