//! The scheduler: which node takes a pod, and why none does.

use serde_json::Value;

use super::Cx;
use super::mirror::Pod;
use crate::store::resources::{PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES};
use crate::world::json::{cordoned, node_ready, selects, text};

/// Processor and memory: what a pod asks for, or what a node has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) cpu_millis: u64,
    pub(super) memory_mib: u64,
}

impl Amount {
    /// What the containers of a pod ask for together.
    pub(super) fn requested(pod: &Value) -> Self {
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        containers.map(|c| Self::read(&c["resources"]["requests"])).fold(Self::default(), Self::plus)
    }

    fn read(resources: &Value) -> Self {
        Self { cpu_millis: cpu_millis(text(resources, "/cpu")), memory_mib: memory_mib(text(resources, "/memory")) }
    }

    fn plus(self, other: Self) -> Self {
        Self { cpu_millis: self.cpu_millis + other.cpu_millis, memory_mib: self.memory_mib + other.memory_mib }
    }
}

/// The pods of a node, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// What they ask for.
    pub(super) requested: Amount,
    /// How many there are.
    pub(super) pods: u64,
}

impl Load {
    /// Counts one more pod.
    pub(super) fn add(&mut self, requests: Amount) {
        self.requested = self.requested.plus(requests);
        self.pods += 1;
    }

    /// Counts one pod less.
    pub(super) fn remove(&mut self, requests: Amount) {
        self.requested.cpu_millis = self.requested.cpu_millis.saturating_sub(requests.cpu_millis);
        self.requested.memory_mib = self.requested.memory_mib.saturating_sub(requests.memory_mib);
        self.pods = self.pods.saturating_sub(1);
    }
}

/// Processors as objects write them: `2`, `1500m`.
fn cpu_millis(text: &str) -> u64 {
    match text.strip_suffix('m') {
        Some(millis) => millis.parse().unwrap_or(0),
        None => text.parse::<u64>().unwrap_or(0) * 1000,
    }
}

/// Memory as objects write it, in whole MiB: `1Gi`, `128Mi`, `30981228Ki`, or bytes.
fn memory_mib(text: &str) -> u64 {
    let (number, mib): (&str, fn(u64) -> u64) = match text.char_indices().find(|(_, c)| c.is_ascii_alphabetic()) {
        None => (text, |n| n / 1024 / 1024),
        Some((at, _)) => match &text[at..] {
            "Ki" => (&text[..at], |n| n / 1024),
            "Mi" => (&text[..at], |n| n),
            "Gi" => (&text[..at], |n| n * 1024),
            "Ti" => (&text[..at], |n| n * 1024 * 1024),
            _ => ("", |n| n),
        },
    };
    mib(number.parse().unwrap_or(0))
}

/// Why nodes do not take a pod, and how many for each reason.
#[derive(Default)]
struct Refused {
    selector: usize,
    volume: usize,
    apart: usize,
    cordoned: usize,
    not_ready: usize,
    cpu: usize,
    memory: usize,
    pods: usize,
}

impl Refused {
    fn sentence(&self, nodes: usize) -> String {
        let reasons = [
            (self.selector, "node(s) didn't match Pod's node affinity/selector"),
            (self.volume, "node(s) had volume node affinity conflict"),
            (self.apart, "node(s) didn't match pod anti-affinity rules"),
            (self.cordoned, "node(s) were unschedulable"),
            (self.not_ready, "node(s) were not ready"),
            (self.cpu, "Insufficient cpu"),
            (self.memory, "Insufficient memory"),
            (self.pods, "Too many pods"),
        ];
        let told: Vec<String> = reasons.iter().filter(|(n, _)| *n > 0).map(|(n, why)| format!("{n} {why}")).collect();
        format!("0/{nodes} nodes are available: {}.", told.join(", "))
    }
}

/// The scheduler, with the pods that it placed and that the mirror does not show on their nodes yet.
#[derive(Debug, Default)]
pub(super) struct Scheduler {
    placed: Vec<(String, Pod)>,
}

impl Scheduler {
    /// Forgets what it placed; the mirror has caught up.
    pub(super) fn caught_up(&mut self) {
        self.placed.clear();
    }

    /// The node for a pod: one that takes it, with the fewest pods of the same owner, then of all; or why there is none.
    pub(super) fn choose(&mut self, cx: &Cx<'_>, ns: &str, pod: &Pod) -> Result<String, String> {
        let home = volume_home(cx, ns, &pod.object);
        let siblings = self.siblings(cx, ns, pod);
        let mut refused = Refused::default();
        let mut best: Option<((usize, u64), &String)> = None;
        for (name, node) in &cx.mirror.nodes {
            let load = self.load(cx, name);
            let crowded = self.keeps_away(cx, ns, name, pod);
            if !takes((name, node), load, pod, (home.as_deref(), crowded), &mut refused) {
                continue;
            }
            let rank = (siblings.iter().filter(|n| *n == name).count(), load.pods);
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, name));
            }
        }
        let node = best.map(|(_, name)| name.clone()).ok_or_else(|| refused.sentence(cx.mirror.nodes.len()))?;
        self.placed.push((node.clone(), pod.clone()));
        Ok(node)
    }

    /// Whether a node has a pod that this one must not be beside, even one that is about to go.
    fn keeps_away(&self, cx: &Cx<'_>, ns: &str, node: &str, pod: &Pod) -> bool {
        let rules = pod.object.pointer("/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution");
        let Some(rules) = rules.and_then(Value::as_array) else { return false };
        let there = cx.mirror.pods_on(node).filter(|((other_ns, _), _)| other_ns == ns).map(|(_, other)| other);
        let placed = self.placed.iter().filter(|(at, _)| at == node).map(|(_, other)| other);
        there.chain(placed).any(|other| {
            let labels = &other.object["metadata"]["labels"];
            text(&other.object, "/metadata/namespace") == ns && rules.iter().any(|rule| selects(&rule["labelSelector"], labels))
        })
    }

    /// The nodes of the pods that share the pod's owner, one for each.
    fn siblings(&self, cx: &Cx<'_>, ns: &str, pod: &Pod) -> Vec<String> {
        let Some((_, owner)) = &pod.owner else { return vec![] };
        let owner = (ns.to_owned(), owner.clone());
        let settled = cx.mirror.pods_of(&owner).filter(|(_, p)| !p.terminating && !p.node.is_empty());
        let placed = self.placed.iter().filter(|(_, p)| p.owner == pod.owner);
        settled.map(|(_, p)| p.node.clone()).chain(placed.map(|(node, _)| node.clone())).collect()
    }

    fn load(&self, cx: &Cx<'_>, node: &str) -> Load {
        let mut load = cx.mirror.load(node);
        for (_, pod) in self.placed.iter().filter(|(n, _)| n == node) {
            load.add(pod.requests);
        }
        load
    }
}

/// Whether a node that bears this load takes a pod; counts the reason when it doesn't.
fn takes(
    (name, node): (&str, &Value),
    load: Load,
    pod: &Pod,
    (home, crowded): (Option<&str>, bool),
    refused: &mut Refused,
) -> bool {
    let reason = if !admits(node, &pod.object) {
        &mut refused.selector
    } else if home.is_some_and(|home| home != name) {
        &mut refused.volume
    } else if crowded {
        &mut refused.apart
    } else if cordoned(node) {
        &mut refused.cordoned
    } else if !node_ready(node) {
        &mut refused.not_ready
    } else {
        let room = &node["status"]["allocatable"];
        let (needed, has) = (load.requested.plus(pod.requests), Amount::read(room));
        if needed.cpu_millis > has.cpu_millis {
            &mut refused.cpu
        } else if needed.memory_mib > has.memory_mib {
            &mut refused.memory
        } else if text(room, "/pods").parse().is_ok_and(|most: u64| load.pods >= most) {
            &mut refused.pods
        } else {
            return true;
        }
    };
    *reason += 1;
    false
}

/// Whether a node's labels and taints let a pod in.
pub(super) fn admits(node: &Value, pod: &Value) -> bool {
    let labels = &node["metadata"]["labels"];
    let selected = pod["spec"]["nodeSelector"].as_object().is_none_or(|s| s.iter().all(|(k, v)| labels.get(k) == Some(v)));
    // A cordon and a silent kubelet are looked at on their own.
    let of_node = |taint: &&Value| !text(taint, "/key").starts_with("node.kubernetes.io/");
    let tolerated = |taint: &Value| {
        pod["spec"]["tolerations"]
            .as_array()
            .is_some_and(|all| all.iter().any(|t| t["key"].is_null() || t["key"] == taint["key"]))
    };
    selected && node["spec"]["taints"].as_array().is_none_or(|taints| taints.iter().filter(of_node).all(tolerated))
}

/// The one node that a pod's local volume lies on.
fn volume_home(cx: &Cx<'_>, ns: &str, pod: &Value) -> Option<String> {
    let volumes = pod["spec"]["volumes"].as_array()?;
    volumes.iter().find_map(|v| {
        let claim = cx.store.get(&PERSISTENTVOLUMECLAIMS, Some(ns), v.pointer("/persistentVolumeClaim/claimName")?.as_str()?)?;
        let volume = cx.store.get(&PERSISTENTVOLUMES, None, text(&claim, "/spec/volumeName"))?;
        let home = volume.pointer("/spec/nodeAffinity/required/nodeSelectorTerms/0/matchExpressions/0/values/0")?;
        home.as_str().map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_read() {
        for (text, expected) in [("2", 2000), ("1500m", 1500), ("", 0), ("x", 0)] {
            assert_eq!(cpu_millis(text), expected, "{text}");
        }
        for (text, expected) in [("1Gi", 1024), ("128Mi", 128), ("2048Ki", 2), ("1073741824", 1024), ("7Xi", 0), ("", 0)] {
            assert_eq!(memory_mib(text), expected, "{text}");
        }
        let container = |cpu: &str| json!({ "resources": { "requests": { "cpu": cpu, "memory": "1Gi" } } });
        let pod = json!({ "spec": { "containers": [container("100m"), container("1"), {}] } });
        assert_eq!(Amount::requested(&pod), Amount { cpu_millis: 1100, memory_mib: 2048 });
    }
}
