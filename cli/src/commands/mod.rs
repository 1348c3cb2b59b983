//! The commands, one per file. Each has its arguments, whose comments are the help, and one function that carries it out.

mod adopt;
mod adopt_procedure;
mod approve;
mod cancel;
mod check;
mod explain;
mod export;
mod history;
mod import;
mod leftovers;
mod list;
mod mark_done;
mod note;
mod pause;
mod plan;
mod preflight;
mod rbac;
mod rehearse;
mod reject;
mod repair;
mod replay;
mod resume;
mod retry;
mod set_timeout;
mod sim;
mod skip;
mod snapshot;
mod start;
mod status;
mod unpause;
mod verify;

use clap::Subcommand;

use crate::app::App;
use crate::failure::Outcome;

/// The commands, in the order of the help.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a workflow on a simulated cluster, fast-forward
    Rehearse(rehearse::Args),
    /// Show what a workflow would do on this cluster; change nothing
    Plan(plan::Args),
    /// Check what can stop a workflow on this cluster, and predict every drain; change nothing
    Preflight(preflight::Args),
    /// Plan, confirm, create a run and drive it here; Ctrl-C leaves it resumable
    Start(start::Args),
    /// Drive open runs from where they are
    Resume(resume::Args),
    /// Take over the runs of a lost machine from its mirror, and drive them on
    Adopt(adopt::Args),
    /// Go on with a migration that somebody began by hand, without a run
    AdoptProcedure(adopt_procedure::Args),
    /// List the runs
    List(list::Args),
    /// Show where a run stands and what it waits for
    Status(status::Args),
    /// Print what happened to a run, as a logbook
    History(history::Args),
    /// Say why a run does not move, and what can be done
    Explain(explain::Args),
    /// List the temporary changes that are out
    Leftovers(leftovers::Args),
    /// Approve an open gate of a run
    Approve(approve::Args),
    /// Reject an open gate of a run
    Reject(reject::Args),
    /// Cancel a run: it gives back what it holds and ends
    Cancel(cancel::Args),
    /// Let nothing new begin in a run; what is in flight finishes
    Pause(pause::Args),
    /// Let a paused run go on
    Unpause(unpause::Args),
    /// Try a step of a run again at once
    Retry(retry::Args),
    /// Let a step count as done although it was not
    Skip(skip::Args),
    /// Attest that a step is done
    MarkDone(mark_done::Args),
    /// Set how long an attempt of a step may take
    SetTimeout(set_timeout::Args),
    /// Write something into the logbook of a run
    Note(note::Args),
    /// Replay every open run against this binary; change nothing
    Check(check::Args),
    /// Check every record of the journal, or an exported history
    Verify(verify::Args),
    /// Keep what is good of a damaged journal, and move the rest aside
    Repair(repair::Args),
    /// Write the history of a run to a file that proves itself
    Export(export::Args),
    /// Replay an exported history against this binary
    Replay(replay::Args),
    /// Add an exported history of a finished run to this journal
    Import(import::Args),
    /// Serve a simulated cluster for kubectl and for trials
    Sim(sim::Args),
    /// Write down the shape of the cluster, without secrets, to rehearse on
    Snapshot(snapshot::Args),
    /// Print the least permissions that a workflow needs
    Rbac(rbac::Args),
}

impl Command {
    /// Carries the command out.
    pub(crate) async fn run(self, app: &App) -> Outcome {
        match self {
            Self::Rehearse(args) => rehearse::run(app, args).await,
            Self::Plan(args) => plan::run(app, &args).await,
            Self::Preflight(args) => Box::pin(preflight::run(app, &args)).await,
            Self::Start(args) => start::run(app, &args).await,
            Self::Resume(args) => resume::run(app, &args).await,
            Self::Adopt(args) => adopt::run(app, &args).await,
            Self::AdoptProcedure(args) => Box::pin(adopt_procedure::run(app, &args)).await,
            Self::List(args) => list::run(app, &args).await,
            Self::Status(args) => status::run(app, &args).await,
            Self::History(args) => history::run(app, &args).await,
            Self::Explain(args) => explain::run(app, &args).await,
            Self::Leftovers(args) => leftovers::run(app, &args),
            Self::Approve(args) => approve::run(app, args).await,
            Self::Reject(args) => reject::run(app, args).await,
            Self::Cancel(args) => cancel::run(app, args).await,
            Self::Pause(args) => pause::run(app, args).await,
            Self::Unpause(args) => unpause::run(app, args).await,
            Self::Retry(args) => retry::run(app, args).await,
            Self::Skip(args) => skip::run(app, args).await,
            Self::MarkDone(args) => mark_done::run(app, args).await,
            Self::SetTimeout(args) => set_timeout::run(app, args).await,
            Self::Note(args) => note::run(app, args).await,
            Self::Check(args) => check::run(app, &args),
            Self::Verify(args) => verify::run(app, &args),
            Self::Repair(args) => repair::run(app, &args).await,
            Self::Export(args) => export::run(app, &args),
            Self::Replay(args) => replay::run(app, &args),
            Self::Import(args) => import::run(app, &args),
            Self::Sim(args) => sim::run(app, &args).await,
            Self::Snapshot(args) => snapshot::run(app, &args).await,
            Self::Rbac(args) => rbac::run(app, &args),
        }
    }
}
