//! The control plane at a release: applied, refused, taken over by somebody else, or how far it is.

use std::time::Duration;

use super::{Concern, Reason, Verdict, operator_troubles, pool_rolled_out};
use crate::ids::PoolName;
use crate::release::Release;
use crate::snapshot::Snapshot;
use crate::views::{ClusterOperator, ClusterVersion, Conditions as _, HistoryState, Status};

/// A refusal that stands this long is one; shorter ones happen while the release is being fetched.
const REFUSAL_LIMIT: Duration = Duration::from_secs(60);

/// Whether the control plane has wholly arrived at a release: the cluster version, every operator and the `master`
/// pool. Worker pools are not part of it, and `Completed` alone is not enough.
pub fn control_plane_done(snapshot: &Snapshot, release: &Release) -> Verdict {
    let Some(version) = snapshot.version() else {
        return Verdict::not_yet(Reason::waiting("the cluster", "shows no ClusterVersion"));
    };
    if let Some(verdict) = not_ours(version, release).or_else(|| not_accepted(version, release, snapshot)) {
        return verdict;
    }
    let mut reasons = progress_of(version, release);
    // Of an image that was asked for by digest alone the cluster tells the version once it is accepted.
    let wanted = if release.is_named() { release.version.to_string() } else { version.status.desired.version.clone() };
    let rolled_out = |operator: &&ClusterOperator| operator.rolled_out() == Some(wanted.as_str());
    let operators = || snapshot.operators.values().map(AsRef::as_ref);
    let behind: Vec<&ClusterOperator> = operators().filter(|operator| !rolled_out(operator)).collect();
    // While the update runs, an operator that waits for its turn is no news; one in trouble is.
    let under_way = !reasons.is_empty();
    let troubles = operators().flat_map(|operator| operator_troubles(operator, snapshot.now));
    reasons.extend(troubles.filter(|trouble| !under_way || trouble.concern != Concern::Waiting));
    if let [first, ..] = behind.as_slice() {
        let what = format!("are not at {wanted} yet, among them {}", crate::views::View::name(*first));
        reasons.push(Reason::waiting(format!("{} of {} operators", behind.len(), snapshot.operators.len()), what));
    }
    if snapshot.operators.is_empty() {
        reasons.push(Reason::waiting("the cluster", "shows no operators"));
    }
    match pool_rolled_out(snapshot, &PoolName::new("master"), None) {
        Verdict::Met { .. } => {}
        Verdict::NotYet { reasons: master } => reasons.extend(master),
        failed @ Verdict::Failed { .. } => return failed,
    }
    Verdict::from_reasons(reasons, || {
        format!("{wanted} applied: {} operators and pool master are at it", snapshot.operators.len())
    })
}

/// Somebody asked for something else, or took the request back.
fn not_ours(version: &ClusterVersion, release: &Release) -> Option<Verdict> {
    let asked = version.spec.desired_update.as_ref();
    let other = match asked {
        Some(asked) if asked.image == release.image => return None,
        Some(asked) if asked.image.is_empty() && asked.version == release.version.to_string() => return None,
        Some(asked) => format!("{} {}", asked.version, asked.image),
        // Taken back after it was accepted: the cluster goes on with it.
        None if version.status.desired.image == release.image => return None,
        None => "no update".to_owned(),
    };
    let message = format!(
        "somebody else changed the wished update: spec.desiredUpdate now names {}, this run asked for {}; \
         find out who, then start a new run",
        other.trim(),
        wish(release)
    );
    Some(Verdict::Failed { code: "retargeted", message })
}

fn wish(release: &Release) -> String {
    if release.is_named() { format!("{} {}", release.version, release.image) } else { release.image.clone() }
}

fn not_accepted(version: &ClusterVersion, release: &Release, snapshot: &Snapshot) -> Option<Verdict> {
    const SUBJECT: &str = "the update";
    if !version.is_observed() {
        return Some(Verdict::not_yet(Reason::waiting(SUBJECT, "has not been looked at by the cluster-version operator yet")));
    }
    if version.status.desired.image == release.image {
        return None;
    }
    let accepted = version.condition("ReleaseAccepted");
    let Some(refused) = accepted.filter(|accepted| accepted.status == Status::False) else {
        let what = accepted.map_or("", |accepted| accepted.message.as_str());
        return Some(Verdict::not_yet(Reason::waiting(SUBJECT, format!("is being checked: {what}"))));
    };
    let lasted = refused.since().map(|since| snapshot.now.since(since)).unwrap_or_default();
    if lasted < REFUSAL_LIMIT {
        let what = format!("is refused so far: {}", refused.explanation());
        return Some(Verdict::not_yet(Reason::waiting(SUBJECT, what).since(refused.since()).graded(Concern::Broken)));
    }
    let message = format!(
        "the cluster refuses the update to {} ({}): {}; remove the cause, then retry",
        release.title(),
        refused.reason,
        refused.message
    );
    Some(Verdict::Failed { code: "update-refused", message })
}

fn progress_of(version: &ClusterVersion, release: &Release) -> Vec<Reason> {
    const SUBJECT: &str = "the update";
    let mut reasons = Vec::new();
    let head = version.status.history.first().filter(|head| head.image == release.image);
    let progressing = version.condition("Progressing");
    let since = head.and_then(|head| head.started_time).map(windlass_engine::Timestamp::from);
    match head {
        Some(head) if head.state == HistoryState::Completed => {
            if let Some(condition) = progressing.filter(|condition| condition.status != Status::False) {
                let what = format!("is still settling: {}", condition.explanation());
                reasons.push(Reason::waiting(SUBJECT, what).since(condition.since()));
            }
        }
        Some(_) => {
            let told = progressing.map_or("no progress reported", |condition| condition.explanation());
            reasons.push(Reason::waiting(SUBJECT, format!("is under way: {told}")).since(since));
        }
        None => reasons.push(Reason::waiting(SUBJECT, "is accepted and has not begun")),
    }
    let failing = version.condition("Failing");
    if let Some(failing) = failing.filter(|failing| failing.status == Status::True) {
        let what = format!("is failing: {}", failing.explanation());
        reasons.push(Reason::waiting(SUBJECT, what).since(failing.since()).graded(Concern::Broken));
    }
    if let Some(slow) = failing.filter(|failing| failing.status == Status::Unknown && failing.reason == "SlowClusterOperator") {
        let what = format!("waits for a slow operator: {}", slow.explanation());
        reasons.push(Reason::waiting(SUBJECT, what).since(slow.since()).graded(Concern::Slow));
    }
    if let Some(refused) = version.condition("ReleaseAccepted").filter(|accepted| accepted.status != Status::True) {
        let what = format!("is no longer accepted: {}", refused.explanation());
        reasons.push(Reason::waiting(SUBJECT, what).since(refused.since()).graded(Concern::Broken));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{at, condition, healthy, node, operator, pool, release, updated_to, version};
    use super::*;
    use crate::views::{DesiredUpdate, HistoryEntry};

    fn check(edit: impl Fn(&mut Snapshot), expect: &str) {
        let mut snapshot = healthy();
        updated_to(&mut snapshot, &release("4.17.9"));
        edit(&mut snapshot);
        assert_eq!(control_plane_done(&snapshot, &release("4.17.9")).to_string(), expect);
    }

    fn say(snapshot: &mut Snapshot, kind: &str, status: Status, reason: &str, message: &str) {
        version(snapshot, |version| {
            version.status.conditions.retain(|condition| condition.kind != kind);
            let mut condition = condition(kind, status, message);
            condition.reason = reason.to_owned();
            version.status.conditions.push(condition);
        });
    }

    /// The old release is still the target: the request is there and nothing came of it yet.
    fn not_taken_up(snapshot: &mut Snapshot) {
        version(snapshot, |version| {
            version.status.desired.image = release("4.16.20").image;
            version.status.history.remove(0);
        });
    }

    #[test]
    fn done_is_version_operators_and_master_pool() {
        check(|_| {}, "4.17.9 applied: 4 operators and pool master are at it");
    }

    #[test]
    fn every_part_of_the_predicate_counts() {
        check(
            |snapshot| version(snapshot, |version| version.metadata.generation = Some(100)),
            "the update has not been looked at by the cluster-version operator yet",
        );
        check(
            |snapshot| say(snapshot, "Progressing", Status::True, "", "Working towards 4.17.9: 2 of 900 done"),
            "the update is still settling: Working towards 4.17.9: 2 of 900 done (since 2026-03-01 10:00:00Z)",
        );
        check(
            |snapshot| operator(snapshot, "dns", |dns| dns.status.versions[0].version = "4.16.20".to_owned()),
            "1 of 4 operators are not at 4.17.9 yet, among them dns",
        );
        check(
            |snapshot| pool(snapshot, "master", |master| master.status.updated_machine_count = 2),
            "pool master is moving to rendered-master-r0: 2 of 3 nodes updated, 3 ready (since 2026-03-01 10:00:00Z)",
        );
        check(
            |snapshot| node(snapshot, "master-1", |node| node.status.conditions[0].status = Status::False),
            "node master-1 is not ready: kubelet is posting ready status (since 2026-03-01 10:00:00Z)",
        );
        check(
            |snapshot| say(snapshot, "Failing", Status::True, "", "etcd is unhealthy"),
            "!! the update is failing: etcd is unhealthy (since 2026-03-01 10:00:00Z)",
        );
        check(
            |snapshot| say(snapshot, "ReleaseAccepted", Status::Unknown, "", "fetching"),
            "!! the update is no longer accepted: fetching (since 2026-03-01 10:00:00Z)",
        );
    }

    #[test]
    fn an_update_under_way_reports_its_own_progress_and_only_operators_in_trouble() {
        let under_way = |snapshot: &mut Snapshot| {
            version(snapshot, |version| {
                version.status.history[0].state = HistoryState::Partial;
                version.status.history[0].completion_time = None;
            });
            say(snapshot, "Progressing", Status::True, "", "Working towards 4.17.9: 139 of 900 done");
            operator(snapshot, "dns", |dns| {
                dns.status.versions[0].version = "4.16.20".to_owned();
                dns.status.conditions[1].status = Status::True;
                dns.status.conditions[1].last_transition_time = Some(at(-2).to_datetime());
            });
        };
        check(
            under_way,
            "the update is under way: Working towards 4.17.9: 139 of 900 done (since 2026-03-01 11:00:00Z); \
             1 of 4 operators are not at 4.17.9 yet, among them dns",
        );
        check(
            |snapshot| {
                under_way(snapshot);
                say(snapshot, "Failing", Status::Unknown, "SlowClusterOperator", "waiting on dns over 30 minutes");
            },
            "slow: the update waits for a slow operator: waiting on dns over 30 minutes (since 2026-03-01 10:00:00Z); \
             the update is under way: Working towards 4.17.9: 139 of 900 done (since 2026-03-01 11:00:00Z); \
             1 of 4 operators are not at 4.17.9 yet, among them dns",
        );
    }

    #[test]
    fn a_refusal_counts_after_a_minute() {
        let refused = |seconds_ago: i64| {
            move |snapshot: &mut Snapshot| {
                not_taken_up(snapshot);
                say(snapshot, "ReleaseAccepted", Status::False, "RetrievePayload", "signature not found");
                let since = windlass_engine::Timestamp::from_micros(snapshot.now.as_micros() - seconds_ago * 1_000_000);
                version(snapshot, |version| {
                    let last = version.status.conditions.last_mut().unwrap();
                    last.last_transition_time = Some(since.to_datetime());
                });
            }
        };
        check(refused(59), "!! the update is refused so far: signature not found (since 2026-03-01 11:59:01Z)");
        check(
            refused(61),
            "the cluster refuses the update to 4.17.9 (RetrievePayload): signature not found; remove the cause, then retry",
        );
        check(not_taken_up, "the update is being checked: ");
    }

    #[test]
    fn another_target_is_somebody_elses() {
        let digest = release("4.17.9").image;
        check(
            |snapshot| {
                version(snapshot, |version| {
                    version.spec.desired_update = Some(DesiredUpdate { version: "4.17.10".to_owned(), ..Default::default() });
                });
            },
            &format!(
                "somebody else changed the wished update: spec.desiredUpdate now names 4.17.10, this run asked for 4.17.9 \
                 {digest}; find out who, then start a new run"
            ),
        );
        check(
            |snapshot| version(snapshot, |version| version.spec.desired_update = None),
            "4.17.9 applied: 4 operators and pool master are at it",
        );
        check(
            |snapshot| {
                not_taken_up(snapshot);
                version(snapshot, |version| version.spec.desired_update = None);
            },
            &format!(
                "somebody else changed the wished update: spec.desiredUpdate now names no update, this run asked for 4.17.9 \
                 {digest}; find out who, then start a new run"
            ),
        );
    }

    #[test]
    fn a_completed_entry_of_another_image_is_not_ours() {
        check(
            |snapshot| {
                version(snapshot, |version| {
                    let newer = HistoryEntry { image: release("4.17.10").image, ..version.status.history[0].clone() };
                    version.status.history.insert(0, newer);
                });
            },
            "the update is accepted and has not begun",
        );
    }
}
