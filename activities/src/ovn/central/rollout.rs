use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::{CONTAINER, NAME as DEPLOYMENT, NODE_IPS, changed, told};
use crate::cluster::{Cluster, Query};
use crate::ovn::rollout::{Progress, of_deployment, troubles};
use crate::ovn::template::Told;
use crate::ovn::{NAMESPACE, list};
use crate::views::{Deployment, Pod, View as _};

/// A member needs some ten seconds to come back.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// Each pod within a few minutes, its image pulled and its database joined.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Waits until every pod of ovn-central is one of the new template, and ready.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitCentralRollout {
    /// `NODE_IPS` that they were started with.
    pub node_ips: Vec<IpAddr>,
}

/// That a rollout is done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RolledOut {
    /// What was seen.
    pub evidence: String,
}

impl Activity for AwaitCentralRollout {
    const NAME: ActivityName = ActivityName::new("await-central-rollout");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = RolledOut;

    fn summary(&self) -> String {
        "wait until ovn-central is rolled out".to_owned()
    }

    fn assumed(&self) -> Option<RolledOut> {
        Some(RolledOut { evidence: crate::requests::ASSUMED.to_owned() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<RolledOut, ActivityError> {
        let until = cx.now().plus(LIMIT);
        let pods = Query { namespace: Some(NAMESPACE.to_owned()), labels: Some(format!("app={DEPLOYMENT}")), fields: None };
        loop {
            let deployment: Deployment = cx.world().must_get(Some(NAMESPACE), DEPLOYMENT).await?;
            let found = told(&deployment)?.addresses;
            if found != self.node_ips {
                let message = changed(&found, &self.node_ips, &self.node_ips);
                return Err(ActivityError::permanent("changed-by-other", message));
            }
            let pods: Vec<Pod> = cx.world().list(&pods).await?;
            let why = match self.judge(&deployment, &pods) {
                Ok(evidence) => return Ok(RolledOut { evidence }),
                Err(Held { why, given_up: false }) if cx.now() < until => why,
                Err(Held { why, .. }) => {
                    let message = format!("ovn-central is not rolled out: {why}; look at its pods, then retry");
                    return Err(ActivityError::transient("rollout-stuck", message));
                }
            };
            cx.progress(format!("ovn-central: {why}"));
            cx.sleep(BETWEEN_LOOKS).await;
        }
    }
}

/// Why a rollout is not done, and whether its controller has given up.
#[derive(PartialEq, Eq, Debug)]
struct Held {
    why: String,
    given_up: bool,
}

impl AwaitCentralRollout {
    fn judge(&self, deployment: &Deployment, pods: &[Pod]) -> Result<String, Held> {
        let progress = of_deployment(deployment);
        let staying = || pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none() && !pod.has_ended());
        let (why, given_up) = match progress {
            Progress::Waiting(why) => (why, false),
            Progress::Stuck(why) => (why, true),
            // The counts are the controller's; the pods themselves must show it.
            Progress::Done => match staying().find(|pod| !self.has_them(pod) || !pod.is_ready()) {
                Some(pod) => (format!("pod {} was started with other addresses or is not ready", pod.name()), false),
                None => return Ok(self.evidence(staying())),
            },
        };
        let troubles = troubles(pods);
        Err(Held { why: if troubles.is_empty() { why } else { format!("{why}; {}", troubles.join("; ")) }, given_up })
    }

    fn has_them(&self, pod: &Pod) -> bool {
        Told::read(&pod.spec, CONTAINER, NODE_IPS).is_ok_and(|told| told.addresses == self.node_ips)
    }

    fn evidence<'a>(&self, pods: impl Iterator<Item = &'a Pod>) -> String {
        let mut each: Vec<String> =
            pods.map(|pod| format!("{} on {}", pod.name(), pod.spec.node_name.as_deref().unwrap_or("no node"))).collect();
        each.sort();
        format!("ready with NODE_IPS {}: {}", list(&self.node_ips), each.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, node_ips: &str, more: &Value) -> Pod {
        let env = json!([{"name": NODE_IPS, "value": node_ips}]);
        let spec = json!({"nodeName": "a", "containers": [{"name": CONTAINER, "env": env}]});
        let mut pod = json!({"metadata": {"name": name}, "spec": spec,
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        json_patch::merge(&mut pod, more);
        serde_json::from_value(pod).unwrap()
    }

    /// Seen to fail with: the pods' own environment not looked at; pods that end counted.
    #[test]
    fn a_rollout_is_done_when_the_pods_themselves_show_it() {
        let wait = AwaitCentralRollout { node_ips: vec!["10.0.0.1".parse().unwrap()] };
        let check = |available: i32, pods: &[Pod], expect: Result<&str, &str>| {
            let status = json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": available});
            let deployment = json!({"metadata": {"generation": 1}, "spec": {"replicas": 1}, "status": status});
            let judged = wait.judge(&serde_json::from_value(deployment).unwrap(), pods).map_err(|held| held.why);
            assert_eq!(judged, expect.map(str::to_owned).map_err(str::to_owned));
        };
        let (nothing, ending) = (json!({}), json!({"metadata": {"deletionTimestamp": "2026-03-01T12:00:00Z"}}));
        let good = pod("c-1", "10.0.0.1", &nothing);
        check(1, std::slice::from_ref(&good), Ok("ready with NODE_IPS 10.0.0.1: c-1 on a"));
        check(1, &[good.clone(), pod("c-0", "10.0.0.9", &ending)], Ok("ready with NODE_IPS 10.0.0.1: c-1 on a"));
        check(1, &[pod("c-1", "10.0.0.9", &nothing)], Err("pod c-1 was started with other addresses or is not ready"));
        let message = "0/3 nodes are available";
        let pending = json!({"spec": {"nodeName": null}, "status": {"phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "message": message}]}});
        check(
            0,
            &[good, pod("c-2", "10.0.0.1", &pending)],
            Err("0 of 1 new pods are available; pod c-2 finds no node: 0/3 nodes are available"),
        );
    }
}
