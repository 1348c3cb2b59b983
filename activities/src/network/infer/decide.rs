//! From a picture to the step at which a migration was left: pure, and never a guess.

use std::time::Duration;

use windlass_engine::Timestamp;

use super::super::NetworkPlugin;
use super::super::reboot::{Boot, Boots};
use super::picture::{Picture, Seen};
use super::{Inferred, Step};

/// The clocks of hosts and of the API server may differ by so much; a boot this near to the switch tells nothing.
const SKEW: Duration = Duration::from_secs(60);

/// Judges a picture.
pub(super) fn decide(picture: &Picture) -> Inferred {
    let fates = Fates::of(picture);
    let boots = |seen: &[&Seen]| -> Vec<Boot> { seen.iter().map(|node| node.boot.clone()).collect() };
    let (control_plane, workers): (Vec<&Seen>, Vec<&Seen>) = fates.left.iter().partition(|node| node.control_plane);
    let of = |rendered: bool| picture.pools.iter().filter(move |pool| pool.1 == rendered).map(|pool| pool.0.clone()).collect();
    let mut inferred = Inferred {
        step: None,
        evidence: evidence(picture, &fates),
        refusals: Vec::new(),
        done: Vec::new(),
        next: Vec::new(),
        unrendered: of(false),
        rendered: of(true),
        left: Boots::default(),
        old_namespace: picture.old_namespace.as_ref().map(|(uid, _)| uid.clone()),
    };
    match standing(picture, &fates) {
        Ok(step) => {
            inferred.step = Some(step);
            (inferred.done, inferred.next) = in_words(picture, &fates, step);
            if step == Step::Switched {
                inferred.left = Boots { control_plane: boots(&control_plane), workers: boots(&workers) };
            }
        }
        Err(refusals) => inferred.refusals = refusals,
    }
    inferred
}

/// Which nodes have rebooted since the switch.
struct Fates<'a> {
    rebooted: Vec<&'a Seen>,
    left: Vec<&'a Seen>,
    /// Those of which it can't be told, with the reason.
    unknown: Vec<(&'a Seen, String)>,
}

impl<'a> Fates<'a> {
    fn of(picture: &'a Picture) -> Self {
        let mut fates = Self { rebooted: Vec::new(), left: Vec::new(), unknown: Vec::new() };
        for node in picture.nodes.iter().filter(|_| picture.applied == picture.to.name()) {
            match has_rebooted(picture, node) {
                Ok(true) => fates.rebooted.push(node),
                Ok(false) => fates.left.push(node),
                Err(why) => fates.unknown.push((node, why)),
            }
        }
        fates
    }
}

/// Whether a node runs since after the switch. A namespace may be older than the switch, daemons may be younger: what lies between is
/// not told by either.
fn has_rebooted(picture: &Picture, node: &Seen) -> Result<bool, String> {
    let booted = node.booted.clone()?;
    let (Some(namespace), Some(daemons)) = (picture.new_namespace, picture.new_daemons) else {
        return Err("nothing tells when the network was switched".to_owned());
    };
    let (first, last) = (namespace.min(daemons), namespace.max(daemons));
    if booted >= last.plus(SKEW) {
        Ok(true)
    } else if booted.plus(SKEW) <= first {
        Ok(false)
    } else {
        Err(format!("it runs since {booted}, too near to the switch, which was at {}", between(first, last)))
    }
}

fn between(first: Timestamp, last: Timestamp) -> String {
    if last.since(first) <= SKEW { first.to_string() } else { format!("some time from {first} to {last}") }
}

/// The step, or why nobody should go on from here.
fn standing(picture: &Picture, fates: &Fates<'_>) -> Result<Step, Vec<String>> {
    let one = |line: String| Err(vec![line]);
    let (from, to) = (picture.from.name(), picture.to.name());
    if let Some(otherwise) = picture.otherwise {
        return one(format!("{otherwise} is under way, which this procedure does not go on with; finish it as it was begun"));
    }
    if let Some(refused) = &picture.refused {
        let look = "`oc get clusteroperator network -o yaml`";
        return one(format!("the network operator refuses what it is told: {refused} Take that back ({look}), then adopt again"));
    }
    if picture.nodes.is_empty() {
        return one("the cluster shows no nodes; look at `oc get nodes`".to_owned());
    }
    if !picture.asked.is_empty() && picture.asked != to {
        return one(format!("a migration to {} is asked for, not to {to}; find out by whom, and finish that one", picture.asked));
    }
    match picture.applied.as_str() {
        applied if applied == from => before_the_switch(picture),
        applied if applied == to => after_the_switch(picture, fates),
        other => one(format!("the cluster's network is {other}, neither {from} nor {to}")),
    }
}

fn before_the_switch(picture: &Picture) -> Result<Step, Vec<String>> {
    let one = |line: String| Err(vec![line]);
    let (from, to) = (picture.from.name(), picture.to.name());
    if picture.new_daemons.is_some() {
        let (namespace, daemons) = (picture.to.namespace(), picture.to.daemons());
        return one(format!(
            "{from} is applied, and {namespace} has the daemons of {to}; they contradict each other: look at \
             `oc get clusteroperator network` and `oc -n {namespace} get daemonset {daemons}`, and find out who put them there"
        ));
    }
    if picture.wished == to {
        return one(format!(
            "spec.networkType is {to} and {from} is still applied: the network operator is at it; wait until \
             `oc get network.config cluster -o jsonpath='{{.status.networkType}}'` says {to}, then adopt again"
        ));
    }
    if picture.wished != from {
        return one(format!("spec.networkType is {}, neither {from} nor {to}; set it back to {from} first", picture.wished));
    }
    let prepared = picture.nodes.iter().filter(|node| node.unprepared.is_none()).count();
    if picture.asked.is_empty() {
        if prepared == 0 && picture.accepted.is_empty() {
            let workflow = workflow(picture.from);
            return one(format!("nothing of a migration to {to} has begun; `windlass start {workflow}` makes it from the start"));
        }
        return one(format!(
            "nobody asks for a migration any more, and {prepared} of {} nodes are prepared for {to}: they are on their way back; wait \
             until `oc get mcp` shows every pool updated, then `windlass start {}`",
            picture.nodes.len(),
            workflow(picture.from)
        ));
    }
    let all = prepared == picture.nodes.len() && picture.accepted == to;
    Ok(if all { Step::Prepared } else { Step::Preparing })
}

fn after_the_switch(picture: &Picture, fates: &Fates<'_>) -> Result<Step, Vec<String>> {
    let one = |line: String| Err(vec![line]);
    let to = picture.to.name();
    if picture.wished != picture.applied {
        return one(format!(
            "{to} is applied and spec.networkType is {}: somebody switches it back; find out who, and let one of you finish",
            picture.wished
        ));
    }
    if picture.asked != picture.accepted || picture.old_daemons || picture.new_daemons.is_none() {
        return one(
            "the network operator has not yet done what it is told; wait until `oc get clusteroperator network` is not progressing, \
             then adopt again"
                .to_owned(),
        );
    }
    if picture.is_clean() && picture.unwell.is_empty() {
        return Ok(Step::Done);
    }
    if !fates.unknown.is_empty() {
        let look = |(node, why): &(&Seen, String)| {
            let name = &node.boot.node;
            format!(
                "whether {name} has rebooted since the switch can't be told: {why}; look at it with \
                 `oc debug node/{name} -- chroot /host uptime -s`, reboot it by hand if it has not, then adopt again"
            )
        };
        return Err(fates.unknown.iter().map(look).collect());
    }
    if picture.asked.is_empty() && !fates.left.is_empty() {
        let node = &fates.left[0].boot.node;
        return one(format!(
            "the migration was ended, and {} have not rebooted since the switch: they contradict each other, and nothing is done of itself; \
             reboot each of them by hand (`oc debug node/{node} -- chroot /host shutdown -r +1`), then adopt again",
            names(&fates.left)
        ));
    }
    let lost: Vec<String> =
        fates.left.iter().filter_map(|node| node.unprepared.as_ref()).map(|why| without_network(why)).collect();
    if !lost.is_empty() {
        return Err(lost);
    }
    Ok(match (picture.asked.is_empty(), fates.left.is_empty()) {
        (false, false) => Step::Switched,
        (false, true) => Step::Rebooted,
        (true, _) if picture.is_clean() => Step::Done,
        (true, _) => Step::CleanedInPart,
    })
}

fn without_network(why: &str) -> String {
    format!("{why}: it would come back from its reboot without a network; have its pool rolled out first, then adopt again")
}

/// The workflow that leads away from a plugin.
fn workflow(from: NetworkPlugin) -> &'static str {
    match from {
        NetworkPlugin::OpenShiftSdn => "sdn-to-ovn",
        NetworkPlugin::OvnKubernetes => "ovn-to-sdn",
        NetworkPlugin::Kuryr => "kuryr-to-ovn",
    }
}

fn evidence(picture: &Picture, fates: &Fates<'_>) -> Vec<String> {
    let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
    let there = |is: bool| if is { "there" } else { "not there" };
    let mut lines = vec![
        format!(
            "network.config: spec.networkType {}, status.networkType {}, status.migration {}",
            picture.wished,
            picture.applied,
            or_none(&picture.accepted)
        ),
        format!(
            "network.operator: spec.migration {}, settings of {} {}",
            or_none(&picture.asked),
            picture.from.name(),
            there(picture.old_settings)
        ),
    ];
    for (pool, prepares) in &picture.pools {
        let paused = if pool.paused { ", paused" } else { "" };
        let not = if *prepares { "prepares them" } else { "does not prepare them" };
        lines.push(format!("pool {}: {} nodes, target {}, which {not}{paused}", pool.name, pool.nodes, pool.target));
    }
    let unprepared: Vec<&str> = picture.nodes.iter().filter_map(|node| node.unprepared.as_deref()).collect();
    let prepared = picture.nodes.len() - unprepared.len();
    lines.push(format!("{prepared} of {} nodes are prepared for {}", picture.nodes.len(), picture.to));
    lines.extend(unprepared.into_iter().map(str::to_owned));
    let namespace = picture.old_namespace.as_ref();
    let going = namespace.is_some_and(|(_, going)| *going);
    let state = if going { "there, being deleted" } else { there(namespace.is_some()) };
    lines.push(format!("namespace {}: {state}, its daemons {}", picture.from.namespace(), there(picture.old_daemons)));
    let since = |at: Option<Timestamp>| at.map_or_else(|| "not there".to_owned(), |at| format!("since {at}"));
    let (namespace, daemons) = (since(picture.new_namespace), since(picture.new_daemons));
    lines.push(format!("namespace {}: {namespace}, its daemons {daemons}", picture.to.namespace()));
    if picture.applied == picture.to.name() {
        let since = |node: &Seen| node.booted.as_ref().map_or_else(Clone::clone, ToString::to_string);
        lines
            .extend(fates.rebooted.iter().map(|node| format!("{} runs since {}, after the switch", node.boot.node, since(node))));
        lines.extend(fates.left.iter().map(|node| format!("{} runs since {}, before the switch", node.boot.node, since(node))));
    }
    let unwell = if picture.unwell.is_empty() { "none".to_owned() } else { picture.unwell.join(", ") };
    lines.push(format!("operators that are not well: {unwell}"));
    lines
}

/// What is done and not made again, and what would be done next.
fn in_words(picture: &Picture, fates: &Fates<'_>, step: Step) -> (Vec<String>, Vec<String>) {
    let (from, to, count) = (picture.from, picture.to, picture.nodes.len());
    let asked = format!("asking for the migration to {to}");
    let prepared = format!("preparing the {count} nodes, with the reboot that each made for it");
    let switched = format!("the switch from {from} to {to}");
    let clean = format!("end the migration, take the settings of {from} away, delete namespace {}", from.namespace());
    let switch = format!("switch the network from {from} to {to}, after gate switch-network and in a window if one is named");
    let reboot = format!("tell each of the {count} nodes to reboot once");
    let wait = "wait until every pool has rolled out, and prove that every node is prepared".to_owned();
    match step {
        Step::Preparing => (vec![asked], vec![wait, switch, reboot, clean]),
        Step::Prepared => (vec![asked, prepared], vec![switch, reboot, clean]),
        Step::Switched => {
            let tell = format!("tell {} to reboot once", names(&fates.left));
            let mut done = vec![asked, prepared, switched];
            if !fates.rebooted.is_empty() {
                done.push(format!("the reboot of {}", names(&fates.rebooted)));
            }
            (done, vec![tell, clean])
        }
        Step::Rebooted => (vec![asked, prepared, switched, format!("the reboot of all {count} nodes")], vec![clean]),
        Step::CleanedInPart => {
            let settings = picture.old_settings.then(|| format!("take the settings of {from} away"));
            let namespace = picture.old_namespace.as_ref().map(|_| format!("delete namespace {}", from.namespace()));
            let done = vec![switched, format!("the reboot of all {count} nodes"), "ending the migration".to_owned()];
            (done, [settings, namespace].into_iter().flatten().collect())
        }
        Step::Done => (vec!["everything".to_owned()], vec!["wait until the cluster is well".to_owned()]),
    }
}

fn names(nodes: &[&Seen]) -> String {
    nodes.iter().map(|node| node.boot.node.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
