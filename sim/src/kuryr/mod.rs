//! A cluster on OpenStack whose pods Kuryr connects: every namespace has a network of Neutron's, every pod a port, every service a
//! load balancer of Octavia's. Beside it in the same project: another such cluster, and what a person made by hand.

pub(crate) mod cloud;
mod ground;
mod install;
pub(crate) mod objects;
mod shape;
mod tenant;

pub(crate) use install::{install, is_connected};
pub use shape::KuryrShape;
pub(crate) use tenant::Tenant;

/// What Kuryr keeps a pod by.
pub const POD_FINALIZER: &str = "kuryr.openstack.org/pod-finalizer";
/// What Kuryr keeps a service by.
pub const SERVICE_FINALIZER: &str = "kuryr.openstack.org/service-finalizer";
/// What Kuryr keeps a network policy, and its own object for it, by.
pub const POLICY_FINALIZER: &str = "kuryr.openstack.org/networkpolicy-finalizer";
/// What Kuryr keeps a KuryrNetwork by.
pub const NETWORK_FINALIZER: &str = "kuryrnetwork.finalizers.kuryr.openstack.org";
/// What Kuryr keeps a KuryrPort by.
pub const PORT_FINALIZER: &str = "kuryr.openstack.org/kuryrport-finalizer";
/// What Kuryr keeps a KuryrLoadBalancer by.
pub const BALANCER_FINALIZER: &str = "kuryr.openstack.org/kuryrloadbalancer-finalizers";
