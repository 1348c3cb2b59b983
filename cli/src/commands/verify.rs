//! `windlass verify`

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use windlass_engine::archive::Archive;
use windlass_engine::journal::{Damage, verify};

use crate::app::App;
use crate::archive_file::{self, Trust};
use crate::failure::{Exit, Failure, Kind, Outcome};
use crate::ui::Format;
use crate::words::{self, Lines as _};

/// Check the checksum, the place and the hash chain of every record of the journal, or every line of an exported history.
///
/// Changes nothing. For a file, exit code 0 means that it is what the holder of a known key exported: the key beside this
/// journal, or one that is named with --signer.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A file that `windlass export` has written; the journal if absent
    file: Option<PathBuf>,
    /// The key of whoever exported it, as they tell it; as often as needed
    #[arg(long, value_name = "KEY", requires = "file")]
    signer: Vec<String>,
}

pub(crate) fn run(app: &App, args: &Args) -> Outcome {
    match &args.file {
        None => verify_journal(app),
        Some(path) => verify_file(app, path, &args.signer),
    }
}

fn verify_file(app: &App, path: &Path, named: &[String]) -> Outcome {
    let archive = archive_file::read(path, &mut |_| {})?;
    let trust = Trust::of(app, &archive, named)?;
    match app.ui.format {
        Format::Table => app.ui.data(&proof(&archive, trust))?,
        Format::Json | Format::Yaml => app.ui.value(&json!({
            "format": archive.format,
            "run": archive.run.to_string(),
            "build": archive.build,
            "journal": archive.journal,
            "events": archive.events,
            "ended": archive.ended,
            "redacted": archive.redacted,
            "damage": archive.damage,
            "signer": archive.signer,
            "trusted": matches!(trust, Trust::Ours | Trust::Named),
        }))?,
    }
    trust.demand(path, &archive, "verify").map(|()| Exit::Done)
}

/// What is proven, and what is not.
fn proof(archive: &Archive, trust: Trust) -> String {
    let events = usize::try_from(archive.events).unwrap_or(usize::MAX);
    let end = if archive.ended { "to its end" } else { "still open" };
    let mut text = String::new();
    text.line(format!("{} of run {}, {end}; exported by windlass {}", words::count(events, "event"), archive.run, archive.build));
    let vouches = match trust {
        Trust::Ours => "the key beside this journal",
        Trust::Named => "the key that you named",
        Trust::Stranger => "a key that is not known here",
        Trust::Nobody => {
            text.line("not provable: its format has neither links nor a signature");
            return text;
        }
    };
    text.line(format!("every line is linked; signed with {vouches}: {}", archive.signer.as_deref().unwrap_or_default()));
    if !archive.redacted.is_empty() {
        let redacted = words::count(archive.redacted.len(), "event");
        text.line(format!("{redacted} redacted: content not provable, place and order proven"));
    }
    if let Some(damage) = &archive.damage {
        text.line(format!("it ends where its journal could not be read any more: {damage}"));
    }
    text
}

fn verify_journal(app: &App) -> Outcome {
    let dir = app.journal()?;
    let report = verify(&dir)?;
    match app.ui.format {
        Format::Table => {
            let records = usize::try_from(report.records).unwrap_or(usize::MAX);
            let sound = if report.damage.is_none() { "all good" } else { "good before the damage" };
            app.ui.data(&format!(
                "{} of {} in {}, {sound}\nhead {}\n",
                words::count(records, "record"),
                words::count(report.runs, "run"),
                words::count(report.segments, "segment"),
                report.head
            ))?;
        }
        Format::Json | Format::Yaml => app.ui.value(&json!({
            "records": report.records,
            "runs": report.runs,
            "segments": report.segments,
            "head": report.head,
            "damage": report.damage.as_ref().map(object),
        }))?,
    }
    match report.damage {
        None => Ok(Exit::Done),
        Some(damage) => Err(damaged(&damage)),
    }
}

fn damaged(damage: &Damage) -> Failure {
    let next = if damage.at_tail {
        "`windlass resume`; it cuts this last, never acknowledged commit off and says so"
    } else {
        "restore the journal from a copy; without one, `windlass repair` keeps what stands before the damage"
    };
    Failure::new(Kind::Damaged, in_words(damage), next)
}

/// Where the log is damaged, in one line.
pub(crate) fn in_words(damage: &Damage) -> String {
    let Damage { record, segment, offset, detail, .. } = damage;
    format!("the log is damaged at record {record} ({segment}, byte {offset}): {detail}")
}

/// Where the log is damaged, for programs.
pub(crate) fn object(damage: &Damage) -> Value {
    let Damage { record, segment, offset, detail, at_tail } = damage;
    json!({"record": record, "segment": segment, "offset": offset, "detail": detail, "at_tail": at_tail})
}
