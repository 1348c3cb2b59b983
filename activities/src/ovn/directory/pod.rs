//! A node's disk through a short-lived pod that is pinned to the node: made for one attempt, and deleted on every ending.

use std::net::IpAddr;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use windlass_engine::{ActivityContext, ActivityError};

use super::PARENT;
use super::host::Place;
use crate::cluster::Cluster;
use crate::error::CallError;
use crate::exec::{Ended, Exec, Purpose};
use crate::ovn::NAMESPACE;
use crate::ovn::hex;
use crate::ovn::rollout::troubles;
use crate::views::{Pod, View as _};

/// The image is on the node already, as a rule; if not, it is pulled, perhaps over a slow line. Shorter than an attempt may take, and
/// than whatever else ends a pod on a dead node, so that it is this that ends the wait and says why.
const START_LIMIT: Duration = Duration::from_secs(4 * 60);
/// A pod that is killed at once is gone at once, if its node lives.
const END_LIMIT: Duration = Duration::from_secs(60);
/// How long a pod lives that nobody deletes.
const LIFE_SECONDS: u32 = 600;
/// Each command is one look or one step.
const COMMAND_LIMIT: Duration = Duration::from_secs(20);
/// A directory with thousands of names.
const MOST_BYTES: u64 = 256 << 10;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// How often a deletion is tried: whoever can't be reached three times is left to the next attempt.
const DELETIONS: u32 = 3;

const CONTAINER: &str = "host";
/// The label of every pod of ours, with its value.
pub(super) const OURS: (&str, &str) = ("app.kubernetes.io/managed-by", "windlass");
/// Whose it is.
pub(super) const RUN: &str = "windlass.dev/run";
const STEP: &str = "windlass.dev/step";

pub(super) struct HostPod<'a> {
    cx: &'a ActivityContext<Cluster>,
    place: Place<'a>,
    image: &'a str,
    name: String,
}

impl<'a> HostPod<'a> {
    /// [`PARENT`] as the pod has it.
    pub(super) const MOUNTED: &'static str = "/host/origin";

    pub(super) fn new(cx: &'a ActivityContext<Cluster>, place: Place<'a>, image: &'a str) -> Self {
        let attempt = cx.attempt();
        // The same for each attempt of a step, so that the next one finds what one before it left.
        let seed = format!("{}/{}/{}", attempt.run, attempt.command.0, place.node);
        let name = format!("windlass-host-{}", &hex(&digest(&SHA256, seed.as_bytes()))[..16]);
        Self { cx, place, image, name }
    }

    /// Makes the pod anew, and waits until it runs on the right host.
    pub(super) async fn open(&self) -> Result<(), ActivityError> {
        if let Some(left) = self.find().await? {
            self.cx.progress(format!("deleting pod {} of an earlier attempt", self.name));
            self.delete(&left).await?;
            self.await_gone().await?;
        }
        self.cx.world().create::<Pod>(Some(NAMESPACE), &self.manifest()).await?;
        let pod = self.await_running().await?;
        let host = pod.status.host_ip.as_deref().unwrap_or("no address");
        if host.parse::<IpAddr>().ok() != Some(self.place.address) {
            return Err(self.place.wrong(&format!("a pod on it says that its host is {host}")));
        }
        Ok(())
    }

    /// Deletes the pod. If that fails, the step has failed: its next attempt finds both the pod and what was done.
    pub(super) async fn close<T>(&self, outcome: Result<T, ActivityError>) -> Result<T, ActivityError> {
        let Err(left) = self.sweep().await else { return outcome };
        match outcome {
            Ok(_) => Err(left),
            Err(error) => Err(ActivityError { message: format!("{error}; and {left}"), ..error }),
        }
    }

    pub(super) async fn command(&self, words: &[&str], purpose: Purpose) -> Result<Ended, ActivityError> {
        let (namespace, container) = (NAMESPACE, CONTAINER);
        let (limit, most_bytes) = (COMMAND_LIMIT, MOST_BYTES);
        let exec = Exec { namespace, pod: &self.name, container, words, purpose, limit, most_bytes };
        Ok(self.cx.world().exec(&exec).await?)
    }

    /// The pod of that name, which must be this step's.
    async fn find(&self) -> Result<Option<Pod>, ActivityError> {
        let found: Option<Pod> = self.cx.world().get(Some(NAMESPACE), &self.name).await?;
        let (run, step) = self.owner();
        match found {
            Some(pod) if pod.annotation(RUN) != Some(run.as_str()) || pod.annotation(STEP) != Some(step.as_str()) => {
                let message =
                    format!("pod {} in {NAMESPACE} is not this step's; see whose it is, delete it, then retry", self.name);
                Err(ActivityError::permanent("foreign-pod", message))
            }
            found => Ok(found),
        }
    }

    async fn sweep(&self) -> Result<(), ActivityError> {
        let mut tried = 1;
        loop {
            let swept = match self.find().await {
                Ok(None) => Ok(()),
                Ok(Some(pod)) => self.delete(&pod).await.map_err(ActivityError::from),
                Err(error) => Err(error),
            };
            match swept {
                Ok(()) => return Ok(()),
                Err(_) if tried < DELETIONS => tried += 1,
                Err(error) => {
                    let message = format!("pod {} in {NAMESPACE} could not be deleted: {error}; a retry deletes it", self.name);
                    return Err(ActivityError { message, ..error });
                }
            }
            self.cx.sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn delete(&self, pod: &Pod) -> Result<(), CallError> {
        if pod.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        match self.cx.world().delete::<Pod>(Some(NAMESPACE), pod.name(), pod.uid_text()).await {
            Err(error) if error.is_not_found() || error.is_precondition() => Ok(()),
            outcome => outcome,
        }
    }

    async fn await_gone(&self) -> Result<(), ActivityError> {
        let until = self.cx.now().plus(END_LIMIT);
        while self.find().await?.is_some() {
            if self.cx.now() >= until {
                let message = format!("pod {} in {NAMESPACE} is not gone yet; is {} alive?", self.name, self.place.node);
                return Err(ActivityError::transient("host-pod-left", message));
            }
            self.cx.sleep(BETWEEN_LOOKS).await;
        }
        Ok(())
    }

    async fn await_running(&self) -> Result<Pod, ActivityError> {
        let until = self.cx.now().plus(START_LIMIT);
        loop {
            let found = self.find().await?;
            let pod = found.ok_or_else(|| {
                ActivityError::transient("host-pod-gone", format!("pod {} was deleted by somebody else; retry", self.name))
            })?;
            if pod.runs() {
                return Ok(pod);
            }
            let why = [&pod.status.message, &pod.status.reason].into_iter().flatten().next().cloned();
            let why = why.unwrap_or_else(|| troubles(std::slice::from_ref(&pod)).join("; "));
            if pod.has_ended() || self.cx.now() >= until {
                let message = format!(
                    "the pod that should reach the disk of {} does not run: {why}; mend that, then retry",
                    self.place.node
                );
                return Err(ActivityError::transient("host-pod-stuck", message));
            }
            self.cx.progress(format!("waiting for a pod on {}: {why}", self.place.node));
            self.cx.sleep(BETWEEN_LOOKS).await;
        }
    }

    fn owner(&self) -> (String, String) {
        let attempt = self.cx.attempt();
        (attempt.run.to_string(), attempt.command.0.to_string())
    }

    /// Asks for as little as moves a directory of another user on a host with SELinux: root, one capability, no network of pods, and
    /// not to be ended gently, so that it is gone when it is deleted.
    fn manifest(&self) -> Value {
        let (run, step) = self.owner();
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": self.name, "namespace": NAMESPACE, "labels": {OURS.0: OURS.1},
                "annotations": {RUN: run, STEP: step},
            },
            "spec": {
                "nodeName": self.place.node, "hostNetwork": true, "tolerations": [{"operator": "Exists"}],
                "restartPolicy": "Never", "activeDeadlineSeconds": LIFE_SECONDS, "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": false, "enableServiceLinks": false,
                "containers": [{
                    "name": CONTAINER, "image": self.image, "imagePullPolicy": "IfNotPresent",
                    "command": ["sleep", LIFE_SECONDS.to_string()],
                    "volumeMounts": [{"name": "origin", "mountPath": Self::MOUNTED}],
                    "securityContext": {
                        "runAsUser": 0, "runAsNonRoot": false, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                        "capabilities": {"drop": ["ALL"], "add": ["DAC_OVERRIDE"]}, "seLinuxOptions": {"type": "spc_t"},
                    },
                }],
                "volumes": [{"name": "origin", "hostPath": {"path": PARENT, "type": "DirectoryOrCreate"}}],
            },
        })
    }
}
