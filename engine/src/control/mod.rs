//! What can be told to a run from outside, decided by one pure function for the worker and for the offline commands.

mod decide;
mod offline;
mod overrides;
mod refusal;
mod request;

pub use decide::{Grounds, decide, text_digest};
pub use offline::{record_offline, record_offline_with};
pub use refusal::Refusal;
pub use request::{Request, What};
