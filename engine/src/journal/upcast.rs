//! Events as earlier formats of the journal wrote them, read as if today's had: docs/journal.md, "Compatibility".

use std::borrow::Cow;

use serde_json::Value;

use super::JournalFormat;

/// Makes of an event the same event in the next format; `Err` says why it is none.
///
/// Pure, and one event stays one: places in a run and hashes are counted in records.
type Step = fn(&mut Value) -> Result<(), String>;

impl JournalFormat {
    /// The oldest that is read. In this crate's own tests one that never was, so that they can write and read an old journal.
    pub(crate) const OLDEST: Self = Self(if cfg!(test) { 0 } else { 1 });
}

/// How many formats are older than today's.
const OLDER: usize = (JournalFormat::CURRENT.0 - JournalFormat::OLDEST.0) as usize;

/// A step for each older format, oldest first; without one for each, this does not build.
const STEPS: [Step; OLDER] = [
    #[cfg(test)]
    tests::from_format_0,
];

/// An event's text as today's format has it; today's own is left alone.
pub(super) fn raised(text: &str, format: JournalFormat) -> Result<Cow<'_, str>, String> {
    raised_by(&STEPS, text, format.0.saturating_sub(JournalFormat::OLDEST.0) as usize)
}

/// Applies all steps but the first few.
fn raised_by<'a>(steps: &[Step], text: &'a str, passed: usize) -> Result<Cow<'a, str>, String> {
    let Some(steps @ [_, ..]) = steps.get(passed..) else { return Ok(Cow::Borrowed(text)) };
    let mut event = serde_json::from_str(text).map_err(|error| error.to_string())?;
    for step in steps {
        step(&mut event)?;
    }
    Ok(Cow::Owned(event.to_string()))
}

#[cfg(test)]
mod tests;
