//! A simulated cluster: a Kubernetes API server and the controllers of the platforms that windlass maintains.

pub mod api;
pub mod audit;
pub mod check;
pub mod clock;
pub mod containers;
mod controllers;
pub mod faults;
pub mod hazards;
pub mod kube_ovn;
pub mod kuryr;
mod machine_daemon;
pub mod openstack;
pub mod rng;
pub mod scenario;
pub mod serve;
mod sim;
pub mod store;
mod world;

pub use api::ApiService;
pub use audit::{Audit, AuditRecord};
pub use clock::SimClock;
pub use controllers::ledger;
pub use faults::FaultScript;
pub use rng::Rng;
pub use scenario::Scenario;
pub use serve::Server;
pub use sim::Sim;
pub use store::Store;
pub use world::shape::ClusterShape;
pub use world::{graph, shape, snapshot};
