//! Who holds a lease, as it stands in it.

use std::fmt;

/// One start of a worker, on one machine, with one journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// The machine and the place of the journal on it: a copied journal is at another place.
    pub home: String,
    /// The journal's id.
    pub journal: String,
    /// The start, unlike any other.
    pub start: String,
}

/// Who takes a lease, for those who read it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// The holder.
    pub holder: Holder,
    /// The person: `ana@laptop-1`.
    pub who: String,
    /// The worker's process.
    pub pid: u32,
}

impl Holder {
    /// Whether another start of the same journal at the same place stands there. The journal's lock says that it is over.
    pub(super) fn succeeds(&self, identity: &str) -> bool {
        let Some((rest, _)) = identity.rsplit_once('/') else { return false };
        rest.rsplit_once('/') == Some((&self.home, &self.journal))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.home, self.journal, self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_journal_at_the_same_place_succeeds_a_holder() {
        let us = Holder { home: "laptop-1.3f2a".to_owned(), journal: "0198-a".to_owned(), start: "s2".to_owned() };
        for (identity, expect) in [
            ("laptop-1.3f2a/0198-a/s1", true),
            ("laptop-1.3f2a/0198-a/s2", true),
            ("laptop-1.77aa/0198-a/s1", false),
            ("laptop-2.3f2a/0198-a/s1", false),
            ("laptop-1.3f2a/0198-b/s1", false),
            ("laptop-1.3f2a/0198-a", false),
            ("somebody", false),
            ("", false),
        ] {
            assert_eq!(us.succeeds(identity), expect, "{identity}");
        }
        assert!(us.succeeds(&us.to_string()));
    }
}
