//! Administrator acknowledgements: what a person must have checked before the next minor release.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use crate::cluster::{Cluster, Patch};
use crate::release::Minor;
use crate::requests::patch_line;
use crate::views::{ClusterVersion, ConfigMap};

/// Where the vendor asks.
const GATES: (&str, &str) = ("openshift-config-managed", "admin-gates");
/// Where the administrator answers.
const ACKS: (&str, &str) = ("openshift-config", "admin-acks");

/// Reads what a person must still acknowledge before the cluster may leave its minor release.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReadGates {}

/// What a person must acknowledge, and has.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Gates {
    /// Still to be acknowledged.
    pub missing: Vec<Gate>,
    /// Acknowledged already.
    pub acknowledged: Vec<String>,
}

/// One acknowledgement that the vendor asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Gate {
    /// Its key: `ack-4.16-kube-1.30-api-removals-in-4.17`.
    pub key: String,
    /// What the person says to have checked, in the vendor's words.
    pub text: String,
}

impl Activity for ReadGates {
    const NAME: ActivityName = ActivityName::new("read-gates");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Gates;

    fn summary(&self) -> String {
        "read which acknowledgements the next minor release needs".to_owned()
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Gates, ActivityError> {
        let version: ClusterVersion = cx.world().must_get(None, "version").await?;
        let (gates, acks) = read(cx.world()).await?;
        Ok(open_gates(&version, &gates, &acks))
    }
}

/// What is asked and what is answered, by key; both empty where the cluster has none.
pub(crate) async fn read(
    cluster: &Cluster,
) -> Result<(BTreeMap<String, String>, BTreeMap<String, String>), crate::error::CallError> {
    let gates: Option<ConfigMap> = cluster.get(Some(GATES.0), GATES.1).await?;
    let acks: Option<ConfigMap> = cluster.get(Some(ACKS.0), ACKS.1).await?;
    Ok((gates.unwrap_or_default().data, acks.unwrap_or_default().data))
}

/// The gates of the release that the cluster has completed; those of other minors do not count now.
pub(crate) fn open_gates(version: &ClusterVersion, gates: &BTreeMap<String, String>, acks: &BTreeMap<String, String>) -> Gates {
    let here = version.completed().and_then(|entry| entry.version.parse().ok()).map(|version| Minor::of(&version));
    let mut found = Gates::default();
    for (key, text) in gates.iter().filter(|(key, _)| here.is_some() && minor_of(key) == here) {
        if acks.get(key).is_some_and(|answer| answer == "true") {
            found.acknowledged.push(key.clone());
        } else {
            found.missing.push(Gate { key: key.clone(), text: text.clone() });
        }
    }
    found
}

/// The minor release that a gate guards: 4.16 of `ack-4.16-kube-1.30-api-removals-in-4.17`.
fn minor_of(key: &str) -> Option<Minor> {
    let (minor, rest) = key.strip_prefix("ack-")?.split_once('-')?;
    (!rest.is_empty() && !rest.starts_with('-')).then(|| minor.parse().ok()).flatten()
}

/// Records in the cluster that a person has checked what a gate asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AcknowledgeGate {
    /// The gate, with the text that the person was shown.
    pub gate: Gate,
}

/// A gate that is acknowledged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GateAcknowledged {
    /// Its key.
    pub key: String,
    /// Whether it was so already.
    pub already: bool,
}

impl Activity for AcknowledgeGate {
    const NAME: ActivityName = ActivityName::new("acknowledge-gate");
    const EFFECT: Effect = Effect::Declare;
    type World = Cluster;
    type Output = GateAcknowledged;

    fn summary(&self) -> String {
        format!("acknowledge {}", self.gate.key)
    }

    fn requests(&self) -> Vec<String> {
        vec![patch_line::<ConfigMap>(Some(ACKS.0), ACKS.1, &self.patch())]
    }

    fn assumed(&self) -> Option<GateAcknowledged> {
        Some(GateAcknowledged { key: self.gate.key.clone(), already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<GateAcknowledged, ActivityError> {
        let (gates, acks) = read(cx.world()).await?;
        let key = self.gate.key.clone();
        if acks.get(&key).is_some_and(|answer| answer == "true") {
            return Ok(GateAcknowledged { key, already: true });
        }
        self.refuse_other_text(&gates)?;
        match cx.world().patch::<ConfigMap>(Some(ACKS.0), ACKS.1, &self.patch()).await {
            Err(error) if error.is_not_found() => {
                let object = json!({
                    "apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": {"name": ACKS.1, "namespace": ACKS.0}, "data": self.data(),
                });
                cx.world().create::<ConfigMap>(Some(ACKS.0), &object).await?;
            }
            outcome => drop(outcome?),
        }
        Ok(GateAcknowledged { key, already: false })
    }
}

impl AcknowledgeGate {
    fn data(&self) -> serde_json::Value {
        json!({(self.gate.key.clone()): "true"})
    }

    fn patch(&self) -> Patch {
        Patch::Merge(json!({"data": self.data()}))
    }

    /// A person attests to a text; if it has changed since, they must see the new one.
    fn refuse_other_text(&self, gates: &BTreeMap<String, String>) -> Result<(), ActivityError> {
        match gates.get(&self.gate.key) {
            Some(text) if *text == self.gate.text => Ok(()),
            Some(_) => {
                let message =
                    format!("the text of {} changed since it was approved; read it again and approve anew", self.gate.key);
                Err(ActivityError::permanent("gate-changed", message))
            }
            None => {
                let message = format!("the cluster no longer asks for {}; skip this step", self.gate.key);
                Err(ActivityError::permanent("not-found", message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::fixtures::healthy;

    #[test]
    fn only_gates_of_the_completed_minor_count_and_only_the_word_true_answers() {
        let snapshot = healthy();
        let gates: BTreeMap<String, String> =
            ["ack-4.16-kube-1.30-api-removals-in-4.17", "ack-4.17-x", "ack-4.16--y", "ack-4.1-z"]
                .map(|key| (key.to_owned(), "Check it.".to_owned()))
                .into();
        let check = |answer: Option<&str>, missing: usize, acknowledged: usize| {
            let acks = answer.map(|answer| ("ack-4.16-kube-1.30-api-removals-in-4.17".to_owned(), answer.to_owned()));
            let found = open_gates(snapshot.version().unwrap(), &gates, &acks.into_iter().collect());
            assert_eq!((found.missing.len(), found.acknowledged.len()), (missing, acknowledged));
        };
        check(None, 1, 0);
        check(Some("true"), 0, 1);
        check(Some("True"), 1, 0);
        check(Some("yes"), 1, 0);
    }

    #[test]
    fn an_approval_holds_only_for_the_text_that_was_shown() {
        let gate = Gate { key: "ack-4.16-x".to_owned(), text: "Check A.".to_owned() };
        let check = |there: &[(&str, &str)], expect: Option<&str>| {
            let gates = there.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
            let verdict = AcknowledgeGate { gate: gate.clone() }.refuse_other_text(&gates);
            assert_eq!(verdict.err().map(|error| error.code).as_deref(), expect);
        };
        check(&[("ack-4.16-x", "Check A.")], None);
        check(&[("ack-4.16-x", "Check A and B.")], Some("gate-changed"));
        check(&[], Some("not-found"));
    }
}
