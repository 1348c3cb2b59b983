//! `windlass adopt-procedure`

use crate::app::App;
use crate::commands::start::{self, Consent};
use crate::failure::Outcome;
use crate::procedure::Begun;

/// Go on with a migration that somebody began by hand, on a cluster that no run of windlass knows.
///
/// How far it has come is read from the cluster and shown first, with what will be done and what is not done again; what is mixed or
/// contradicts itself is refused. After that as `windlass start`. A run of windlass itself is not taken over here: `windlass resume`
/// goes on with it, and `windlass adopt` if its machine is lost.
#[derive(clap::Args)]
#[command(subcommand_value_name = "WORKFLOW", subcommand_help_heading = "Workflows", disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    workflow: Begun,
    #[command(flatten)]
    consent: Consent,
}

pub(crate) async fn run(app: &App, args: &Args) -> Outcome {
    start::run(app, &start::Args::adopting(&args.workflow, &args.consent)).await
}
