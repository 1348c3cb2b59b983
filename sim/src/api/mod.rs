//! The Kubernetes API, served from the store.

mod accept;
mod arrival;
mod auth;
mod body;
mod defaults;
mod discovery;
mod eviction;
mod exec;
mod hosts;
mod openapi;
mod patch;
mod prometheus;
mod protobuf;
mod read;
mod reply;
mod request;
mod review;
mod scale;
mod selector;
mod service;
mod table;
mod validate;
mod watch;
mod write;

pub use body::SimBody;
pub use eviction::Budget;
pub(crate) use prometheus::Monitoring;
pub use prometheus::PROMETHEUS_PATH;
pub use request::Verb;
pub use selector::Selector;
pub use service::{ApiService, ConnectionLost, UPDATE_SERVICE_PATH};
