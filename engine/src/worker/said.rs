//! What attempts say of themselves, and what of it is news.

use std::time::Duration;

use crate::time::Timestamp;

/// A wait whose numbers change all the time is noted so often at the most.
const NOTED_AGAIN: Duration = Duration::from_secs(60);

/// What an attempt said last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Said {
    pub(super) text: String,
    /// Since when it says so, whatever its numbers were meanwhile.
    pub(super) since: Timestamp,
    /// When it was noted last.
    pub(super) noted: Timestamp,
}

impl Said {
    /// Said for the first time, and noted.
    pub(super) fn new(text: String, at: Timestamp) -> Self {
        Self { text, since: at, noted: at }
    }

    /// What is known after an attempt said something, and whether it is to be noted; none if it had said just that.
    pub(super) fn news(known: Option<&Self>, text: &str, at: Timestamp) -> Option<(Self, bool)> {
        let new = Self::new(text.to_owned(), at);
        let Some(known) = known.filter(|known| is_alike(&known.text, text)) else { return Some((new, true)) };
        if known.text == text {
            return None;
        }
        let is_due = at.since(known.noted) >= NOTED_AGAIN;
        let noted = if is_due { at } else { known.noted };
        Some((Self { since: known.since, noted, ..new }, is_due))
    }
}

/// Whether two texts have the same words, and other numbers at most. A name or an address that has digits in it is a word.
fn is_alike(one: &str, other: &str) -> bool {
    words(one).eq(words(other))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().map(|word| if is_number(word) { "" } else { word })
}

fn is_number(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| matches!(c, '(' | ')' | ',' | ';' | ':' | '.'));
    !bare.is_empty() && bare.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_may_differ() {
        let check = |one: &str, other: &str, expect: bool| assert_eq!(is_alike(one, other), expect, "{one:?} and {other:?}");
        check("12 of 40 pods are new", "13 of 40 pods are new", true);
        check("last heard 12000 ms ago (term 4), 3 entries", "last heard 14000 ms ago (term 11), 20 entries", true);
        check("node worker-0 does not drain", "node worker-1 does not drain", false);
        check("172.18.0.3 seeks a leader", "172.18.0.4 seeks a leader", false);
        check("1 pod", "1 pod is new", false);
        check("0 pods", "none pods", false);
    }

    /// Seen to fail with: the time of the newest numbers kept.
    #[test]
    fn a_wait_that_counts_is_noted_once_a_minute_and_says_since_when() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let mut known: Option<Said> = None;
        let mut noted = Vec::new();
        for second in (0..=130).step_by(2) {
            let (said, is_noted) = Said::news(known.as_ref(), &format!("waited {second} s"), at(second)).unwrap();
            assert_eq!(said.since, at(0));
            noted.extend(is_noted.then_some(second));
            known = Some(said);
        }
        assert_eq!(noted, [0, 60, 120]);
        assert_eq!(Said::news(known.as_ref(), "waited 130 s", at(132)), None);
        assert_eq!(Said::news(known.as_ref(), "done", at(132)), Some((Said::new("done".to_owned(), at(132)), true)));
    }
}
