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
pub fn updates_retrieved(snapshot: &Snapshot, channel: &Channel, offers: Option<&Release>) -> Verdict {
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
        Some(wanted) if !version.recommended().any(|release| release.image == wanted.image) => {
            let offered: Vec<&str> = version.recommended().map(|release| release.version.as_str()).collect();
            let what = format!("does not have {} (offered: {})", wanted.version, join(&offered));
            Verdict::not_yet(Reason::waiting(SUBJECT, what).graded(Concern::Slow))
        }
        Some(wanted) => Verdict::Met { evidence: format!("{channel} offers {}", wanted.version) },
        None => Verdict::Met { evidence: format!("{channel} offers {} updates", version.recommended().count()) },
    }
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
            let verdict = updates_retrieved(&snapshot, &"eus-4.18".into(), Some(&release("4.17.9")));
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
