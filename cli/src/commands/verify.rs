//! `windlass verify`

use serde_json::{Value, json};
use windlass_engine::journal::{Damage, verify};

use crate::app::App;
use crate::failure::{Exit, Failure, Kind, Outcome};
use crate::ui::Format;
use crate::words;

/// Check the checksum, the place and the hash chain of every record of the journal. Changes nothing.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(app: &App, _args: &Args) -> Outcome {
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
