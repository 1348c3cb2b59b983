//! Histories outside of their journal: carried into another one.

mod import;

pub use import::{ImportError, import_run};
