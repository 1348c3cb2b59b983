//! Updates that the version operator refuses, and why.

mod world_support;

use serde_json::json;
use windlass_sim::ClusterShape;
use windlass_sim::scenario::{Refusal, When, WorldFault};
use world_support::{
    VERSION, acknowledge, calm, completed, condition, hop, pass, patch, prepare, request_update, says, set_channel, start, until,
    version,
};

/// Asks for `to`, and checks that it is refused for this reason and these words while the old release stays.
async fn check_refused(shape: ClusterShape, faults: Vec<WorldFault>, to: &str, reason: &str, words: &str) {
    let sim = start(shape, faults);
    set_channel(&sim, "eus-4.18").await;
    pass(&sim, 1).await;
    request_update(&sim, to).await;
    until(&sim, 10, "a refusal", |sim| says(&version(sim), "ReleaseAccepted") == "False").await;
    pass(&sim, 30).await;
    let refused = version(&sim);
    let (status, seen, message) = condition(&refused, "ReleaseAccepted");
    assert_eq!((status.as_str(), seen.as_str()), ("False", reason), "{message}");
    assert!(message.contains(words), "{message}");
    assert_eq!(refused["status"]["desired"]["version"], "4.16.21");
    assert_eq!(refused["status"]["history"][0]["version"], "4.16.21");
    assert_eq!(refused["status"]["observedGeneration"], refused["metadata"]["generation"]);
    assert!(sim.reboots().is_empty());
}

#[tokio::test(start_paused = true)]
async fn releases_that_cannot_be_loaded_are_refused() {
    let fault = |reason| vec![WorldFault::UpdateRefused { when: When::default(), reason, version: None, minutes: None }];
    let plain = ClusterShape::default;
    check_refused(plain(), fault(Refusal::RetrievePayload), "4.17.11", "RetrievePayload", "Retrieving payload failed").await;
    check_refused(plain(), fault(Refusal::VerifyPayloadVersion), "4.17.11", "VerifyPayloadVersion", "Verifying payload failed")
        .await;
    check_refused(plain(), fault(Refusal::LoadPayload), "4.17.11", "LoadPayload", "Loading payload failed").await;
}

#[tokio::test(start_paused = true)]
async fn preconditions_refuse_minor_updates() {
    let plain = ClusterShape::default;
    check_refused(plain(), vec![], "4.18.5", "PreconditionChecks", "more than one minor version beyond").await;
    check_refused(plain(), vec![], "4.16.15", "PreconditionChecks", "only supported rollback").await;
    let overrides = ClusterShape { overrides: true, ..plain() };
    check_refused(overrides, vec![], "4.17.11", "PreconditionChecks", "ClusterVersionOverridesSet").await;
    let mut capped = plain();
    capped.installed_operators[0].max_openshift = Some("4.16".into());
    check_refused(capped, vec![], "4.17.11", "PreconditionChecks", "IncompatibleOperatorsInstalled").await;
    let mut gated = plain();
    gated.admin_gates.push(windlass_sim::shape::AdminGate::api_removals(16));
    check_refused(gated, vec![], "4.17.11", "PreconditionChecks", "AdminAckRequired").await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_loads_later_is_accepted_then() {
    let fault =
        WorldFault::UpdateRefused { when: When::default(), reason: Refusal::RetrievePayload, version: None, minutes: Some(10.0) };
    let sim = start(ClusterShape::default(), vec![fault]);
    set_channel(&sim, "eus-4.18").await;
    pass(&sim, 60).await;
    request_update(&sim, "4.17.11").await;
    until(&sim, 5, "a refusal", |sim| says(&version(sim), "ReleaseAccepted") == "False").await;
    until(&sim, 20, "acceptance", |sim| version(sim)["status"]["desired"]["version"] == "4.17.11").await;
}

#[tokio::test(start_paused = true)]
async fn the_gate_of_the_second_hop_appears_after_the_first() {
    let sim = calm();
    prepare(&sim).await;
    assert_eq!(says(&version(&sim), "Upgradeable"), "", "nothing forbids the first hop");
    hop(&sim, "4.17.11").await;
    until(&sim, 5, "the gate", |sim| condition(&version(sim), "Upgradeable").1 == "AdminAckRequired").await;
    request_update(&sim, "4.18.5").await;
    until(&sim, 5, "a refusal", |sim| says(&version(sim), "ReleaseAccepted") == "False").await;
    assert!(condition(&version(&sim), "ReleaseAccepted").2.contains("AdminAckRequired"));
    pass(&sim, 60).await;
    assert_eq!(version(&sim)["status"]["desired"]["version"], "4.17.11");
    acknowledge(&sim).await;
    pass(&sim, 1).await;
    assert_eq!(says(&version(&sim), "Upgradeable"), "", "an acknowledged gate is open at once");
    until(&sim, 24 * 60, "the hop", |sim| completed(sim, "4.18.5")).await;
}

#[tokio::test(start_paused = true)]
async fn a_patch_update_needs_no_permission() {
    let sim = start(ClusterShape { overrides: true, ..ClusterShape::default() }, vec![]);
    pass(&sim, 5).await;
    assert_eq!(condition(&version(&sim), "Upgradeable").1, "ClusterVersionOverridesSet");
    hop(&sim, "4.16.25").await;
}

#[tokio::test(start_paused = true)]
async fn a_version_alone_must_be_on_offer() {
    let sim = calm();
    pass(&sim, 1).await;
    patch(&sim, VERSION, json!({ "spec": { "desiredUpdate": { "version": "4.17.11" } } })).await;
    until(&sim, 2, "the verdict", |sim| says(&version(sim), "Invalid") == "True").await;
    assert_eq!(version(&sim)["status"]["desired"]["version"], "4.16.21");
    patch(&sim, VERSION, json!({ "spec": { "desiredUpdate": { "version": "4.16.25" } } })).await;
    until(&sim, 24 * 60, "the update", |sim| completed(sim, "4.16.25")).await;
    assert_eq!(says(&version(&sim), "Invalid"), "");
}

#[tokio::test(start_paused = true)]
async fn a_channel_changes_what_is_offered_after_a_moment() {
    let fault = WorldFault::EdgeWithdrawn {
        when: When { update: None, after_minutes: 30.0 },
        from: "4.16.21".into(),
        to: "4.17.11".into(),
    };
    let sim = start(ClusterShape::default(), vec![fault]);
    let offered = |sim: &windlass_sim::Sim, wanted: &str| {
        version(sim)["status"]["availableUpdates"].as_array().is_some_and(|all| all.iter().any(|u| u["version"] == wanted))
    };
    pass(&sim, 1).await;
    assert!(offered(&sim, "4.16.25") && !offered(&sim, "4.17.11"));
    set_channel(&sim, "eus-4.18").await;
    assert!(!offered(&sim, "4.17.11"), "the offer is retrieved later");
    pass(&sim, 1).await;
    assert!(offered(&sim, "4.17.11"));
    pass(&sim, 40).await;
    assert!(!offered(&sim, "4.17.11"), "a withdrawn update is not offered any more");
    set_channel(&sim, "stable-4.12").await;
    pass(&sim, 1).await;
    assert_eq!(condition(&version(&sim), "RetrievedUpdates").1, "VersionNotFound");
    assert!(version(&sim)["status"]["availableUpdates"].is_null());
}
