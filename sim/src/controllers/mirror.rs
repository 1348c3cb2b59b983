//! Nodes and pods as the controllers see them, kept up to date from the store's changes instead of by searching it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::scheduler::{Amount, Load};
use crate::store::resources::{NODES, PODS};
use crate::store::{Change, ChangeKind, Resource, Store};
use crate::world::json::{condition_is, has_annotation, name, namespace, text};

/// Changes that are read from the store at a time.
const BATCH: usize = 1_000;

/// Namespace and name of a pod.
pub(super) type PodKey = (String, String);

/// A pod, as far as controllers care.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    pub(super) object: Arc<Value>,
    pub(super) node: String,
    /// Kind and name of its controller.
    pub(super) owner: Option<(String, String)>,
    pub(super) ready: bool,
    pub(super) terminating: bool,
    /// A static pod, which only its node's kubelet can end.
    pub(super) is_static: bool,
    /// What it asks for.
    pub(super) requests: Amount,
}

impl Pod {
    fn read(object: &Arc<Value>) -> Self {
        let owner = object.pointer("/metadata/ownerReferences/0");
        Self {
            object: object.clone(),
            node: text(object, "/spec/nodeName").to_owned(),
            owner: owner.map(|o| (text(o, "/kind").to_owned(), text(o, "/name").to_owned())),
            ready: condition_is(object, "Ready", "True"),
            terminating: object["metadata"]["deletionTimestamp"].is_string(),
            is_static: has_annotation(object, "kubernetes.io/config.mirror"),
            requests: Amount::requested(object),
        }
    }

    /// Whether a drain has to wait until it is gone.
    pub(super) fn evictable(&self) -> bool {
        !self.is_static && self.owner.as_ref().is_none_or(|(kind, _)| kind != "DaemonSet")
    }
}

/// What changed since the last look.
#[derive(Debug, Default)]
pub(super) struct News {
    tables: BTreeMap<(&'static str, &'static str), BTreeSet<PodKey>>,
    /// Nodes that changed, came or went.
    pub(super) nodes: BTreeSet<String>,
    /// Pods that changed, came or went.
    pub(super) pods: BTreeSet<PodKey>,
    /// Replica sets whose pods changed: namespace and name.
    pub(super) owners: BTreeSet<PodKey>,
}

impl News {
    /// Whether an object of this resource changed.
    pub(super) fn of(&self, r: &Resource) -> bool {
        self.tables.contains_key(&(r.group, r.plural))
    }

    /// Namespace and name of the objects of this resource that changed.
    pub(super) fn keys(&self, r: &Resource) -> impl Iterator<Item = &PodKey> {
        self.tables.get(&(r.group, r.plural)).into_iter().flatten()
    }

    fn add(&mut self, r: &Resource, object: &Value) {
        self.tables.entry((r.group, r.plural)).or_default().insert(key(object));
    }

    /// Whether nothing changed.
    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }
}

/// All nodes and pods.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    revision: u64,
    pub(super) nodes: BTreeMap<String, Arc<Value>>,
    pods: BTreeMap<PodKey, Pod>,
    by_node: BTreeMap<String, BTreeSet<PodKey>>,
    loads: BTreeMap<String, Load>,
    by_owner: BTreeMap<PodKey, BTreeSet<PodKey>>,
}

impl Mirror {
    /// A mirror of what is stored now.
    pub(super) fn new(store: &Store) -> Self {
        let mut mirror = Self::default();
        mirror.rebuild(store, &mut News::default());
        mirror
    }

    /// Takes in what changed, and shows each change to `see`.
    pub(super) fn catch_up(&mut self, store: &Store, mut see: impl FnMut(&Change)) -> News {
        let mut news = News::default();
        loop {
            let Ok(changes) = store.changes_since(self.revision, BATCH) else {
                self.rebuild(store, &mut news);
                return news;
            };
            let Some(last) = changes.last() else { return news };
            self.revision = last.revision;
            for change in &changes {
                see(change);
                self.take(change, &mut news);
            }
        }
    }

    /// The pods of a node.
    pub(super) fn pods_on(&self, node: &str) -> impl Iterator<Item = (&PodKey, &Pod)> {
        self.pick(self.by_node.get(node))
    }

    /// What runs on a node, added up.
    pub(super) fn load(&self, node: &str) -> Load {
        self.loads.get(node).copied().unwrap_or_default()
    }

    /// The pods of a replica set.
    pub(super) fn pods_of(&self, owner: &PodKey) -> impl Iterator<Item = (&PodKey, &Pod)> {
        self.pick(self.by_owner.get(owner))
    }

    /// The pods of a namespace.
    pub(super) fn pods_in(&self, namespace: &str) -> impl Iterator<Item = (&PodKey, &Pod)> {
        let from = (namespace.to_owned(), String::new());
        self.pods.range(from..).take_while(move |(key, _)| key.0 == namespace)
    }

    /// The pod of this key.
    pub(super) fn pod(&self, key: &PodKey) -> Option<&Pod> {
        self.pods.get(key)
    }

    fn pick<'a>(&'a self, keys: Option<&'a BTreeSet<PodKey>>) -> impl Iterator<Item = (&'a PodKey, &'a Pod)> {
        keys.into_iter().flatten().filter_map(|key| self.pods.get_key_value(key))
    }

    fn rebuild(&mut self, store: &Store, news: &mut News) {
        // The revision is read first: what changes while the lists are read is seen again, and does no harm.
        *self = Self { revision: store.revision(), ..Self::default() };
        for r in crate::store::resources::ALL {
            for object in store.list(r) {
                news.add(r, &object);
            }
        }
        for node in store.list(&NODES) {
            news.nodes.insert(name(&node).to_owned());
            self.nodes.insert(name(&node).to_owned(), node);
        }
        for pod in store.list(&PODS) {
            self.put_pod(&pod, news);
        }
    }

    fn take(&mut self, change: &Change, news: &mut News) {
        news.add(&change.resource, &change.object);
        let gone = change.kind == ChangeKind::Deleted;
        if change.resource == NODES {
            let node = name(&change.object).to_owned();
            news.nodes.insert(node.clone());
            if gone {
                self.nodes.remove(&node);
            } else {
                self.nodes.insert(node, change.object.clone());
            }
        } else if change.resource == PODS {
            self.drop_pod(&key(&change.object), news);
            if !gone {
                self.put_pod(&change.object, news);
            }
        }
    }

    fn put_pod(&mut self, object: &Arc<Value>, news: &mut News) {
        let (key, pod) = (key(object), Pod::read(object));
        self.by_node.entry(pod.node.clone()).or_default().insert(key.clone());
        self.loads.entry(pod.node.clone()).or_default().add(pod.requests);
        if let Some((_, owner)) = &pod.owner {
            let owner = (key.0.clone(), owner.clone());
            news.owners.insert(owner.clone());
            self.by_owner.entry(owner).or_default().insert(key.clone());
        }
        news.pods.insert(key.clone());
        self.pods.insert(key, pod);
    }

    fn drop_pod(&mut self, key: &PodKey, news: &mut News) {
        news.pods.insert(key.clone());
        let Some(pod) = self.pods.remove(key) else { return };
        if let Some(keys) = self.by_node.get_mut(&pod.node) {
            keys.remove(key);
        }
        if let Some(load) = self.loads.get_mut(&pod.node) {
            load.remove(pod.requests);
        }
        if let Some((_, owner)) = pod.owner {
            let owner = (key.0.clone(), owner);
            if let Some(keys) = self.by_owner.get_mut(&owner) {
                keys.remove(key);
            }
            news.owners.insert(owner);
        }
    }
}

fn key(object: &Value) -> PodKey {
    (namespace(object).to_owned(), name(object).to_owned())
}
