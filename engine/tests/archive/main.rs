//! Histories outside of their journal.

#[cfg(test)]
mod formats;
#[cfg(test)]
mod import;
#[cfg(test)]
mod redaction;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tamper;
