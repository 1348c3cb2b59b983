//! The objects of a cluster that has been running for a while.

mod access;
pub(crate) mod alerts;
mod awkward;
pub(crate) mod config;
pub mod graph;
pub(crate) mod json;
pub(crate) mod network;
pub(crate) mod nodes;
pub(crate) mod operators;
mod overlays;
pub(crate) mod pools;
pub mod shape;
pub mod snapshot;
pub(crate) mod version;
pub(crate) mod workloads;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::rng::Rng;
use crate::store::{ApiError, Resource, Store};
use graph::{Release, UpdateGraph};
use shape::ClusterShape;

/// An object before it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    resource: Resource,
    object: Value,
    owner: Option<Owner>,
    age: TimeDelta,
}

/// The kind, namespace and name of the object that controls another one.
type Owner = (&'static str, String, String);

impl Draft {
    /// An object as old as the cluster.
    pub(crate) fn new(resource: Resource, object: Value) -> Self {
        Self { resource, object, owner: None, age: CLUSTER_AGE }
    }

    /// The same object, controlled by another one that is drafted earlier.
    pub(crate) fn owned_by(mut self, owner: &Resource, namespace: &str, name: &str) -> Self {
        self.owner = Some((owner.kind, namespace.into(), name.into()));
        self
    }

    /// The same object with a label more.
    pub(crate) fn labelled(mut self, label: &str, value: &str) -> Self {
        self.object["metadata"]["labels"][label] = value.into();
        self
    }

    /// The same object, this old.
    pub(crate) fn aged(mut self, age: TimeDelta) -> Self {
        self.age = age;
        self
    }
}

/// How long the cluster has been running when the simulation starts.
pub(crate) const CLUSTER_AGE: TimeDelta = TimeDelta::days(115);

/// What the builders share.
pub(crate) struct Plan<'a> {
    pub(crate) shape: &'a ClusterShape,
    pub(crate) graph: &'a UpdateGraph,
    pub(crate) release: Release,
    pub(crate) now: DateTime<Utc>,
    pub(crate) rng: Rng,
    /// The infrastructure's name, a prefix of machine names.
    pub(crate) infra: String,
}

impl<'a> Plan<'a> {
    /// The facts that follow from a shape; the installed release is invented when the graph does not know it.
    pub(crate) fn new(shape: &'a ClusterShape, graph: &'a UpdateGraph, now: DateTime<Utc>) -> Self {
        let mut rng = Rng::new(shape.seed).fork("world");
        let release = graph.release(&shape.version).cloned();
        let release = release.unwrap_or_else(|| Release { version: shape.version.clone(), channels: vec![] });
        let infra = format!("harbour-{}", rng.suffix());
        Self { shape, graph, release, now, rng, infra }
    }

    /// A time before now, as objects show it.
    pub(crate) fn ago(&self, age: TimeDelta) -> String {
        rfc3339(self.now - age)
    }
}

/// Stores every object of a cluster of this shape.
pub(crate) fn populate(store: &Store, shape: &ClusterShape, graph: &UpdateGraph) -> Result<(), ApiError> {
    let now = store.clock().now();
    let mut plan = Plan::new(shape, graph, now);
    let drafts = match &shape.kube_ovn {
        Some(kube_ovn) => crate::kube_ovn::objects::drafts(&mut plan, kube_ovn),
        None => openshift(&mut plan),
    };
    let mut uids = BTreeMap::new();
    for draft in drafts {
        write(store, draft, &mut uids, now)?;
    }
    shape.copied.as_ref().map_or(Ok(()), |copied| copied.lay_over(store))
}

fn openshift(plan: &mut Plan<'_>) -> Vec<Draft> {
    let mut drafts = config::namespaces(plan.shape.network);
    drafts.extend(version::drafts(plan));
    drafts.extend(config::drafts(plan));
    drafts.extend(pools::drafts(plan));
    match &plan.shape.copied {
        None => {
            drafts.extend(nodes::drafts(plan));
            drafts.extend(workloads::drafts(plan));
        }
        Some(copied) => drafts.extend(copied.drafts(plan)),
    }
    drafts
}

/// Lays the shape's own objects over the generated ones, where the controllers see it.
pub(crate) fn overlay(store: &Store, shape: &ClusterShape) -> Result<(), ApiError> {
    shape.objects.iter().try_for_each(|object| overlays::lay(store, object))
}

fn write(store: &Store, draft: Draft, uids: &mut BTreeMap<Owner, Value>, now: DateTime<Utc>) -> Result<(), ApiError> {
    let Draft { resource, mut object, owner, age } = draft;
    if let Some(owner) = owner {
        let uid = uids.get(&owner).cloned().unwrap_or_default();
        object["metadata"]["ownerReferences"] = json!([owner_reference(&owner, &uid)]);
    }
    let stored = store.create(&resource, object)?;
    let (namespace, name) = (json::namespace(&stored).to_owned(), json::name(&stored).to_owned());
    store.modify(&resource, Some(&namespace).filter(|ns| !ns.is_empty()).map(String::as_str), &name, |o| {
        o["metadata"]["creationTimestamp"] = json!(rfc3339(now - age));
    })?;
    uids.insert((resource.kind, namespace, name), stored["metadata"]["uid"].clone());
    Ok(())
}

fn owner_reference((kind, _, name): &Owner, uid: &Value) -> Value {
    let version = match *kind {
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" => "apps/v1",
        "ClusterVersion" => "config.openshift.io/v1",
        "MachineConfigPool" => "machineconfiguration.openshift.io/v1",
        "MachineSet" => "machine.openshift.io/v1beta1",
        _ => "v1",
    };
    json!({ "apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": true, "blockOwnerDeletion": true })
}
