use std::time::Duration;

use kube::Resource as _;
use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, Timestamp};

use super::pod::{OURS, RUN};
use crate::cluster::{Cluster, Query};
use crate::ovn::NAMESPACE;
use crate::views::{Pod, View as _};

/// A request that was on its way when its attempt was broken off arrives within seconds.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// How often in a row none must be seen.
const SAMPLES: u32 = 2;
/// A pod that is killed at once is gone at once, if its node lives.
const LIMIT: Duration = Duration::from_secs(60);

/// Deletes the pods that reached disks for this run, if one was left: an attempt that is broken off can't do it itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SweepHostPods {}

/// That no pod of the run is left.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HostPodsSwept {
    /// The pods that were deleted, by name.
    pub deleted: Vec<String>,
}

impl Activity for SweepHostPods {
    const NAME: ActivityName = ActivityName::new("sweep-host-pods");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = HostPodsSwept;

    fn summary(&self) -> String {
        "make sure that no pod is left of those that reached disks".to_owned()
    }

    fn requests(&self) -> Vec<String> {
        vec![format!("DELETE {}/windlass-host-… with its uid, if one is left", Pod::url_path(&(), Some(NAMESPACE)))]
    }

    fn assumed(&self) -> Option<HostPodsSwept> {
        Some(HostPodsSwept { deleted: Vec::new() })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<HostPodsSwept, ActivityError> {
        let (run, until) = (cx.attempt().run.to_string(), cx.now().plus(LIMIT));
        let query =
            Query { namespace: Some(NAMESPACE.to_owned()), labels: Some(format!("{}={}", OURS.0, OURS.1)), ..Query::default() };
        let (mut deleted, mut clear) = (Vec::new(), 0);
        loop {
            let mut pods: Vec<Pod> = cx.world().list(&query).await?;
            pods.retain(|pod| pod.annotation(RUN) == Some(run.as_str()));
            for pod in pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
                match cx.world().delete::<Pod>(Some(NAMESPACE), pod.name(), pod.uid_text()).await {
                    Ok(()) => deleted.push(pod.name().to_owned()),
                    Err(error) if error.is_not_found() || error.is_precondition() => {}
                    Err(error) => return Err(error.into()),
                }
            }
            clear = if pods.is_empty() { clear + 1 } else { 0 };
            if clear == SAMPLES {
                return Ok(HostPodsSwept { deleted });
            }
            still_there(&cx, &pods, until)?;
            cx.sleep(BETWEEN_LOOKS).await;
        }
    }
}

fn still_there(cx: &ActivityContext<Cluster>, pods: &[Pod], until: Timestamp) -> Result<(), ActivityError> {
    let Some(pod) = pods.first() else { return Ok(()) };
    let node = pod.spec.node_name.as_deref().unwrap_or("no node");
    if cx.now() < until {
        cx.progress(format!("pod {} on {node} is ending", pod.name()));
        return Ok(());
    }
    let message = format!("pod {} in {NAMESPACE} is not gone yet; is {node} alive?", pod.name());
    Err(ActivityError::transient("host-pod-left", message))
}
