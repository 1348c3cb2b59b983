//! The recorded facts of a run. Additive only: see docs/journal.md before touching a variant.

mod fact;
mod park;
mod record;

pub use fact::Event;
pub use park::{ParkReason, ProbeVerdict};
pub use record::{NewEvent, Record};
