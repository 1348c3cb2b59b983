//! What there is in the cloud.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::compute::{Actions, Rebooting};
use super::handle::{Account, CloudRecord};
use super::load_balancer::Transition;
use crate::machine_daemon::PowerCycle;
use crate::rng::Rng;
use crate::world::json::text;

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A network of Neutron.
    Network,
    /// A subnet.
    Subnet,
    /// A port.
    Port,
    /// A router.
    Router,
    /// A trunk.
    Trunk,
    /// A security group.
    SecurityGroup,
    /// A subnet pool.
    SubnetPool,
    /// A load balancer of Octavia.
    LoadBalancer,
    /// A server of Nova.
    Server,
}

impl Kind {
    /// Every kind that Neutron serves.
    pub(super) const NETWORK: [Self; 7] =
        [Self::Network, Self::Subnet, Self::Port, Self::Router, Self::Trunk, Self::SecurityGroup, Self::SubnetPool];

    /// The key of one object in a body.
    pub fn one(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Subnet => "subnet",
            Self::Port => "port",
            Self::Router => "router",
            Self::Trunk => "trunk",
            Self::SecurityGroup => "security_group",
            Self::SubnetPool => "subnetpool",
            Self::LoadBalancer => "loadbalancer",
            Self::Server => "server",
        }
    }

    /// The key of several in a body.
    pub fn many(self) -> String {
        format!("{}s", self.one())
    }

    /// The part of a path that names it.
    pub(super) fn in_path(self) -> String {
        self.many().replace('_', "-")
    }
}

/// Whose an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// Kuryr of this cluster: to be cleaned up once another plugin took over.
    Kuryr,
    /// The rest of this cluster: its machines, their network and ports.
    Cluster,
    /// Another cluster of the same project.
    OtherCluster,
    /// A person who works in the same project.
    Person,
}

/// One object, with whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudObject {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// Whose it is; what a client made belongs to nobody.
    pub owner: Option<Owner>,
    /// As the service shows it.
    pub object: Value,
}

/// Everything that the services know.
#[derive(Debug)]
pub(crate) struct State {
    tables: BTreeMap<Kind, BTreeMap<String, Value>>,
    owners: BTreeMap<String, Owner>,
    pub(super) account: Account,
    /// When each token ends.
    pub(super) tokens: BTreeMap<String, DateTime<Utc>>,
    /// What load balancers become next.
    pub(super) transitions: BTreeMap<String, Transition>,
    /// Load balancers whose next deletion fails.
    pub(super) stubborn: BTreeSet<String>,
    /// Servers that reboot.
    pub(super) rebooting: BTreeMap<String, Rebooting>,
    /// What was done to servers.
    pub(super) actions: BTreeMap<String, Actions>,
    /// Machines whose power is to be taken away and given back.
    pub(super) power_cycles: Vec<PowerCycle>,
    pub(super) audit: Vec<CloudRecord>,
    rng: Rng,
}

impl State {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed).fork("openstack");
        let account = Account::invent(&mut rng);
        Self {
            tables: BTreeMap::new(),
            owners: BTreeMap::new(),
            account,
            tokens: BTreeMap::new(),
            transitions: BTreeMap::new(),
            stubborn: BTreeSet::new(),
            rebooting: BTreeMap::new(),
            actions: BTreeMap::new(),
            power_cycles: vec![],
            audit: vec![],
            rng,
        }
    }

    /// A fresh id.
    pub(crate) fn id(&mut self) -> String {
        self.rng.uuid().to_string()
    }

    /// The project that everything is in.
    pub(crate) fn project(&self) -> &str {
        &self.account.project_id
    }

    /// Stores an object; returns its id.
    pub(crate) fn put(&mut self, kind: Kind, owner: Option<&Owner>, object: Value) -> String {
        let id = text(&object, "/id").to_owned();
        if let Some(owner) = owner {
            self.owners.insert(id.clone(), owner.clone());
        }
        self.tables.entry(kind).or_default().insert(id.clone(), object);
        id
    }

    /// Whose an object is.
    pub(super) fn owner(&self, id: &str) -> Option<&Owner> {
        self.owners.get(id)
    }

    /// Forgets an object.
    pub(crate) fn remove(&mut self, kind: Kind, id: &str) -> Option<Value> {
        self.owners.remove(id);
        self.tables.get_mut(&kind)?.remove(id)
    }

    /// The object of this id.
    pub(crate) fn get(&self, kind: Kind, id: &str) -> Option<&Value> {
        self.tables.get(&kind)?.get(id)
    }

    /// The object of this id, to change it.
    pub(crate) fn get_mut(&mut self, kind: Kind, id: &str) -> Option<&mut Value> {
        self.tables.get_mut(&kind)?.get_mut(id)
    }

    /// All objects of a kind, by id.
    pub(crate) fn all(&self, kind: Kind) -> impl Iterator<Item = &Value> {
        self.tables.get(&kind).into_iter().flat_map(BTreeMap::values)
    }

    /// All objects of every kind.
    pub(super) fn objects(&self) -> Vec<CloudObject> {
        let of = |kind: Kind, id: &String, object: &Value| CloudObject {
            kind,
            id: id.clone(),
            owner: self.owners.get(id).cloned(),
            object: object.clone(),
        };
        self.tables.iter().flat_map(|(kind, table)| table.iter().map(|(id, object)| of(*kind, id, object))).collect()
    }

    /// Notes that an object changed.
    pub(super) fn touch(&mut self, kind: Kind, id: &str, now: DateTime<Utc>) {
        if let Some(object) = self.get_mut(kind, id) {
            object["updated_at"] = json!(seconds(now));
            object["revision_number"] = json!(object["revision_number"].as_u64().unwrap_or(0) + 1);
        }
    }
}

/// A time as Neutron and Nova write it.
pub(super) fn seconds(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
