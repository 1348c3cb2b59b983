//! Checks of who else has a hand in the cluster: other runs, reconcilers, people who left something behind; and of what this login may do.

use std::collections::BTreeSet;
use std::time::Duration;

use windlass_engine::Timestamp;

use super::{Check, Facts, Findings, Preflight};
use crate::cluster::FIELD_MANAGER;
use crate::lease::Standing;
use crate::views::{ClusterVersion, MachineConfigPool, MachineHealthCheck, View};

/// The login may do everything that the run will do: asked for each permission, before the first of them is needed.
pub(super) fn access(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    found.block(facts.denied.all().iter().map(|permission| format!("permission missing: {permission}")));
    found.warn(facts.denied.unreadable().map(|why| format!("what this login may do {why}")));
    found.fine("every permission that the run needs is granted");
    found.judge(
        "access",
        "this login may do what the run will do",
        "have what `windlass rbac eus-update` prints applied for this login",
    )
}

/// A holder who renewed so lately surely lives; whether one who did not is gone, a start finds out by watching.
const LEASE_MARGIN: Duration = Duration::from_secs(60);

/// No other run works on this cluster. Only a look: the times in a lease are of its holder's clock, so nothing is taken because of them.
pub(super) fn lock(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    let held = facts.lock.seen().map(|lease| (Standing::of(lease), lease)).filter(|(held, _)| !held.is_free());
    let other = held.filter(|(held, _)| !facts.us.as_ref().is_some_and(|us| held.is_of(us)));
    if let Some((held, lease)) = other {
        let holder = &held.owner.who;
        match lease.spec.renew_time.map(Timestamp::from) {
            Some(renewed) if apart(facts.now, renewed) < held.term + LEASE_MARGIN => {
                found.block([format!("{holder} holds the lease windlass/windlass, renewed at {}", minute(renewed))]);
            }
            Some(renewed) => {
                found.warn([format!("{holder} left the lease windlass/windlass behind, renewed last at {}", minute(renewed))]);
            }
            None => found.warn([format!("{holder} holds the lease windlass/windlass and never renewed it")]),
        }
    }
    found.warn(facts.lock.unreadable().map(|why| format!("the lease windlass/windlass {why}")));
    found.fine("no other run holds the cluster");
    found.judge(
        "lock",
        "no other run works on this cluster",
        "let the other run end, or cancel it where it is driven; if that machine is lost, `windlass adopt` takes its runs over",
    )
}

/// How far two times lie apart, whichever is first: a clock that is far ahead proves no life either.
fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}

fn minute(at: Timestamp) -> String {
    at.to_datetime().format("%Y-%m-%d %H:%MZ").to_string()
}

/// Annotations of ours begin so; one that is there before a run is a run's that did not end well.
const OURS: &str = "windlass";

/// Nothing is left of earlier maintenance: overrides (F30), a forced update, annotations of an earlier run.
pub(super) fn leftovers(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    let spec = &facts.version.spec;
    let named = |namespace: &str, name: &str| if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
    found.block(
        spec.overrides
            .iter()
            .filter(|one| one.unmanaged)
            .map(|one| format!("an override keeps {} {} from being updated", one.kind, named(&one.namespace, &one.name))),
    );
    if spec.desired_update.as_ref().is_some_and(|update| update.force) {
        found.warn(["the last update was forced: signature and Upgradeable were not looked at".to_owned()]);
    }
    found.warn(facts.pools.iter().filter_map(|pool| ours(pool, "pool")));
    found.warn(facts.nodes.iter().filter_map(|node| ours(node, "node")));
    found.fine("no overrides, no forced update, no annotations of an earlier run");
    found.judge(
        "leftovers",
        "nothing is left of earlier maintenance",
        "`oc patch clusterversion version --type merge -p '{\"spec\":{\"overrides\":null}}'` clears overrides; of an earlier run \
         `windlass list` and `windlass resume` give back the rest",
    )
}

fn ours<K: View>(object: &K, kind: &str) -> Option<String> {
    let annotations = object.meta().annotations.as_ref()?;
    let (key, value) = annotations.iter().find(|(key, value)| key.starts_with(OURS) || value.starts_with("windlass/"))?;
    Some(format!("{kind} {} carries {key}={value} of an earlier run", object.name()))
}

/// Field managers that write what a repository says, again and again.
const RECONCILERS: [&str; 9] = [
    "argocd",
    "config-policy-controller",
    "fleet-agent",
    "fleetagent",
    "governance-policy",
    "helm",
    "kapp",
    "kustomize-controller",
    "rancher",
];

/// Annotations and labels by which reconcilers know what is theirs.
const TRACKED: [&str; 5] = [
    "argocd.argoproj.io/instance",
    "argocd.argoproj.io/tracking-id",
    "helm.toolkit.fluxcd.io/name",
    "kustomize.toolkit.fluxcd.io/name",
    "meta.helm.sh/release-name",
];

/// Nobody reconciles what the run changes for a time: pools, the ClusterVersion, machine health checks.
pub(super) fn reconcilers(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    found.warn(reconciled::<ClusterVersion>(&facts.version, "clusterversion"));
    found.warn(facts.pools.iter().filter_map(|pool| reconciled::<MachineConfigPool>(pool, "pool")));
    found.warn(facts.health_checks.iter().filter_map(|check| reconciled::<MachineHealthCheck>(check, "machine health check")));
    found.fine("nobody writes them again and again");
    found.judge(
        "reconcilers",
        "nobody reverts what the run changes",
        "have the reconciler ignore spec.paused, spec.channel and the pausing annotation, or suspend it for the time of the update",
    )
}

fn reconciled<K: View>(object: &K, kind: &str) -> Option<String> {
    let meta = object.meta();
    let marks = meta.annotations.iter().chain(&meta.labels).flatten();
    let tracked = marks.filter(|(key, _)| TRACKED.contains(&key.as_str())).map(|(key, value)| format!("{key}={value}"));
    let managers = meta.managed_fields.iter().flatten().filter_map(|entry| entry.manager.as_deref());
    let writers =
        managers.filter(|manager| *manager != FIELD_MANAGER && RECONCILERS.iter().any(|known| manager.starts_with(known)));
    let signs: BTreeSet<String> = tracked.chain(writers.map(str::to_owned)).collect();
    let signs: Vec<String> = signs.into_iter().collect();
    (!signs.is_empty()).then(|| format!("{kind} {} is reconciled by {}", object.name(), signs.join(", ")))
}
