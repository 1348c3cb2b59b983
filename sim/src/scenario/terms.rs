//! What every fault tells: when, how long, and what it names.

use super::When;

/// What a fault says of itself, whichever it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// When it begins.
    pub when: When,
    /// How long it lasts; none when it doesn't end by itself.
    pub minutes: Option<f64>,
    /// The node that it names.
    pub node: Option<&'a str>,
    /// The cluster operator that it names.
    pub operator: Option<&'a str>,
    /// The pool that it names.
    pub pool: Option<&'a str>,
    /// The releases that it names.
    pub releases: [Option<&'a str>; 2],
}

impl<'a> Terms<'a> {
    pub(super) fn of(when: When, minutes: Option<f64>) -> Self {
        Self { when, minutes, ..Self::default() }
    }

    pub(super) fn node(self, node: &'a str) -> Self {
        Self { node: Some(node), ..self }
    }

    pub(super) fn operator(self, operator: &'a str) -> Self {
        Self { operator: Some(operator), ..self }
    }

    pub(super) fn pool(self, pool: &'a str) -> Self {
        Self { pool: Some(pool), ..self }
    }

    pub(super) fn releases(self, from: Option<&'a str>, to: Option<&'a str>) -> Self {
        Self { releases: [from, to], ..self }
    }
}
