//! The objects of the simulated cluster: what is served, what is stored, what changed when.

mod columns;
mod error;
mod log;
mod meta;
mod objects;
mod resource;
pub mod resources;
mod termination;

pub use error::{ApiError, Cause};
pub use log::{Change, ChangeKind};
pub use objects::{Deleted, Edit, Outcome, Preconditions, Removal, Scope, Store};
pub use resource::{Cell, Column, Resource};
