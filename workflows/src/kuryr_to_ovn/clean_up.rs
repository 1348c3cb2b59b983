//! The clean-up, in the order in which one thing needs another: what the cluster's objects name goes before the objects.

use std::time::Duration;

use windlass_activities::kuryr::delete::{CloudKind, DeleteCloudObject};
use windlass_activities::kuryr::detach::{DetachSubnet, RemoveSubPorts};
use windlass_activities::kuryr::finalizers::{DeleteGatewayService, Finalized, RemoveFinalizers};
use windlass_activities::kuryr::ports::DeletePorts;
use windlass_activities::kuryr::sweep::SweepKuryr;
use windlass_activities::kuryr::{KuryrInventory, KuryrNet, Named};
use windlass_engine::{Approval, WorkflowContext, WorkflowResult};

use crate::insist::insist;
use crate::network_migration::Exchange;
use crate::patience::PATIENT;

/// A load balancer takes a minute or two to go; one that waits for another change takes longer.
const BALANCER_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Load balancers that are deleted at a time: each is built down by a few workers of the cloud.
const BALANCERS_AT_A_TIME: usize = 4;

/// A network of a few hundred ports, five a second.
const NETWORK_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Ten thousand pods, five a second.
const FINALIZERS_LIMIT: Duration = Duration::from_secs(2 * 3600);

/// A clean-up that is under way.
pub(super) struct CleanUp<'a> {
    pub(super) ctx: &'a WorkflowContext,
    pub(super) cloud: &'a str,
    pub(super) inventory: &'a KuryrInventory,
    pub(super) approval: &'a Approval,
}

impl CleanUp<'_> {
    /// Deletes everything, and returns what the last look saw.
    pub(super) async fn carry_out(&self, exchange: &Exchange<'_>, namespace: Option<String>) -> WorkflowResult<String> {
        self.services(exchange, namespace).await?;
        self.pods().await?;
        for net in &self.inventory.networks {
            self.network(net).await?;
        }
        self.all(CloudKind::SecurityGroup, &self.inventory.groups).await?;
        self.all(CloudKind::SubnetPool, &self.inventory.pools).await?;
        // The objects that name the networks go only once the networks are gone.
        let sweep = SweepKuryr { cloud: self.cloud.to_owned() };
        let swept = insist(self.ctx, "sweep", |_| self.ctx.run(sweep.clone()).timeout(NETWORK_LIMIT).retry(PATIENT)).await?;
        self.strip(Finalized::Networks).await?;
        self.router().await?;
        Ok(swept.evidence)
    }

    /// Services, their load balancers, the namespace of Kuryr's pods, and the network that services have their addresses in.
    async fn services(&self, exchange: &Exchange<'_>, namespace: Option<String>) -> WorkflowResult<()> {
        self.ctx.status("deleting Kuryr's load balancers and its services' network");
        self.strip(Finalized::Services).await?;
        insist(self.ctx, "gateway-service", |_| self.ctx.run(DeleteGatewayService {})).await?;
        self.all(CloudKind::LoadBalancer, &self.inventory.balancers).await?;
        self.strip(Finalized::LoadBalancers).await?;
        exchange.delete_namespace(namespace).await?;
        match &self.inventory.services {
            Some(net) => self.network(net).await,
            None => Ok(()),
        }
    }

    /// Pods and policies keep nothing of Kuryr's, and the nodes' trunks carry none of its ports.
    async fn pods(&self) -> WorkflowResult<()> {
        self.ctx.status("taking Kuryr's finalizers off, and its ports off the nodes");
        for kind in [Finalized::Pods, Finalized::Ports, Finalized::NetworkPolicies, Finalized::KuryrNetworkPolicies] {
            self.strip(kind).await?;
        }
        for trunk in &self.inventory.trunks {
            let step = RemoveSubPorts {
                cloud: self.cloud.to_owned(),
                tag: self.inventory.tag(),
                trunk: trunk.id.clone(),
                name: trunk.name.clone(),
                ports: trunk.ports.clone(),
            };
            let run = |_| self.ctx.run(step.clone()).timeout(NETWORK_LIMIT).retry(PATIENT);
            insist(self.ctx, &format!("trunk-{}", trunk.id), run).await?;
        }
        Ok(())
    }

    /// A network: its ports, then its way to the router, then itself with its subnets.
    async fn network(&self, net: &KuryrNet) -> WorkflowResult<()> {
        let ctx = self.ctx;
        ctx.status(format!("deleting network {} in cloud {}", net.name, self.cloud));
        let ports = DeletePorts {
            cloud: self.cloud.to_owned(),
            tag: self.inventory.tag(),
            network: net.id.clone(),
            name: net.name.clone(),
            ports: net.ports.len(),
        };
        insist(ctx, &format!("ports-{}", net.id), |_| ctx.run(ports.clone()).timeout(NETWORK_LIMIT).retry(PATIENT)).await?;
        if let Some(router) = &self.inventory.router {
            self.detach(net, &router.id).await?;
        }
        self.delete(CloudKind::Network, &Named { id: net.id.clone(), name: net.name.clone() }).await
    }

    async fn detach(&self, net: &KuryrNet, router: &str) -> WorkflowResult<()> {
        for subnet in &net.subnets {
            let step = DetachSubnet {
                cloud: self.cloud.to_owned(),
                tag: self.inventory.tag(),
                router: router.to_owned(),
                subnet: subnet.clone(),
                network: net.id.clone(),
            };
            let run = |_| self.ctx.run(step.clone()).timeout(NETWORK_LIMIT).retry(PATIENT);
            insist(self.ctx, &format!("subnet-{subnet}"), run).await?;
        }
        Ok(())
    }

    /// The router of Kuryr's own; one that was there before stays.
    async fn router(&self) -> WorkflowResult<()> {
        match &self.inventory.router {
            Some(router) if router.stays.is_none() => {
                self.delete(CloudKind::Router, &Named { id: router.id.clone(), name: router.name.clone() }).await
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn all(&self, kind: CloudKind, objects: &[Named]) -> WorkflowResult<()> {
        for few in objects.chunks(BALANCERS_AT_A_TIME) {
            let mut deletions = Vec::with_capacity(few.len());
            for object in few {
                deletions.push(self.delete(kind, object));
            }
            self.ctx.all(deletions).await.into_iter().collect::<WorkflowResult<Vec<()>>>()?;
        }
        Ok(())
    }

    async fn delete(&self, kind: CloudKind, object: &Named) -> WorkflowResult<()> {
        let step = DeleteCloudObject {
            cloud: self.cloud.to_owned(),
            tag: self.inventory.tag(),
            kind,
            id: object.id.clone(),
            name: object.name.clone(),
        };
        let run = |_| self.ctx.run(step.clone()).approved(self.approval).timeout(BALANCER_LIMIT).retry(PATIENT);
        insist(self.ctx, &format!("delete-{}", object.id), run).await.map(drop)
    }

    async fn strip(&self, of: Finalized) -> WorkflowResult<()> {
        let run = |_| self.ctx.run(RemoveFinalizers { of }).timeout(FINALIZERS_LIMIT).retry(PATIENT);
        insist(self.ctx, &format!("finalizers-{}", of.plural()), run).await.map(drop)
    }
}
