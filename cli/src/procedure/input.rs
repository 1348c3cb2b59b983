//! The input of a run, whichever workflow it is for: what was asked, and what the plan pinned.

use windlass_activities::estimate::Estimates;
use windlass_engine::foresee::{Deed, Foresight};
use windlass_engine::{Json, Timestamp};
use windlass_workflows::cluster_update::ClusterUpdate;
use windlass_workflows::eus_update::EusUpdate;
use windlass_workflows::{CLUSTER_UPDATE, EUS_UPDATE, Terms};

use crate::failure::{Failure, Kind};

/// The input of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Input {
    /// Of an EUS-to-EUS update.
    Eus(EusUpdate),
    /// Of a cluster update.
    Cluster(ClusterUpdate),
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
            other => Err(Failure::usage(format!("there is no workflow {other}"), "plan again with this build")),
        }
    }

    /// The registered name of the workflow that it is for.
    pub(crate) fn workflow(&self) -> &'static str {
        match self {
            Self::Eus(_) => EUS_UPDATE,
            Self::Cluster(_) => CLUSTER_UPDATE,
        }
    }

    /// As it is recorded.
    pub(crate) fn json(&self) -> Result<Json, Failure> {
        let written = match self {
            Self::Eus(input) => Json::of(input),
            Self::Cluster(input) => Json::of(input),
        };
        written.map_err(|e| Failure::new(Kind::Failed, format!("the input can't be written down: {e}"), "plan again"))
    }

    /// What was settled besides where it goes.
    pub(crate) fn terms(&self) -> &Terms {
        match self {
            Self::Eus(input) => &input.terms,
            Self::Cluster(input) => &input.terms,
        }
    }

    fn terms_mut(&mut self) -> &mut Terms {
        match self {
            Self::Eus(input) => &mut input.terms,
            Self::Cluster(input) => &mut input.terms,
        }
    }

    /// Takes over what the cluster tells about itself, where the person said nothing.
    pub(crate) fn settle(&mut self, now: Timestamp, estimates: Estimates, layered: Option<Vec<String>>) {
        let terms = self.terms_mut();
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
        }
        self
    }

    /// With the releases that a run was foreseen to go to.
    pub(crate) fn pinned(mut self, foresight: &Foresight) -> Self {
        for deed in &foresight.deeds {
            let Deed::Activity { asked, result: Ok(output) } = &deed.what else { continue };
            match (&mut self, asked.activity.as_str()) {
                (Self::Eus(input), "resolve-path") => input.planned = output.to().ok(),
                (Self::Cluster(input), "resolve-target") => input.planned = output.to().ok(),
                _ => {}
            }
        }
        self
    }
}
