//! `windlass sim`

use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use windlass_sim::SimClock;

use crate::app::App;
use crate::failure::{Exit, Failure, Kind, Outcome};
use crate::simulation::{self, ShapeArgs};

/// Serve a simulated cluster on loopback until it is told to stop.
///
/// Prints the path of its kubeconfig. DIR/audit.jsonl gets one line for each write: {at, who, verb, path, body, code}.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the kubeconfig and the audit log go
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The port; any free one if absent
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// Simulated seconds in a second
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    speed: f64,
    /// What runs OVN's databases: a model, or real servers of this machine's Open vSwitch, which run in real time
    #[arg(long, value_name = "KIND", value_enum, default_value_t = Raft::Modelled, requires = "kube_ovn")]
    raft: Raft,
    #[command(flatten)]
    shape: ShapeArgs,
}

// Documented values would double the length of the help.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Raft {
    Modelled,
    Real,
}

pub(crate) async fn run(app: &App, args: &Args) -> Outcome {
    let speed = simulation::checked_speed(args.speed)?;
    // The kubeconfig tells clients how fast its time passes; they begin together.
    let planned = args.shape.plan(|_| {})?;
    planned.say_notes(&app.ui);
    let clock = SimClock::new(chrono::Utc::now(), speed);
    let sim = match args.raft {
        Raft::Modelled => planned.start(clock)?,
        Raft::Real => planned.start_on_real_raft(clock)?,
    };
    let server = sim.serve(&args.dir, args.port).await.map_err(|e| Failure::io("serving from", &args.dir, &e))?;
    let kubeconfig = server.kubeconfig().display().to_string();
    app.ui.data(&format!("{kubeconfig}\n"))?;
    app.ui.talk(&format!("cluster {} listens at https://{}, {speed} times real time", sim.cluster_id(), server.address()));
    app.ui.talk(&format!("next: export KUBECONFIG={kubeconfig}"));
    if let Some(clouds) = server.clouds() {
        app.ui.talk(&format!("      export OS_CLIENT_CONFIG_FILE={}", clouds.display()));
    }
    let listen = |kind| signal(kind).map_err(|e| Failure::new(Kind::Failed, format!("no signals can be received: {e}"), "retry"));
    let (mut int, mut term) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::select! {
        _ = int.recv() => {}
        _ = term.recv() => {}
    }
    Ok(Exit::Done)
}
