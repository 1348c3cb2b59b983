//! Names of things in a cluster, each its own type so that two of them can't be swapped.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the name as it stands in the cluster.
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self::new(name)
            }
        }
    };
}

name! {
    /// Identifies a cluster, whatever its names and addresses: `ClusterVersion` `.spec.clusterID`.
    ClusterId
}
name! {
    /// A machine config pool: `worker`.
    PoolName
}
name! {
    /// A rendered machine configuration: `rendered-worker-4cec9ed3…`.
    RenderedConfig
}
name! {
    /// A node.
    NodeName
}
name! {
    /// A machine health check in `openshift-machine-api`.
    HealthCheckName
}
name! {
    /// An update channel: `eus-4.18`.
    Channel
}
