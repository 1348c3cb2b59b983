//! Kuryr's finalizers, which nobody takes off any more once Kuryr is gone: taken off one object at a time, and nothing else with them.

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use crate::cluster::{Cluster, Patch, Query};
use crate::error::CallError;
use crate::views::{KuryrLoadBalancer, KuryrNetwork, KuryrNetworkPolicy, KuryrPort, NetworkPolicy, Pod, Service, View};

/// How often an object that somebody else changes meanwhile is read anew.
const ROUNDS: u32 = 10;

/// After how many objects it is said how far it is.
const TOLD_EVERY: usize = 25;

/// A kind of object that Kuryr puts a finalizer on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finalized {
    /// Services.
    Services,
    /// What Kuryr keeps of load balancers.
    LoadBalancers,
    /// Pods.
    Pods,
    /// What Kuryr keeps of pods' ports.
    Ports,
    /// Network policies.
    NetworkPolicies,
    /// What Kuryr keeps of network policies.
    KuryrNetworkPolicies,
    /// What Kuryr keeps of namespaces' networks: the only place in the cluster that names them.
    Networks,
}

impl Finalized {
    /// The finalizer.
    pub fn finalizer(self) -> &'static str {
        match self {
            Self::Services => "kuryr.openstack.org/service-finalizer",
            Self::LoadBalancers => "kuryr.openstack.org/kuryrloadbalancer-finalizers",
            Self::Pods => "kuryr.openstack.org/pod-finalizer",
            Self::Ports => "kuryr.openstack.org/kuryrport-finalizer",
            Self::NetworkPolicies | Self::KuryrNetworkPolicies => "kuryr.openstack.org/networkpolicy-finalizer",
            Self::Networks => "kuryrnetwork.finalizers.kuryr.openstack.org",
        }
    }

    /// As `oc` is told it.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::LoadBalancers => "kuryrloadbalancers",
            Self::Pods => "pods",
            Self::Ports => "kuryrports",
            Self::NetworkPolicies => "networkpolicies",
            Self::KuryrNetworkPolicies => "kuryrnetworkpolicies",
            Self::Networks => "kuryrnetworks",
        }
    }
}

/// Takes Kuryr's finalizer off every object of a kind.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RemoveFinalizers {
    /// The kind.
    pub of: Finalized,
}

/// What was changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FinalizersRemoved {
    /// How many objects lost the finalizer.
    pub removed: usize,
    /// What was seen.
    pub evidence: String,
}

impl Activity for RemoveFinalizers {
    const NAME: ActivityName = ActivityName::new("remove-kuryr-finalizers");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = FinalizersRemoved;

    fn summary(&self) -> String {
        format!("take the finalizer {} off all {}", self.of.finalizer(), self.of.plural())
    }

    fn requests(&self) -> Vec<String> {
        let operation = "[{\"op\":\"remove\",\"path\":\"/metadata/finalizers/N\"}]";
        vec![format!("PATCH each of {} json {operation}", self.of.plural())]
    }

    fn assumed(&self) -> Option<FinalizersRemoved> {
        Some(FinalizersRemoved { removed: 0, evidence: crate::requests::ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<FinalizersRemoved, ActivityError> {
        let finalizer = self.of.finalizer();
        let removed = match self.of {
            Finalized::Services => strip::<Service>(&cx, finalizer).await?,
            Finalized::LoadBalancers => strip::<KuryrLoadBalancer>(&cx, finalizer).await?,
            Finalized::Pods => strip::<Pod>(&cx, finalizer).await?,
            Finalized::Ports => strip::<KuryrPort>(&cx, finalizer).await?,
            Finalized::NetworkPolicies => strip::<NetworkPolicy>(&cx, finalizer).await?,
            Finalized::KuryrNetworkPolicies => strip::<KuryrNetworkPolicy>(&cx, finalizer).await?,
            Finalized::Networks => strip::<KuryrNetwork>(&cx, finalizer).await?,
        };
        let evidence = format!("{removed} {} lost {finalizer}; none has it any more", self.of.plural());
        Ok(FinalizersRemoved { removed, evidence })
    }
}

/// Until a list shows none that has it: objects come and go meanwhile.
async fn strip<K: View>(cx: &ActivityContext<Cluster>, finalizer: &str) -> Result<usize, ActivityError> {
    let (cluster, mut removed) = (cx.world(), 0);
    for _ in 0..ROUNDS {
        let objects: Vec<K> = match cluster.list_metadata::<K>(&Query::default()).await {
            Err(error) if error.is_not_found() => return Ok(removed),
            listed => listed?,
        };
        let held: Vec<(K, Patch)> =
            objects.into_iter().filter_map(|object| without(&object, finalizer).map(|patch| (object, patch))).collect();
        if held.is_empty() {
            return Ok(removed);
        }
        let count = held.len();
        for (done, (object, patch)) in held.into_iter().enumerate() {
            if done % TOLD_EVERY == 0 {
                cx.progress(format!("{done} of {count} {} are done", K::plural(&())));
            }
            match cluster.patch::<K>(Some(object.namespace_name()), object.name(), &patch).await {
                Ok(_) => removed += 1,
                Err(error) if is_overtaken(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    let message = format!("{} with {finalizer} keep coming; find out what makes them, then retry", K::plural(&()));
    Err(ActivityError::transient("keep-coming", message))
}

/// It is gone, or somebody changed it since it was listed: the next list tells.
fn is_overtaken(error: &CallError) -> bool {
    error.is_not_found() || error.is_precondition()
}

/// The change that takes the finalizer off, if the object has it and is as it was seen.
fn without<K: View>(object: &K, finalizer: &str) -> Option<Patch> {
    let at = object.meta().finalizers.as_ref()?.iter().position(|own| own == finalizer)?;
    let path = format!("/metadata/finalizers/{at}");
    Some(Patch::Json(json!([
        {"op": "test", "path": "/metadata/uid", "value": object.uid_text()},
        {"op": "test", "path": "/metadata/resourceVersion", "value": object.meta_version()},
        {"op": "test", "path": path, "value": finalizer},
        {"op": "remove", "path": path},
    ])))
}

/// Where Kuryr lives.
const NAMESPACE: &str = "openshift-kuryr";

/// The service that stands for the gateway of the services' network.
const GATEWAY: &str = "service-subnet-gateway-ip";

/// Deletes the service that held an address for the gateway of the services' network.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeleteGatewayService {}

/// That it is not there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GatewayServiceGone {
    /// Whether it was gone already.
    pub already: bool,
}

impl Activity for DeleteGatewayService {
    const NAME: ActivityName = ActivityName::new("delete-gateway-service");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = GatewayServiceGone;

    fn summary(&self) -> String {
        format!("delete service {NAMESPACE}/{GATEWAY}")
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("DELETE {}/{GATEWAY}", <Service as kube::Resource>::url_path(&(), Some(NAMESPACE)))]
    }

    fn assumed(&self) -> Option<GatewayServiceGone> {
        Some(GatewayServiceGone { already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<GatewayServiceGone, ActivityError> {
        let found: Option<Service> = cx.world().get_metadata(Some(NAMESPACE), GATEWAY).await?;
        let Some(found) = found.filter(|found| found.metadata.deletion_timestamp.is_none()) else {
            return Ok(GatewayServiceGone { already: true });
        };
        match cx.world().delete::<Service>(Some(NAMESPACE), GATEWAY, found.uid_text()).await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            Ok(()) | Err(_) => Ok(GatewayServiceGone { already: false }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kuryrs_finalizer_goes_and_only_from_what_was_seen() {
        let pod = |finalizers: &[&str]| -> Pod {
            let metadata = json!({"name": "p", "namespace": "n", "uid": "u1", "resourceVersion": "7", "finalizers": finalizers});
            serde_json::from_value(json!({"metadata": metadata})).unwrap()
        };
        let finalizer = Finalized::Pods.finalizer();
        assert_eq!(without(&pod(&[]), finalizer), None);
        assert_eq!(without(&pod(&["other.example.com/f"]), finalizer), None);
        let Some(Patch::Json(patch)) = without(&pod(&["other.example.com/f", finalizer]), finalizer) else { panic!("no patch") };
        assert_eq!(patch[0]["value"], "u1");
        assert_eq!(patch[1]["value"], "7");
        assert_eq!(patch[2], json!({"op": "test", "path": "/metadata/finalizers/1", "value": finalizer}));
        assert_eq!(patch[3], json!({"op": "remove", "path": "/metadata/finalizers/1"}));
    }
}
