//! What a cluster with Kuryr looks like.

use serde::{Deserialize, Serialize};

/// The peculiarities of a cluster with Kuryr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KuryrShape {
    /// Whether Kuryr made a router of its own; else it uses the installer's, which has to stay.
    pub own_router: bool,
    /// The most pods of a namespace that have a port of Neutron's; the others are left out to keep large clusters small.
    pub pods_per_namespace: usize,
}

impl Default for KuryrShape {
    fn default() -> Self {
        Self { own_router: false, pods_per_namespace: 4 }
    }
}

impl KuryrShape {
    /// Whether nothing about it is particular.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
