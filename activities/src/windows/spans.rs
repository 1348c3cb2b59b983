//! From a calendar's text to the windows it means.

use std::iter::Peekable;

use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use chrono_tz::Tz;
use croner::Direction;
use serde::{Deserialize, Serialize};
use windlass_engine::Timestamp;

use super::zone::{instants, zone};
use super::{Blackout, Calendar, Slot};

/// A time in which work is allowed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Window {
    /// Its first moment.
    pub begins: Timestamp,
    /// The first moment after it.
    pub ends: Timestamp,
}

/// A window, or a part of one that a blackout takes away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// From when to when.
    pub window: Window,
    /// What closes it.
    pub blackout: Option<&'a Blackout>,
}

/// Windows are looked for so many days ahead; a plan for later than that is none.
const HORIZON: Days = Days::new(2 * 366);
/// Windows may have begun so many days ago: longer than any chain of weekly slots but the endless one.
const LOOK_BACK: Days = Days::new(15);

type Span<T> = (T, T);
type Spans<'a> = Box<dyn Iterator<Item = Span<NaiveDateTime>> + 'a>;

impl Calendar {
    /// The windows that are open at `at` or open later, in order: merged where they touch, without what blackouts take away,
    /// for two years. The first may have begun already. None if the zone is unknown, which [`Calendar::place`] says.
    pub fn windows_from(&self, at: Timestamp) -> impl Iterator<Item = Window> {
        self.agenda(at).filter(|entry| entry.blackout.is_none()).map(|entry| entry.window)
    }

    /// As [`Calendar::windows_from`], with the parts that blackouts take away in their places.
    pub fn agenda(&self, at: Timestamp) -> impl Iterator<Item = Entry<'_>> {
        let zone = zone(&self.zone).ok();
        let closed = zone.map(|zone| self.closed(zone)).unwrap_or_default();
        let open = zone.into_iter().flat_map(move |zone| self.open(zone, at));
        open.flat_map(move |window| cut(window, &closed)).filter(move |entry| entry.window.ends > at)
    }

    /// The blackout that holds at `at`.
    pub fn blackout_at(&self, at: Timestamp) -> Option<&Blackout> {
        let closed = self.closed(zone(&self.zone).ok()?);
        closed.into_iter().find(|(window, _)| window.begins <= at && at < window.ends).map(|(_, blackout)| blackout)
    }

    /// The windows before blackouts.
    fn open(&self, zone: Tz, at: Timestamp) -> impl Iterator<Item = Window> {
        let today = at.to_datetime().with_timezone(&zone).date_naive();
        let first = today.checked_sub_days(LOOK_BACK).unwrap_or(today);
        let last = today.checked_add_days(HORIZON).unwrap_or(today);
        let slots = self.slots.iter().map(|slot| slot_spans(slot, first, last));
        let mut once: Vec<_> = self.once.iter().map(|once| (once.from.0, once.until.0)).collect();
        once.sort_unstable();
        once.retain(|(from, _)| from.date() <= last);
        let sources: Vec<Spans> = slots.chain(std::iter::once(Box::new(once.into_iter()) as Spans)).collect();
        // Merged on the wall clock first: what touches there must not come apart where an hour exists twice.
        let local = merged(in_order(sources));
        let windows = merged(local.filter_map(move |span| to_instants(zone, span)));
        windows.map(|(begins, ends)| Window { begins, ends }).filter(move |window| window.ends > at)
    }

    /// The blackouts in order. A day whose midnight exists twice is without windows from the first until the last of them.
    fn closed(&self, zone: Tz) -> Vec<(Window, &Blackout)> {
        let midnight = |day: NaiveDate| instants(zone, day.and_time(NaiveTime::MIN));
        let span = |blackout: &Blackout| {
            let after = blackout.last.checked_add_days(Days::new(1)).unwrap_or(blackout.last);
            Window { begins: midnight(blackout.first).0.into(), ends: midnight(after).1.into() }
        };
        let mut closed: Vec<_> = self.blackouts.iter().map(|blackout| (span(blackout), blackout)).collect();
        closed.sort_by_key(|(window, _)| *window);
        closed
    }
}

fn slot_spans(slot: &Slot, first: NaiveDate, last: NaiveDate) -> Spans<'_> {
    match slot {
        Slot::Weekly { days, from, until } => {
            let on = first.iter_days().take_while(move |day| *day <= last);
            let on = on.filter(|day| days.iter().any(|named| named.0 == chrono::Datelike::weekday(day)));
            let closes = if until <= from { Days::new(1) } else { Days::new(0) };
            Box::new(on.filter_map(move |day| Some((from.on(day), until.on(day.checked_add_days(closes)?)))))
        }
        Slot::Cron { cron, length } => {
            let length = TimeDelta::from_std(*length).unwrap_or_default();
            // The expression is about the wall clock, so it is asked in a zone without changes.
            let opens = cron.pattern.iter_from(first.and_time(NaiveTime::MIN).and_utc(), Direction::Forward);
            let opens = opens.map(|at| at.naive_utc()).take_while(move |at| at.date() <= last);
            Box::new(opens.filter_map(move |from| Some((from, from.checked_add_signed(length)?))))
        }
    }
}

/// The spans of sorted sources, in the order in which they begin.
fn in_order(sources: Vec<Spans<'_>>) -> impl Iterator<Item = Span<NaiveDateTime>> {
    let mut sources: Vec<Peekable<Spans>> = sources.into_iter().map(Iterator::peekable).collect();
    std::iter::from_fn(move || {
        let next = sources.iter_mut().filter_map(|source| Some((*source.peek()?, source)));
        next.min_by_key(|(span, _)| *span).and_then(|(_, source)| source.next())
    })
}

/// Sorted spans, those that touch or overlap as one.
fn merged<T: Ord + Copy>(spans: impl Iterator<Item = Span<T>>) -> impl Iterator<Item = Span<T>> {
    let mut spans = spans.peekable();
    std::iter::from_fn(move || {
        let (begins, mut ends) = spans.next()?;
        while let Some((_, later)) = spans.next_if(|(next, _)| *next <= ends) {
            ends = ends.max(later);
        }
        Some((begins, ends))
    })
}

/// Opens the last time the clock shows its beginning, closes the first time after that at which it shows its end.
fn to_instants(zone: Tz, (from, until): Span<NaiveDateTime>) -> Option<Span<Timestamp>> {
    let (_, begins) = instants(zone, from);
    let (first, second) = instants(zone, until);
    let ends = if first > begins { first } else { second };
    (begins < ends).then(|| (begins.into(), ends.into()))
}

fn cut<'a>(window: Window, closed: &[(Window, &'a Blackout)]) -> Vec<Entry<'a>> {
    let mut entries = Vec::new();
    let mut from = window.begins;
    let mut add = |begins: Timestamp, ends: Timestamp, blackout| {
        if begins < ends {
            entries.push(Entry { window: Window { begins, ends }, blackout });
        }
    };
    for (span, blackout) in closed.iter().filter(|(span, _)| span.begins < window.ends && span.ends > window.begins) {
        add(from, span.begins, None);
        add(from.max(span.begins), span.ends.min(window.ends), Some(*blackout));
        from = from.max(span.ends);
    }
    add(from, window.ends, None);
    entries
}
