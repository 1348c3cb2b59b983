//! Histories outside of their journal: in one file that proves itself, and into another journal. Format: docs/journal.md, "Export".

mod format;
mod import;
mod patterns;
mod read;
mod redact;
mod write;

pub use format::EXPORT_FORMAT;
pub use import::{ImportError, import_run};
pub use read::{Archive, Part, ReadError, read};
pub use redact::Redactor;
pub use write::{Export, ExportError, Exported, export};
