//! The procedures: deterministic async functions, one a file, that read like the runbook they come from.
//!
//! Nothing here may look at a clock, at randomness, at the environment, or touch a cluster: whatever the outside has to say comes
//! through an activity and stands in the journal.

pub mod canary;
pub mod cluster_update;
pub mod credentials;
pub mod eus_update;
pub mod foresight;
mod hold_still;
mod insist;
pub mod kuryr_to_ovn;
pub mod network_migration;
pub mod ovn_central;
mod patience;
mod plan;
mod plan_file;
pub mod planning;
mod terms;
mod update;
mod window;

use std::sync::Arc;

use windlass_activities::Cluster;
use windlass_engine::Registry;

pub use plan::{PlacedStep, Plan, PlannedStep};
pub use plan_file::{PlanFile, PlanFileError};
pub use terms::Terms;
pub use window::{Override, WINDOW_SIGNAL};

/// The registered name of [`cluster_update::cluster_update`].
pub const CLUSTER_UPDATE: &str = "cluster-update";

/// The registered name of [`eus_update::eus_update`].
pub const EUS_UPDATE: &str = "eus-update";

/// The registered name of [`canary::canary_drill`].
pub const CANARY_DRILL: &str = "canary-drill";

/// The registered name of [`network_migration::sdn_to_ovn`].
pub const SDN_TO_OVN: &str = "sdn-to-ovn";

/// The registered name of [`kuryr_to_ovn::kuryr_to_ovn`].
pub const KURYR_TO_OVN: &str = "kuryr-to-ovn";

/// The registered name of [`network_migration::ovn_to_sdn`].
pub const OVN_TO_SDN: &str = "ovn-to-sdn";

/// The registered name of [`ovn_central::ovn_central_remove`].
pub const OVN_CENTRAL_REMOVE: &str = "ovn-central-remove";

/// The registered name of [`ovn_central::ovn_central_add`].
pub const OVN_CENTRAL_ADD: &str = "ovn-central-add";

/// The registered name of [`ovn_central::ovn_central_replace`].
pub const OVN_CENTRAL_REPLACE: &str = "ovn-central-replace";

/// Every workflow with its revision and what it does in one line.
pub const CATALOGUE: &[(&str, u32, &str)] = &[
    (CLUSTER_UPDATE, 1, "to another release of the same minor, or to the next minor"),
    (EUS_UPDATE, 2, "from one EUS release to the next, with one reboot of each worker"),
    (KURYR_TO_OVN, 1, "the network goes from Kuryr to OVN-Kubernetes, and Kuryr's objects leave the cloud"),
    (OVN_CENTRAL_ADD, 1, "a node joins Kube-OVN's ovn-central, in both databases"),
    (OVN_CENTRAL_REMOVE, 1, "a node leaves Kube-OVN's ovn-central, in both databases"),
    (OVN_CENTRAL_REPLACE, 1, "one node of Kube-OVN's ovn-central is exchanged for another"),
    (OVN_TO_SDN, 1, "the network goes back from OVN-Kubernetes to OpenShift SDN"),
    (SDN_TO_OVN, 1, "the network goes from OpenShift SDN to OVN-Kubernetes, with all nodes rebooted at once"),
];

/// Registers every workflow and the activities they use, which work on `cluster`.
pub fn register(registry: Registry, cluster: &Arc<Cluster>) -> Registry {
    windlass_activities::register(registry, cluster)
        .workflow(CANARY_DRILL, 1, canary::canary_drill)
        .workflow(CLUSTER_UPDATE, 1, cluster_update::cluster_update)
        .workflow(EUS_UPDATE, 2, eus_update::eus_update)
        .workflow(KURYR_TO_OVN, 1, kuryr_to_ovn::kuryr_to_ovn)
        .workflow(OVN_CENTRAL_ADD, 1, ovn_central::ovn_central_add)
        .workflow(OVN_CENTRAL_REMOVE, 1, ovn_central::ovn_central_remove)
        .workflow(OVN_CENTRAL_REPLACE, 1, ovn_central::ovn_central_replace)
        .workflow(OVN_TO_SDN, 1, network_migration::ovn_to_sdn)
        .workflow(SDN_TO_OVN, 1, network_migration::sdn_to_ovn)
}
