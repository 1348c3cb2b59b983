//! The scheduler: which node takes a pod, and why none does.

use serde_json::Value;

use super::Cx;
use super::mirror::Pod;
use crate::store::resources::{PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES};
use crate::world::json::{cordoned, node_ready, text};

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
        let mut refused = Refused::default();
        let mut best: Option<((usize, usize), &String)> = None;
        for (name, node) in &cx.mirror.nodes {
            if !self.takes(cx, (name, node), pod, home.as_deref(), &mut refused) {
                continue;
            }
            let siblings = self.on(cx, name).filter(|p| p.owner.is_some() && p.owner == pod.owner && !p.terminating).count();
            let load = (siblings, self.on(cx, name).count());
            if best.is_none_or(|(least, _)| load < least) {
                best = Some((load, name));
            }
        }
        let node = best.map(|(_, name)| name.clone()).ok_or_else(|| refused.sentence(cx.mirror.nodes.len()))?;
        self.placed.push((node.clone(), pod.clone()));
        Ok(node)
    }

    fn on<'a>(&'a self, cx: &'a Cx<'_>, node: &'a str) -> impl Iterator<Item = &'a Pod> {
        cx.mirror.pods_on(node).map(|(_, pod)| pod).chain(self.placed.iter().filter(move |(n, _)| n == node).map(|(_, pod)| pod))
    }

    /// Whether a node takes a pod; counts the reason when it doesn't.
    fn takes(&self, cx: &Cx<'_>, (name, node): (&str, &Value), pod: &Pod, home: Option<&str>, refused: &mut Refused) -> bool {
        let reason = if !admits(node, &pod.object) {
            &mut refused.selector
        } else if home.is_some_and(|home| home != name) {
            &mut refused.volume
        } else if cordoned(node) {
            &mut refused.cordoned
        } else if !node_ready(node) {
            &mut refused.not_ready
        } else {
            let (mut used, mut count) = (pod.requests, 1);
            for other in self.on(cx, name) {
                used = used.plus(other.requests);
                count += 1;
            }
            let room = &node["status"]["allocatable"];
            let has = Amount::read(room);
            if used.cpu_millis > has.cpu_millis {
                &mut refused.cpu
            } else if used.memory_mib > has.memory_mib {
                &mut refused.memory
            } else if text(room, "/pods").parse().is_ok_and(|most: u64| count > most) {
                &mut refused.pods
            } else {
                return true;
            }
        };
        *reason += 1;
        false
    }
}

/// Whether a node's labels and taints let a pod in.
fn admits(node: &Value, pod: &Value) -> bool {
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
