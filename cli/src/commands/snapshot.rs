//! `windlass snapshot`

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use windlass_activities::whole::Served;
use windlass_activities::{CallError, Cluster};
use windlass_engine::{ActivityError, Clock, FailureKind};
use windlass_sim::snapshot::{KINDS, Kept, Reach, Snapshot};

use crate::app::App;
use crate::clock;
use crate::failure::{Exit, Failure, Kind, Outcome};
use crate::procedure::connect;
use crate::ui::Format;

/// Write down the shape of the cluster, to rehearse on: windlass snapshot > cluster.yaml, then
/// windlass rehearse --from cluster.yaml eus-update --to 4.18
///
/// Only reads. Of each object only the fields that decide how an update goes are kept: no secret's data, no environment, no images,
/// no annotations but those of the platform. Prints YAML, or JSON with -o json.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Without these there is nothing to rehearse on.
const NEEDED: [&str; 4] = ["ClusterVersion", "ClusterOperator", "MachineConfigPool", "Node"];

pub(crate) async fn run(app: &App, _: &Args) -> Outcome {
    let settings = clock::settings(app);
    let clock = settings.clock.clone();
    let cluster = connect(app, settings).await?;
    let mut snapshot = Snapshot::new(env!("CARGO_PKG_VERSION"), cluster.time().to_datetime());
    for kept in &KINDS {
        let before = snapshot.objects.len();
        match read_patiently(&cluster, &clock, kept).await {
            Ok(objects) => snapshot.objects.extend(objects),
            Err(Unread::Forbidden(permission)) if !NEEDED.contains(&kept.kind) => {
                app.ui.talk(&format!("left out, for the login may not {permission}"));
                snapshot.unread.push(format!("{} (needs {permission})", kept.plural));
            }
            Err(error) => return Err(unreadable(kept, error)),
        }
        tracing::debug!(kind = kept.kind, objects = snapshot.objects.len() - before, "read");
    }
    // Named objects carry the time only when an answer came.
    snapshot.taken = cluster.time().to_datetime();
    snapshot.check().map_err(|what| Failure::new(Kind::Failed, format!("the snapshot would be of no use: {what}"), "retry"))?;
    write(app, &snapshot)?;
    app.ui.talk(&format!("{} objects of cluster {}; no secrets are in them", snapshot.objects.len(), cluster.id()));
    app.ui.talk("next: windlass rehearse --from FILE eus-update");
    Ok(Exit::Done)
}

fn write(app: &App, snapshot: &Snapshot) -> Result<(), Failure> {
    if app.ui.format == Format::Json {
        return app.ui.value(snapshot);
    }
    app.ui.data(&format!(
        "# The shape of a cluster, taken by windlass {} on {}. It holds names, sizes and conditions, and no secrets.\n",
        snapshot.build,
        snapshot.taken.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    ))?;
    app.ui.yaml(snapshot)
}

/// How often a read is tried: an API server that restarts is back within half a minute.
const LOOKS: u32 = 7;

/// Why a kind of object was not read.
enum Unread {
    /// The login may not read it; what to ask for.
    Forbidden(String),
    /// Something else.
    Failed(ActivityError),
}

impl From<CallError> for Unread {
    fn from(error: CallError) -> Self {
        if error.is_forbidden() { Self::Forbidden(error.call.permission()) } else { Self::Failed(error.into()) }
    }
}

async fn read_patiently(cluster: &Cluster, clock: &Arc<dyn Clock>, kept: &Kept) -> Result<Vec<Value>, Unread> {
    for look in 1..LOOKS {
        match read(cluster, kept).await.map_err(Unread::from) {
            Err(Unread::Failed(error)) if error.kind == FailureKind::Transient => {
                let pause = Duration::from_secs(error.retry_after_seconds.unwrap_or(1)).min(Duration::from_secs(10)) * look;
                clock.sleep_until(clock.now().plus(pause)).await;
            }
            outcome => return outcome,
        }
    }
    Ok(read(cluster, kept).await?)
}

async fn read(cluster: &Cluster, kept: &Kept) -> Result<Vec<Value>, CallError> {
    let served = Served { api_version: kept.api_version, plural: kept.plural };
    let mut objects = Vec::new();
    let mut take = |object: Value| objects.extend(kept.trim(&named(object, kept)));
    match kept.scope {
        Reach::All => cluster.each_object(served, None, take).await?,
        Reach::Without(label) => cluster.each_object(served, Some(&format!("!{label}")), take).await?,
        Reach::Named(names) | Reach::MetadataOf(names) => {
            let only_metadata = matches!(kept.scope, Reach::MetadataOf(_));
            for name in names {
                if let Some(object) = cluster.one_object(served, *name, only_metadata).await? {
                    take(object);
                }
            }
        }
    }
    Ok(objects)
}

/// The entries of a list lack their kind, and metadata comes under another.
fn named(mut object: Value, kept: &Kept) -> Value {
    object["apiVersion"] = kept.api_version.into();
    object["kind"] = kept.kind.into();
    object
}

fn unreadable(kept: &Kept, error: Unread) -> Failure {
    match error {
        Unread::Forbidden(permission) => Failure::new(
            Kind::Failed,
            format!("a snapshot needs the {} of the cluster, and the login may not {permission}", kept.plural),
            "`windlass rbac eus-update` prints the permissions to ask for; nothing was changed",
        ),
        Unread::Failed(error) => {
            Failure::with_advice(Kind::Failed, &error.message, "mend the cause, then retry; nothing was changed")
        }
    }
}
