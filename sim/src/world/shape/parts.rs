//! The parts of a shape that describe one thing each.

use serde::{Deserialize, Serialize};

/// What every node offers to its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeSize {
    /// Whole processors.
    pub cpus: u64,
    /// GiB of memory.
    pub memory_gib: u64,
    /// The most pods.
    pub pods: u64,
}

impl Default for NodeSize {
    fn default() -> Self {
        Self { cpus: 8, memory_gib: 31, pods: 250 }
    }
}

/// What each application pod asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PodRequests {
    /// Thousandths of a processor.
    pub cpu_millis: u64,
    /// MiB of memory.
    pub memory_mib: u64,
}

impl Default for PodRequests {
    fn default() -> Self {
        Self { cpu_millis: 50, memory_mib: 128 }
    }
}

/// What the cluster runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Platform {
    /// Amazon Web Services.
    #[default]
    #[serde(rename = "AWS")]
    Aws,
    /// Microsoft Azure.
    Azure,
    /// Google Cloud.
    #[serde(rename = "GCP")]
    Gcp,
    /// VMware vSphere.
    VSphere,
    /// Installed on machines that the platform manages over their controllers.
    BareMetal,
    /// OpenStack.
    OpenStack,
    /// None that the platform knows.
    None,
}

impl Platform {
    /// As `status.platform` of the Infrastructure names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "AWS",
            Self::Azure => "Azure",
            Self::Gcp => "GCP",
            Self::VSphere => "VSphere",
            Self::BareMetal => "BareMetal",
            Self::OpenStack => "OpenStack",
            Self::None => "None",
        }
    }

    /// The Secret in `kube-system` that holds the cloud's root credentials, where the platform has one.
    pub fn root_secret(self) -> Option<&'static str> {
        match self {
            Self::Aws => Some("aws-creds"),
            Self::Azure => Some("azure-credentials"),
            Self::Gcp => Some("gcp-credentials"),
            Self::VSphere => Some("vsphere-creds"),
            Self::OpenStack => Some("openstack-credentials"),
            Self::BareMetal | Self::None => None,
        }
    }

    /// The kind of `spec.providerSpec` in a CredentialsRequest, where the platform has one.
    pub fn provider_spec(self) -> Option<&'static str> {
        match self {
            Self::Aws => Some("AWSProviderSpec"),
            Self::Azure => Some("AzureProviderSpec"),
            Self::Gcp => Some("GCPProviderSpec"),
            Self::VSphere => Some("VSphereProviderSpec"),
            Self::OpenStack => Some("OpenStackProviderSpec"),
            Self::BareMetal | Self::None => None,
        }
    }
}

/// How the cluster's components come by their cloud credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Credentials {
    /// `spec.credentialsMode`.
    pub mode: CredentialsMode,
    /// Whether the root credentials are still in `kube-system`.
    pub root_secret: bool,
    /// `spec.serviceAccountIssuer` of the Authentication: set where ccoctl made short-lived credentials.
    pub issuer: String,
    /// The minor version that the administrator promised to have prepared, e.g. `4.17.11`; empty for none.
    pub upgradeable_to: String,
}

impl Default for Credentials {
    fn default() -> Self {
        Self { mode: CredentialsMode::Default, root_secret: true, issuer: String::new(), upgradeable_to: String::new() }
    }
}

/// `spec.credentialsMode` of the CloudCredential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CredentialsMode {
    /// Empty: the operator finds out what the root credentials may do.
    #[default]
    Default,
    /// Makes credentials of its own for each component.
    Mint,
    /// Hands the root credentials on.
    Passthrough,
    /// Leaves them to the administrator.
    Manual,
}

impl CredentialsMode {
    /// As the object spells it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Mint => "Mint",
            Self::Passthrough => "Passthrough",
            Self::Manual => "Manual",
        }
    }
}

/// One mirror of an image repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// The repository whose images are mirrored.
    pub source: String,
    /// Where they are pulled from.
    pub mirrors: Vec<String>,
    /// Whether an ImageContentSourcePolicy says so, the older way, instead of an ImageDigestMirrorSet.
    #[serde(default)]
    pub policy: bool,
}

/// An alert that fires though nothing in the simulated cluster is its cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertShape {
    /// Its name.
    pub name: String,
    /// `critical`, `warning` or `info`.
    pub severity: String,
    /// The namespace it is about; empty for none.
    #[serde(default)]
    pub namespace: String,
    /// What it says.
    #[serde(default)]
    pub summary: String,
    /// Minutes after the start from which it fires.
    #[serde(default)]
    pub from_minutes: f64,
    /// Minutes for which it fires; for ever when absent.
    #[serde(default)]
    pub minutes: Option<f64>,
}

/// What connects the pods of all nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkPlugin {
    /// OVN-Kubernetes.
    #[default]
    #[serde(rename = "OVNKubernetes")]
    Ovn,
    /// OpenShift SDN, which releases since 4.17 do not have.
    #[serde(rename = "OpenShiftSDN")]
    Sdn,
    /// Kuryr on OpenStack, which releases since 4.15 do not have.
    Kuryr,
}

impl NetworkPlugin {
    /// Every plugin.
    pub const ALL: [Self; 3] = [Self::Ovn, Self::Sdn, Self::Kuryr];

    /// As the network objects name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ovn => "OVNKubernetes",
            Self::Sdn => "OpenShiftSDN",
            Self::Kuryr => "Kuryr",
        }
    }

    /// The plugin of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plugin| plugin.name() == name)
    }

    /// The namespace of its DaemonSet, and the DaemonSet.
    pub fn daemon_set(self) -> (&'static str, &'static str) {
        match self {
            Self::Ovn => ("openshift-ovn-kubernetes", "ovnkube-node"),
            Self::Sdn => ("openshift-sdn", "sdn"),
            Self::Kuryr => ("openshift-kuryr", "kuryr-cni"),
        }
    }
}
