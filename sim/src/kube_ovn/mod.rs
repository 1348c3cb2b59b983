//! A Kube-OVN cluster: the objects, the controllers, and OVN's databases in the pods of ovn-central, modelled or real.

pub mod backend;

pub use backend::{Backend, Database, Health, Member};
