//! Everything of Kuryr's in the cloud, by id.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Everything of Kuryr's in the cloud that belongs to one cluster, each list in the order of its ids.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KuryrInventory {
    /// What everything of the cluster is called by: `ocp-7xk2p`.
    pub cluster: String,
    /// The router that connects Kuryr's networks.
    pub router: Option<KuryrRouter>,
    /// The network that services have their addresses in.
    pub services: Option<KuryrNet>,
    /// The namespaces' networks.
    pub networks: Vec<KuryrNet>,
    /// The nodes' trunks, and what of Kuryr's they carry. The trunks themselves are the nodes'.
    pub trunks: Vec<KuryrTrunk>,
    /// Load balancers.
    pub balancers: Vec<Named>,
    /// Security groups.
    pub groups: Vec<Named>,
    /// Pools of addresses for subnets.
    pub pools: Vec<Named>,
    /// What the cluster's own objects name although it does not carry the cluster's tag, one line each: left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_ours: Vec<String>,
}

/// An object of the cloud.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Named {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A network of Kuryr's.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KuryrNet {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its subnets.
    pub subnets: Vec<String>,
    /// Its ports that carry the cluster's tag.
    pub ports: Vec<String>,
}

/// What a node's trunk carries of Kuryr's.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KuryrTrunk {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The ports.
    pub ports: Vec<String>,
}

/// The router of Kuryr's networks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KuryrRouter {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Why it stays, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
}

impl KuryrInventory {
    /// The tag that everything of the cluster carries.
    pub fn tag(&self) -> String {
        tag_of(&self.cluster)
    }

    /// Everything that was seen at one time or the other.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        self.networks = union(self.networks, later.networks, |net| net.id.clone(), merge_nets);
        let services = self.services.into_iter().collect();
        self.services =
            union(services, later.services.into_iter().collect(), |net| net.id.clone(), merge_nets).into_iter().next();
        let carries = |a: &mut KuryrTrunk, b: KuryrTrunk| merge_ids(&mut a.ports, b.ports);
        self.trunks = union(self.trunks, later.trunks, |trunk| trunk.id.clone(), carries);
        let same = |_: &mut Named, _: Named| {};
        self.balancers = union(self.balancers, later.balancers, |one| one.id.clone(), same);
        self.groups = union(self.groups, later.groups, |one| one.id.clone(), same);
        self.pools = union(self.pools, later.pools, |one| one.id.clone(), same);
        // What was learned of the router last holds: it may have got a description.
        self.router = later.router.or(self.router);
        self.not_ours = self.not_ours.into_iter().chain(later.not_ours).collect::<BTreeSet<_>>().into_iter().collect();
        self
    }

    /// How much there is, for a person: `14 networks with 320 ports, 9 load balancers, …`.
    pub fn in_words(&self) -> String {
        let nets = self.networks.len() + usize::from(self.services.is_some());
        let ports: usize = self.networks.iter().chain(&self.services).map(|net| net.ports.len()).sum();
        let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        format!(
            "{} with {}, {}, {} and {}",
            counted(nets, "network"),
            counted(ports, "port"),
            counted(self.balancers.len(), "load balancer"),
            counted(self.groups.len(), "security group"),
            counted(self.pools.len(), "subnet pool")
        )
    }

    /// That nothing of it is there any more.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
            && self.services.is_none()
            && self.trunks.iter().all(|trunk| trunk.ports.is_empty())
            && self.balancers.is_empty()
            && self.groups.is_empty()
            && self.pools.is_empty()
            && self.router.as_ref().is_none_or(|router| router.stays.is_some())
    }
}

/// The tag that everything of a cluster carries.
pub(super) fn tag_of(cluster: &str) -> String {
    format!("openshiftClusterID={cluster}")
}

fn merge_nets(a: &mut KuryrNet, b: KuryrNet) {
    merge_ids(&mut a.subnets, b.subnets);
    merge_ids(&mut a.ports, b.ports);
}

fn merge_ids(a: &mut Vec<String>, b: Vec<String>) {
    let all: BTreeSet<String> = a.drain(..).chain(b).collect();
    a.extend(all);
}

fn union<T>(a: Vec<T>, b: Vec<T>, id: impl Fn(&T) -> String, mut merge: impl FnMut(&mut T, T)) -> Vec<T> {
    let mut all: std::collections::BTreeMap<String, T> = a.into_iter().map(|one| (id(&one), one)).collect();
    for one in b {
        match all.entry(id(&one)) {
            std::collections::btree_map::Entry::Vacant(entry) => _ = entry.insert(one),
            std::collections::btree_map::Entry::Occupied(mut entry) => merge(entry.get_mut(), one),
        }
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(id: &str, ports: &[&str]) -> KuryrNet {
        let ports = ports.iter().map(|port| (*port).to_owned()).collect();
        KuryrNet { id: id.to_owned(), name: format!("ns/{id}-net"), subnets: vec![format!("sub-{id}")], ports }
    }

    fn named(id: &str) -> Named {
        Named { id: id.to_owned(), name: id.to_owned() }
    }

    #[test]
    fn what_was_seen_once_is_not_forgotten() {
        let first = KuryrInventory {
            cluster: "ocp-1".to_owned(),
            networks: vec![net("a", &["1", "2"]), net("b", &[])],
            balancers: vec![named("lb-1")],
            services: Some(net("s", &["9"])),
            ..KuryrInventory::default()
        };
        let later = KuryrInventory {
            cluster: "ocp-1".to_owned(),
            networks: vec![net("a", &["2", "3"]), net("c", &["4"])],
            balancers: vec![named("lb-0"), named("lb-1")],
            router: Some(KuryrRouter { id: "r".to_owned(), ..KuryrRouter::default() }),
            ..KuryrInventory::default()
        };
        let both = first.and(later);
        assert_eq!(both.networks, [net("a", &["1", "2", "3"]), net("b", &[]), net("c", &["4"])]);
        assert_eq!(both.balancers, [named("lb-0"), named("lb-1")]);
        assert_eq!(both.services, Some(net("s", &["9"])));
        assert_eq!(both.router.unwrap().id, "r");
    }
}
