//! Calendars as they are written on a command line.

use super::slot::SlotText;
use super::text::date;
use super::zone::zone;
use super::{Blackout, Calendar, CalendarError, LocalTime, Once, Slot};

const FORMS: &str = "that is no window; write \"Sat,Sun 22:00-06:00 Europe/Berlin\", \"cron 0 22 * * 6 8h Europe/Berlin\" or \
                     \"2026-12-05 22:00..2026-12-06 06:00 Europe/Berlin\"";

/// One window of either sort.
enum Written {
    Slot(Slot),
    Once(Once),
}

impl Calendar {
    /// The calendar that `--window` and `--blackout` describe; none if no window is given.
    pub fn from_flags(windows: &[String], blackouts: &[String]) -> Result<Option<Self>, CalendarError> {
        let Some(first) = windows.first() else {
            return blackouts.first().map_or(Ok(None), |blackout| {
                Err(CalendarError::malformed(
                    format!("blackout {blackout}"),
                    "there is no window it could be cut from; add --window",
                ))
            });
        };
        let mut calendar = Self::default();
        for text in windows {
            let (written, named) = window(text).map_err(|cause| CalendarError::malformed(format!("window {text}"), cause))?;
            match written {
                Written::Slot(slot) => calendar.slots.push(slot),
                Written::Once(once) => calendar.once.push(once),
            }
            calendar.zone = one_zone(calendar.zone, named)?;
        }
        if calendar.zone.is_empty() {
            return Err(CalendarError::Zones(format!("window {first} names no time zone")));
        }
        calendar.with_blackouts(blackouts).map(Some)
    }
}

/// The zone that holds for all windows.
fn one_zone(known: String, named: Option<&str>) -> Result<String, CalendarError> {
    let Some(named) = named else { return Ok(known) };
    zone(named)?;
    if known.is_empty() || known == named {
        return Ok(named.to_owned());
    }
    Err(CalendarError::Zones(format!("the windows are in {known} and in {named}")))
}

/// A window and the zone it names.
fn window(text: &str) -> Result<(Written, Option<&str>), String> {
    if let Some((from, rest)) = text.split_once("..") {
        let (until, zone) = end_and_zone(rest);
        let once = Once::new(local(from)?, local(until)?)?;
        return Ok((Written::Once(once), zone));
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let (slot, zone) = match words.as_slice() {
        ["cron", minute, hour, day, month, weekday, length, zone @ ..] if zone.len() < 2 => {
            let cron = Some([*minute, *hour, *day, *month, *weekday].join(" "));
            (SlotText { cron, length: Some((*length).to_owned()), ..SlotText::default() }, zone)
        }
        [days, hours, zone @ ..] if *days != "cron" && zone.len() < 2 => {
            let (from, until) =
                hours.split_once('-').ok_or_else(|| format!("{hours} is no time from and until; write 22:00-06:00"))?;
            let (from, until) = (Some(from.to_owned()), Some(until.to_owned()));
            (SlotText { days: Some(vec![(*days).to_owned()]), from, until, ..SlotText::default() }, zone)
        }
        _ => return Err(FORMS.to_owned()),
    };
    Ok((Written::Slot(slot.try_into()?), zone.first().copied()))
}

/// `2026-12-06 06:00 Europe/Berlin`, with or without the zone, the time after a space or a `T`.
fn end_and_zone(text: &str) -> (&str, Option<&str>) {
    let text = text.trim();
    match text.rsplit_once(char::is_whitespace) {
        Some((end, zone)) if !zone.starts_with(|c: char| c.is_ascii_digit()) => (end.trim(), Some(zone)),
        Some(_) | None => (text, None),
    }
}

fn local(text: &str) -> Result<LocalTime, String> {
    text.split_whitespace().collect::<Vec<_>>().join(" ").parse()
}

/// A day or a span of days, and why: `2026-12-24..2027-01-02 year end`.
pub(super) fn blackout(text: &str) -> Result<Blackout, CalendarError> {
    let (days, reason) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
    let (first, last) = days.split_once("..").unwrap_or((days, days));
    let parsed = date(first).and_then(|first| Blackout::new(first, date(last)?, reason));
    parsed.map_err(|cause| CalendarError::malformed(format!("blackout {text}"), cause))
}
