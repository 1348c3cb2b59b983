//! The input of a run, whichever workflow it is for: what was asked, and what the plan pinned.

use windlass_activities::estimate::Estimates;
use windlass_activities::windows::Calendar;
use windlass_engine::foresee::{Deed, Foresight};
use windlass_engine::{Json, Timestamp};
use windlass_workflows::cluster_update::ClusterUpdate;
use windlass_workflows::eus_update::EusUpdate;
use windlass_workflows::kuryr_to_ovn::KuryrMigration;
use windlass_workflows::network_migration::NetworkMigration;
use windlass_workflows::ovn_central::{OvnCentralAdd, OvnCentralRemove, OvnCentralReplace, Pins};
use windlass_workflows::{
    CLUSTER_UPDATE, EUS_UPDATE, KURYR_TO_OVN, OVN_CENTRAL_ADD, OVN_CENTRAL_REMOVE, OVN_CENTRAL_REPLACE, OVN_TO_SDN, SDN_TO_OVN,
    Terms,
};

use crate::failure::{Failure, Kind};

/// The input of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Input {
    /// Of an EUS-to-EUS update.
    Eus(EusUpdate),
    /// Of a cluster update.
    Cluster(ClusterUpdate),
    /// Of a member of ovn-central that leaves.
    Remove(OvnCentralRemove),
    /// Of a node that joins ovn-central.
    Add(OvnCentralAdd),
    /// Of an exchange of a member of ovn-central.
    Replace(OvnCentralReplace),
    /// Of a migration to OVN-Kubernetes.
    ToOvn(NetworkMigration),
    /// Of a migration to OpenShift SDN.
    ToSdn(NetworkMigration),
    /// Of a migration from Kuryr.
    FromKuryr(KuryrMigration),
}

impl Input {
    /// Reads the input of a workflow.
    pub(crate) fn read(workflow: &str, json: &Json) -> Result<Self, Failure> {
        let unreadable = |e: serde_json::Error| {
            Failure::usage(format!("the input of {workflow} can't be read: {e}"), "plan again with this build")
        };
        match workflow {
            EUS_UPDATE => json.to().map(Self::Eus).map_err(unreadable),
            CLUSTER_UPDATE => json.to().map(Self::Cluster).map_err(unreadable),
            OVN_CENTRAL_REMOVE => json.to().map(Self::Remove).map_err(unreadable),
            OVN_CENTRAL_ADD => json.to().map(Self::Add).map_err(unreadable),
            OVN_CENTRAL_REPLACE => json.to().map(Self::Replace).map_err(unreadable),
            SDN_TO_OVN => json.to().map(Self::ToOvn).map_err(unreadable),
            OVN_TO_SDN => json.to().map(Self::ToSdn).map_err(unreadable),
            KURYR_TO_OVN => json.to().map(Self::FromKuryr).map_err(unreadable),
            other => Err(Failure::usage(format!("there is no workflow {other}"), "plan again with this build")),
        }
    }

    /// The registered name of the workflow that it is for.
    pub(crate) fn workflow(&self) -> &'static str {
        match self {
            Self::Eus(_) => EUS_UPDATE,
            Self::Cluster(_) => CLUSTER_UPDATE,
            Self::Remove(_) => OVN_CENTRAL_REMOVE,
            Self::Add(_) => OVN_CENTRAL_ADD,
            Self::Replace(_) => OVN_CENTRAL_REPLACE,
            Self::ToOvn(_) => SDN_TO_OVN,
            Self::ToSdn(_) => OVN_TO_SDN,
            Self::FromKuryr(_) => KURYR_TO_OVN,
        }
    }

    /// As it is recorded.
    pub(crate) fn json(&self) -> Result<Json, Failure> {
        let written = match self {
            Self::Eus(input) => Json::of(input),
            Self::Cluster(input) => Json::of(input),
            Self::Remove(input) => Json::of(input),
            Self::Add(input) => Json::of(input),
            Self::Replace(input) => Json::of(input),
            Self::ToOvn(input) | Self::ToSdn(input) => Json::of(input),
            Self::FromKuryr(input) => Json::of(input),
        };
        written.map_err(|e| Failure::new(Kind::Failed, format!("the input can't be written down: {e}"), "plan again"))
    }

    /// What was settled for an update besides where it goes.
    pub(crate) fn terms(&self) -> Option<&Terms> {
        match self {
            Self::Eus(input) => Some(&input.terms),
            Self::Cluster(input) => Some(&input.terms),
            Self::Remove(_) | Self::Add(_) | Self::Replace(_) | Self::ToOvn(_) | Self::ToSdn(_) | Self::FromKuryr(_) => None,
        }
    }

    /// When disruptive steps may begin, if not at any time.
    pub(crate) fn calendar(&self) -> Option<&Calendar> {
        match self {
            Self::Eus(EusUpdate { terms, .. }) | Self::Cluster(ClusterUpdate { terms, .. }) => terms.windows.as_ref(),
            Self::Remove(OvnCentralRemove { terms, .. })
            | Self::Add(OvnCentralAdd { terms, .. })
            | Self::Replace(OvnCentralReplace { terms, .. }) => terms.windows.as_ref(),
            Self::ToOvn(input) | Self::ToSdn(input) => input.windows.as_ref(),
            Self::FromKuryr(input) => input.migration.windows.as_ref(),
        }
    }

    fn terms_mut(&mut self) -> Option<&mut Terms> {
        match self {
            Self::Eus(input) => Some(&mut input.terms),
            Self::Cluster(input) => Some(&mut input.terms),
            Self::Remove(_) | Self::Add(_) | Self::Replace(_) | Self::ToOvn(_) | Self::ToSdn(_) | Self::FromKuryr(_) => None,
        }
    }

    /// Takes over what the cluster tells about itself, where the person said nothing.
    pub(crate) fn settle(&mut self, now: Timestamp, estimates: Estimates, layered: Option<Vec<String>>) {
        let Some(terms) = self.terms_mut() else { return };
        terms.deadlines = true;
        terms.credentials.get_or_insert_default();
        terms.longest_window_seconds = terms.windows.as_ref().map(|calendar| calendar.longest(now).as_secs());
        let told = terms.estimates.take();
        terms.estimates = Some(super::terms::merged(estimates, told));
        if let Some(layered) = layered {
            terms.layered = layered;
        }
    }

    /// Without the pins of a plan: what a new plan begins with.
    pub(crate) fn unpinned(mut self) -> Self {
        match &mut self {
            Self::Eus(input) => input.planned = None,
            Self::Cluster(input) => input.planned = None,
            Self::Remove(OvnCentralRemove { terms, .. })
            | Self::Add(OvnCentralAdd { terms, .. })
            | Self::Replace(OvnCentralReplace { terms, .. }) => terms.planned = None,
            Self::ToOvn(_) | Self::ToSdn(_) | Self::FromKuryr(_) => {}
        }
        self
    }

    /// With what a run was foreseen to find.
    pub(crate) fn pinned(mut self, foresight: &Foresight) -> Self {
        for deed in &foresight.deeds {
            let Deed::Activity { asked, result: Ok(output) } = &deed.what else { continue };
            match (&mut self, asked.activity.as_str()) {
                (Self::Eus(input), "resolve-path") => input.planned = output.to().ok(),
                (Self::Cluster(input), "resolve-target") => input.planned = output.to().ok(),
                (
                    Self::Remove(OvnCentralRemove { terms, .. })
                    | Self::Add(OvnCentralAdd { terms, .. })
                    | Self::Replace(OvnCentralReplace { terms, .. }),
                    "check-ovn-central",
                ) => terms.planned = output.to().ok().as_ref().map(Pins::of),
                _ => {}
            }
        }
        self
    }
}
