//! A Kube-OVN cluster: the objects, the controllers, and OVN's databases in the pods of ovn-central, modelled or real.

pub mod backend;
pub mod real;

pub use backend::{Backend, Database, Health, Member};
