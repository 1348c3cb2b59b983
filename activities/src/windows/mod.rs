//! Maintenance windows: when a step may begin so that it ends inside one.
//!
//! A [`Calendar`] says when work is allowed, in the wall-clock time of one zone. Times on the wall are turned into instants
//! so that a window is never open at a time that its text doesn't cover: an opening that exists twice (the night the clock is
//! set back) counts the second time, a closing the first time after the opening; one that does not exist (the night it is set
//! forward) counts at the jump.

mod calendar;
mod error;
mod find;
mod flags;
mod place;
mod slot;
mod spans;
#[cfg(test)]
mod tests;
mod text;
mod zone;

pub use calendar::Calendar;
pub use error::CalendarError;
pub use find::FindWindow;
pub(crate) use find::register;
pub use place::Placement;
pub use slot::{Blackout, Cron, Once, Slot};
pub use spans::{Entry, Window};
pub use text::{Day, LocalTime, TimeOfDay};
