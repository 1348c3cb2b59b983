//! A simulated cluster: a Kubernetes API server and the controllers of the platforms that windlass maintains.

pub mod api;
pub mod audit;
pub mod clock;
pub mod faults;
pub mod rng;
pub mod serve;
pub mod store;

pub use api::ApiService;
pub use audit::{Audit, AuditRecord};
pub use clock::SimClock;
pub use faults::FaultScript;
pub use rng::Rng;
pub use serve::Server;
pub use store::Store;
