//! The last look at an update's risks, right before it is asked for: a plan may be weeks old.

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::Risk;
use super::offers::of_cluster;
use crate::cluster::Cluster;
use crate::release::Release;
use crate::requests::ASSUMED;
use crate::views::{ClusterVersion, Conditions as _, Status};

/// Sees that a release is still offered, with no other risks than those that a person accepted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckRisks {
    /// The release.
    pub release: Release,
    /// The risks that were accepted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<String>,
}

/// What the cluster says of a release's risks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RisksChecked {
    /// The risks, with the cluster's judgement and the person's.
    pub risks: Vec<Risk>,
    /// What was seen.
    pub evidence: String,
}

impl Activity for CheckRisks {
    const NAME: ActivityName = ActivityName::new("check-risks");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = RisksChecked;

    fn summary(&self) -> String {
        format!("look once more at the risks of {}", self.release.title())
    }

    fn assumed(&self) -> Option<RisksChecked> {
        Some(RisksChecked { risks: Vec::new(), evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<RisksChecked, ActivityError> {
        self.judge(&cx.world().must_get(None, "version").await?)
    }
}

impl CheckRisks {
    fn judge(&self, version: &ClusterVersion) -> Result<RisksChecked, ActivityError> {
        let title = self.release.title();
        let seen = |evidence: String| Ok(RisksChecked { risks: Vec::new(), evidence });
        if version.status.desired.image == self.release.image {
            return seen(format!("the cluster works towards {title} already"));
        }
        if !self.release.is_named() {
            return seen(format!("{title} is in no list of updates: nothing is known of its risks"));
        }
        if version.status.available_updates.is_none() || !version.is_observed() {
            let why = version.condition("RetrievedUpdates").filter(|retrieved| retrieved.status == Status::False);
            let why = why.map_or("not retrieved yet", |retrieved| retrieved.explanation());
            let message = format!("whether {title} is still offered is not known: {why}");
            return Err(ActivityError::transient("updates-unknown", message));
        }
        let offers = of_cluster(version);
        let Some(offer) = offers.into_iter().find(|offer| offer.release.digest() == self.release.digest()) else {
            let message = format!(
                "{title} is no longer offered from {} in channel {}: the edge was withdrawn since the plan; plan again",
                version.status.desired.version, version.spec.channel
            );
            return Err(ActivityError::permanent("edge-withdrawn", message));
        };
        let accepted = |risk: Risk| Risk { accepted: self.accepted.contains(&risk.name), ..risk };
        let risks: Vec<Risk> = offer.risks.into_iter().map(accepted).collect();
        let open: Vec<String> = risks.iter().filter(|risk| risk.blocks()).map(ToString::to_string).collect();
        if !open.is_empty() {
            let message =
                format!("{title} carries a risk that nobody accepted: {}; accept it by name in a new plan", open.join("; "));
            return Err(ActivityError::permanent("new-risk", message));
        }
        let evidence = match risks.len() {
            0 => format!("{title} is offered without known risks"),
            known => format!("{title} is offered; each of its {known} known risks is accepted or does not concern this cluster"),
        };
        Ok(RisksChecked { risks, evidence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::fixtures::{condition, healthy, offer, release, version};
    use crate::views::{ConditionalRisk, ConditionalUpdate};

    #[test]
    fn a_withdrawn_edge_and_a_new_risk_stop_the_request() {
        let risky = |status: Status| {
            move |version: &mut ClusterVersion| {
                version.status.available_updates = Some(vec![offer("4.17.8", &[])]);
                let risk = ConditionalRisk { name: "SlowBoot".to_owned(), message: "Slow.".to_owned(), ..Default::default() };
                let conditions = vec![condition("Recommended", status, "")];
                let update = ConditionalUpdate { release: offer("4.17.9", &[]), risks: vec![risk], conditions };
                version.status.conditional_updates = vec![update];
            }
        };
        let check = |edit: &dyn Fn(&mut ClusterVersion), accepted: &[&str], expect: Result<&str, (&str, &str)>| {
            let mut snapshot = healthy();
            version(&mut snapshot, |version| edit(version));
            let accepted = accepted.iter().map(|&name| name.to_owned()).collect();
            let outcome = CheckRisks { release: release("4.17.9"), accepted }.judge(snapshot.version().unwrap());
            let shown = outcome.as_ref().map(|checked| checked.evidence.as_str());
            assert_eq!(shown.map_err(|error| (error.code.as_str(), error.message.as_str())), expect);
        };
        let plain = |version: &mut ClusterVersion| version.status.available_updates = Some(vec![offer("4.17.9", &[])]);
        check(&plain, &[], Ok("4.17.9 is offered without known risks"));
        let fine = "4.17.9 is offered; each of its 1 known risks is accepted or does not concern this cluster";
        check(&risky(Status::True), &[], Ok(fine));
        check(&risky(Status::False), &["SlowBoot"], Ok(fine));
        check(
            &risky(Status::False),
            &["Other"],
            Err((
                "new-risk",
                "4.17.9 carries a risk that nobody accepted: SlowBoot (concerns this cluster): Slow.; accept it by name in a new plan",
            )),
        );
        check(
            &risky(Status::Unknown),
            &[],
            Err((
                "new-risk",
                "4.17.9 carries a risk that nobody accepted: SlowBoot (could not be judged): Slow.; accept it by name in a new plan",
            )),
        );
        check(
            &|version| version.status.available_updates = Some(vec![offer("4.17.8", &[])]),
            &[],
            Err((
                "edge-withdrawn",
                "4.17.9 is no longer offered from 4.16.20 in channel stable-4.16: the edge was withdrawn since the plan; plan again",
            )),
        );
        check(&|_| {}, &[], Err(("updates-unknown", "whether 4.17.9 is still offered is not known: not retrieved yet")));
        let begun = |version: &mut ClusterVersion| version.status.desired.image = release("4.17.9").image;
        check(&begun, &[], Ok("the cluster works towards 4.17.9 already"));
    }

    #[test]
    fn of_an_image_without_a_version_nothing_is_asked() {
        let snapshot = healthy();
        let check = CheckRisks { release: Release::unnamed("r@sha256:aa"), accepted: Vec::new() };
        assert!(check.judge(snapshot.version().unwrap()).unwrap().evidence.contains("in no list of updates"));
    }
}
