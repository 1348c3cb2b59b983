//! Writing the history of a run to one file, line by line, in constant memory.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::value::RawValue;

use super::format::{self, Chain, Digest, EXPORT_FORMAT, EventLine, Head, Header, KIND, Trailer};
use super::redact::Redactor;
use crate::ids::RunId;
use crate::journal::{FrameHeader, JournalError, JournalReader, Scanner};

/// What is exported, and who vouches for it.
pub struct Export<'a> {
    /// The run.
    pub run: RunId,
    /// The build that writes it.
    pub build: &'a str,
    /// What names the journal, if it has a name.
    pub journal: Option<String>,
    /// The public key (Ed25519, base64) that belongs to `sign`.
    pub key: String,
    /// Signs the end, which stands for everything; gives the signature in base64.
    pub sign: &'a dyn Fn(&[u8]) -> String,
    /// What must not stand in it; everything stands in it if absent.
    pub redactor: Option<Redactor>,
}

/// What was written.
#[derive(Debug)]
pub struct Exported {
    /// How many events.
    pub events: u64,
    /// In how many of them something was replaced.
    pub redacted: u64,
    /// What kept it from reading on; what stands before it was written and signed.
    pub damage: Option<JournalError>,
}

/// Why an export could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The place that it goes to did not take it.
    #[error("writing the export failed: {0}")]
    Write(#[from] io::Error),
    /// The journal could not be read.
    #[error(transparent)]
    Journal(JournalError),
    /// A value that must not stand in it can't be taken out.
    #[error("event {seq} can't be redacted: {detail}")]
    Unredactable {
        /// The event.
        seq: u64,
        /// What stands in the way.
        detail: String,
    },
    /// An event that does not fit on a line as it stands.
    #[error("event {seq} can't be exported: {detail}")]
    Unwritable {
        /// The event.
        seq: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// A redaction was asked for that can't be.
    #[error("there is no redacting {0}")]
    Redaction(String),
}

/// Writes the history of a run as far as the journal is good.
///
/// The log is read twice if something may be redacted: a secret that is known only from a later event must not stand in an
/// earlier one.
pub fn export(reader: &JournalReader, export: Export<'_>, out: &mut dyn Write) -> Result<Exported, ExportError> {
    let Export { run, build, journal, key, sign, mut redactor } = export;
    let mut lines = Lines { out, chain: Chain::default(), line: Vec::new() };
    let header = Header { windlass: KIND.to_owned(), format: EXPORT_FORMAT, build: build.to_owned(), run, journal, key };
    lines.put(0, &header)?;
    // Beside a running worker there may be more the second time.
    let mut last = u64::MAX;
    if let Some(redactor) = &mut redactor {
        last = 0;
        walk(reader, run, &mut |header, payload| {
            redactor.learn(payload);
            last = header.seq;
            Ok(())
        })?;
    }
    let mut exported = Exported { events: 0, redacted: 0, damage: None };
    let (head, damage) = walk(reader, run, &mut |header, payload| {
        if header.seq > last {
            return Ok(());
        }
        exported.events += 1;
        exported.redacted += u64::from(put_event(&mut lines, header, payload, redactor.as_mut())?);
        Ok(())
    })?;
    let trailer = Trailer { events: exported.events, damage: damage.as_ref().map(ToString::to_string), head };
    exported.damage = damage;
    lines.put_signed(&trailer, sign)?;
    Ok(exported)
}

type Visit<'a> = &'a mut dyn FnMut(&Seen, &[u8]) -> Result<(), ExportError>;

/// A record of the run.
struct Seen {
    seq: u64,
    header: FrameHeader,
    hash: Digest,
}

/// Visits the records of a run with their payloads, up to the end or to damage; tells where the journal ends.
fn walk(reader: &JournalReader, run: RunId, visit: Visit<'_>) -> Result<(Head, Option<JournalError>), ExportError> {
    let mut scan: Scanner = reader.scan().checking_chain();
    let mut record = 0;
    let damage = loop {
        match scan.advance() {
            Ok(true) => {}
            Ok(false) => break None,
            Err(error @ JournalError::Corrupt { .. }) => break Some(error),
            Err(error) => return Err(ExportError::Journal(error)),
        }
        let Some(header) = scan.header() else { break None };
        record = header.global;
        if header.run == run {
            let hash = Digest(scan.chain_head().unwrap_or_default());
            visit(&Seen { seq: header.seq, header: *header, hash }, scan.payload())?;
        }
    };
    Ok((Head { record, hash: Digest(scan.chain_head().unwrap_or_default()) }, damage))
}

/// Writes an event; says whether something in it was replaced.
fn put_event(lines: &mut Lines<'_>, seen: &Seen, payload: &[u8], redactor: Option<&mut Redactor>) -> Result<bool, ExportError> {
    let Seen { seq, header, hash } = seen;
    let unwritable = |detail: String| ExportError::Unwritable { seq: *seq, detail };
    let unredactable = |detail: String| ExportError::Unredactable { seq: *seq, detail };
    let redaction = redactor.map(|redactor| redactor.apply(payload)).transpose().map_err(unredactable)?.flatten();
    let (shown, redacted) = match &redaction {
        Some(redaction) => (redaction.shown.as_str(), redaction.paths.clone()),
        None => (std::str::from_utf8(payload).map_err(|e| unwritable(e.to_string()))?, Vec::new()),
    };
    if shown.contains(['\n', '\r']) {
        return Err(unwritable("its text spans lines".to_owned()));
    }
    let event: &RawValue = serde_json::from_str(shown).map_err(|e| unwritable(e.to_string()))?;
    let line = EventLine {
        seq: *seq,
        at: header.at,
        event,
        redacted,
        global: header.global,
        commit: header.commit,
        incarnation: header.incarnation,
        flags: header.flags(),
        prev: Digest(header.prev),
        hash: *hash,
    };
    lines.put(*seq, &line)?;
    Ok(redaction.is_some())
}

/// Writes lines, each linked to those before it.
struct Lines<'a> {
    out: &'a mut dyn Write,
    chain: Chain,
    line: Vec<u8>,
}

impl Lines<'_> {
    fn put<T: Serialize>(&mut self, seq: u64, value: &T) -> Result<(), ExportError> {
        self.begin(seq, value)?;
        self.end()
    }

    fn put_signed<T: Serialize>(&mut self, value: &T, sign: &dyn Fn(&[u8]) -> String) -> Result<(), ExportError> {
        self.begin(0, value)?;
        format::put_signature(&mut self.line, &sign(&self.chain.signed()));
        self.end()?;
        Ok(self.out.flush()?)
    }

    fn begin<T: Serialize>(&mut self, seq: u64, value: &T) -> Result<(), ExportError> {
        self.line.clear();
        let unwritable = |e: serde_json::Error| ExportError::Unwritable { seq, detail: e.to_string() };
        serde_json::to_writer(&mut self.line, value).map_err(unwritable)?;
        let link = self.chain.add(&self.line);
        format::put_link(&mut self.line, link);
        Ok(())
    }

    fn end(&mut self) -> Result<(), ExportError> {
        self.line.push(b'\n');
        Ok(self.out.write_all(&self.line)?)
    }
}
