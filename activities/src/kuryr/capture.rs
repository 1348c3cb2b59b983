//! Everything of Kuryr's, found: what the cluster's own objects name, and what carries the cluster's tag and is of Kuryr's making.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::inventory::{KuryrInventory, KuryrNet, KuryrRouter, KuryrTrunk, Named, tag_of};
use crate::cluster::{Cluster, Query};
use crate::openstack::{Balancer, Cloud, Network, Port, Resource, Router, SecurityGroup, SubnetPool, Trunk};
use crate::views::{Infrastructure, KuryrLoadBalancer, KuryrNetwork, KuryrNetworkPolicy, View as _};

/// How the installer describes a router that it made: that one was there before Kuryr, and other things hang on it.
const INSTALLERS: &str = "Created By OpenShift Installer";

/// How Kuryr describes the security groups that it makes for network policies.
const OF_POLICY: &str = "Kuryr-Kubernetes Network Policy";

/// Finds and writes down everything that Kuryr made for this cluster, by id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CaptureKuryr {
    /// The cloud's name in `clouds.yaml`.
    pub cloud: String,
}

impl Activity for CaptureKuryr {
    const NAME: ActivityName = ActivityName::new("capture-kuryr");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = KuryrInventory;

    fn summary(&self) -> String {
        format!("find everything that Kuryr made for this cluster in cloud {}", self.cloud)
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<KuryrInventory, ActivityError> {
        let cluster = cx.world();
        let named = InCluster::read(cluster).await?;
        let found = InCloud::read(&cluster.cloud(&self.cloud).await?, &tag_of(&named.cluster), &named).await?;
        judge(&named, &found)
    }
}

/// What the cluster's own objects name.
#[derive(Default)]
pub(super) struct InCluster {
    pub(super) cluster: String,
    networks: Vec<KuryrNetwork>,
    balancers: Vec<KuryrLoadBalancer>,
    policies: Vec<KuryrNetworkPolicy>,
}

impl InCluster {
    /// The kinds of Kuryr's are not served any more once somebody removed their definitions.
    pub(super) async fn read(cluster: &Cluster) -> Result<Self, ActivityError> {
        let infrastructure: Infrastructure = cluster.must_get(None, "cluster").await?;
        let name = infrastructure.status.infrastructure_name;
        if name.is_empty() {
            let why =
                "infrastructures/cluster tells no infrastructureName, so nothing in the cloud can be told to be this cluster's";
            return Err(ActivityError::permanent("nameless", why));
        }
        Ok(Self {
            cluster: name,
            networks: cluster.list_if_served(&Query::default()).await?,
            balancers: cluster.list_if_served(&Query::default()).await?,
            policies: cluster.list_if_served(&Query::default()).await?,
        })
    }
}

/// What the cloud shows.
#[derive(Default)]
pub(super) struct InCloud {
    networks: BTreeMap<String, Network>,
    ports: Vec<Port>,
    trunks: Vec<Trunk>,
    balancers: BTreeMap<String, Balancer>,
    groups: BTreeMap<String, SecurityGroup>,
    pools: Vec<SubnetPool>,
    routers: BTreeMap<String, Router>,
    /// The routers that the service network hangs on.
    service_routers: BTreeSet<String>,
}

impl InCloud {
    /// Lists what carries the tag, and reads one by one what the cluster names and the lists do not have.
    pub(super) async fn read(cloud: &Cloud<'_>, tag: &str, named: &InCluster) -> Result<Self, ActivityError> {
        let tagged = [("tags", tag)];
        let mut found = Self {
            networks: by_id(cloud.list(&tagged).await?),
            ports: cloud.list(&tagged).await?,
            trunks: cloud.list(&tagged).await?,
            // Where the service has no tags yet, Kuryr's tag stands in the description, which can't be asked for.
            balancers: by_id(cloud.list(&[]).await?),
            groups: by_id(cloud.list(&tagged).await?),
            pools: cloud.list(&tagged).await?,
            routers: BTreeMap::new(),
            service_routers: BTreeSet::new(),
        };
        complete(cloud, &mut found.networks, named.networks.iter().map(|net| net.status.net_id.as_str())).await?;
        complete(cloud, &mut found.groups, named.policies.iter().map(|policy| policy.status.security_group_id.as_str())).await?;
        if let Some(services) = found.networks.values().find(|net| net.name == service_network(&named.cluster)) {
            let ports: Vec<Port> = cloud.list(&[("network_id", services.id.as_str())]).await?;
            found.service_routers = ports.iter().filter(|port| port.is_router_interface()).map(|p| p.device_id.clone()).collect();
        }
        let routers = named.networks.iter().map(|net| net.status.router_id.as_str());
        complete(cloud, &mut found.routers, routers.chain(found.service_routers.iter().map(String::as_str))).await?;
        Ok(found)
    }
}

impl Port {
    /// Whether a router has it.
    pub(super) fn is_router_interface(&self) -> bool {
        let owner = self.device_owner.as_str();
        owner.starts_with("network:router_interface") || owner == "network:ha_router_replicated_interface"
    }

    /// Whether it comes and goes with its network.
    pub(super) fn is_networks_own(&self) -> bool {
        matches!(self.device_owner.as_str(), "network:dhcp" | "network:distributed")
    }
}

fn by_id<R: Resource>(objects: Vec<R>) -> BTreeMap<String, R> {
    objects.into_iter().map(|object| (object.id().to_owned(), object)).collect()
}

async fn complete<R: Resource>(
    cloud: &Cloud<'_>,
    there: &mut BTreeMap<String, R>,
    ids: impl Iterator<Item = &str>,
) -> Result<(), ActivityError> {
    for id in ids.filter(|id| !id.is_empty()).map(str::to_owned).collect::<BTreeSet<_>>() {
        if !there.contains_key(&id)
            && let Some(object) = cloud.get::<R>(&id).await?
        {
            there.insert(id, object);
        }
    }
    Ok(())
}

fn service_network(cluster: &str) -> String {
    format!("{cluster}-kuryr-service-network")
}

/// Whether an object carries a tag.
pub(super) fn carries<R: Resource>(object: &R, tag: &str) -> bool {
    object.tags().iter().any(|own| own == tag)
}

impl Balancer {
    /// Whether it carries a tag, in its tags or as a word of its description.
    pub(super) fn carries(&self, tag: &str) -> bool {
        carries(self, tag) || self.description.split([' ', ',', ';']).any(|word| word == tag)
    }
}

/// From what is named and what is there to what is Kuryr's and this cluster's.
pub(super) fn judge(named: &InCluster, found: &InCloud) -> Result<KuryrInventory, ActivityError> {
    let tag = tag_of(&named.cluster);
    let mut not_ours = Vec::new();
    let mut inventory = KuryrInventory { cluster: named.cluster.clone(), ..KuryrInventory::default() };
    networks(&mut inventory, named, found, &tag, &mut not_ours);
    let of_kuryr: BTreeSet<&str> =
        inventory.networks.iter().chain(&inventory.services).flat_map(|net| &net.ports).map(String::as_str).collect();
    inventory.trunks = found.trunks.iter().map(|trunk| carried(trunk, &of_kuryr)).collect();
    inventory.trunks.sort_by(|a, b| a.id.cmp(&b.id));
    balancers(&mut inventory, named, found, &tag, &mut not_ours);
    groups(&mut inventory, named, found, &tag, &mut not_ours);
    inventory.pools = found.pools.iter().map(name).collect();
    inventory.pools.sort();
    inventory.router = router(named, found, &tag)?;
    inventory.not_ours = not_ours;
    Ok(inventory)
}

fn networks(inventory: &mut KuryrInventory, named: &InCluster, found: &InCloud, tag: &str, not_ours: &mut Vec<String>) {
    let mut subnets: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for network in &named.networks {
        let of_it = subnets.entry(&network.status.net_id).or_default();
        of_it.extend(Some(network.status.subnet_id.as_str()).filter(|id| !id.is_empty()));
    }
    let services = service_network(&named.cluster);
    for net in found.networks.values() {
        let is_services = net.name == services;
        let is_named = subnets.contains_key(net.id.as_str());
        // A namespace that was deleted while Kuryr was down has left its network, and nothing names it any more.
        let is_orphan = net.name.starts_with("ns/") && net.name.ends_with("-net");
        if !is_services && !is_named && !is_orphan {
            continue;
        }
        if !carries(net, tag) {
            not_ours.push(format!("network {} ({}) is named by a KuryrNetwork and lacks the tag {tag}", net.id, net.name));
            continue;
        }
        let own = net.subnets.iter().map(String::as_str);
        let all: BTreeSet<&str> = own.chain(subnets.get(net.id.as_str()).into_iter().flatten().copied()).collect();
        let ports = found.ports.iter().filter(|port| port.network_id == net.id && !port.is_router_interface());
        let ports: BTreeSet<String> = ports.map(|port| port.id.clone()).collect();
        let net = KuryrNet {
            id: net.id.clone(),
            name: net.name.clone(),
            subnets: all.into_iter().map(str::to_owned).collect(),
            ports: ports.into_iter().collect(),
        };
        if is_services { inventory.services = Some(net) } else { inventory.networks.push(net) }
    }
}

fn carried(trunk: &Trunk, of_kuryr: &BTreeSet<&str>) -> KuryrTrunk {
    let ports = trunk.sub_ports.iter().map(|sub| &sub.port_id).filter(|id| of_kuryr.contains(id.as_str()));
    let ports: BTreeSet<String> = ports.cloned().collect();
    KuryrTrunk { id: trunk.id.clone(), name: trunk.name.clone(), ports: ports.into_iter().collect() }
}

fn balancers(inventory: &mut KuryrInventory, named: &InCluster, found: &InCloud, tag: &str, not_ours: &mut Vec<String>) {
    for balancer in found.balancers.values() {
        let by = named.balancers.iter().find(|object| object.status.loadbalancer.id == balancer.id);
        match by {
            _ if balancer.carries(tag) => inventory.balancers.push(name(balancer)),
            Some(by) => not_ours.push(format!(
                "load balancer {} ({}) is named by KuryrLoadBalancer {}/{} and lacks the tag {tag}",
                balancer.id,
                balancer.name,
                by.namespace_name(),
                by.name()
            )),
            None => {}
        }
    }
}

/// A description alone says whose kind a group is, never whose: every cluster of a project has groups of the same description.
fn groups(inventory: &mut KuryrInventory, named: &InCluster, found: &InCloud, tag: &str, not_ours: &mut Vec<String>) {
    let pods = format!("{}-kuryr-pods-security-group", named.cluster);
    for group in found.groups.values() {
        let is_named = named.policies.iter().any(|policy| policy.status.security_group_id == group.id);
        if group.name != pods && !group.description.starts_with(OF_POLICY) && !is_named {
            continue;
        }
        if carries(group, tag) {
            inventory.groups.push(name(group));
        } else if is_named {
            let line =
                format!("security group {} ({}) is named by a KuryrNetworkPolicy and lacks the tag {tag}", group.id, group.name);
            not_ours.push(line);
        }
    }
}

/// The one router that all of Kuryr's networks hang on. The vendor takes the first that is named, and an empty name if there is none.
fn router(named: &InCluster, found: &InCloud, tag: &str) -> Result<Option<KuryrRouter>, ActivityError> {
    let by_cluster = named.networks.iter().map(|net| net.status.router_id.as_str()).filter(|id| !id.is_empty());
    let ids: BTreeSet<&str> = by_cluster.chain(found.service_routers.iter().map(String::as_str)).collect();
    if ids.len() > 1 {
        let all = Vec::from_iter(ids).join(", ");
        let message = format!("Kuryr's networks hang on several routers: {all}; that is not understood here; clean up by hand");
        return Err(ActivityError::permanent("several-routers", message));
    }
    let Some(id) = ids.into_iter().next() else { return Ok(None) };
    let Some(router) = found.routers.get(id) else { return Ok(None) };
    let stays = if router.description == INSTALLERS {
        Some("the installer made it".to_owned())
    } else if carries(router, tag) {
        None
    } else {
        Some(format!("it lacks the tag {tag}"))
    };
    Ok(Some(KuryrRouter { id: router.id.clone(), name: router.name.clone(), stays }))
}

fn name<R: Resource>(object: &R) -> Named {
    Named { id: object.id().to_owned(), name: object.name().to_owned() }
}

#[cfg(test)]
mod tests;
