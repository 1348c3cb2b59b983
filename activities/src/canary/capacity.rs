//! Whether the pods of a wave find room elsewhere while its nodes are down. Pure.

use std::collections::BTreeSet;

use super::spec::OnFailure;
use super::wave::Wave;
use crate::drain::{Lack, Places};
use crate::views::{Node, Pod, View as _};

/// How many pods one line names.
const NAMED: usize = 4;

/// Waves whose pods find no room: while as many nodes are down as may be at once, or all of them where a failed wave is drained.
pub(super) fn crowded(waves: &[Wave], on_failure: OnFailure, nodes: &[Node], pods: &[Pod]) -> Vec<String> {
    let places = Places::new(nodes, pods, &[]);
    waves.iter().filter_map(|wave| lacking(wave, on_failure, &places, pods)).collect()
}

fn lacking(wave: &Wave, on_failure: OnFailure, places: &Places<'_>, pods: &[Pod]) -> Option<String> {
    let (count, when) = match on_failure {
        OnFailure::Hold => (wave.at_once(), "down at once"),
        OnFailure::Drain => (wave.nodes.len(), "drained after a failure"),
    };
    let load = |node: &str| on(node, pods).iter().map(|pod| pod.requests("memory")).sum::<i128>();
    let mut largest: Vec<&str> = wave.nodes.iter().map(|node| node.name.as_str()).collect();
    largest.sort_by_cached_key(|node| (std::cmp::Reverse(load(node)), *node));
    let gone: BTreeSet<&str> = largest.into_iter().take(count).collect();
    let evicted: Vec<&Pod> = gone.iter().flat_map(|node| on(node, pods)).collect();
    // A pod that is tied to its node has no place whatever the size of the wave; the preflight tells of those.
    let left: Vec<String> = places
        .lacking(&gone, &evicted)
        .into_iter()
        .filter(|(_, lack)| *lack == Lack::Room)
        .map(|(pod, _)| format!("{}/{}", pod.namespace_name(), pod.name()))
        .collect();
    if left.is_empty() {
        return None;
    }
    let named = left.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if left.len() > NAMED { format!(" and {} more", left.len() - NAMED) } else { String::new() };
    Some(format!(
        "wave {}: with {} of its {} nodes {when} no capacity is left for {named}{more}; make it smaller, add nodes or scale something down",
        wave.name,
        gone.len(),
        wave.nodes.len()
    ))
}

fn on<'p>(node: &str, pods: &'p [Pod]) -> Vec<&'p Pod> {
    pods.iter().filter(|pod| pod.spec.node_name.as_deref() == Some(node) && pod.must_be_evicted()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::wave::CanaryNode;
    use super::super::wave::fixtures::wave;
    use super::*;

    /// Four workers with four cores each, on each of which a pod asks for so many.
    fn check(cores: &str, on_failure: OnFailure, names: &[&str], limit: Option<&str>, expect: Option<&str>) {
        let name = |index: usize| format!("worker-{index}");
        let node = |index: usize| -> Node {
            let ready = json!({"type": "Ready", "status": "True"});
            let allocatable = json!({"cpu": "4", "memory": "16Gi", "pods": "250"});
            serde_json::from_value(
                json!({"metadata": {"name": name(index)}, "status": {"conditions": [ready], "allocatable": allocatable}}),
            )
            .unwrap()
        };
        let pod = |index: usize| -> Pod {
            let owners = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop", "uid": "u"}]);
            let requests = json!({"cpu": cores, "memory": format!("{}Gi", index + 1)});
            serde_json::from_value(json!({
                "metadata": {"name": format!("shop-{index}"), "namespace": "shop", "ownerReferences": owners},
                "spec": {"nodeName": name(index), "containers": [{"name": "c", "resources": {"requests": requests}}]},
                "status": {"phase": "Running"},
            }))
            .unwrap()
        };
        let nodes: Vec<Node> = (0..4).map(node).collect();
        let pods: Vec<Pod> = (0..4).map(pod).collect();
        let chosen =
            |name: &&str| CanaryNode { name: (*name).into(), boot_id: "b0".to_owned(), rendered: "rendered-worker-r0".into() };
        let wave = Wave { nodes: names.iter().map(chosen).collect(), max_unavailable: limit.map(str::to_owned), ..wave() };
        let problems = crowded(&[wave], on_failure, &nodes, &pods);
        assert_eq!(problems.first().map(|problem| problem.split(';').next().unwrap_or_default()), expect);
    }

    #[test]
    fn a_wave_that_leaves_no_room_for_its_pods_is_seen() {
        let (two, three) = (["worker-0", "worker-1"], ["worker-0", "worker-1", "worker-2"]);
        check("2", OnFailure::Hold, &two, None, None);
        check("2", OnFailure::Drain, &two, None, None);
        check("2", OnFailure::Hold, &three, None, None);
        let drained =
            "wave canary: with 3 of its 3 nodes drained after a failure no capacity is left for shop/shop-1, shop/shop-0";
        check("2", OnFailure::Drain, &three, None, Some(drained));
        let all_at_once = "wave canary: with 3 of its 3 nodes down at once no capacity is left for shop/shop-1, shop/shop-0";
        check("2", OnFailure::Hold, &three, Some("100%"), Some(all_at_once));
        check("2", OnFailure::Hold, &three, Some("40%"), None);
        let full = "wave canary: with 1 of its 2 nodes down at once no capacity is left for shop/shop-1";
        check("3", OnFailure::Hold, &two, None, Some(full));
    }
}
