//! A simulated cluster: a Kubernetes API server and the controllers of the platforms that windlass maintains.

pub mod clock;
pub mod rng;
pub mod store;

pub use clock::SimClock;
pub use rng::Rng;
