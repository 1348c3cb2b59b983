use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};

use super::{LabelSelector, view};

/// A pod disruption budget: how many of a set of pods may be evicted at once.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// What is wished.
    pub spec: BudgetSpec,
    /// What is.
    #[serde(deserialize_with = "super::nullable")]
    pub status: BudgetStatus,
}
view!(Budget, Namespaced, "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets");

/// What a budget asks for.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BudgetSpec {
    /// How many must stay.
    pub min_available: Option<IntOrString>,
    /// How many may go.
    pub max_unavailable: Option<IntOrString>,
    /// Which pods it is about.
    pub selector: Option<LabelSelector>,
}

/// A budget as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BudgetStatus {
    /// How many may be evicted now.
    pub disruptions_allowed: i32,
    /// Healthy pods.
    pub current_healthy: i32,
    /// Healthy pods that must stay.
    pub desired_healthy: i32,
    /// Pods in all.
    pub expected_pods: i32,
    /// The last wish that was acted on.
    pub observed_generation: i64,
}

impl Budget {
    /// Whether no pod can ever be evicted under it: its numbers leave none, or everything is healthy and still none may go.
    pub fn blocks_for_ever(&self) -> bool {
        let status = &self.status;
        self.leaves_none()
            || status.expected_pods > 0
                && status.disruptions_allowed == 0
                && status.current_healthy >= status.desired_healthy
                && status.current_healthy >= status.expected_pods
    }

    /// Whether its numbers leave none that may go, however healthy they are.
    pub fn leaves_none(&self) -> bool {
        let pods = self.status.expected_pods;
        let none_may_go = match &self.spec.max_unavailable {
            Some(IntOrString::Int(count)) => *count == 0,
            Some(IntOrString::String(text)) => matches!(text.as_str(), "0" | "0%"),
            None => false,
        };
        let all_must_stay = match &self.spec.min_available {
            Some(IntOrString::Int(count)) => *count >= pods,
            Some(IntOrString::String(text)) => text == "100%",
            None => false,
        };
        pods > 0 && (none_may_go || all_must_stay)
    }

    /// Whether no pod may be evicted at this moment.
    pub fn blocks_now(&self) -> bool {
        self.status.expected_pods > 0 && self.status.disruptions_allowed == 0
    }

    /// Whether a pod with these labels is under it.
    pub fn covers(&self, labels: Option<&std::collections::BTreeMap<String, String>>) -> bool {
        self.spec.selector.as_ref().is_some_and(|selector| selector.selects(labels))
    }
}
