//! How far a rollout is: the status of a workload as `kubectl rollout status` judges it, and what its pods say themselves.

use crate::views::{Condition, ContainerStatus, DaemonSet, Deployment, Pod, Status, View as _};

/// How far a rollout is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// Every pod is one of the newest template, and available.
    Done,
    /// Not yet, and why.
    Waiting(String),
    /// Its controller has given up to wait for it.
    Stuck(String),
}

/// Judges the rollout of a Deployment.
pub(super) fn of_deployment(deployment: &Deployment) -> Progress {
    let (status, wished) = (&deployment.status, deployment.spec.replicas.unwrap_or(1));
    if deployment.generation() > status.observed_generation {
        return Progress::Waiting("its change is not observed yet".to_owned());
    }
    let given_up = |condition: &&Condition| condition.kind == "Progressing" && condition.reason == "ProgressDeadlineExceeded";
    if let Some(condition) = status.conditions.iter().find(given_up) {
        return Progress::Stuck(condition.explanation().to_owned());
    }
    if status.updated_replicas < wished {
        return Progress::Waiting(format!("{} of {wished} pods are new", status.updated_replicas));
    }
    if status.replicas > status.updated_replicas {
        return Progress::Waiting(format!("{} old pods are there still", status.replicas - status.updated_replicas));
    }
    if status.available_replicas < status.updated_replicas {
        return Progress::Waiting(format!("{} of {} new pods are available", status.available_replicas, status.updated_replicas));
    }
    Progress::Done
}

/// Judges the rollout of a DaemonSet that replaces its pods itself.
pub(super) fn of_daemon_set(set: &DaemonSet) -> Progress {
    let (status, wished) = (&set.status, set.status.desired_number_scheduled);
    if !is_observed(set) {
        return Progress::Waiting("its change is not observed yet".to_owned());
    }
    if status.updated_number_scheduled < wished {
        return Progress::Waiting(format!("{} of {wished} pods are new", status.updated_number_scheduled));
    }
    if status.number_available < wished {
        return Progress::Waiting(format!("{} of {wished} pods are available", status.number_available));
    }
    Progress::Done
}

/// Whether the controller has seen the newest wish.
pub(super) fn is_observed(set: &DaemonSet) -> bool {
    set.generation() <= set.status.observed_generation
}

/// What keeps pods from being ready, one line each, by name.
pub(super) fn troubles(pods: &[Pod]) -> Vec<String> {
    let mut pods: Vec<&Pod> = pods.iter().filter(|pod| !pod.is_ready() && pod.metadata.deletion_timestamp.is_none()).collect();
    pods.sort_by_key(|pod| pod.name());
    pods.into_iter().map(|pod| format!("pod {}{} {}", pod.name(), place(pod), trouble(pod))).collect()
}

fn place(pod: &Pod) -> String {
    pod.spec.node_name.as_ref().map(|node| format!(" on {node}")).unwrap_or_default()
}

fn trouble(pod: &Pod) -> String {
    let unscheduled = |one: &&Condition| one.kind == "PodScheduled" && one.status == Status::False;
    if let Some(condition) = pod.status.conditions.iter().find(unscheduled) {
        return format!("finds no node: {}", condition.explanation());
    }
    if let Some(words) = pod.status.containers.iter().find_map(stopped) {
        return words;
    }
    let unready = pod.status.conditions.iter().find(|one| one.kind == "Ready");
    match (unready.filter(|one| !one.message.is_empty()), pod.status.phase.as_deref()) {
        (Some(condition), _) => format!("is not ready: {}", condition.message),
        (None, Some(phase)) => format!("is not ready: {phase}"),
        (None, None) => "is not ready".to_owned(),
    }
}

/// Why a container does not run, with the last that it said, because that has the cause and the back-off has not.
fn stopped(container: &ContainerStatus) -> Option<String> {
    let waiting = container.state.waiting.as_ref();
    let ended = container.state.terminated.as_ref().or(container.last_state.terminated.as_ref());
    let reason = waiting.map(|waiting| waiting.reason.as_str()).or(container.state.terminated.as_ref().map(|_| "ended"))?;
    let more = match (ended, waiting) {
        (Some(ended), _) => {
            let said = [ended.message.trim(), ended.reason.as_str()].into_iter().find(|text| !text.is_empty());
            let said = said.map(|said| format!(": {said}")).unwrap_or_default();
            format!(", {} starts, ended with {}{said}", container.restart_count + 1, ended.exit_code)
        }
        (None, Some(waiting)) if !waiting.message.is_empty() => format!(": {}", waiting.message),
        (None, _) => String::new(),
    };
    Some(format!("({}) is not ready: {reason}{more}", container.name))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn words(progress: &Progress) -> String {
        match progress {
            Progress::Done => "done".to_owned(),
            Progress::Waiting(why) => format!("waiting: {why}"),
            Progress::Stuck(why) => format!("stuck: {why}"),
        }
    }

    /// Seen to fail with: the generation not looked at; old pods that end not counted; available pods compared with ready ones.
    #[test]
    fn a_deployment_is_judged_as_kubectl_does() {
        let check = |generation: i64, counts: [i32; 3], reason: &str, expect: &str| {
            let conditions = json!([{"type": "Progressing", "status": "True", "reason": reason, "message": "as told"}]);
            let status = json!({"observedGeneration": 4, "replicas": counts[0], "updatedReplicas": counts[1],
                "readyReplicas": counts[1], "availableReplicas": counts[2], "conditions": conditions});
            let object = json!({"metadata": {"generation": generation}, "spec": {"replicas": 3}, "status": status});
            assert_eq!(words(&of_deployment(&serde_json::from_value(object).unwrap())), expect);
        };
        check(4, [3, 3, 3], "", "done");
        check(5, [3, 3, 3], "", "waiting: its change is not observed yet");
        check(5, [3, 3, 3], "ProgressDeadlineExceeded", "waiting: its change is not observed yet");
        check(4, [3, 3, 2], "ProgressDeadlineExceeded", "stuck: as told");
        check(4, [3, 2, 2], "", "waiting: 2 of 3 pods are new");
        check(4, [4, 3, 3], "", "waiting: 1 old pods are there still");
        check(4, [3, 3, 2], "", "waiting: 2 of 3 new pods are available");
    }

    #[test]
    fn a_daemon_set_is_judged_as_kubectl_does() {
        let check = |generation: i64, updated: i32, available: i32, expect: &str| {
            let status = json!({"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": updated,
                "numberReady": 3, "numberAvailable": available});
            let object = json!({"metadata": {"generation": generation}, "status": status});
            assert_eq!(words(&of_daemon_set(&serde_json::from_value(object).unwrap())), expect);
        };
        check(2, 3, 3, "done");
        check(3, 3, 3, "waiting: its change is not observed yet");
        check(2, 2, 3, "waiting: 2 of 3 pods are new");
        check(2, 3, 2, "waiting: 2 of 3 pods are available");
    }

    #[test]
    fn a_pod_says_what_holds_it_up() {
        let check = |status: Value, expect: &[&str]| {
            let pod = json!({"metadata": {"name": "c-1"}, "spec": {"nodeName": "b"}, "status": status});
            assert_eq!(troubles(&[serde_json::from_value(pod).unwrap()]), expect);
        };
        check(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}), &[]);
        check(json!({"phase": "Pending"}), &["pod c-1 on b is not ready: Pending"]);
        check(
            json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]}),
            &["pod c-1 on b finds no node: 0/3 nodes"],
        );
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}});
        let ended = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "host ip not in env NODE_IPS\n"}});
        let crashing = json!({"name": "main", "restartCount": 3, "state": waiting, "lastState": ended});
        check(
            json!({"containerStatuses": [crashing]}),
            &["pod c-1 on b (main) is not ready: CrashLoopBackOff, 4 starts, ended with 1: host ip not in env NODE_IPS"],
        );
        let pulling = json!({"name": "main", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}});
        check(json!({"containerStatuses": [pulling]}), &["pod c-1 on b (main) is not ready: ImagePullBackOff: no such image"]);
    }
}
