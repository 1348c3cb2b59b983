//! Checks of the platform as a whole: its version, its operators, what it asks of a person.

use std::time::Duration;

use super::{Check, Facts, Findings, Preflight};
use crate::admin_ack::open_gates;
use crate::condition::operator_troubles;
use crate::release::Minor;
use crate::views::{Conditions as _, HistoryState, Status};

/// Windows, deadlines and certificates are reckoned with our clock and the cluster's; more than this needs looking at.
const SKEW_LIMIT: Duration = Duration::from_secs(60);

/// A network plugin goes away with a release: the plugin, and the first minor release without it.
const GONE_PLUGINS: [(&str, u64); 2] = [("Kuryr", 15), ("OpenShiftSDN", 17)];

/// The cluster is one that this way is for: the hops follow its release, its control plane is its own, its network goes along.
pub(super) fn platform(facts: &Facts, plan: &Preflight) -> Check {
    let (mut found, ways) = (Findings::default(), plan.ways());
    let here = facts.version.completed().and_then(|entry| entry.version.parse().ok()).map(|version| Minor::of(&version));
    let mut last = here;
    for hop in &ways {
        let follows = last.is_none_or(|last| *hop == last || *hop == last.plus(1));
        found.block(
            (!follows).then(|| format!("{hop} does not follow {}", last.map(|last| last.to_string()).unwrap_or_default())),
        );
        last = Some(*hop);
    }
    let platform = facts.platform.seen();
    if platform.is_some_and(|platform| platform.status.control_plane_topology == "External") {
        found.block(["the control plane is hosted elsewhere: it is updated there".to_owned()]);
    }
    let plugin = facts.network.seen().map(|network| network.status.network_type.as_str()).unwrap_or_default();
    let gone = GONE_PLUGINS.iter().find(|(name, minor)| *name == plugin && plan.last_hop().minor >= *minor);
    found.block(
        gone.map(|(name, minor)| format!("the network plugin {name} is gone in 4.{minor}: migrate to OVNKubernetes first")),
    );
    found.warn(facts.platform.unreadable().map(|why| format!("the platform {why}")));
    found.warn(facts.network.unreadable().map(|why| format!("the network {why}")));
    let names = ways.iter().map(Minor::to_string).collect::<Vec<_>>().join(" and ");
    let kind = platform.map(|platform| platform.status.platform_status.kind.as_str()).filter(|kind| !kind.is_empty());
    let on = kind.map(|kind| format!(" on {kind}")).unwrap_or_default();
    found.fine(format!("{}{on}, then {names}", here.map_or_else(|| "an unknown release".to_owned(), |here| here.to_string())));
    found.judge(
        "platform",
        "the cluster is one that this update is for",
        "choose the procedure for this cluster, or another target with --to",
    )
}

/// Nothing is under way, nothing failed, nothing was refused.
pub(super) fn version(facts: &Facts, _: &Preflight) -> Check {
    let version = &facts.version;
    let mut found = Findings::default();
    if !version.is_observed() {
        found.blocking.push("the cluster-version operator has not looked at the last change yet".to_owned());
    }
    match version.status.history.first() {
        Some(head) if head.state == HistoryState::Completed => found.fine.push(format!("{} is applied", head.version)),
        Some(head) => found.blocking.push(format!("the update to {} is not completed", head.version)),
        None => found.blocking.push("no release was applied yet".to_owned()),
    }
    for kind in ["Progressing", "Failing", "Invalid"] {
        if let Some(condition) = version.holds(kind) {
            found.blocking.push(format!("{kind}: {}", condition.explanation()));
        }
    }
    if let Some(refused) = version.condition("ReleaseAccepted").filter(|accepted| accepted.status == Status::False) {
        found.blocking.push(format!("the last update asked for was refused: {}", refused.explanation()));
    }
    found.judge("version", "no update is under way, failing or refused", "let `oc adm upgrade` become quiet, then plan again")
}

/// The cluster does not object to a new minor release: acknowledgements (F19), operators that do not go along (F20), a pool
/// Objections that the run itself deals with: a person acknowledges, and credentials that are kept by hand are prepared.
const IN_THE_RUN: [&str; 2] = ["AdminAckRequired", "MissingUpgradeableAnnotation"];

/// that moves (F28), kubelets that are too old (F27), overrides (F30), credentials that are not prepared (F29).
pub(super) fn upgradeable(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    match facts.version.condition("Upgradeable").filter(|upgradeable| upgradeable.status == Status::False) {
        None => found.fine.push("Upgradeable is not false".to_owned()),
        Some(objection) if IN_THE_RUN.contains(&objection.reason.as_str()) => {
            found.worrying.push(objection.explanation().to_owned());
        }
        Some(objection) => found.blocking.push(format!("{}: {}", objection.reason, objection.explanation())),
    }
    for (operator, objection) in facts.operators.iter().filter_map(|o| Some((o, o.condition("Upgradeable")?))) {
        if objection.status == Status::False {
            let name = crate::views::View::name(operator);
            found.worrying.push(format!("operator {name} objects ({}): {}", objection.reason, objection.explanation()));
        }
    }
    found.judge("upgradeable", "the cluster accepts a new minor release", "remove what the message names, then plan again")
}

/// What a person has to attest before the next minor release.
pub(super) fn acknowledgements(facts: &Facts, _: &Preflight) -> Check {
    let gates = open_gates(&facts.version, &facts.gates, &facts.acks);
    let mut found = Findings::default();
    found.worrying.extend(gates.missing.iter().map(|gate| format!("{}: {}", gate.key, gate.text)));
    found.fine.push(format!("{} acknowledged, none missing for this release", gates.acknowledged.len()));
    found.judge(
        "acknowledgements",
        "administrator acknowledgements are given",
        "check what the text says; the run asks for each, and for those of the second hop once the first is done",
    )
}

/// Every operator is available, not degraded and at rest.
pub(super) fn operators(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    if facts.operators.is_empty() {
        found.blocking.push("the cluster shows no operators".to_owned());
    }
    let troubles = facts.operators.iter().flat_map(|operator| operator_troubles(operator, facts.now));
    found.blocking.extend(troubles.map(|trouble| trouble.to_string()));
    found.fine.push(format!("{} operators available, not degraded, at rest", facts.operators.len()));
    found.judge("operators", "cluster operators are healthy", "bring the named operators to rest, then plan again")
}

/// Our clock and the cluster's agree.
pub(super) fn clock(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    let seconds = facts.clock_skew.as_secs();
    if facts.clock_skew > SKEW_LIMIT {
        found.worrying.push(format!("this machine's clock and the cluster's are {seconds} s apart"));
    }
    found.fine.push(format!("{seconds} s apart"));
    found.judge("clock", "this machine's clock and the cluster's agree", "synchronise this machine's clock: windows follow it")
}
