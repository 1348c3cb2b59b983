//! A Kube-OVN cluster: the objects, the controllers, and OVN's databases in the pods of ovn-central, modelled or real.

pub mod backend;
mod check;
mod commands;
mod database;
pub(crate) mod disks;
mod handle;
mod log_file;
mod model;
pub(crate) mod objects;
pub mod real;
mod rooms;
mod shape;

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::store::resources::PODS;
use crate::store::{ApiError, Store};
use crate::world::json::{label, name};
use crate::world::shape::ClusterShape;
use crate::world::workloads::mark_ready;
use disks::Disks;
use objects::{CENTRAL, NAMESPACE};

pub use backend::{Backend, Database, Health, Member};
pub use handle::KubeOvn;
pub use model::Modelled;
pub use rooms::Kick;
pub(crate) use rooms::Rooms;
pub use shape::{KubeOvnShape, VERSION};

/// Where the node was that is gone.
const GHOST: Ipv4Addr = Ipv4Addr::new(172, 18, 255, 250);

/// Puts the databases under a cluster whose objects are stored: by this backend, or by a model of servers that have run for a while.
pub(crate) fn install(
    store: &Store,
    shape: &ClusterShape,
    kube_ovn: &KubeOvnShape,
    backend: Option<Arc<dyn Backend>>,
) -> Result<(Arc<Rooms>, KubeOvn), ApiError> {
    let disks = Disks::new().map_err(|error| ApiError::new(500, "InternalError", format!("no disks for the nodes: {error}")))?;
    let disks = Arc::new(disks);
    let (backend, model) = if let Some(backend) = backend {
        let is_central = |pod: &&Arc<serde_json::Value>| label(pod, "app") == Some(CENTRAL);
        for pod in store.list(&PODS).iter().filter(is_central) {
            let now = store.clock().now();
            store.modify(&PODS, Some(NAMESPACE), name(pod), |pod| mark_ready(pod, false, now))?;
        }
        (backend, None)
    } else {
        let model = Modelled::new(store.clock().clone(), shape.seed);
        model.found(&members(store, shape, kube_ovn, &disks), kube_ovn.ghost.then_some(GHOST));
        if kube_ovn.stale_files {
            let members = kube_ovn.member_nodes(shape);
            for (node, address) in kube_ovn.nodes(shape).into_iter().filter(|node| !members.contains(node)) {
                if let Some(directory) = disks.on_host(&node, "/etc/origin/ovn") {
                    model.leave_files(&directory, address);
                }
            }
        }
        (Arc::new(model.clone()) as Arc<dyn Backend>, Some(model))
    };
    let rooms = Arc::new(Rooms::new(Arc::clone(&backend), Arc::clone(&disks), store.clock().clone()));
    let handle = KubeOvn { store: store.clone(), backend, model, disks, rooms: Arc::clone(&rooms) };
    Ok((rooms, handle))
}

/// The members that are there from the start.
fn members(store: &Store, shape: &ClusterShape, kube_ovn: &KubeOvnShape, disks: &Disks) -> Vec<Member> {
    let pods = store.list(&PODS);
    let nodes = kube_ovn.member_nodes(shape);
    let node_ips: Vec<_> = nodes.iter().map(|(_, address)| *address).collect();
    let members = nodes.iter().filter_map(|(node, address)| {
        let pod = pods.iter().find(|p| label(p, "app") == Some(CENTRAL) && p["spec"]["nodeName"] == **node)?;
        Some(Member {
            pod: name(pod).to_owned(),
            node: node.clone(),
            address: *address,
            node_ips: node_ips.clone(),
            directory: disks.on_host(node, "/etc/origin/ovn")?,
            version: kube_ovn.version.clone(),
        })
    });
    members.collect()
}
