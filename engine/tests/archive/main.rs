//! Histories outside of their journal.

#[cfg(test)]
mod import;
