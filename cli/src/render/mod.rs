//! How runs are shown: for people as a logbook and tables, for programs as JSON.

pub(crate) mod calendar;
pub(crate) mod check;
pub(crate) mod columns;
pub(crate) mod comparison;
pub(crate) mod explain;
pub(crate) mod history;
pub(crate) mod leftovers;
pub(crate) mod list;
pub(crate) mod logbook;
pub(crate) mod mirror;
pub(crate) mod options;
pub(crate) mod parked;
pub(crate) mod plan;
pub(crate) mod preflight;
pub(crate) mod rehearsal;
pub(crate) mod schedule;
pub(crate) mod status;
