use std::fmt;

use serde::{Deserialize, Serialize};

/// What connects the pods of all nodes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum NetworkPlugin {
    /// OVN-Kubernetes.
    #[serde(rename = "OVNKubernetes")]
    OvnKubernetes,
    /// OpenShift SDN; releases since 4.17 do not have it.
    #[serde(rename = "OpenShiftSDN")]
    OpenShiftSdn,
    /// Kuryr, on OpenStack; releases since 4.15 do not have it.
    #[serde(rename = "Kuryr")]
    Kuryr,
}

impl NetworkPlugin {
    /// Every plugin.
    pub const ALL: [Self; 3] = [Self::OvnKubernetes, Self::OpenShiftSdn, Self::Kuryr];

    /// As the network objects name it: `OVNKubernetes`.
    pub fn name(self) -> &'static str {
        match self {
            Self::OvnKubernetes => "OVNKubernetes",
            Self::OpenShiftSdn => "OpenShiftSDN",
            Self::Kuryr => "Kuryr",
        }
    }

    /// The plugin of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plugin| plugin.name() == name)
    }

    /// As people say it: `OVN-Kubernetes`.
    pub fn title(self) -> &'static str {
        match self {
            Self::OvnKubernetes => "OVN-Kubernetes",
            Self::OpenShiftSdn => "OpenShift SDN",
            Self::Kuryr => "Kuryr",
        }
    }

    /// The namespace that its pods live in.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::OvnKubernetes => "openshift-ovn-kubernetes",
            Self::OpenShiftSdn => "openshift-sdn",
            Self::Kuryr => "openshift-kuryr",
        }
    }

    /// The DaemonSet of its namespace that connects the pods of every node.
    pub fn daemons(self) -> &'static str {
        match self {
            Self::OvnKubernetes => "ovnkube-node",
            Self::OpenShiftSdn => "sdn",
            Self::Kuryr => "kuryr-cni",
        }
    }

    /// Under which field of `spec.defaultNetwork` its settings stand.
    pub fn settings_field(self) -> &'static str {
        match self {
            Self::OvnKubernetes => "ovnKubernetesConfig",
            Self::OpenShiftSdn => "openshiftSDNConfig",
            Self::Kuryr => "kuryrConfig",
        }
    }

    /// The line of a machine configuration that prepares a host for it.
    pub(crate) fn exec_start(self) -> String {
        format!("ExecStart=/usr/local/bin/configure-ovs.sh {}", self.name())
    }
}

impl fmt::Display for NetworkPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}
