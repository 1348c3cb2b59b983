//! Operations on OpenShift clusters, one family per file, each an activity of the engine. Never touches the journal.
//!
//! A [`Cluster`] is what activities work on: a kube client bound to the cluster's id, with a budget of calls, a deadline
//! on each, and one set of watches that every wait shares; [`exec`] runs commands in containers.
//!
//! The families, in the order of an EUS-to-EUS update: [`preflight`] (fit to begin?), [`release`] (both hops pinned along
//! the update [`graph`]), [`channel`], [`machine_health`] and [`pool`] (held still, let go one by one), [`update`] (asked
//! for once, waited for), [`admin_ack`] (what a person attests between the hops), [`verify`] (health and proof), and
//! [`drain`] (why a node does not drain). [`condition`] holds the pure judgements, [`views`] what is read of each kind,
//! [`rbac`] the permissions that each activity needs.

pub mod admin_ack;
mod cache;
pub mod canary;
pub mod channel;
mod cluster;
mod command;
pub mod condition;
mod connect;
mod copies;
pub mod credentials;
pub mod deadline;
pub mod drain;
#[cfg(test)]
mod effects;
mod error;
pub mod estimate;
pub mod exec;
mod floor;
pub mod graph;
pub mod health;
mod hosts;
mod ids;
pub mod inventory;
pub mod kuryr;
pub mod lease;
mod limiter;
mod link;
pub mod machine_health;
pub mod mirror;
pub mod network;
pub mod openstack;
pub mod ovn;
pub mod pool;
pub mod preflight;
pub mod rbac;
mod register;
pub mod release;
mod requests;
mod server_time;
mod snapshot;
mod ssh;
pub mod target;
#[cfg(test)]
mod testing;
pub mod update;
pub mod verify;
pub mod views;
mod wait;
pub mod whole;
pub mod windows;

pub use cluster::{Cluster, FIELD_MANAGER, Patch, Query, Settings};
pub use connect::{ConnectError, Connection};
pub use error::{Call, CallError, Failure};
pub use hosts::Hosts;
pub use ids::{Channel, ClusterId, HealthCheckName, NodeName, PoolName, RenderedConfig};
pub use limiter::CallBudget;
pub use register::register;
pub use snapshot::{ApiState, Objects, Snapshot, Trouble, TroubleSort, WatchState, Watches, membership};
pub use wait::{OUTAGE_BUDGET, Seen, Wait, wait_for};
