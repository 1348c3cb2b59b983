//! Policies of the hosts' own network that hold the interface on which the new plugin makes its bridge: found, copied, deleted by name
//! and uid. Deleting a policy leaves the hosts as they are.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use crate::cluster::Cluster;
use crate::requests::ASSUMED;
use crate::views::{HostInterface, NodeNetworkPolicy, NodeNetworkState, View as _, view};

/// A policy that has to go before hosts are prepared.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HostPolicy {
    /// Its name.
    pub name: String,
    /// Its uid: another one of this name is left alone.
    pub uid: String,
    /// What it configures that is in the way.
    pub why: String,
}

/// The policies that are in the way of the bridge, by name.
pub(super) fn in_the_way(policies: &[NodeNetworkPolicy], states: &[NodeNetworkState]) -> Vec<HostPolicy> {
    let taken = taken_interfaces(states);
    let mut found: Vec<HostPolicy> = policies
        .iter()
        .filter_map(|policy| {
            let why = policy.spec.desired_state.interfaces.iter().find_map(|interface| reason(interface, &taken))?;
            Some(HostPolicy { name: policy.name().to_owned(), uid: policy.uid_text().to_owned(), why })
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// The interfaces with a default route on any host, and those below them: the ports of a bond or a bridge, the base of a VLAN.
fn taken_interfaces(states: &[NodeNetworkState]) -> BTreeSet<&str> {
    let mut taken = BTreeSet::new();
    for state in states.iter().map(|state| &state.status.current_state) {
        let routes = state.routes.running.iter().filter(|route| ["0.0.0.0/0", "::/0"].contains(&route.destination.as_str()));
        let mut open: Vec<&str> = routes.map(|route| route.next_hop_interface.as_str()).collect();
        while let Some(name) = open.pop() {
            if taken.insert(name) {
                let interface = state.interfaces.iter().find(|interface| interface.name == name);
                open.extend(interface.into_iter().flat_map(HostInterface::below));
            }
        }
    }
    taken
}

/// Why an interface of a policy is in the way, if it is. Where no host tells its routes, every interface that may have one counts, and so
/// does one whose name is only known on the hosts.
fn reason(interface: &HostInterface, taken: &BTreeSet<&str>) -> Option<String> {
    let name = interface.name.as_str();
    if taken.contains(name) || name == "br-ex" {
        return Some(format!("it configures {name}, which the hosts' default route leads over"));
    }
    if name.contains("{{") {
        return Some(format!("it configures {name}, which only the hosts know"));
    }
    let may_be = matches!(interface.kind.as_str(), "" | "ethernet" | "bond" | "vlan");
    (taken.is_empty() && may_be)
        .then(|| format!("it configures {name}, and no host tells which interface its default route leads over"))
}

/// Copies policies before they are deleted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BackUpHostPolicies {
    /// The run's own folder under [`Cluster::files`]; made if it is not there, 0700.
    pub folder: String,
    /// Which.
    pub policies: Vec<HostPolicy>,
}

/// A copy of policies.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PoliciesCopy {
    /// Where it is, 0600.
    pub path: String,
    /// SHA-256 of it, in hexadecimal digits.
    pub sha256: String,
    /// How they are made again by hand.
    pub evidence: String,
}

/// A policy with everything that it has.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct WholePolicy {
    metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    #[serde(flatten)]
    rest: Map<String, Value>,
}
view!(WholePolicy, Cluster, "nmstate.io", "v1", "NodeNetworkConfigurationPolicy", "nodenetworkconfigurationpolicies");

impl WholePolicy {
    /// Without what only the server sets, so that it can be created anew.
    fn to_create(&self) -> Value {
        let mut object = self.rest.clone();
        object.remove("status");
        object.insert("apiVersion".to_owned(), json!("nmstate.io/v1"));
        object.insert("kind".to_owned(), json!("NodeNetworkConfigurationPolicy"));
        let metadata = &self.metadata;
        let kept = json!({"name": metadata.name, "labels": metadata.labels, "annotations": metadata.annotations});
        object.insert("metadata".to_owned(), kept);
        Value::Object(object)
    }
}

impl Activity for BackUpHostPolicies {
    const NAME: ActivityName = ActivityName::new("back-up-host-policies");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = PoliciesCopy;

    fn summary(&self) -> String {
        format!("back up the {} policies of the hosts' network that are in the way", self.policies.len())
    }

    fn assumed(&self) -> Option<PoliciesCopy> {
        Some(PoliciesCopy { path: self.folder.clone(), sha256: String::new(), evidence: ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<PoliciesCopy, ActivityError> {
        let mut items = Vec::new();
        for policy in &self.policies {
            let found: Option<WholePolicy> = cx.world().get(None, &policy.name).await?;
            items.extend(found.filter(|found| found.uid_text() == policy.uid).map(|found| found.to_create()));
        }
        let text = format!("{:#}\n", json!({"apiVersion": "v1", "kind": "List", "items": items}));
        let kept = cx.world().keep_copy(&self.folder, "host-policies", &text).await?;
        let names: Vec<&str> = self.policies.iter().map(|policy| policy.name.as_str()).collect();
        let evidence = format!(
            "policies {} are in {} (sha256 {}); they are not put back; `oc create -f {}` makes them again",
            names.join(", "),
            kept.path,
            kept.sha256,
            kept.path
        );
        Ok(PoliciesCopy { path: kept.path, sha256: kept.sha256, evidence })
    }
}

/// Deletes a policy of the hosts' network, by its uid.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeleteHostPolicy {
    /// Which.
    pub policy: HostPolicy,
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostPolicyDeleted {
    /// It is deleted.
    Deleted,
    /// It is not there any more.
    Gone,
    /// There is another one of this name now, which was left alone.
    Another,
}

impl Activity for DeleteHostPolicy {
    const NAME: ActivityName = ActivityName::new("delete-host-policy");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = HostPolicyDeleted;

    fn summary(&self) -> String {
        format!("delete policy {} of the hosts' network, which stays as it is", self.policy.name)
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("DELETE /apis/nmstate.io/v1/nodenetworkconfigurationpolicies/{}", self.policy.name)]
    }

    fn assumed(&self) -> Option<HostPolicyDeleted> {
        Some(HostPolicyDeleted::Deleted)
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<HostPolicyDeleted, ActivityError> {
        let HostPolicy { name, uid, .. } = &self.policy;
        let Some(found) = cx.world().get::<NodeNetworkPolicy>(None, name).await? else { return Ok(HostPolicyDeleted::Gone) };
        if found.uid_text() != uid {
            return Ok(HostPolicyDeleted::Another);
        }
        cx.world().delete::<NodeNetworkPolicy>(None, name, uid).await?;
        Ok(HostPolicyDeleted::Deleted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_carries_the_default_route_is_found_and_what_does_not_is_left() {
        let policy = |name: &str, interfaces: Value| -> NodeNetworkPolicy {
            let spec = json!({"desiredState": {"interfaces": interfaces}});
            serde_json::from_value(json!({"metadata": {"name": name, "uid": name}, "spec": spec})).unwrap()
        };
        let state: NodeNetworkState = serde_json::from_value(json!({"status": {"currentState": {
            "interfaces": [
                {"name": "bond0.7", "type": "vlan", "vlan": {"base-iface": "bond0", "id": 7}},
                {"name": "bond0", "type": "bond", "link-aggregation": {"port": ["eno1", "eno2"]}},
                {"name": "br1", "type": "linux-bridge", "bridge": {"port": [{"name": "eno3"}]}},
            ],
            "routes": {"running": [
                {"destination": "10.9.0.0/16", "next-hop-interface": "br1"},
                {"destination": "0.0.0.0/0", "next-hop-interface": "bond0.7"},
            ]},
        }}}))
        .unwrap();
        let check = |interfaces: Value, known: bool, expect: Option<&str>| {
            let states = if known { std::slice::from_ref(&state) } else { &[] };
            let found = in_the_way(&[policy("p", interfaces.clone())], states);
            assert_eq!(found.first().is_some_and(|found| expect.is_some_and(|part| found.why.contains(part))), expect.is_some());
            assert_eq!(found.len(), usize::from(expect.is_some()), "{interfaces}");
        };
        check(json!([{"name": "bond0.7", "type": "vlan"}]), true, Some("the hosts' default route leads over"));
        check(json!([{"name": "eno9"}, {"name": "eno2", "type": "ethernet"}]), true, Some("eno2"));
        check(json!([{"name": "br-ex", "type": "ovs-bridge"}]), true, Some("br-ex"));
        check(json!([{"name": "br1", "type": "linux-bridge"}, {"name": "eno3", "type": "ethernet"}]), true, None);
        check(
            json!([{"name": "{{ capture.primary.interfaces.0.name }}", "type": "ethernet"}]),
            true,
            Some("only the hosts know"),
        );
        check(json!([{"name": "eno9", "type": "ethernet"}]), false, Some("no host tells"));
        check(json!([{"name": "br1", "type": "linux-bridge"}]), false, None);
    }

    #[test]
    fn a_copy_can_be_created_anew() {
        let whole: WholePolicy = serde_json::from_value(json!({
            "metadata": {"name": "p", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"}},
            "spec": {"nodeSelector": {"x": "y"}, "desiredState": {"interfaces": [{"name": "eno1", "mtu": 9000}]}},
            "status": {"conditions": []},
        }))
        .unwrap();
        let object = whole.to_create();
        assert_eq!(object["spec"]["desiredState"]["interfaces"][0]["mtu"], 9000);
        assert_eq!(object["metadata"], json!({"name": "p", "labels": {"a": "b"}, "annotations": null}));
        assert!(object["status"].is_null() && object["kind"] == "NodeNetworkConfigurationPolicy");
    }
}
