//! The choice among the updates on offer: pure.

use semver::Version;
use windlass_engine::ActivityError;

use super::offers::{Market, Offer};
use super::resolve::check_pullspec;
use super::{Risk, Wanted};
use crate::release::{Minor, Release};

/// How many other releases a refusal names.
const NAMED: usize = 3;

/// What was chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Choice {
    pub(super) release: Release,
    pub(super) risks: Vec<Risk>,
    pub(super) notes: Vec<String>,
}

/// Finds the release that is meant, or says why it must not or can't be it.
pub(super) fn choose(from: &Release, wanted: &Wanted, market: &Market, accepted: &[String]) -> Result<Choice, ActivityError> {
    let offers = with_accepted(market, accepted);
    match wanted {
        Wanted::Newest => newest(from, market, offers, accepted),
        Wanted::Version(version) => {
            refuse_direction(from, version)?;
            let Some(offer) = offers.iter().find(|offer| offer.release.version == *version) else {
                return Err(not_offered(from, &version.to_string(), Some(version), market));
            };
            settle(from, offer.clone(), accepted)
        }
        Wanted::Digest(image) => by_digest(from, image, market, &offers, accepted),
    }
}

/// The offers with the acceptances marked, newest first.
fn with_accepted(market: &Market, accepted: &[String]) -> Vec<Offer> {
    let mut offers = market.offers.clone();
    offers.iter_mut().flat_map(|offer| &mut offer.risks).for_each(|risk| risk.accepted = accepted.contains(&risk.name));
    offers.sort_by(|a, b| b.release.version.cmp(&a.release.version));
    offers
}

fn newest(from: &Release, market: &Market, offers: Vec<Offer>, accepted: &[String]) -> Result<Choice, ActivityError> {
    if let Some(why) = &market.unread {
        return Err(no_list(why));
    }
    refuse_unknown_risks(accepted, offers.iter().flat_map(|offer| &offer.risks), "any update on offer")?;
    let near = |offer: &Offer| refuse_direction(from, &offer.release.version).is_ok();
    let offers: Vec<Offer> = offers.into_iter().filter(near).collect();
    let clean = |offer: &Offer| !offer.risks.iter().any(Risk::blocks);
    let Some(chosen) = offers.iter().position(clean).or_else(|| (!offers.is_empty()).then_some(0)) else {
        let message = format!(
            "no update is offered from {} by {}; wait until there is one, or choose another channel",
            from.title(),
            market.source
        );
        return Err(ActivityError::permanent("no-update", message));
    };
    let mut choice = settle(from, offers[chosen].clone(), &[])?;
    choice.notes.extend(offers[..chosen].iter().map(|offer| {
        let open: Vec<&str> = offer.risks.iter().filter(|risk| risk.blocks()).map(|risk| risk.name.as_str()).collect();
        format!("{} is newer, but carries risks that were not accepted ({})", offer.release.version, open.join(", "))
    }));
    Ok(choice)
}

fn by_digest(
    from: &Release,
    image: &str,
    market: &Market,
    offers: &[Offer],
    accepted: &[String],
) -> Result<Choice, ActivityError> {
    check_pullspec(image).map_err(|error| ActivityError::permanent("not-a-digest", error))?;
    let asked = Release::unnamed(image);
    if asked.digest() == from.digest() {
        return Err(already_there(from));
    }
    // A mirror has the same digest under another name; the image is asked for as the person wrote it.
    if let Some(offer) = offers.iter().find(|offer| offer.release.digest() == asked.digest()) {
        refuse_direction(from, &offer.release.version)?;
        let release = Release { version: offer.release.version.clone(), image: image.to_owned() };
        return settle(from, Offer { release, risks: offer.risks.clone() }, accepted);
    }
    if let Some(known) = market.unreachable.iter().find(|release| release.digest() == asked.digest()) {
        refuse_direction(from, &known.version)?;
        return Err(not_offered(from, &format!("{} ({})", known.version, asked.digest()), Some(&known.version), market));
    }
    refuse_unknown_risks(accepted, [].into_iter(), asked.digest())?;
    let why = market.unread.as_deref().map_or_else(|| format!("it is not in {}", market.source), str::to_owned);
    let note = format!(
        "the version of {} is not known ({why}): the cluster itself checks signature, version and direction when it takes the image",
        asked.digest()
    );
    Ok(Choice { release: asked, risks: Vec::new(), notes: vec![note] })
}

/// Refuses what is open, and notes what is special.
fn settle(from: &Release, offer: Offer, accepted: &[String]) -> Result<Choice, ActivityError> {
    let Offer { release, risks } = offer;
    refuse_unknown_risks(accepted, risks.iter(), &release.version.to_string())?;
    let open: Vec<&Risk> = risks.iter().filter(|risk| risk.blocks()).collect();
    if !open.is_empty() {
        let told: Vec<String> = open.iter().map(ToString::to_string).collect();
        let flags: Vec<String> = open.iter().map(|risk| format!("--accept-risk {}", risk.name)).collect();
        let message = format!(
            "{} carries risks that were not accepted:\n{}\nchoose another release, or accept them by name: {}",
            release.version,
            told.join("\n"),
            flags.join(" ")
        );
        return Err(ActivityError::permanent("risk-not-accepted", message));
    }
    let mut notes = Vec::new();
    let (here, there) = (Minor::of(&from.version), Minor::of(&release.version));
    if here != there {
        notes.push(format!("this is a minor update, {here} to {there}: it can't be taken back"));
    }
    let overruled = risks.iter().filter(|risk| risk.accepted && risk.state != crate::views::Status::True);
    notes.extend(overruled.map(|risk| format!("accepted by name: {risk}")));
    Ok(Choice { release, risks, notes })
}

fn refuse_direction(from: &Release, to: &Version) -> Result<(), ActivityError> {
    let (here, there) = (Minor::of(&from.version), Minor::of(to));
    if *to == from.version {
        return Err(already_there(from));
    }
    if *to < from.version {
        let message = format!("{to} is older than {}, and clusters can't be taken back; choose a newer release", from.version);
        return Err(ActivityError::permanent("downgrade", message));
    }
    if there.major != here.major || there.minor > here.minor + 1 {
        let message = format!(
            "{to} is more than one minor release beyond {}; go to {} first, or use eus-update for two",
            from.version,
            here.plus(1)
        );
        return Err(ActivityError::permanent("giant-hop", message));
    }
    Ok(())
}

fn already_there(from: &Release) -> ActivityError {
    ActivityError::permanent("already-there", format!("the cluster is at {} already; nothing is to be done", from.title()))
}

fn no_list(why: &str) -> ActivityError {
    let message = format!("no list of updates could be read ({why}); name the release by digest, or another update server");
    ActivityError::permanent("no-list", message)
}

fn not_offered(from: &Release, asked: &str, version: Option<&Version>, market: &Market) -> ActivityError {
    if let Some(why) = &market.unread {
        return no_list(why);
    }
    let close = close_ones(market, version);
    let known = market.unreachable.iter().any(|release| Some(&release.version) == version);
    let known = if known { "; it is in the channel, and no edge leads to it from there" } else { "" };
    let message = format!("{asked} is not offered from {} by {}{known} (offered: {close})", from.title(), market.source);
    ActivityError::permanent("not-offered", message)
}

/// The offers that are nearest to a version.
fn close_ones(market: &Market, version: Option<&Version>) -> String {
    let distance = |offer: &&Offer| {
        version.map_or((0, 0), |wanted| {
            let near = &offer.release.version;
            (near.minor.abs_diff(wanted.minor), near.patch.abs_diff(wanted.patch))
        })
    };
    let mut offers: Vec<&Offer> = market.offers.iter().collect();
    offers.sort_by_key(distance);
    let more = offers.len().saturating_sub(NAMED);
    let mut named: Vec<String> = offers.iter().take(NAMED).map(|offer| offer.release.version.to_string()).collect();
    if named.is_empty() {
        return "none".to_owned();
    }
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    named.join(", ")
}

/// A misspelt acceptance would look like an acceptance.
fn refuse_unknown_risks<'a>(accepted: &[String], known: impl Iterator<Item = &'a Risk>, who: &str) -> Result<(), ActivityError> {
    let known: std::collections::BTreeSet<&str> = known.map(|risk| risk.name.as_str()).collect();
    let Some(unknown) = accepted.iter().find(|name| !known.contains(name.as_str())) else { return Ok(()) };
    let known = if known.is_empty() { "none".to_owned() } else { known.into_iter().collect::<Vec<_>>().join(", ") };
    let message = format!("there is no risk {unknown:?} on {who} (risks: {known}); correct or drop that acceptance");
    Err(ActivityError::permanent("unknown-risk", message))
}

#[cfg(test)]
mod tests;
