//! Pools that are degraded, or whose target moves while they roll.

use std::collections::BTreeMap;

use crate::condition::{Concern, Reason, pool_troubles};
use crate::snapshot::Snapshot;
use crate::views::{MachineConfigPool, View as _};

/// What is remembered of pools: every target that each was seen to have, in order.
#[derive(Debug, Default)]
pub(super) struct Pools {
    targets: BTreeMap<String, Vec<Target>>,
}

/// A rendered configuration, and what it was rendered from.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Target {
    name: String,
    sources: Vec<String>,
}

impl Target {
    fn of(pool: &MachineConfigPool) -> Self {
        let configuration = &pool.spec.configuration;
        Self {
            name: configuration.name.clone(),
            sources: configuration.source.iter().map(|source| source.name.clone()).collect(),
        }
    }
}

impl Pools {
    pub(super) fn look(&mut self, snapshot: &Snapshot) -> Vec<Reason> {
        for pool in snapshot.pools.values().filter(|pool| !pool.spec.configuration.name.is_empty()) {
            let targets = self.targets.entry(pool.name().to_owned()).or_default();
            let target = Target::of(pool);
            if targets.last().is_none_or(|last| last.name != target.name) {
                targets.push(target);
            }
        }
        let troubles = snapshot.pools.values().flat_map(|pool| pool_troubles(pool));
        troubles.chain(self.targets.iter().filter_map(|(name, targets)| moved(name, targets))).collect()
    }
}

/// An update moves the target once; every other time somebody changed a configuration.
fn moved(pool: &str, targets: &[Target]) -> Option<Reason> {
    let [_, .., before, last] = targets else { return None };
    if targets.len() < 3 {
        return None;
    }
    let changed: Vec<String> = difference(&last.sources, &before.sources, "added")
        .chain(difference(&before.sources, &last.sources, "removed"))
        .collect();
    let changed = if changed.is_empty() { "a MachineConfig was changed".to_owned() } else { changed.join(", ") };
    let what = format!(
        "has moved its target again, from {} to {}: {changed}; nodes that are done reboot once more",
        before.name, last.name
    );
    Some(Reason::waiting(format!("pool {pool}"), what).graded(Concern::Odd))
}

fn difference<'a>(of: &'a [String], without: &'a [String], verb: &'a str) -> impl Iterator<Item = String> + 'a {
    of.iter().filter(|name| !without.contains(name)).map(move |name| format!("MachineConfig {name} was {verb}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::fixtures::{condition, healthy, pool};
    use crate::views::{ConfigurationSource, Status};

    #[test]
    fn a_target_that_moves_a_second_time_is_noted_with_what_was_added() {
        let check = |targets: &[(&str, &[&str])], expect: &[&str]| {
            let (mut pools, mut snapshot, mut last) = (Pools::default(), healthy(), Vec::new());
            for (target, sources) in targets {
                pool(&mut snapshot, "master", |master| {
                    let source = sources.iter().map(|&name| ConfigurationSource { name: name.to_owned() }).collect();
                    master.spec.configuration = crate::views::ConfigurationName { name: (*target).to_owned(), source };
                });
                last = pools.look(&snapshot);
                last.extend(pools.look(&snapshot));
                last.dedup();
            }
            assert_eq!(last.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
        };
        let (old, new): (&[&str], &[&str]) = (&["00-master"], &["00-master", "99-chrony"]);
        check(&[("r0", old)], &[]);
        check(&[("r0", old), ("r1", new)], &[]);
        let again = "note: pool master has moved its target again, from r1 to r2";
        check(
            &[("r0", old), ("r1", old), ("r2", new)],
            &[&format!("{again}: MachineConfig 99-chrony was added; nodes that are done reboot once more")],
        );
        check(
            &[("r0", old), ("r1", old), ("r2", old)],
            &[&format!("{again}: a MachineConfig was changed; nodes that are done reboot once more")],
        );
    }

    #[test]
    fn any_pool_that_is_degraded_is_told_with_its_own_reason() {
        let mut snapshot = healthy();
        pool(&mut snapshot, "worker", |worker| {
            worker.spec.paused = true;
            worker.status.conditions.push(condition("NodeDegraded", Status::True, "Node worker-1 is reporting: \"disk full\""));
        });
        let told: Vec<String> = Pools::default().look(&snapshot).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["!! pool worker is degraded: Node worker-1 is reporting: \"disk full\" (since 2026-03-01 10:00:00Z)"]);
    }
}
