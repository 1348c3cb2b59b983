//! `windlass repair`

use serde_json::json;
use windlass_engine::journal::{Examined, Loss, Repaired, RunLoss, examine};

use crate::app::App;
use crate::clock;
use crate::commands::verify;
use crate::failure::{Exit, Failure, Kind, Outcome};
use crate::tell;
use crate::ui::Format;
use crate::words::{self, Lines as _};

/// Keep what is good of a damaged journal and move the rest aside. Asks before it changes anything.
///
/// Runs that lost events, or may have, are paused: what they did to the cluster is not remembered. A copy of the journal,
/// restored, loses less.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(app: &App, args: &Args) -> Outcome {
    let dir = app.journal()?;
    let clock = clock::settings(app).clock;
    let repair = match examine(&dir, clock.now())? {
        Examined::Damaged(repair) => repair,
        Examined::Sound(report) => {
            if app.ui.format != Format::Table {
                app.ui.value(&json!({"damage": null, "kept": report.records, "repaired": false}))?;
            }
            let records = words::count(usize::try_from(report.records).unwrap_or(usize::MAX), "record");
            app.ui.talk(&format!("nothing to repair: {records}, all good; nothing was changed"));
            return Ok(Exit::Done);
        }
    };
    let loss = repair.loss().clone();
    if app.ui.format == Format::Table {
        app.ui.data(&in_words(&loss))?;
    }
    if !args.yes && !app.ui.asks {
        print_object(app, &loss, None)?;
        return Err(Failure::new(
            Kind::NeedsPerson,
            "a repair loses what is listed; nothing was changed",
            "restore a copy of the journal if there is one, else `windlass repair --yes`",
        ));
    }
    if !args.yes && !app.ui.agrees("Repair the journal and lose this? [y/N]").await {
        print_object(app, &loss, None)?;
        app.ui.talk("nothing was changed");
        return Ok(Exit::NeedsPerson);
    }
    let repaired = repair.carry_out(&tell::who(), clock.now())?;
    print_object(app, &loss, Some(&repaired))?;
    app.ui.talk(&format!(
        "repaired: the log ends after record {}; from {} on it lies untouched in {}",
        loss.kept,
        loss.damage.segment,
        repaired.moved_to.display()
    ));
    for run in &repaired.paused {
        app.ui
            .talk(&format!("run {run} is paused; `windlass explain {run}`, compare with the cluster, `windlass unpause {run}`"));
    }
    Ok(Exit::Done)
}

/// What a person weighs before the repair.
fn in_words(loss: &Loss) -> String {
    let Loss { damage, kept, readable, accounted, runs, .. } = loss;
    let mut text = format!("{}\n", verify::in_words(damage));
    let readable = words::count(usize::try_from(*readable).unwrap_or(usize::MAX), "record");
    text.line(format!(
        "the {kept} before it are good and stay; it goes, and all behind it, of which {readable} can still be read"
    ));
    if damage.at_tail {
        text.line("only the last commit is damaged: if a crash did that, `windlass resume` cuts it off and nothing acknowledged is lost");
    }
    if !accounted {
        text.line("what else is lost can't be told, so every open run may have lost events");
    }
    for lost in runs {
        text.line(format!("run {}  {}", lost.run, of_run(lost, *accounted)));
    }
    text
}

fn of_run(lost: &RunLoss, accounted: bool) -> String {
    let RunLoss { last_good, last_seen, ended, .. } = *lost;
    let keeps = if last_good == 0 { "is lost whole".to_owned() } else { format!("keeps its events up to {last_good}") };
    if last_seen == last_good {
        return format!("{keeps} and may have lost more");
    }
    let how = if ended {
        ", where it ended"
    } else if accounted {
        ""
    } else {
        " or more"
    };
    if last_good == 0 {
        format!("{keeps}: {last_seen} events{how}")
    } else {
        format!("{keeps}, loses those up to {last_seen}{how}")
    }
}

fn print_object(app: &App, loss: &Loss, repaired: Option<&Repaired>) -> Result<(), Failure> {
    if app.ui.format == Format::Table {
        return Ok(());
    }
    let run =
        |lost: &RunLoss| json!({"run": lost.run, "last_good": lost.last_good, "last_seen": lost.last_seen, "ended": lost.ended});
    app.ui.value(&json!({
        "damage": verify::object(&loss.damage),
        "kept": loss.kept,
        "readable": loss.readable,
        "accounted": loss.accounted,
        "runs": loss.runs.iter().map(run).collect::<Vec<_>>(),
        "repaired": repaired.is_some(),
        "moved_to": repaired.map(|repaired| repaired.moved_to.display().to_string()),
        "paused": repaired.map_or(&[][..], |repaired| &repaired.paused),
    }))
}
