//! The offered updates: read anew for a channel, and whether one of them is offered.

use super::{Concern, Reason, Verdict};
use crate::ids::Channel;
use crate::release::Release;
use crate::snapshot::Snapshot;
use crate::views::{ClusterVersion, Conditions as _, Status};

/// Reasons with which the update service says that asking again will not help.
const FINAL: [&str; 7] =
    ["NoUpstream", "InvalidURI", "InvalidID", "NoArchitecture", "NoChannel", "InvalidCurrentVersion", "VersionNotFound"];

/// Whether the offered updates are those of the channel, and hold `offers` if one is given.
///
/// The list is null until it was retrieved, and for a moment after the channel changed it is still the old channel's.
/// A release that is offered only with risks counts if all of them are `accepted` by name.
pub fn updates_retrieved(snapshot: &Snapshot, channel: &Channel, offers: Option<&Release>, accepted: &[String]) -> Verdict {
    const SUBJECT: &str = "the list of updates";
    let Some(version) = snapshot.version() else {
        return Verdict::not_yet(Reason::waiting("the cluster", "shows no ClusterVersion"));
    };
    if version.spec.channel != channel.as_str() {
        let message = format!("the channel is {:?}, not {channel}; somebody changed it, set it again", version.spec.channel);
        return Verdict::Failed { code: "channel-changed", message };
    }
    if !version.is_observed() {
        return Verdict::not_yet(Reason::waiting(SUBJECT, "is not that of the new channel yet"));
    }
    if let Some(verdict) = not_retrieved(version) {
        return verdict;
    }
    let Some(available) = &version.status.available_updates else {
        return Verdict::not_yet(Reason::waiting(SUBJECT, "is unknown: nothing was retrieved yet"));
    };
    let foreign = |release: &&crate::views::PublishedRelease| {
        !release.channels.is_empty() && !release.channels.iter().any(|name| name == channel.as_str())
    };
    if let Some(release) = available.iter().find(foreign) {
        return Verdict::not_yet(Reason::waiting(SUBJECT, format!("is still another channel's: it has {}", release.version)));
    }
    let already = |wanted: &&Release| version.status.desired.image == wanted.image;
    match offers.filter(|wanted| !already(wanted)) {
        Some(wanted) if !version.acceptable(accepted).any(|release| release.image == wanted.image) => {
            Verdict::not_yet(Reason::waiting(SUBJECT, not_offered(version, wanted, accepted)).graded(Concern::Slow))
        }
        Some(wanted) => Verdict::Met { evidence: format!("{channel} offers {}", wanted.title()) },
        None => Verdict::Met { evidence: format!("{channel} offers {} updates", version.recommended().count()) },
    }
}

/// Why a release is not on offer: gone from the list, or there with a risk that nobody accepted.
fn not_offered(version: &ClusterVersion, wanted: &Release, accepted: &[String]) -> String {
    let conditional = version.status.conditional_updates.iter().find(|update| update.release.image == wanted.image);
    if let Some(update) = conditional {
        let open = update.risks.iter().filter(|risk| !accepted.contains(&risk.name));
        let open = open.filter(|risk| update.recommended_despite(risk) != Status::True);
        let told: Vec<String> = open.map(|risk| format!("{}: {}", risk.name, risk.message)).collect();
        let state = if update.recommended() == Status::False { "applies to this cluster" } else { "could not be judged" };
        return format!("has {} with a risk that {state} and was not accepted ({})", wanted.title(), told.join("; "));
    }
    let offered: Vec<&str> = version.acceptable(accepted).map(|release| release.version.as_str()).collect();
    format!("does not have {} (offered: {})", wanted.title(), join(&offered))
}

fn not_retrieved(version: &ClusterVersion) -> Option<Verdict> {
    let retrieved = version.condition("RetrievedUpdates")?;
    if retrieved.status != Status::False {
        return None;
    }
    if FINAL.contains(&retrieved.reason.as_str()) {
        let message = format!(
            "the updates of {} cannot be retrieved ({}): {}; choose another channel or wait until the release is in it",
            version.spec.channel, retrieved.reason, retrieved.message
        );
        return Some(Verdict::Failed { code: "no-updates", message });
    }
    let what = format!("cannot be retrieved ({}): {}", retrieved.reason, retrieved.explanation());
    Some(Verdict::not_yet(Reason::waiting("the list of updates", what).since(retrieved.since()).graded(Concern::Slow)))
}

fn join(offered: &[&str]) -> String {
    if offered.is_empty() { "none".to_owned() } else { offered.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{condition, healthy, offer, release, version};
    use super::*;

    #[test]
    fn the_list_must_be_the_channels_and_have_the_release() {
        let check = |edit: &dyn Fn(&mut ClusterVersion), expect: &str| {
            let mut snapshot = healthy();
            version(&mut snapshot, |version| {
                version.spec.channel = "eus-4.18".to_owned();
                version.status.available_updates = Some(vec![offer("4.17.9", &["eus-4.18", "stable-4.17"])]);
                edit(version);
            });
            let verdict = updates_retrieved(&snapshot, &"eus-4.18".into(), Some(&release("4.17.9")), &["Known".to_owned()]);
            assert_eq!(verdict.to_string(), expect);
        };
        check(&|_| {}, "eus-4.18 offers 4.17.9");
        check(
            &|version| version.spec.channel = "fast-4.17".to_owned(),
            "the channel is \"fast-4.17\", not eus-4.18; somebody changed it, set it again",
        );
        check(&|version| version.metadata.generation = Some(100), "the list of updates is not that of the new channel yet");
        check(&|version| version.status.available_updates = None, "the list of updates is unknown: nothing was retrieved yet");
        check(
            &|version| version.status.available_updates = Some(vec![offer("4.16.30", &["stable-4.16"])]),
            "the list of updates is still another channel's: it has 4.16.30",
        );
        check(
            &|version| version.status.available_updates = Some(Vec::new()),
            "slow: the list of updates does not have 4.17.9 (offered: none)",
        );
        let risky = |risk: &'static str| {
            move |version: &mut ClusterVersion| {
                version.status.available_updates = Some(Vec::new());
                version.status.conditional_updates = vec![crate::views::ConditionalUpdate {
                    release: offer("4.17.9", &["eus-4.18"]),
                    risks: vec![crate::views::ConditionalRisk {
                        name: risk.to_owned(),
                        message: "It boots slowly.".to_owned(),
                        ..Default::default()
                    }],
                    conditions: vec![condition("Recommended", Status::False, "")],
                }];
            }
        };
        check(&risky("Known"), "eus-4.18 offers 4.17.9");
        check(
            &risky("SlowBoot"),
            "slow: the list of updates has 4.17.9 with a risk that applies to this cluster and was not accepted \
             (SlowBoot: It boots slowly.)",
        );
        let unretrieved = |reason: &'static str| {
            move |version: &mut ClusterVersion| {
                let mut said = condition("RetrievedUpdates", Status::False, "not in the graph");
                said.reason = reason.to_owned();
                version.status.conditions.retain(|condition| condition.kind != "RetrievedUpdates");
                version.status.conditions.push(said);
            }
        };
        check(
            &unretrieved("RemoteFailed"),
            "slow: the list of updates cannot be retrieved (RemoteFailed): not in the graph (since 2026-03-01 10:00:00Z)",
        );
        check(
            &unretrieved("VersionNotFound"),
            "the updates of eus-4.18 cannot be retrieved (VersionNotFound): not in the graph; \
             choose another channel or wait until the release is in it",
        );
    }
}
