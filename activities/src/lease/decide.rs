//! May the lease be taken? A pure judgement over what was read, and over how long it has been the same on our own clock.

use std::time::Duration;

use tokio::time::Instant;
use windlass_engine::Timestamp;

use super::Holder;
use super::record::Standing;

/// What to do about a lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// It may be taken. `from_other`: somebody's writes may still be on their way.
    Take { from_other: bool },
    /// It has to be seen first whether its holder lives.
    Watch,
    /// Its holder lives.
    Refuse,
}

/// A holder, watched.
#[derive(Default, Debug)]
pub(super) struct Watch {
    seen: Option<Pulse>,
    /// Since when it was the same, as far as we could look.
    since: Option<Instant>,
}

/// What changes while a holder lives. The time in it is a name, not a time: it is only compared for being the same.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Pulse {
    holder: String,
    epoch: u64,
    renewed: Option<Timestamp>,
}

impl Watch {
    /// Judges what was read at this moment of our own clock; a holder keeps its lease for so long unheard. `us` is missing
    /// while our journal has no name yet.
    pub(super) fn judge(
        &mut self,
        standing: Option<&Standing>,
        us: Option<&Holder>,
        force: bool,
        (now, term): (Instant, Duration),
    ) -> Step {
        let Some(standing) = standing.filter(|standing| !standing.is_free()) else {
            return Step::Take { from_other: false };
        };
        if us.is_some_and(|us| standing.is_of(us)) {
            return Step::Take { from_other: false };
        }
        if force {
            return Step::Take { from_other: true };
        }
        let pulse = Pulse { holder: standing.holder.clone(), epoch: standing.epoch, renewed: standing.owner.renewed };
        match &self.seen {
            Some(seen) if *seen != pulse => return Step::Refuse,
            Some(_) => {}
            None => self.seen = Some(pulse),
        }
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) >= term { Step::Take { from_other: true } } else { Step::Watch }
    }

    /// The cluster could not be asked: perhaps its holder could not renew either, so the watching begins anew.
    pub(super) fn interrupted(&mut self) {
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::lease::TERM;
    use crate::lease::record::Owner;

    const US: &str = "laptop-1.a/j1/s2";

    fn us() -> Holder {
        Holder { home: "laptop-1.a".to_owned(), journal: "j1".to_owned(), start: "s2".to_owned() }
    }

    fn held(holder: &str, epoch: u64, renewed_second: i64) -> Standing {
        let at: DateTime<Utc> = DateTime::from_timestamp(renewed_second, 0).unwrap();
        let owner = Owner { renewed: Some(at.into()), ..Owner::default() };
        let (holder, term) = (holder.to_owned(), TERM);
        Standing { version: "1".to_owned(), holder, epoch, term, owner, adopted: std::collections::BTreeMap::default() }
    }

    /// Readings at seconds of our clock, and what is said at the last of them.
    fn check(readings: &[(u64, Option<Standing>)], force: bool, expect: Step) {
        let (mut watch, zero, mut last) = (Watch::default(), Instant::now(), Step::Watch);
        for (second, standing) in readings {
            assert_eq!(last, Step::Watch, "more was read than needed: {readings:?}");
            last = watch.judge(standing.as_ref(), Some(&us()), force, (zero + Duration::from_secs(*second), TERM));
        }
        assert_eq!(last, expect, "{readings:?}");
    }

    #[test]
    fn a_lease_is_taken_when_free_or_our_own_or_watched_to_its_end() {
        let (free, other) = (Step::Take { from_other: false }, Step::Take { from_other: true });
        check(&[(0, None)], false, free);
        check(&[(0, Some(held("", 3, 0)))], false, free);
        check(&[(0, Some(held(US, 3, 0)))], false, free);
        check(&[(0, Some(held("laptop-1.a/j1/s1", 3, 0)))], false, free);
        // A copy of our journal, on another machine or at another place.
        check(&[(0, Some(held("laptop-2.a/j1/s1", 3, 0)))], false, Step::Watch);
        check(&[(0, Some(held("laptop-1.b/j1/s1", 3, 0)))], false, Step::Watch);
        let a = |second| Some(held("laptop-9.z/j9/s1", 3, second));
        check(&[(0, a(0)), (59, a(0))], false, Step::Watch);
        check(&[(0, a(0)), (59, a(0)), (60, a(0))], false, other);
        check(&[(0, a(0)), (5, a(15))], false, Step::Refuse);
        check(&[(0, a(0)), (5, Some(held("laptop-9.z/j9/s1", 4, 0)))], false, Step::Refuse);
        check(&[(0, a(0)), (5, Some(held("laptop-8.z/j8/s1", 3, 0)))], false, Step::Refuse);
        check(&[(0, a(0)), (5, Some(held("", 3, 20)))], false, free);
        check(&[(0, a(0))], true, other);
        // Their clock is years off: nothing follows from it.
        for seconds in [0, 4_000_000_000] {
            check(&[(0, a(seconds))], false, Step::Watch);
        }
    }

    #[test]
    fn time_without_the_cluster_does_not_count_against_its_holder() {
        let (zero, lease) = (Instant::now(), held("laptop-9.z/j9/s1", 3, 0));
        let mut watch = Watch::default();
        let at =
            |second, watch: &mut Watch| watch.judge(Some(&lease), Some(&us()), false, (zero + Duration::from_secs(second), TERM));
        assert_eq!(at(0, &mut watch), Step::Watch);
        watch.interrupted();
        assert_eq!(at(600, &mut watch), Step::Watch);
        assert_eq!(at(659, &mut watch), Step::Watch);
        assert_eq!(at(660, &mut watch), Step::Take { from_other: true });
    }
}
