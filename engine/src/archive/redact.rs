//! Taking secrets out of events: each value gives way to one placeholder wherever it stands, so that a replay still agrees.

use std::ops::Range;

use regex::Regex;
use serde_json::Value;

use super::patterns;
use super::write::ExportError;
use crate::event::Event;

/// A value that looked like a secret somewhere is replaced elsewhere, too, unless it is so short that it means something else.
const SHORTEST_LEARNED: usize = 6;

/// Why an event can't be redacted.
const STUCK: &str = "a value stands where it can't be replaced without making it something else than an event";

/// Finds and replaces what must not be shown: values that were named, and whatever looks like a secret.
#[derive(Debug)]
pub struct Redactor {
    patterns: Vec<Regex>,
    /// What was named, as it stands and as JSON inside of a text spells it.
    named: Vec<String>,
    /// Every value with a placeholder; its number is its place here. The named ones come first.
    known: Vec<String>,
}

/// An event without its secrets.
pub(super) struct Redaction {
    /// The event as it may be shown.
    pub(super) shown: String,
    /// The paths of what was replaced.
    pub(super) paths: Vec<String>,
}

impl Redactor {
    /// Redacts these values, and everything that looks like a secret.
    pub fn new(named: &[String]) -> Result<Self, ExportError> {
        if named.iter().any(String::is_empty) {
            return Err(ExportError::Redaction("a value without a character".to_owned()));
        }
        let patterns = patterns::compile().map_err(|e| ExportError::Redaction(e.to_string()))?;
        let mut all: Vec<String> = Vec::new();
        for value in named.iter().flat_map(|value| [value.clone(), as_json(value)]) {
            if !all.contains(&value) {
                all.push(value);
            }
        }
        Ok(Self { patterns, named: all.clone(), known: all })
    }

    /// Takes note of the secrets in an event, so that they are found in others.
    pub(super) fn learn(&mut self, payload: &[u8]) {
        if let Ok(mut value) = serde_json::from_slice(payload) {
            Walk { redactor: self, everywhere: true, paths: Vec::new() }.visit(&mut value, "", false);
        }
    }

    /// The event without secrets; `None` if it has none. The error says why they can't be taken out.
    pub(super) fn apply(&mut self, payload: &[u8]) -> Result<Option<Redaction>, String> {
        let mut redaction = self.attempt(payload, true)?;
        if redaction.paths.is_empty() {
            return if self.names_in(&redaction.shown) { Err(STUCK.to_owned()) } else { Ok(None) };
        }
        if !is_event(&redaction.shown) {
            // Names of fields and numbers may be what makes it an event.
            redaction = self.attempt(payload, false)?;
        }
        if self.names_in(&redaction.shown) || !is_event(&redaction.shown) {
            return Err(STUCK.to_owned());
        }
        Ok(Some(redaction))
    }

    fn attempt(&mut self, payload: &[u8], everywhere: bool) -> Result<Redaction, String> {
        let mut value: Value = serde_json::from_slice(payload).map_err(|e| e.to_string())?;
        let mut walk = Walk { redactor: self, everywhere, paths: Vec::new() };
        walk.visit(&mut value, "", false);
        Ok(Redaction { paths: walk.paths, shown: value.to_string() })
    }

    fn names_in(&self, text: &str) -> bool {
        self.named.iter().any(|named| text.contains(named.as_str()))
    }

    /// The text without secrets; `None` if it has none.
    fn mask(&mut self, text: &str, whole: bool) -> Option<String> {
        let mut spans: Vec<Range<usize>> = self.patterns.iter().flat_map(|pattern| patterns::find(pattern, text)).collect();
        spans.extend((whole && !text.is_empty()).then_some(0..text.len()));
        for (number, value) in self.known.iter().enumerate() {
            if number < self.named.len() || value.len() >= SHORTEST_LEARNED {
                spans.extend(text.match_indices(value.as_str()).map(|(at, found)| at..at + found.len()));
            }
        }
        if spans.is_empty() {
            return None;
        }
        let mut masked = String::with_capacity(text.len());
        let mut end = 0;
        for span in merged(spans) {
            masked.push_str(&text[end..span.start]);
            masked.push_str(&self.placeholder(&text[span.clone()]));
            end = span.end;
        }
        masked.push_str(&text[end..]);
        Some(masked)
    }

    fn placeholder(&mut self, value: &str) -> String {
        let number = self.known.iter().position(|known| known == value).unwrap_or_else(|| {
            self.known.push(value.to_owned());
            self.known.len() - 1
        });
        // Good in an address, in a name and in base64, so that what reads the value still can.
        format!("REDACTED-{}", number + 1)
    }
}

/// One walk over an event.
struct Walk<'a> {
    redactor: &'a mut Redactor,
    /// Also in the names of fields and in numbers.
    everywhere: bool,
    paths: Vec<String>,
}

impl Walk<'_> {
    fn visit(&mut self, value: &mut Value, path: &str, secret: bool) {
        match value {
            Value::String(text) => {
                if let Some(masked) = self.redactor.mask(text, secret) {
                    *text = masked;
                    self.paths.push(path.to_owned());
                }
            }
            Value::Number(number) if self.everywhere => {
                if let Some(masked) = self.redactor.mask(&number.to_string(), secret) {
                    *value = Value::String(masked);
                    self.paths.push(path.to_owned());
                }
            }
            Value::Array(items) => {
                for (i, item) in items.iter_mut().enumerate() {
                    self.visit(item, &format!("{path}[{i}]"), secret);
                }
            }
            Value::Object(fields) => {
                for (name, mut field) in std::mem::take(fields) {
                    let masked = if self.everywhere { self.redactor.mask(&name, false) } else { None };
                    let shown = masked.as_ref().unwrap_or(&name);
                    let below = if path.is_empty() { shown.clone() } else { format!("{path}.{shown}") };
                    self.visit(&mut field, &below, patterns::is_secret_field(&name));
                    if masked.is_some() {
                        self.paths.push(below);
                    }
                    fields.insert(masked.unwrap_or(name), field);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Overlapping spans as one, in order.
fn merged(mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            Some(_) | None => merged.push(span),
        }
    }
    merged
}

fn is_event(text: &str) -> bool {
    serde_json::from_str::<Event>(text).is_ok()
}

/// A text as JSON spells it, without the quotes.
fn as_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
