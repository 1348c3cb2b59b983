//! `Upgradeable`, and what else must hold before a loaded release is applied.

use chrono::{DateTime, Utc};
use semver::Version;
use serde_json::Value;

use super::updates::verdict;
use crate::controllers::Cx;
use crate::store::resources::{CLUSTEROPERATORS, CONFIGMAPS};
use crate::world::config::{ADMIN_ACKS, ADMIN_GATES};
use crate::world::graph::{Release, parse};
use crate::world::json::{Said, condition, drop_condition, name, set_condition, text};

/// The newest version that was completed, or the oldest one that was tried.
pub(super) fn current_version(version: &Value) -> Version {
    let history = version["status"]["history"].as_array().map(Vec::as_slice).unwrap_or_default();
    let completed = history.iter().find(|h| h["state"] == "Completed").or(history.last());
    parse(completed.map_or("", |h| text(h, "/version")))
}

/// Why the next minor update is forbidden, if it is: reason and message.
pub(super) fn objections(cx: &Cx<'_>, version: &Value) -> Option<(String, String)> {
    let mut found: Vec<(String, String)> = vec![];
    found.extend(missing_acks(cx, current_version(version).minor));
    found.extend(operators(cx));
    let overridden = version["spec"]["overrides"].as_array().is_some_and(|all| all.iter().any(|o| o["unmanaged"] == true));
    if overridden {
        let message =
            "Disabling ownership via cluster version overrides prevents upgrades. Please remove overrides before continuing.";
        found.push(("ClusterVersionOverridesSet".into(), message.into()));
    }
    match found.len() {
        0 => None,
        1 => found.pop(),
        _ => {
            let messages: Vec<String> = found.into_iter().map(|(_, m)| m).collect();
            let message =
                format!("Cluster should not be upgraded between minor versions for multiple reasons: {}", messages.join("\n* "));
            Some(("MultipleReasons".into(), message))
        }
    }
}

/// Writes `Upgradeable`, which is absent when nothing objects.
pub(super) fn write(version: &mut Value, objection: Option<&(String, String)>, now: DateTime<Utc>) {
    match objection {
        None => drop_condition(version, "Upgradeable"),
        Some((reason, message)) => set_condition(version, "Upgradeable", &Said::new("False", reason, message), now),
    }
}

fn missing_acks(cx: &Cx<'_>, minor: u64) -> Option<(String, String)> {
    let gates = cx.store.get(&CONFIGMAPS, Some(ADMIN_GATES.0), ADMIN_GATES.1)?;
    let acks = cx.store.get(&CONFIGMAPS, Some(ADMIN_ACKS.0), ADMIN_ACKS.1);
    let given = |key: &str| acks.as_ref().is_some_and(|a| a["data"][key] == "true");
    let prefix = format!("ack-4.{minor}-");
    let missing: Vec<&str> = gates["data"]
        .as_object()?
        .iter()
        .filter(|(key, _)| key.starts_with(&prefix) && !given(key))
        .filter_map(|(_, text)| text.as_str())
        .collect();
    (!missing.is_empty()).then(|| ("AdminAckRequired".into(), missing.join(",")))
}

fn operators(cx: &Cx<'_>) -> Option<(String, String)> {
    let operators = cx.store.list(&CLUSTEROPERATORS);
    let objecting: Vec<(&str, &Value)> = operators
        .iter()
        .filter_map(|o| condition(o, "Upgradeable").filter(|c| c["status"] == "False").map(|c| (name(o), c)))
        .collect();
    let sentence = |(name, c): &(&str, &Value)| {
        let (reason, message) = (text(c, "/reason"), text(c, "/message"));
        format!("Cluster operator {name} should not be upgraded between minor versions: {reason}: {message}")
    };
    match objecting.as_slice() {
        [] => None,
        [one] => Some((text(one.1, "/reason").to_owned(), sentence(one))),
        many => {
            let all: Vec<String> = many.iter().map(sentence).collect();
            let message =
                format!("Multiple cluster operators should not be upgraded between minor versions:\n* {}", all.join("\n* "));
            Some(("ClusterOperatorsNotUpgradeable".into(), message))
        }
    }
}

/// A precondition that a release does not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unmet {
    precondition: &'static str,
    reason: String,
    message: String,
}

impl Unmet {
    pub(super) fn sentence(&self) -> String {
        format!("Precondition \"{}\" failed because of \"{}\": {}", self.precondition, self.reason, self.message)
    }
}

/// What forbids `target`, given what is being reconciled now and whether the next minor is forbidden.
pub(super) fn check(version: &Value, target: &Release, objection: Option<&(String, String)>) -> Vec<Unmet> {
    let (now, to) = (parse(text(version, "/status/desired/version")), target.semver());
    let unmet = |precondition, reason: &str, message: String| Unmet { precondition, reason: reason.into(), message };
    let mut found = vec![];
    if to.minor > now.minor + 1 || to.major > now.major {
        let message = format!(
            "{to} is more than one minor version beyond the current target {now} ({}.{} > {}.({}+1)), and only updates within the current \
             minor version or to the next minor version are supported.",
            to.major, to.minor, now.major, now.minor
        );
        found.push(unmet("ClusterVersionGiantHop", "MultipleMinorVersionsUpdate", message));
    }
    if to < now && !rollback_allowed(version, &to, &now) {
        let message = format!(
            "{to} is less than the current target {now}, and the only supported rollback is to the cluster's previous version."
        );
        found.push(unmet("ClusterVersionRollback", "LowDesiredVersion", message));
    }
    if let Some((reason, message)) = objection.filter(|_| to.minor > now.minor) {
        found.push(unmet("ClusterVersionUpgradeable", reason, message.clone()));
    }
    found
}

/// Only the version before this one, and only within the minor.
fn rollback_allowed(version: &Value, to: &Version, now: &Version) -> bool {
    let previous = version["status"]["history"].get(1).map(|h| parse(text(h, "/version")));
    to.minor == now.minor && previous.as_ref() == Some(to)
}

/// What is accepted along with a release that is not plainly recommended; it goes into the history.
pub(super) fn accepted_risks(cx: &Cx<'_>, version: &Value, target: &Release) -> Option<String> {
    let from = text(version, "/status/desired/version");
    let channel = text(version, "/spec/channel");
    let told = |reason: &str, message: &str| {
        Some(format!("Precondition \"ClusterVersionRecommendedUpdate\" failed because of \"{reason}\": {message}"))
    };
    let Some(updates) = cx.shared.graph.updates(channel, from) else {
        let message = format!(
            "Because the channel \"{channel}\" does not contain {from}, the recommended status of updating from {from} to {} is unknown.",
            target.version
        );
        return told("NoChannel", &message);
    };
    let Some((_, edge)) = updates.into_iter().find(|(r, _)| r.version == target.version) else {
        let message = format!("RetrievedUpdates=True, so the update from {from} to {} is not recommended.", target.version);
        return told("UnknownUpdate", &message);
    };
    match verdict(edge) {
        _ if edge.risks.is_empty() => None,
        ("True", ..) => None,
        (_, reason, message) => {
            told(&reason, &format!("Update from {from} to {} is not recommended:\n\n{message}", target.version))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unmet(from: &str, to: &str, objection: bool) -> Vec<&'static str> {
        let version = json!({ "status": { "desired": { "version": from },
            "history": [{ "version": from, "state": "Completed" }, { "version": "4.16.18", "state": "Completed" }] } });
        let objection = objection.then(|| ("AdminAckRequired".to_owned(), "please look".to_owned()));
        let target = Release { version: to.into(), channels: vec![] };
        check(&version, &target, objection.as_ref()).iter().map(|u| u.precondition).collect()
    }

    #[test]
    fn only_what_upstream_forbids_is_forbidden() {
        assert!(unmet("4.16.21", "4.17.11", false).is_empty());
        assert!(unmet("4.16.21", "4.16.25", true).is_empty());
        assert_eq!(unmet("4.16.21", "4.17.11", true), ["ClusterVersionUpgradeable"]);
        assert_eq!(unmet("4.16.21", "4.18.5", false), ["ClusterVersionGiantHop"]);
        assert_eq!(unmet("4.16.21", "4.16.15", false), ["ClusterVersionRollback"]);
        assert!(unmet("4.16.21", "4.16.18", false).is_empty());
    }
}
