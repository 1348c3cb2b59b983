//! The cluster version operator: takes a release, or refuses it, and brings every operator to it.

mod preconditions;
mod rollout;
mod signatures;
mod updates;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::ledger::Accepted;
use super::mirror::News;
use super::{Controller, Cx, earlier};
use crate::clock::rfc3339;
use crate::rng::Rng;
use crate::scenario::Refusal;
use crate::store::resources::{CLUSTEROPERATORS, CLUSTERVERSIONS, CONFIGMAPS};
use crate::world::graph::{Release, digest};
use crate::world::json::{Said, condition_is, drop_condition, name, set_condition, text, time};
use crate::world::version::{STATIC_REVISION, payload_loaded, version_hash};
use preconditions::{accepted_risks, check, objections};
use rollout::Rollout;

/// How often `Upgradeable` is looked at again.
const UPGRADEABLE_EVERY: u64 = 120;
/// The same for two minutes after it made a release be refused.
const UPGRADEABLE_AFTER_REFUSAL: u64 = 15;
/// How long a degraded operator is borne with while nothing is being updated.
const DEGRADED_AFTER: TimeDelta = TimeDelta::minutes(40);

/// The cluster version operator.
pub(super) struct Cvo {
    rng: Rng,
    /// When the newest spec is looked at.
    sync_at: Option<DateTime<Utc>>,
    /// The channel and upstream for which updates were retrieved, and how often the service had changed then.
    retrieved: Option<([String; 2], usize)>,
    retrieve_at: Option<DateTime<Utc>>,
    upgradeable_at: Option<DateTime<Utc>>,
    request: Option<Request>,
    load: Option<Load>,
    rollout: Option<Rollout>,
    revision: u64,
}

/// `spec.desiredUpdate`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    version: String,
    image: String,
    force: bool,
}

/// A release that is being fetched and checked.
struct Load {
    release: Option<Release>,
    request: Request,
    since: DateTime<Utc>,
    due: DateTime<Utc>,
}

impl Cvo {
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            rng,
            sync_at: None,
            retrieved: None,
            retrieve_at: None,
            upgradeable_at: None,
            request: None,
            load: None,
            rollout: None,
            revision: STATIC_REVISION,
        }
    }
}

impl Controller for Cvo {
    fn name(&self) -> &'static str {
        "cvo"
    }

    fn concerns(&self, news: &News) -> bool {
        news.of(&CLUSTERVERSIONS) || news.of(&CLUSTEROPERATORS) || news.of(&CONFIGMAPS)
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>> {
        let version = cx.store.get(&CLUSTERVERSIONS, None, "version")?;
        self.observe(cx, &version);
        self.retrieve(cx, &version);
        self.judge(cx, &version);
        self.try_load(cx);
        let rollout = self.advance(cx);
        let idle = self.watch_operators(cx);
        let load = self.load.as_ref().map(|l| l.due);
        [self.sync_at, self.retrieve_at, self.upgradeable_at, load, rollout, idle].into_iter().fold(None, earlier)
    }
}

fn write(cx: &Cx<'_>, f: impl FnOnce(&mut Value)) {
    cx.modify(&CLUSTERVERSIONS, None, "version", f);
}

fn request_of(version: &Value) -> Option<Request> {
    let desired = version["spec"]["desiredUpdate"].as_object()?;
    let field = |key: &str| desired.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(Request { version: field("version"), image: field("image"), force: desired.get("force") == Some(&json!(true)) })
}

impl Cvo {
    /// Looks at a new spec, a moment after it was written.
    fn observe(&mut self, cx: &mut Cx<'_>, version: &Value) {
        if version["metadata"]["generation"] == version["status"]["observedGeneration"] {
            self.sync_at = None;
            return;
        }
        let at = *self.sync_at.get_or_insert_with(|| cx.in_seconds(self.rng.range(1..5)));
        if at > cx.now {
            return;
        }
        self.sync_at = None;
        let generation = version["metadata"]["generation"].clone();
        write(cx, |v| v["status"]["observedGeneration"] = generation);
        self.upgradeable_at = Some(cx.now);
        let request = request_of(version);
        if request != self.request {
            self.request.clone_from(&request);
            self.take(cx, version, request);
        }
    }

    /// Begins to load what is asked for; nothing when it is what is being reconciled already.
    fn take(&mut self, cx: &mut Cx<'_>, version: &Value, request: Option<Request>) {
        write(cx, |v| drop_condition(v, "Invalid"));
        let current = text(version, "/status/desired/image");
        let target = request.as_ref().map(|r| resolve(cx, version, r));
        match (request, target) {
            (Some(request), Some(Ok(release))) if release.as_ref().is_none_or(|r| digest(&r.image()) != digest(current)) => {
                self.begin_load(cx, request, release);
            }
            (Some(_), Some(Err(invalid))) => {
                self.load = None;
                write(cx, |v| set_condition(v, "Invalid", &Said::new("True", "InvalidClusterVersion", invalid), cx.now));
            }
            _ => {
                self.load = None;
                let known = cx.shared.graph.by_image(current).cloned();
                let release = known
                    .unwrap_or_else(|| Release { version: text(version, "/status/desired/version").into(), channels: vec![] });
                let said = Said::new("True", "PayloadLoaded", payload_loaded(&release));
                write(cx, |v| set_condition(v, "ReleaseAccepted", &said, cx.now));
            }
        }
    }

    fn begin_load(&mut self, cx: &mut Cx<'_>, request: Request, release: Option<Release>) {
        let image = release.as_ref().map_or_else(|| request.image.clone(), Release::image);
        let message = format!("Retrieving and verifying payload version=\"{}\" image=\"{image}\"", request.version);
        write(cx, |v| set_condition(v, "ReleaseAccepted", &Said::new("Unknown", "RetrievePayload", message), cx.now));
        let due = cx.in_seconds(self.rng.range(15..90));
        self.load = Some(Load { release, request, since: cx.now, due });
    }

    /// Checks what was loaded, and accepts it or says why not and tries again later.
    fn try_load(&mut self, cx: &mut Cx<'_>) {
        let Some(load) = self.load.take_if(|l| l.due <= cx.now) else { return };
        let Some(version) = cx.store.get(&CLUSTERVERSIONS, None, "version") else { return };
        let unsigned = signatures::objection(cx, &load.request, load.release.as_ref());
        let refusal = match &load.release {
            _ if unsigned.is_some() => unsigned.map(|message| (RETRIEVE, message)),
            None => Some((RETRIEVE, retrieval_failed(&load.request, &load.request.image))),
            Some(release) => refusal(cx, &version, release, &load),
        };
        match (refusal, load.release.clone()) {
            (None, Some(release)) => self.accept(cx, &version, release, &load.request),
            (refusal, _) => {
                let (reason, message) = refusal.unwrap_or((RETRIEVE, String::new()));
                let young = cx.now - load.since < TimeDelta::seconds(120);
                let pause = if reason == PRECONDITIONS && young { UPGRADEABLE_AFTER_REFUSAL } else { self.rng.range(120..240) };
                write(cx, |v| set_condition(v, "ReleaseAccepted", &Said::new("False", reason, message), cx.now));
                self.upgradeable_at = Some(cx.in_seconds(pause));
                self.load = Some(Load { due: cx.in_seconds(pause), ..load });
            }
        }
    }

    fn accept(&mut self, cx: &mut Cx<'_>, version: &Value, release: Release, request: &Request) {
        let risks = accepted_risks(cx, version, &release);
        // A mirror's pull spec stays what was asked for.
        let image = if request.image.is_empty() { release.image() } else { request.image.clone() };
        let mut entry = json!({ "state": "Partial", "startedTime": rfc3339(cx.now), "completionTime": null, "version": release.version,
            "image": image, "verified": !request.force });
        if let Some(risks) = risks {
            entry["acceptedRisks"] = json!(risks);
        }
        write(cx, |v| {
            v["status"]["desired"] = release.to_value();
            v["status"]["desired"]["image"] = json!(image);
            if let Some(history) = v["status"]["history"].as_array_mut() {
                if let Some(open) = history.first_mut().filter(|h| h["completionTime"].is_null()) {
                    open["completionTime"] = json!(rfc3339(cx.now));
                }
                history.insert(0, entry);
                history.truncate(100);
            }
            set_condition(v, "ReleaseAccepted", &Said::new("True", "PayloadLoaded", payload_loaded(&release)), cx.now);
            set_condition(v, "Progressing", &Said::new("True", "", format!("Working towards {}", release.version)), cx.now);
            set_condition(v, "Failing", &Said::no(), cx.now);
        });
        cx.shared.accepted.push(cx.now);
        cx.shared.ledger().accepted.push(Accepted { version: release.version.clone(), at: cx.now });
        cx.shared.wake("disruptions");
        self.rollout = Some(Rollout::new(cx, release, self.revision, &mut self.rng));
        self.revision += 1;
        self.retrieved = None;
        self.retrieve_at = Some(cx.in_seconds(5));
    }

    /// Moves the rollout on, and says in the status how far it is.
    fn advance(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>> {
        let rollout = self.rollout.as_mut()?;
        let due = rollout.step(cx, &mut self.rng);
        let waiting = rollout.waiting(cx);
        let release = rollout.release.clone();
        let done = rollout.is_done();
        write(cx, |v| {
            if done {
                complete(v, &release, cx.now);
            } else {
                let progress = Said::new("True", waiting.reason(), waiting.message(&release.version));
                set_condition(v, "Progressing", &progress, cx.now);
                set_condition(v, "Failing", &waiting.failing(), cx.now);
            }
        });
        if done {
            self.rollout = None;
            self.upgradeable_at = Some(cx.now);
            cx.shared.wake("cvo");
        }
        due
    }

    /// Asks the update service again when the channel, the release or the service's answer changed.
    fn retrieve(&mut self, cx: &mut Cx<'_>, version: &Value) {
        let service = ["/spec/channel", "/spec/upstream"].map(|at| text(version, at).to_owned());
        let wanted = (service, cx.shared.graph_changes);
        let seen = version["metadata"]["generation"] == version["status"]["observedGeneration"];
        if self.retrieved.as_ref() != Some(&wanted) && self.retrieve_at.is_none() && (seen || self.sync_at.is_none()) {
            // A changed channel is asked for at once; what the service changes by itself is seen minutes later.
            let same_service = self.retrieved.as_ref().is_some_and(|(service, _)| *service == wanted.0);
            let pause = if same_service { self.rng.range(60..240) } else { self.rng.range(1..4) };
            self.retrieve_at = Some(cx.in_seconds(pause));
        }
        if self.retrieve_at.is_some_and(|at| at <= cx.now) {
            self.retrieve_at = None;
            self.retrieved = Some(wanted);
            let disconnected = cx.shared.shape.disconnected;
            write(cx, |v| updates::retrieve(v, &cx.shared.graph, disconnected, cx.now));
        }
    }

    /// Keeps `Upgradeable`: at once for ConfigMaps and the spec, within two minutes for operators.
    fn judge(&mut self, cx: &mut Cx<'_>, version: &Value) {
        if cx.news.of(&CONFIGMAPS) || self.upgradeable_at.is_some_and(|at| at <= cx.now) {
            self.upgradeable_at = None;
            let objection = objections(cx, version);
            write(cx, |v| preconditions::write(v, objection.as_ref(), cx.now));
        } else if cx.news.of(&CLUSTEROPERATORS) && self.upgradeable_at.is_none() {
            self.upgradeable_at = Some(cx.in_seconds(UPGRADEABLE_EVERY));
        }
    }

    /// Reports operators that stay degraded though nothing is being updated.
    fn watch_operators(&self, cx: &Cx<'_>) -> Option<DateTime<Utc>> {
        if self.rollout.is_some() {
            return None;
        }
        let mut due = None;
        let mut failing = vec![];
        for operator in cx.store.list(&CLUSTEROPERATORS).iter().filter(|o| condition_is(o, "Degraded", "True")) {
            let conditions = operator["status"]["conditions"].as_array().into_iter().flatten();
            let since = conditions.filter(|c| c["type"] == "Degraded").find_map(|c| time(c, "/lastTransitionTime"));
            let at = since.unwrap_or(cx.now) + DEGRADED_AFTER;
            if at > cx.now {
                due = earlier(due, Some(at));
            } else {
                failing.push(name(operator).to_owned());
            }
        }
        write(cx, |v| {
            let version = text(v, "/status/desired/version").to_owned();
            let (fails, progress) = match failing.as_slice() {
                [] => (Said::no(), Said::new("False", "", format!("Cluster version is {version}"))),
                all => {
                    let list = all.join(", ");
                    let reason = if all.len() == 1 { "ClusterOperatorDegraded" } else { "ClusterOperatorsDegraded" };
                    let message = format!("Error while reconciling {version}: the cluster operator {list} is degraded");
                    (
                        Said::new("True", reason, format!("Cluster operator {list} is degraded")),
                        Said::new("False", reason, message),
                    )
                }
            };
            set_condition(v, "Failing", &fails, cx.now);
            set_condition(v, "Progressing", &progress, cx.now);
        });
        due
    }
}

/// The release that is asked for: the image wins; a version alone must be on offer. No release is an unknown image.
fn resolve(cx: &Cx<'_>, version: &Value, request: &Request) -> Result<Option<Release>, String> {
    if !request.image.is_empty() {
        return Ok(cx.shared.graph.by_image(&request.image).cloned());
    }
    let listed = |list: &Value, at: &str| list.as_array().is_some_and(|all| all.iter().any(|u| text(u, at) == request.version));
    let status = &version["status"];
    let known = listed(&status["availableUpdates"], "/version")
        || listed(&status["conditionalUpdates"], "/release/version")
        || listed(&status["history"], "/version");
    if known {
        return Ok(cx.shared.graph.release(&request.version).cloned());
    }
    Err(format!(
        "The cluster version is invalid: spec.desiredUpdate.version: Invalid value: \"{}\": when image is empty the update must be a \
         previous version or an available update",
        request.version
    ))
}

/// Why a loaded release is not applied: reason and message.
fn refusal(cx: &mut Cx<'_>, version: &Value, release: &Release, load: &Load) -> Option<(&'static str, String)> {
    let image = release.image();
    let asked = &load.request.version;
    if let Some(scripted) = cx.shared.board.refusal(&release.version, cx.now) {
        return Some(match scripted {
            Refusal::RetrievePayload => (RETRIEVE, retrieval_failed(&load.request, &image)),
            Refusal::VerifyPayloadVersion => (VERIFY, verification_failed(&image, asked, "0.0.1-snapshot")),
            Refusal::LoadPayload => (
                "LoadPayload",
                format!("Loading payload failed version=\"{asked}\" image=\"{image}\" failure=unable to read manifests"),
            ),
        });
    }
    if !asked.is_empty() && *asked != release.version {
        return Some((VERIFY, verification_failed(&image, asked, &release.version)));
    }
    if load.request.force {
        return None;
    }
    let objection = objections(cx, version);
    let unmet = check(version, release, objection.as_ref());
    (!unmet.is_empty()).then(|| {
        let all: Vec<String> = unmet.iter().map(preconditions::Unmet::sentence).collect();
        let what = format!("Preconditions failed for payload loaded version=\"{}\" image=\"{image}\": ", release.version);
        let list = if let [one] = all.as_slice() {
            one.clone()
        } else {
            format!("Multiple precondition checks failed:\n* {}", all.join("\n* "))
        };
        (PRECONDITIONS, what + &list)
    })
}

const RETRIEVE: &str = "RetrievePayload";
const VERIFY: &str = "VerifyPayloadVersion";
const PRECONDITIONS: &str = "PreconditionChecks";

fn retrieval_failed(request: &Request, image: &str) -> String {
    format!(
        "Retrieving payload failed version=\"{}\" image=\"{image}\" failure=Unable to download and prepare the update: deadline exceeded, \
         reason: \"DeadlineExceeded\", message: \"Job was active longer than specified deadline\"",
        request.version
    )
}

fn verification_failed(image: &str, asked: &str, is: &str) -> String {
    format!(
        "Verifying payload failed version=\"{asked}\" image=\"{image}\" failure=release image version {is} does not match the expected \
         upstream version {asked}"
    )
}

fn complete(version: &mut Value, release: &Release, now: DateTime<Utc>) {
    if let Some(entry) = version["status"]["history"].as_array_mut().and_then(|h| h.first_mut()) {
        entry["state"] = json!("Completed");
        entry["completionTime"] = json!(rfc3339(now));
    }
    version["status"]["versionHash"] = json!(version_hash(release));
    set_condition(version, "Available", &Said::new("True", "", format!("Done applying {}", release.version)), now);
    set_condition(version, "Progressing", &Said::new("False", "", format!("Cluster version is {}", release.version)), now);
    set_condition(version, "Failing", &Said::no(), now);
}
