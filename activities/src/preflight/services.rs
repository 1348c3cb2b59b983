//! Checks of what serves the cluster itself and may be away with its only node: webhooks and single replicas.

use std::collections::BTreeSet;

use super::{Check, Facts, Findings, Preflight};
use crate::views::{LabelSelector, Pod, Service, View as _};

/// Namespaces of the platform; its own webhooks come back by themselves.
const PLATFORM: &str = "openshift-";

/// Webhooks that fail closed have more than one pod, on more than one node.
pub(super) fn webhooks(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    let mut judged = 0;
    for (configuration, hook) in facts.webhooks.all().iter().filter(|(_, hook)| hook.fails_closed()) {
        let Some(service) = hook.client_config.service.as_ref().filter(|to| !to.namespace.starts_with(PLATFORM)) else {
            continue;
        };
        let Some(answering) = behind(facts, &service.namespace, &service.name) else { continue };
        judged += 1;
        let nodes: BTreeSet<&str> = answering.iter().filter_map(|pod| pod.spec.node_name.as_deref()).collect();
        let who = format!(
            "webhook {} of {configuration} refuses everything while {}/{} is away",
            hook.name, service.namespace, service.name
        );
        match (answering.as_slice(), nodes.len()) {
            ([], _) if hook.guards_drains() => found.block([format!("{who}, and nothing answers there")]),
            ([], _) => found.warn([format!("{who}, and nothing answers there")]),
            ([one], _) if facts.nodes.len() > 1 => {
                found.warn([format!("{who}: only pod {} answers, {}", one.name(), on(&nodes))]);
            }
            (several, 1) if facts.nodes.len() > 1 => {
                found.warn([format!("{who}: all {} pods are {}", several.len(), on(&nodes))]);
            }
            _ => {}
        }
    }
    found.warn(facts.webhooks.unreadable().map(|why| format!("webhooks {why}")));
    found.warn(facts.services.unreadable().map(|why| format!("services {why}")));
    found.fine(format!("{judged} that fail closed, each with pods on several nodes"));
    found.judge(
        "webhooks",
        "webhooks that fail closed stay up while nodes reboot",
        "have the owner add a replica and spread it, or set failurePolicy Ignore for the time of the update",
    )
}

fn on(nodes: &BTreeSet<&str>) -> String {
    nodes.first().map_or_else(|| "on no node".to_owned(), |node| format!("on {node}"))
}

/// The ready pods behind a service; none if it does not choose pods by label.
fn behind<'a>(facts: &'a Facts, namespace: &str, name: &str) -> Option<Vec<&'a Pod>> {
    let is_it = |service: &&Service| service.namespace_name() == namespace && service.name() == name;
    let labels = match facts.services.seen()?.iter().find(is_it) {
        Some(service) if service.spec.selector.is_empty() => return None,
        Some(service) => service.spec.selector.clone(),
        None => return Some(Vec::new()),
    };
    let selector = LabelSelector { match_labels: labels, ..LabelSelector::default() };
    let answers =
        |pod: &&Pod| pod.namespace_name() == namespace && pod.is_ready() && selector.selects(pod.metadata.labels.as_ref());
    Some(facts.pods.iter().filter(answers).collect())
}

/// Ingress, registry and monitoring have more than one replica.
pub(super) fn single_replicas(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    if facts.nodes.len() > 1 {
        let single = facts.replicas.all().iter().filter(|component| component.wished == 1);
        found.warn(
            single.map(|one| format!("{}/{} has a single replica: it is away while its node drains", one.namespace, one.name)),
        );
    }
    found.warn(facts.replicas.unreadable().map(|why| format!("replicas {why}")));
    found.fine(match facts.nodes.len() {
        1 => "a single node: nothing has a second replica".to_owned(),
        _ => format!("{} components of ingress, registry and monitoring, each with several", facts.replicas.all().len()),
    });
    found.judge(
        "single-replicas",
        "ingress, registry and monitoring survive the drain of a node",
        "give the named components a second replica, or tell their users when they are away",
    )
}
