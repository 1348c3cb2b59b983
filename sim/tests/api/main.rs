//! The simulated API server, through its `tower::Service`, in memory and on virtual time.

mod discovery;
mod evictions;
mod faults;
mod kube_client;
mod leases;
mod lists;
mod objects;
mod rig;
mod served;
mod watches;
