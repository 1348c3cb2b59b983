//! What decides where a pod can run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Requirement;

/// What a pod asks of the node that it runs on.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Affinity {
    /// Which nodes it asks for.
    #[serde(deserialize_with = "super::nullable")]
    pub node_affinity: NodeAffinity,
}

/// Which nodes a pod asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeAffinity {
    /// Those that it can't do without; preferences are not modelled.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution", deserialize_with = "super::nullable")]
    pub required: NodeSelector,
}

/// Selects nodes: one of the terms must hold; no term at all selects every node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelector {
    /// The terms.
    #[serde(deserialize_with = "super::nullable")]
    pub node_selector_terms: Vec<NodeSelectorTerm>,
}

/// Requirements on a node, all of which must hold.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelectorTerm {
    /// Requirements on its labels.
    #[serde(deserialize_with = "super::nullable")]
    pub match_expressions: Vec<Requirement>,
    /// Requirements on its name.
    #[serde(deserialize_with = "super::nullable")]
    pub match_fields: Vec<Requirement>,
}

impl NodeSelector {
    /// Whether a node of this name with these labels is selected.
    pub fn selects(&self, name: &str, labels: Option<&BTreeMap<String, String>>) -> bool {
        let terms = &self.node_selector_terms;
        terms.is_empty() || terms.iter().any(|term| term.selects(name, labels))
    }
}

impl NodeSelectorTerm {
    /// A term without requirements selects nothing.
    fn selects(&self, name: &str, labels: Option<&BTreeMap<String, String>>) -> bool {
        let name = name.to_owned();
        let some = !self.match_expressions.is_empty() || !self.match_fields.is_empty();
        let value_of = |key: &str| labels.and_then(|labels| labels.get(key));
        some && self.match_expressions.iter().all(|on| on.allows(value_of(&on.key)))
            && self.match_fields.iter().all(|on| on.key == "metadata.name" && on.allows(Some(&name)))
    }
}

/// A taint that a pod bears.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Toleration {
    /// The taint's key; empty with `Exists` is every taint.
    #[serde(deserialize_with = "super::nullable")]
    pub key: String,
    /// `Exists`, or `Equal` if empty.
    #[serde(deserialize_with = "super::nullable")]
    pub operator: String,
    /// The taint's value for `Equal`.
    #[serde(deserialize_with = "super::nullable")]
    pub value: String,
    /// The taint's effect; empty is every effect.
    #[serde(deserialize_with = "super::nullable")]
    pub effect: String,
}

impl Toleration {
    /// Whether it bears a taint.
    pub fn bears(&self, taint: &super::Taint) -> bool {
        let key = if self.key.is_empty() { self.operator == "Exists" } else { self.key == taint.key };
        key && (self.effect.is_empty() || self.effect == taint.effect) && (self.operator == "Exists" || self.value == taint.value)
    }
}

/// A container: what it runs and what it asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Container {
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its image.
    #[serde(deserialize_with = "super::nullable", skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// Its environment.
    #[serde(deserialize_with = "super::nullable", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvironmentVariable>,
    /// Its resources.
    #[serde(deserialize_with = "super::nullable")]
    pub resources: Resources,
}

impl Container {
    /// The value of an environment variable that is given as such; the last of a name counts.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find(|variable| variable.name == name)?.value.as_deref()
    }
}

/// One variable of a container's environment.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EnvironmentVariable {
    /// Its name.
    pub name: String,
    /// Its value, if it is given as such and not taken from somewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// What a container asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Quantities by resource: `cpu`, `memory`.
    #[serde(deserialize_with = "super::nullable")]
    pub requests: BTreeMap<String, Quantity>,
}

/// An amount as Kubernetes writes it: `500m`, `2Gi`, `4`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantity(pub String);

impl Quantity {
    /// In thousandths; none if it is not an amount.
    pub fn milli(&self) -> Option<i128> {
        let text = self.0.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-')).unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let nanos = whole.checked_mul(NANO)?.checked_add(digits.parse().ok()?)?;
        Some(match suffix {
            "n" => nanos / NANO / 1_000_000,
            "u" => nanos / NANO / 1_000,
            "m" => nanos / NANO,
            _ => nanos.checked_mul(factor(suffix)?)?.checked_mul(1000)? / NANO,
        })
    }
}

const NANO: i128 = 1_000_000_000;

fn factor(suffix: &str) -> Option<i128> {
    let power = |base: i128, letters: &str, letter: &str| {
        let exponent = u32::try_from(letters.find(letter)?).ok()?;
        base.checked_pow(exponent + 1)
    };
    match suffix {
        "" => Some(1),
        "k" => Some(1000),
        _ => match suffix.strip_suffix('i') {
            Some(letter) if letter.len() == 1 => power(1024, "KMGTPE", letter),
            Some(_) => None,
            None if suffix.len() == 1 => power(1000, "kMGTPE", suffix),
            None => 10_i128.checked_pow(suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
        },
    }
}

/// A volume of a pod; what it is made of as far as it ties the pod to a node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// The claim behind it.
    pub persistent_volume_claim: Option<ClaimReference>,
}

/// Names a claim on a persistent volume.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimReference {
    /// The claim's name, in the pod's namespace.
    pub claim_name: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::views::Taint;

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        let check = |text: &str, expect: Option<i128>| assert_eq!(Quantity(text.to_owned()).milli(), expect, "{text}");
        check("500m", Some(500));
        check("4", Some(4000));
        check("1.5", Some(1500));
        check("0.1", Some(100));
        check("2k", Some(2_000_000));
        check("128Mi", Some(128 * 1024 * 1024 * 1000));
        check("1.5Gi", Some(3 * 512 * 1024 * 1024 * 1000));
        check("2M", Some(2_000_000_000));
        check("1e3", Some(1_000_000));
        check("100u", Some(0));
        check("lots", None);
        check("5Qi", None);
    }

    #[test]
    fn a_toleration_bears_a_taint_by_key_value_and_effect() {
        let taint = Taint { key: "gpu".to_owned(), value: "a".to_owned(), effect: "NoSchedule".to_owned(), time_added: None };
        let check = |toleration: serde_json::Value, expect: bool| {
            let read: Toleration = serde_json::from_value(toleration.clone()).unwrap();
            assert_eq!(read.bears(&taint), expect, "{toleration}");
        };
        check(json!({"operator": "Exists"}), true);
        check(json!({"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}), true);
        check(json!({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}), false);
        check(json!({"key": "gpu", "value": "a"}), true);
        check(json!({"key": "gpu", "value": "b"}), false);
        check(json!({"key": "cpu", "operator": "Exists"}), false);
        check(json!({}), false);
    }

    #[test]
    fn a_node_is_selected_by_any_term_that_holds_wholly() {
        let check = |terms: serde_json::Value, expect: bool| {
            let selector: NodeSelector = serde_json::from_value(json!({"nodeSelectorTerms": terms})).unwrap();
            let labels = BTreeMap::from([("zone".to_owned(), "a".to_owned())]);
            assert_eq!(selector.selects("worker-0", Some(&labels)), expect, "{terms}");
        };
        let zone = |values: &[&str]| json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": values}]});
        let named = |name: &str| json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]});
        check(json!([]), true);
        check(json!([{}]), false);
        check(json!([zone(&["a", "b"])]), true);
        check(json!([zone(&["b"])]), false);
        check(json!([zone(&["b"]), named("worker-0")]), true);
        check(json!([named("worker-1")]), false);
    }
}
