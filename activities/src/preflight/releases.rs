//! Checks of the way and of the releases on it: offered, with which risks, signed and within reach; and what goes along with them.

use semver::Version;

use super::{Check, Facts, Findings, Preflight};
use crate::credentials::{CredentialsMode, CredentialsState};
use crate::release::Minor;
use crate::views::{ConditionalUpdate, Conditions as _, InstalledOperator, Status, View as _};

/// The cluster knows the way: updates could be retrieved and a channel leads to the target (F21). While an operator objects
/// to a minor release, a hop under way can't be turned to another release on clusters without OCPBUGS-42880 (F24), so
/// both are asked before the first.
pub(super) fn path(facts: &Facts, plan: &Preflight) -> Check {
    let mut found = Findings::default();
    let (version, last) = (&facts.version, plan.last_hop());
    if let Some(refused) = version.condition("RetrievedUpdates").filter(|one| one.status == Status::False) {
        found.warn([format!("updates can't be retrieved ({}): {}", refused.reason, refused.explanation())]);
    }
    let channels = &version.status.desired.channels;
    let ending = format!("-{last}");
    let leading: Vec<&str> = channels.iter().map(String::as_str).filter(|channel| channel.ends_with(&ending)).collect();
    if !channels.is_empty() && leading.is_empty() && plan.releases.is_empty() {
        found.block([format!(
            "{} is in no channel of {last}; edges from an older release appear 45 to 90 days after a new EUS release",
            version.status.desired.version
        )]);
    }
    let pinned: Vec<String> = plan.releases.iter().map(|release| release.version.to_string()).collect();
    if !pinned.is_empty() {
        found.fine(format!("pinned: {}", pinned.join(", ")));
    }
    found.fine(if leading.is_empty() {
        format!("the cluster names no channels; the present one is {}", version.spec.channel)
    } else {
        format!("channels that lead there: {}", leading.join(", "))
    });
    found.judge(
        "path",
        "the cluster knows a way to the target",
        "choose a channel that has the target with --channel, or mend the way to the update service (`oc adm upgrade`)",
    )
}

/// Each hop has a release without risks, or with risks that a person accepts by name; one that could not be evaluated (F31)
/// counts as a risk.
pub(super) fn risks(facts: &Facts, plan: &Preflight) -> Check {
    let mut found = Findings::default();
    let conditional = &facts.version.status.conditional_updates;
    for hop in plan.ways() {
        let of_hop = |version: &str| version.parse::<Version>().is_ok_and(|version| Minor::of(&version) == hop);
        let pinned =
            plan.releases.iter().find(|release| Minor::of(&release.version) == hop).map(|release| release.version.to_string());
        let about: Vec<&ConditionalUpdate> = conditional
            .iter()
            .filter(|update| of_hop(&update.release.version))
            .filter(|update| pinned.as_ref().is_none_or(|pinned| update.release.version == *pinned))
            .collect();
        let free = facts.version.recommended().filter(|release| of_hop(&release.version));
        let free = free.filter(|release| pinned.as_ref().is_none_or(|pinned| release.version == *pinned)).count();
        let Some(newest) = about.iter().max_by_key(|update| update.release.version.parse::<Version>().ok()) else {
            found.fine(format!("{hop}: no release with risks"));
            continue;
        };
        if free > 0 {
            found.fine(format!("{hop}: {free} releases without risks, {} with risks passed over", about.len()));
            continue;
        }
        found.judge_risks(newest, plan);
    }
    found.judge(
        "risks",
        "the releases on the way have no known risks",
        "read what each risk says; accept it by its name, or wait for a release that mends it",
    )
}

impl Findings {
    fn judge_risks(&mut self, update: &ConditionalUpdate, plan: &Preflight) {
        let said = update.conditions.iter().find(|condition| condition.kind == "Recommended");
        let state = match said.map(|condition| condition.status) {
            Some(Status::False) => "applies",
            Some(Status::True) => "does not apply",
            Some(Status::Unknown) | None => "could not be evaluated",
        };
        for risk in &update.risks {
            let text = format!("{}: risk {} {state}: {} {}", update.release.version, risk.name, risk.message, risk.url);
            let text = text.trim().to_owned();
            if state == "does not apply" {
                self.fine(text);
            } else if plan.accepted_risks.contains(&risk.name) {
                self.warn([format!("{text} (accepted)")]);
            } else {
                self.block([text]);
            }
        }
    }
}

/// The operators that the lifecycle manager installed go along to each hop (F20).
pub(super) fn installed_operators(facts: &Facts, plan: &Preflight) -> Check {
    let mut found = Findings::default();
    let hops = plan.ways();
    for operator in facts.installed.all() {
        let name = format!("{}/{}", operator.namespace_name(), operator.name());
        let Some(most) = most(operator) else { continue };
        let Some(most) = minor_in(&most) else {
            found.warn([format!("{name} says olm.maxOpenShiftVersion {most:?}, which is no release")]);
            continue;
        };
        match hops.iter().position(|hop| *hop > most) {
            Some(0) => found.block([format!("{name} goes up to {most}, the first hop is {}", hops[0])]),
            Some(later) => {
                found.warn([format!("{name} goes up to {most}: update it before the hop to {}", hops[later])]);
            }
            None => found.fine(format!("{name} goes up to {most}")),
        }
    }
    found.warn(facts.installed.unreadable().map(|why| format!("installed operators {why}")));
    if found.fine.is_empty() {
        found.fine(format!("{} installed, none names a limit", facts.installed.all().len()));
    }
    found.judge(
        "installed-operators",
        "installed operators go along to each release",
        "update the named operators (`oc get subscriptions -A`), those of a later hop between the hops",
    )
}

/// The minor release of `4.17` or `4.17.3`.
fn minor_in(text: &str) -> Option<Minor> {
    text.parse().ok().or_else(|| Some(Minor::of(&text.parse().ok()?)))
}

/// The release that an operator names as its last.
fn most(operator: &InstalledOperator) -> Option<String> {
    let properties: serde_json::Value = serde_json::from_str(operator.annotation("olm.properties")?).ok()?;
    let of_kind = |property: &&serde_json::Value| property["type"] == "olm.maxOpenShiftVersion";
    let value = &properties.as_array()?.iter().find(of_kind)?["value"];
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// Credentials that a person makes are prepared for each hop (F29): the annotation is a release, and every secret is there.
pub(super) fn credentials(facts: &Facts, plan: &Preflight) -> Check {
    let mut found = Findings::default();
    found.warn(facts.credentials.unreadable().map(|why| format!("cloud credentials {why}")));
    if let Some(state) = facts.credentials.seen() {
        found.fine(format!("mode {}", state.mode));
        if state.mode == CredentialsMode::Manual {
            found.block(
                state.missing_secrets.iter().map(|secret| format!("the secret {secret} that an operator needs is missing")),
            );
            found.prepared(state, plan);
        }
    }
    if found.fine.is_empty() {
        found.fine("the cluster has no credentials operator");
    }
    found.judge(
        "credentials",
        "cloud credentials are prepared for each release",
        "prepare them as docs/credentials.md says; the run asks before each hop that needs it",
    )
}

impl Findings {
    /// Once prepared for a hop, the annotation must be set again for the next.
    fn prepared(&mut self, state: &CredentialsState, plan: &Preflight) {
        let minors: Vec<Minor> = plan.ways().into_iter().filter(|hop| *hop > state.at).collect();
        let Some(first) = minors.first() else { return };
        match state.upgradeable_to.as_deref().map(|to| (to, minor_in(to))) {
            None => self.warn([format!("credentials are made by hand and not said to be prepared for {first}")]),
            Some((to, None)) => self.block([format!("upgradeable-to {to:?} is no release; write it as {first}.0")]),
            Some((to, Some(minor))) if minor < *first => {
                self.warn([format!("credentials are prepared for {to}, the next hop is {first}")]);
            }
            Some((to, Some(_))) => self.fine(format!("prepared for {to}")),
        }
    }
}

/// An image of a release needs so much room on a node's disk, with that of the operating system.
const DISK_GIBIBYTES: i128 = 20;

/// Nodes have room for the new images (F8), and without a way to the vendor signature and mirrors of each release are there (F23).
pub(super) fn images(facts: &Facts, plan: &Preflight) -> Check {
    let mut found = Findings::default();
    for node in &facts.nodes {
        if let Some(pressure) = node.holds("DiskPressure") {
            found.block([format!("node {} is short of disk: {}", node.name(), pressure.explanation())]);
        }
        let disk = node.status.allocatable.get("ephemeral-storage").and_then(crate::views::Quantity::milli);
        if let Some(bytes) = disk.map(|milli| milli / 1000).filter(|bytes| *bytes < DISK_GIBIBYTES << 30) {
            found.warn([format!("node {} has {} GiB of disk for images and pods", node.name(), bytes >> 30)]);
        }
    }
    for signed in facts.signed.all() {
        found.warn(signed.lacking.iter().map(|lack| format!("{}: {lack}", signed.release)));
    }
    found.warn(facts.signed.unreadable().map(|why| format!("signatures and mirrors {why}")));
    if facts.nodes.len() == 1 {
        found.fine("a single node: pull the release's images before the window, nothing else serves meanwhile");
    }
    found.fine(match facts.signed.all().len() {
        0 if plan.releases.is_empty() || facts.signed.seen().is_none() => "no node is short of disk".to_owned(),
        count => format!("no node is short of disk; signature and mirrors of {count} releases are there"),
    });
    found.judge(
        "images",
        "nodes can fetch the new images",
        "free disk on the named nodes (`oc adm prune`, larger disks); mirror what is lacking before any pool is paused",
    )
}
