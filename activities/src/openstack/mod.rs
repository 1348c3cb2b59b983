//! The cloud under a cluster: OpenStack's APIs, as far as the procedures need them.
//!
//! A thin client on the same HTTP and TLS stack as the cluster's: a login is read from `clouds.yaml` ([`clouds`]), a token and the
//! addresses of the services come from Keystone (`login`), and objects are read, listed and deleted by id (`calls`, `objects`).
//! Nothing of a login ever leaves this module but to Keystone; tokens live in memory only.

mod calls;
pub mod clouds;
mod login;
mod objects;
mod wire;

pub(crate) use calls::Clouds;
pub use calls::{CallFailed, Cloud};
pub use clouds::{CloudAccess, Secret};
pub use objects::{
    Balancer, Network, Port, Resource, Router, SecurityGroup, Server, Service, SubPort, Subnet, SubnetPool, Trunk,
};
