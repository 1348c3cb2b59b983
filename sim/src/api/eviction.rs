//! Evictions and the budgets that they spend.

use std::sync::Arc;

use serde_json::{Value, json};

use super::reply::{self, Reply};
use super::request::ApiRequest;
use super::selector::Selector;
use super::write::removal;
use crate::store::{ApiError, Cause, Resource, Store, resources};

/// What a disruption budget allows now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Pods that there should be.
    pub expected: i64,
    /// Pods that are ready and stay.
    pub healthy: i64,
    /// Pods that must stay ready.
    pub desired: i64,
}

impl Budget {
    /// Pods that may be evicted now.
    pub fn allowed(self) -> i64 {
        if self.expected == 0 { 0 } else { (self.healthy - self.desired).max(0) }
    }

    /// Works a budget out from the pods that are there and the sizes of the sets that own them.
    pub fn of(store: &Store, pdb: &Value) -> Result<Self, ApiError> {
        let ns = pdb["metadata"]["namespace"].as_str();
        let selector = Selector::of_object(&pdb["spec"]["selector"])?;
        let (_, pods) = store.snapshot(&resources::PODS, ns, None)?;
        let pods: Vec<Arc<Value>> = pods.into_iter().filter(|p| selector.matches(p) && !is_over(p)).collect();
        let healthy = pods.iter().filter(|p| is_ready(p) && !is_terminating(p)).count();
        let expected = expected(store, ns, &pods);
        let desired = match (pdb["spec"].get("minAvailable"), pdb["spec"].get("maxUnavailable")) {
            (_, Some(most)) => (expected - share(most, expected)).max(0),
            (Some(least), None) => share(least, expected),
            (None, None) => 0,
        };
        Ok(Self { expected, healthy: count(healthy), desired })
    }

    /// The budget's `status`, as the disruption controller writes it.
    pub fn status(self, pdb: &Value) -> Value {
        json!({
            "currentHealthy": self.healthy, "desiredHealthy": self.desired, "disruptionsAllowed": self.allowed(),
            "expectedPods": self.expected, "observedGeneration": pdb["metadata"]["generation"],
            "conditions": pdb["status"].get("conditions").cloned().unwrap_or_else(|| json!([])),
        })
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A number, or a percentage of `whole` rounded up.
fn share(value: &Value, whole: i64) -> i64 {
    let percent = value.as_str().and_then(|s| s.trim_end_matches('%').parse::<i64>().ok());
    value.as_i64().or(percent.map(|p| (p * whole + 99) / 100)).unwrap_or(0)
}

/// The sum of the replicas of all sets that own these pods; pods that no set owns count for themselves.
fn expected(store: &Store, ns: Option<&str>, pods: &[Arc<Value>]) -> i64 {
    let mut owners = std::collections::BTreeMap::new();
    let mut alone = 0;
    for pod in pods {
        match controller(pod).and_then(|owner| replicas(store, ns, owner).map(|n| (owner["uid"].to_string(), n))) {
            Some((uid, n)) => _ = owners.insert(uid, n),
            None => alone += 1,
        }
    }
    alone + owners.values().sum::<i64>()
}

fn controller(object: &Value) -> Option<&Value> {
    object["metadata"]["ownerReferences"].as_array()?.iter().find(|o| o["controller"] == true)
}

fn replicas(store: &Store, ns: Option<&str>, owner: &Value) -> Option<i64> {
    let sets: &[&Resource] = &[&resources::REPLICASETS, &resources::STATEFULSETS, &resources::DEPLOYMENTS];
    let r = sets.iter().find(|r| owner["kind"] == r.kind)?;
    let set = store.get(r, ns, owner["name"].as_str()?)?;
    if let Some(deployment) = controller(&set).filter(|o| o["kind"] == "Deployment") {
        return replicas(store, ns, deployment);
    }
    Some(set.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1))
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

fn is_terminating(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_string()
}

fn is_over(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// Evicts the pod that the path names, if its budget allows. The caller lets one eviction run at a time.
pub(super) fn evict(store: &Store, request: &ApiRequest) -> Result<Reply, ApiError> {
    let (ns, name) = (request.target.ns(), request.target.name()?);
    let eviction = request.json()?;
    // The path says what the body is, so a body that does not say is fine.
    let kind = eviction["kind"].as_str().unwrap_or("Eviction");
    let version = eviction["apiVersion"].as_str().unwrap_or("policy/v1");
    if !eviction.is_object() || kind != "Eviction" || !matches!(version, "policy/v1" | "policy/v1beta1") {
        return Err(ApiError::bad_request("the body of an eviction must be a policy/v1 Eviction"));
    }
    if eviction["metadata"]["name"].as_str().is_some_and(|given| given != name) {
        return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
    }
    let how = removal(request, eviction.get("deleteOptions"))?;
    let pod = store.get(&resources::PODS, ns, name).ok_or_else(|| ApiError::not_found(&resources::PODS, name))?;
    how.preconditions.check(&resources::PODS, name, &pod)?;
    let pdb = guarding(store, ns, &pod)?;
    if let Some(pdb) = &pdb {
        check(store, pdb, &pod)?;
    }
    store.delete_with(&resources::PODS, ns, name, &how)?;
    if let Some(pdb) = pdb.filter(|_| !how.dry_run) {
        let budget = Budget::of(store, &pdb)?;
        let name = pdb["metadata"]["name"].as_str().unwrap_or_default();
        store.modify(&resources::PDBS, ns, name, |pdb| pdb["status"] = budget.status(pdb))?;
    }
    Ok(reply::success(201, &json!({})))
}

/// The one budget that guards a pod, unless the pod is past guarding.
fn guarding(store: &Store, ns: Option<&str>, pod: &Value) -> Result<Option<Arc<Value>>, ApiError> {
    if is_over(pod) || is_terminating(pod) || pod["status"]["phase"] == "Pending" {
        return Ok(None);
    }
    let mut guards = Vec::new();
    for pdb in store.snapshot(&resources::PDBS, ns, None)?.1 {
        if Selector::of_object(&pdb["spec"]["selector"])?.matches(pod) {
            guards.push(pdb);
        }
    }
    if guards.len() > 1 {
        let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        return Err(ApiError::new(500, "InternalError", message));
    }
    Ok(guards.pop())
}

fn check(store: &Store, pdb: &Value, pod: &Value) -> Result<(), ApiError> {
    let budget = Budget::of(store, pdb)?;
    if !is_ready(pod) {
        // An unready pod costs nothing while the budget is met, or always when the budget says so.
        let always = pdb["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow";
        if always || budget.healthy >= budget.desired && budget.desired > 0 {
            return Ok(());
        }
    }
    if budget.allowed() > 0 {
        return Ok(());
    }
    let name = pdb["metadata"]["name"].as_str().unwrap_or_default();
    let Budget { desired, healthy, .. } = budget;
    let message = format!("The disruption budget {name} needs {desired} healthy pods and has {healthy} currently");
    let refusal = ApiError::new(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.");
    Err(refusal.because(&[Cause::new("DisruptionBudget", "", message)]))
}
