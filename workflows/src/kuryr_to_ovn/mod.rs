//! `kuryr-to-ovn`: the network goes from Kuryr to OVN-Kubernetes as it goes from OpenShift SDN, and then everything that Kuryr made in
//! the cloud is deleted by ids that were written down before. Source: the vendor's "Migrating from the Kuryr network plugin"; what is
//! done otherwise, and why, is in docs/kuryr-to-ovn.md.

mod clean_up;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_activities::kuryr::KuryrInventory;
use windlass_activities::kuryr::capture::CaptureKuryr;
use windlass_activities::network::NetworkPlugin;
use windlass_engine::{Gate, WorkflowContext, WorkflowResult};

use crate::hold_still::Held;
use crate::insist::insist;
use crate::network_migration::{CaughtUp, Exchange, NetworkMigrated, NetworkMigration};
use crate::patience::PATIENT;

use clean_up::CleanUp;

/// A project with ten thousand ports is listed within minutes.
const CAPTURE_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Under which key Kuryr's objects in the cloud are listed as owed.
pub(crate) const OWED: &str = "kuryr-clean-up";

/// The gate before anything of Kuryr's is deleted.
const CLEAN_UP_GATE: &str = "clean-up-kuryr";

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KuryrMigration {
    /// The cloud's name in `clouds.yaml`; the file itself stays on the machine.
    pub cloud: String,
    /// The migration of the network.
    #[serde(default)]
    pub migration: NetworkMigration,
}

/// Migrates a cluster from Kuryr to OVN-Kubernetes.
pub async fn kuryr_to_ovn(ctx: WorkflowContext, input: KuryrMigration) -> WorkflowResult<NetworkMigrated> {
    let mut held = Held::default();
    let mut exchange = Exchange::new(&ctx, &input.migration, NetworkPlugin::Kuryr, NetworkPlugin::OvnKubernetes);
    let done = carry_out(&ctx, &mut exchange, &input, &mut held).await;
    exchange.end(held, done).await
}

async fn carry_out(
    ctx: &WorkflowContext,
    exchange: &mut Exchange<'_>,
    input: &KuryrMigration,
    held: &mut Held,
) -> WorkflowResult<()> {
    let cloud = &input.cloud;
    // Before anything is changed: the objects that name all of this in the cluster are deleted in the end.
    let (before, namespace) = if input.migration.adopt {
        let before = capture(ctx, cloud, "before").await?;
        match exchange.catch_up(held).await? {
            CaughtUp::Over(namespace) => (before, namespace),
            CaughtUp::Done => (before, None),
        }
    } else {
        let report = exchange.look().await?;
        let before = capture(ctx, cloud, "before").await?;
        exchange.change_over(&report, held).await?;
        (before, report.old_namespace)
    };
    ctx.hold(OWED, owed(cloud), &before.cluster)?;
    exchange.end_migration().await?;
    // Pods and services came and went since.
    let inventory = before.and(capture(ctx, cloud, "after").await?);
    let approval = ctx.gate(Gate::new(CLEAN_UP_GATE, question(cloud, &inventory))).await?;
    let clean_up = CleanUp { ctx, cloud, inventory: &inventory, approval: &approval };
    let evidence = clean_up.carry_out(exchange, namespace).await?;
    exchange.evidence.push(evidence);
    ctx.give_back(OWED);
    exchange.healthy("at-the-end").await
}

async fn capture(ctx: &WorkflowContext, cloud: &str, when: &str) -> WorkflowResult<KuryrInventory> {
    ctx.status(format!("writing down what Kuryr has in cloud {cloud}"));
    let capture = CaptureKuryr { cloud: cloud.to_owned() };
    insist(ctx, &format!("capture-{when}"), |_| ctx.run(capture.clone()).timeout(CAPTURE_LIMIT).retry(PATIENT)).await
}

fn owed(cloud: &str) -> String {
    format!(
        "what Kuryr made in cloud {cloud} is still there, and Kuryr is gone; `windlass resume` goes on; nothing of it is needed any more"
    )
}

fn question(cloud: &str, inventory: &KuryrInventory) -> String {
    let router = match &inventory.router {
        None => "no router".to_owned(),
        Some(router) => match &router.stays {
            Some(why) => format!("not router {} ({}): {why}", router.id, router.name),
            None => format!("router {} ({})", router.id, router.name),
        },
    };
    let mut text = format!(
        "Delete what Kuryr made in cloud {cloud}: {}, and {router}? Each goes by its id, and only if it carries the tag {}; no other \
         cluster of the project is touched. There is no way back.",
        inventory.in_words(),
        inventory.tag()
    );
    for line in &inventory.not_ours {
        text.push_str("\nLeft alone: ");
        text.push_str(line);
    }
    text
}
