//! The cloud under the cluster: Keystone, Neutron, Octavia and Nova, as far as the maintenance of a cluster needs them.
//!
//! They answer at the address of the Kubernetes API, each under its own path; the catalog in a token's body names these. Time is that
//! of the cluster. What they answer where something is in use, pending or gone is what the real services answer.

mod answer;
mod catalog;
mod compute;
mod handle;
mod identity;
mod load_balancer;
mod network;
mod service;
mod state;

pub(crate) use compute::server;
pub use handle::{Account, CloudRecord, OpenStack};
pub(crate) use load_balancer::balancer;
pub(crate) use network::objects;
pub(crate) use service::serves;
pub(crate) use state::State;
pub use state::{CloudObject, Kind, Owner};
