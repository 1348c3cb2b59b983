//! Checks of the platform as a whole: its version, its operators, what it asks of a person.

use std::time::Duration;

use super::{Check, Facts, Findings, Preflight};
use crate::admin_ack::open_gates;
use crate::condition::operator_troubles;
use crate::views::{Conditions as _, HistoryState, Status};

/// Windows, deadlines and certificates are reckoned with our clock and the cluster's; more than this needs looking at.
const SKEW_LIMIT: Duration = Duration::from_secs(60);

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

/// The cluster does not object to a new minor release.
pub(super) fn upgradeable(facts: &Facts, _: &Preflight) -> Check {
    let mut found = Findings::default();
    match facts.version.condition("Upgradeable").filter(|upgradeable| upgradeable.status == Status::False) {
        None => found.fine.push("Upgradeable is not false".to_owned()),
        // A person gives the acknowledgement in the course of the run.
        Some(objection) if objection.reason == "AdminAckRequired" => found.worrying.push(objection.explanation().to_owned()),
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
