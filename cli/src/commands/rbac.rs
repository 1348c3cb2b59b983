//! `windlass rbac`

use windlass_activities::admin_ack::{AcknowledgeGate, ReadGates};
use windlass_activities::channel::{AwaitUpdatesRetrieved, SetChannel};
use windlass_activities::machine_health::{ListHealthChecks, PauseHealthCheck, ResumeHealthCheck};
use windlass_activities::pool::{AwaitPool, ListPools, PausePool, ReleasePool, ReturnPool};
use windlass_activities::preflight::Preflight;
use windlass_activities::rbac::roles;
use windlass_activities::release::{ResolveHop, ResolvePath};
use windlass_activities::update::{AwaitControlPlane, ReadUpdateState, RequestUpdate};
use windlass_activities::verify::{CheckHealth, FinalVerification};
use windlass_engine::{Activity, ActivityName};

use crate::app::App;
use crate::failure::{Exit, Failure, Outcome};
use crate::ui::Format;

/// What an EUS-to-EUS update does on a cluster.
const EUS_ACTIVITIES: [ActivityName; 20] = [
    Preflight::NAME,
    ResolvePath::NAME,
    ResolveHop::NAME,
    SetChannel::NAME,
    AwaitUpdatesRetrieved::NAME,
    ListHealthChecks::NAME,
    PauseHealthCheck::NAME,
    ResumeHealthCheck::NAME,
    ListPools::NAME,
    PausePool::NAME,
    ReleasePool::NAME,
    ReturnPool::NAME,
    AwaitPool::NAME,
    ReadUpdateState::NAME,
    RequestUpdate::NAME,
    AwaitControlPlane::NAME,
    ReadGates::NAME,
    AcknowledgeGate::NAME,
    CheckHealth::NAME,
    FinalVerification::NAME,
];

/// Print the least permissions that a workflow needs, ready for `oc apply`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The workflow
    #[arg(default_value = windlass_workflows::EUS_UPDATE)]
    workflow: String,
}

pub(crate) fn run(app: &App, args: &Args) -> Outcome {
    let known = windlass_workflows::CATALOGUE.iter().map(|(name, _, _)| *name).collect::<Vec<_>>();
    if !known.contains(&args.workflow.as_str()) {
        let message = format!("there is no workflow {}; there is {}", args.workflow, known.join(", "));
        return Err(Failure::usage(message, format!("windlass rbac {}", known.first().unwrap_or(&"eus-update"))));
    }
    let roles = roles(EUS_ACTIVITIES.iter().map(|name| name.as_str()));
    match app.ui.format {
        Format::Json => app.ui.value(&roles)?,
        // What `oc apply -f -` reads.
        Format::Table | Format::Yaml => {
            for role in roles {
                app.ui.data("---\n")?;
                app.ui.yaml(&role)?;
            }
        }
    }
    Ok(Exit::Done)
}
