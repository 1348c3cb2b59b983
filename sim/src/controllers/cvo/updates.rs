//! `availableUpdates` and `conditionalUpdates`: what the update service offers to the release that is being reconciled.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::api::UPDATE_SERVICE_PATH;
use crate::clock::rfc3339;
use crate::world::graph::{Applies, Edge, Release, UpdateGraph};
use crate::world::json::{Said, set_condition, text};

/// Writes what the channel offers into a ClusterVersion.
pub(super) fn retrieve(version: &mut Value, graph: &UpdateGraph, disconnected: bool, now: DateTime<Utc>) {
    if let Err((reason, message)) = reach(text(version, "/spec/upstream"), disconnected) {
        forget(version, reason, &format!("Unable to retrieve available updates: {message}"), now);
        return;
    }
    let channel = text(version, "/spec/channel").to_owned();
    let current = text(version, "/status/desired/version").to_owned();
    if channel.is_empty() {
        forget(version, "NoChannel", "The update channel has not been configured.", now);
        return;
    }
    let Some(updates) = graph.updates(&channel, &current) else {
        let message = format!(
            "Unable to retrieve available updates: currently reconciling cluster version {current} not found in the \"{channel}\" channel"
        );
        forget(version, "VersionNotFound", &message, now);
        return;
    };
    let (plain, risky): (Vec<_>, Vec<_>) = updates.into_iter().partition(|(_, edge)| edge.risks.is_empty());
    let available: Vec<Value> = plain.iter().map(|(release, _)| release.to_value()).collect();
    let before = version["status"]["conditionalUpdates"].clone();
    let conditional: Vec<Value> = risky.iter().map(|(release, edge)| conditional(release, edge, &before, now)).collect();
    let status = &mut version["status"];
    status["availableUpdates"] = json!(available);
    if conditional.is_empty() {
        status.as_object_mut().map(|s| s.remove("conditionalUpdates"));
    } else {
        status["conditionalUpdates"] = json!(conditional);
    }
    if let Some(known) = graph.release(&current) {
        let image = status["desired"]["image"].clone();
        status["desired"] = known.to_value();
        if image.is_string() {
            status["desired"]["image"] = image;
        }
    }
    set_condition(version, "RetrievedUpdates", &Said::yes(), now);
}

/// Whether the update service at `upstream` can be asked; the vendor's own when it is empty. Otherwise reason and message.
fn reach(upstream: &str, disconnected: bool) -> Result<(), (&'static str, String)> {
    let host = match upstream.split_once("://") {
        _ if upstream.is_empty() && disconnected => "api.openshift.com",
        _ if upstream.is_empty() => return Ok(()),
        Some(("http" | "https", rest)) if !rest.is_empty() => rest.split(['/', ':', '?']).next().unwrap_or_default(),
        _ => return Err(("InvalidURI", format!("failed to parse upstream URL: parse {upstream:?}: invalid URI for request"))),
    };
    // No name below `.invalid` resolves anywhere.
    if host.ends_with(".invalid") || upstream.is_empty() {
        return Err((
            "RemoteFailed",
            format!("Get \"https://{host}{UPDATE_SERVICE_PATH}\": dial tcp: lookup {host}: no such host"),
        ));
    }
    Ok(())
}

fn forget(version: &mut Value, reason: &str, message: &str, now: DateTime<Utc>) {
    version["status"]["availableUpdates"] = Value::Null;
    version["status"].as_object_mut().map(|s| s.remove("conditionalUpdates"));
    set_condition(version, "RetrievedUpdates", &Said::new("False", reason, message), now);
}

/// One conditional update with its verdict; a verdict that stays keeps its time.
fn conditional(release: &Release, edge: &Edge, before: &Value, now: DateTime<Utc>) -> Value {
    let (status, reason, message) = verdict(edge);
    let old = before.as_array().into_iter().flatten().find(|u| u["release"]["version"] == release.version);
    let same = old.and_then(|u| u["conditions"].get(0)).filter(|c| c["status"] == status);
    let since = same.map_or_else(|| rfc3339(now), |c| text(c, "/lastTransitionTime").to_owned());
    let risks: Vec<Value> = edge.risks.iter().map(crate::world::graph::Risk::to_value).collect();
    let recommended =
        json!({ "type": "Recommended", "status": status, "reason": reason, "message": message, "lastTransitionTime": since });
    json!({ "release": release.to_value(), "risks": risks, "conditions": [recommended] })
}

/// Whether a conditional update is recommended: status, reason, message.
pub(super) fn verdict(edge: &Edge) -> (&'static str, String, String) {
    let with = |applies| edge.risks.iter().filter(move |r| r.applies == applies);
    let told = |status, risks: Vec<&crate::world::graph::Risk>, how: &str| {
        let reason = if let [one] = risks.as_slice() { one.name.clone() } else { "MultipleReasons".to_owned() };
        let messages: Vec<String> = risks.iter().map(|r| format!("{how}{} {}", r.message, r.url)).collect();
        (status, reason, messages.join("\n\n"))
    };
    let hits: Vec<_> = with(Applies::Yes).collect();
    if !hits.is_empty() {
        return told("False", hits, "");
    }
    let unknown: Vec<_> = with(Applies::Unknown).collect();
    if !unknown.is_empty() {
        return told("Unknown", unknown, "Could not evaluate exposure to update risk: the query returned no result. ");
    }
    let fine = "The update is recommended, because none of the conditional update risks apply to this cluster.";
    ("True", "AsExpected".to_owned(), fine.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::json::condition_is;

    fn version(channel: &str) -> Value {
        json!({ "spec": { "channel": channel }, "status": { "desired": { "version": "4.16.21" } } })
    }

    #[test]
    fn a_channel_without_the_version_offers_nothing_and_says_so() {
        let graph = UpdateGraph::eus("4.16.21");
        for (channel, reason) in [("", "NoChannel"), ("stable-4.12", "VersionNotFound")] {
            let mut v = version(channel);
            retrieve(&mut v, &graph, false, DateTime::UNIX_EPOCH);
            assert_eq!(v["status"]["availableUpdates"], Value::Null);
            assert_eq!(v["status"]["conditions"][0]["reason"], reason);
        }
    }

    #[test]
    fn an_update_service_out_of_reach_leaves_the_updates_unknown() {
        let graph = UpdateGraph::eus("4.16.21");
        for (upstream, disconnected, expected) in [
            ("", false, ""),
            ("", true, "RemoteFailed"),
            ("https://updates.example.com/graph", true, ""),
            ("https://updates.example.invalid:8443/graph", false, "RemoteFailed"),
            ("updates.example.com", false, "InvalidURI"),
            ("ftp://updates.example.com", false, "InvalidURI"),
            ("https://", false, "InvalidURI"),
        ] {
            let mut v = version("stable-4.16");
            v["spec"]["upstream"] = json!(upstream);
            retrieve(&mut v, &graph, disconnected, DateTime::UNIX_EPOCH);
            let (status, reason) = (text(&v, "/status/conditions/0/status"), text(&v, "/status/conditions/0/reason"));
            assert_eq!((status == "True", reason), (expected.is_empty(), expected), "{upstream:?}");
            assert_eq!(v["status"]["availableUpdates"].is_null(), !expected.is_empty(), "{upstream:?}");
        }
    }

    #[test]
    fn conditional_updates_carry_their_verdict() {
        let graph = UpdateGraph::eus("4.16.21");
        let mut v = version("eus-4.18");
        retrieve(&mut v, &graph, false, DateTime::UNIX_EPOCH);
        assert!(condition_is(&v, "RetrievedUpdates", "True"));
        let seen: Vec<(&str, &str)> = v["status"]["conditionalUpdates"]
            .as_array()
            .expect("some")
            .iter()
            .map(|u| (text(u, "/release/version"), text(u, "/conditions/0/status")))
            .collect();
        assert_eq!(seen, [("4.17.10", "Unknown"), ("4.17.9", "True")]);
    }
}
