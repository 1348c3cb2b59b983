//! The Deployment ovn-central: its replicas and the addresses that its pods are started with, in one change.

mod members;
mod pod;
mod rollout;

pub use members::{CentralSet, SetCentralMembers};
pub use pod::{PodRemoved, RemoveCentralPod};
pub use rollout::{AwaitCentralRollout, RolledOut};

use std::net::IpAddr;
use std::time::Duration;

use windlass_engine::{ActivityContext, ActivityError};

use super::template::Told;
use super::{Act, Central, Database, allow};
use crate::cluster::Cluster;
use crate::views::Deployment;

/// The Deployment, and the label `app` of its pods.
pub(super) const NAME: &str = "ovn-central";
/// The container with both databases.
pub(super) const CONTAINER: &str = "ovn-central";
/// The variable that has the members' addresses.
pub(super) const NODE_IPS: &str = "NODE_IPS";

/// How often a guard that says no is asked again before it is believed: leaders are busy for moments.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// Looks at both databases, and lets an act pass only if one look shows that both let it.
pub(super) async fn permitted(cx: &ActivityContext<Cluster>, act: Act) -> Result<Central, ActivityError> {
    let mut looks = 1;
    loop {
        let central = Central::look(cx.world()).await?;
        match Database::BOTH.into_iter().try_for_each(|database| allowed(&central, database, act)) {
            Ok(()) => return Ok(central),
            Err(refusal) if looks == LOOKS => return Err(refusal),
            Err(refusal) => cx.progress(refusal.to_string()),
        }
        looks += 1;
        cx.sleep(BETWEEN_LOOKS).await;
    }
}

fn allowed(central: &Central, database: Database, act: Act) -> Result<(), ActivityError> {
    let unseen =
        || ActivityError::transient("quorum-guard", format!("the {database} database was not seen; look at ovn-central"));
    allow(central.raft(database).ok_or_else(unseen)?, act)?;
    Ok(())
}

/// `NODE_IPS` as the template has it.
fn told(deployment: &Deployment) -> Result<Told, ActivityError> {
    Told::read(&deployment.spec.template.spec, CONTAINER, NODE_IPS).map_err(|why| {
        let message = format!("the members of ovn-central can't be read from its Deployment: {why}; look at it, then plan again");
        ActivityError::permanent("addresses-unreadable", message)
    })
}

fn changed(found: &[IpAddr], was: &[IpAddr], wished: &[IpAddr]) -> String {
    let [found, was, wished] = [found, was, wished].map(super::list);
    format!(
        "NODE_IPS of ovn-central is {found}; it was {was} when this was planned, and shall be {wished}: somebody else changed it; \
         find out who, then plan again"
    )
}
