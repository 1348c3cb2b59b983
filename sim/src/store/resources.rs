//! The served resources.

use super::{Column, Resource, columns};

/// Every served resource.
pub const ALL: &[&Resource] = &[
    &NODES,
    &PODS,
    &NAMESPACES,
    &CONFIGMAPS,
    &SECRETS,
    &SERVICES,
    &SERVICEACCOUNTS,
    &PERSISTENTVOLUMES,
    &PERSISTENTVOLUMECLAIMS,
    &EVENTS,
    &DEPLOYMENTS,
    &REPLICASETS,
    &DAEMONSETS,
    &STATEFULSETS,
    &PDBS,
    &LEASES,
    &CERTIFICATESIGNINGREQUESTS,
    &NETWORKPOLICIES,
    &CRDS,
    &APIREQUESTCOUNTS,
    &CLUSTERVERSIONS,
    &CLUSTEROPERATORS,
    &INFRASTRUCTURES,
    &NETWORKS_CONFIG,
    &AUTHENTICATIONS,
    &NODES_CONFIG,
    &IMAGEDIGESTMIRRORSETS,
    &NETWORKS_OPERATOR,
    &CLOUDCREDENTIALS,
    &CREDENTIALSREQUESTS,
    &IMAGECONTENTSOURCEPOLICIES,
    &ETCDS,
    &KUBEAPISERVERS,
    &MACHINECONFIGPOOLS,
    &MACHINECONFIGS,
    &MACHINECONFIGNODES,
    &CONTROLLERCONFIGS,
    &MACHINES,
    &MACHINESETS,
    &MACHINEHEALTHCHECKS,
    &NODEHEALTHCHECKS,
    &CLUSTERSERVICEVERSIONS,
    &SUBSCRIPTIONS,
    &VIRTUALMACHINEINSTANCES,
    &NODENETWORKCONFIGURATIONPOLICIES,
    &NODENETWORKSTATES,
    &KURYRNETWORKS,
    &KURYRPORTS,
    &KURYRLOADBALANCERS,
    &KURYRNETWORKPOLICIES,
];

/// Finds a served resource by its path.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    ALL.iter().find(|r| r.plural == plural && r.group == group && r.version == version).copied()
}

/// `nodes` of core `v1`.
pub const NODES: Resource = builtin("", "v1", ["nodes", "node", "Node"], &["no"]).with_status().shown_as(columns::NODES);
/// `pods` of core `v1`.
pub const PODS: Resource = builtin("", "v1", ["pods", "pod", "Pod"], &["po"]).namespaced().with_status().shown_as(columns::PODS);
/// `namespaces` of core `v1`.
pub const NAMESPACES: Resource =
    builtin("", "v1", ["namespaces", "namespace", "Namespace"], &["ns"]).with_status().shown_as(columns::NAMESPACES);
/// `configmaps` of core `v1`.
pub const CONFIGMAPS: Resource =
    builtin("", "v1", ["configmaps", "configmap", "ConfigMap"], &["cm"]).namespaced().shown_as(columns::CONFIGMAPS);
/// `secrets` of core `v1`.
pub const SECRETS: Resource = builtin("", "v1", ["secrets", "secret", "Secret"], &[]).namespaced().shown_as(columns::SECRETS);
/// `services` of core `v1`.
pub const SERVICES: Resource =
    builtin("", "v1", ["services", "service", "Service"], &["svc"]).namespaced().with_status().shown_as(columns::SERVICES);
/// `serviceaccounts` of core `v1`.
pub const SERVICEACCOUNTS: Resource =
    builtin("", "v1", ["serviceaccounts", "serviceaccount", "ServiceAccount"], &["sa"]).namespaced();
/// `persistentvolumes` of core `v1`.
pub const PERSISTENTVOLUMES: Resource = builtin("", "v1", ["persistentvolumes", "persistentvolume", "PersistentVolume"], &["pv"])
    .with_status()
    .shown_as(columns::PERSISTENTVOLUMES);
/// `persistentvolumeclaims` of core `v1`.
pub const PERSISTENTVOLUMECLAIMS: Resource =
    builtin("", "v1", ["persistentvolumeclaims", "persistentvolumeclaim", "PersistentVolumeClaim"], &["pvc"])
        .namespaced()
        .with_status()
        .shown_as(columns::PERSISTENTVOLUMECLAIMS);
/// `events` of core `v1`.
pub const EVENTS: Resource = builtin("", "v1", ["events", "event", "Event"], &["ev"]).namespaced().shown_as(columns::EVENTS);
/// `deployments` of `apps/v1`.
pub const DEPLOYMENTS: Resource = builtin("apps", "v1", ["deployments", "deployment", "Deployment"], &["deploy"])
    .namespaced()
    .with_status()
    .scalable()
    .counting()
    .shown_as(columns::DEPLOYMENTS);
/// `replicasets` of `apps/v1`.
pub const REPLICASETS: Resource = builtin("apps", "v1", ["replicasets", "replicaset", "ReplicaSet"], &["rs"])
    .namespaced()
    .with_status()
    .scalable()
    .counting()
    .shown_as(columns::REPLICASETS);
/// `daemonsets` of `apps/v1`.
pub const DAEMONSETS: Resource = builtin("apps", "v1", ["daemonsets", "daemonset", "DaemonSet"], &["ds"])
    .namespaced()
    .with_status()
    .counting()
    .shown_as(columns::DAEMONSETS);
/// `statefulsets` of `apps/v1`.
pub const STATEFULSETS: Resource = builtin("apps", "v1", ["statefulsets", "statefulset", "StatefulSet"], &["sts"])
    .namespaced()
    .with_status()
    .scalable()
    .counting()
    .shown_as(columns::STATEFULSETS);
/// `poddisruptionbudgets` of `policy/v1`.
pub const PDBS: Resource =
    builtin("policy", "v1", ["poddisruptionbudgets", "poddisruptionbudget", "PodDisruptionBudget"], &["pdb"])
        .namespaced()
        .with_status()
        .counting()
        .shown_as(columns::PDBS);
/// `leases` of `coordination.k8s.io/v1`.
pub const LEASES: Resource =
    builtin("coordination.k8s.io", "v1", ["leases", "lease", "Lease"], &[]).namespaced().shown_as(columns::LEASES);
/// `certificatesigningrequests` of `certificates.k8s.io/v1`.
pub const CERTIFICATESIGNINGREQUESTS: Resource = builtin(
    "certificates.k8s.io",
    "v1",
    ["certificatesigningrequests", "certificatesigningrequest", "CertificateSigningRequest"],
    &["csr"],
)
.with_status()
.shown_as(columns::CERTIFICATESIGNINGREQUESTS);
/// `networkpolicies` of `networking.k8s.io/v1`.
pub const NETWORKPOLICIES: Resource =
    builtin("networking.k8s.io", "v1", ["networkpolicies", "networkpolicy", "NetworkPolicy"], &["netpol"])
        .namespaced()
        .counting();
/// `customresourcedefinitions` of `apiextensions.k8s.io/v1`.
pub const CRDS: Resource = builtin(
    "apiextensions.k8s.io",
    "v1",
    ["customresourcedefinitions", "customresourcedefinition", "CustomResourceDefinition"],
    &["crd", "crds"],
)
.with_status()
.counting();
/// `apirequestcounts` of `apiserver.openshift.io/v1`.
pub const APIREQUESTCOUNTS: Resource =
    custom("apiserver.openshift.io", "v1", ["apirequestcounts", "apirequestcount", "APIRequestCount"], &[])
        .with_status()
        .shown_as(columns::APIREQUESTCOUNTS);
/// `clusterversions` of `config.openshift.io/v1`.
pub const CLUSTERVERSIONS: Resource =
    custom("config.openshift.io", "v1", ["clusterversions", "clusterversion", "ClusterVersion"], &[])
        .with_status()
        .shown_as(columns::CLUSTERVERSIONS);
/// `clusteroperators` of `config.openshift.io/v1`.
pub const CLUSTEROPERATORS: Resource =
    custom("config.openshift.io", "v1", ["clusteroperators", "clusteroperator", "ClusterOperator"], &["co"])
        .with_status()
        .shown_as(columns::CLUSTEROPERATORS);
/// `infrastructures` of `config.openshift.io/v1`.
pub const INFRASTRUCTURES: Resource =
    custom("config.openshift.io", "v1", ["infrastructures", "infrastructure", "Infrastructure"], &[]).with_status();
/// `networks` of `config.openshift.io/v1`.
pub const NETWORKS_CONFIG: Resource = custom("config.openshift.io", "v1", ["networks", "network", "Network"], &[]);
/// `authentications` of `config.openshift.io/v1`.
pub const AUTHENTICATIONS: Resource =
    custom("config.openshift.io", "v1", ["authentications", "authentication", "Authentication"], &[]).with_status();
/// `nodes` of `config.openshift.io/v1`.
pub const NODES_CONFIG: Resource = custom("config.openshift.io", "v1", ["nodes", "node", "Node"], &[]).with_status();
/// `imagedigestmirrorsets` of `config.openshift.io/v1`.
pub const IMAGEDIGESTMIRRORSETS: Resource =
    custom("config.openshift.io", "v1", ["imagedigestmirrorsets", "imagedigestmirrorset", "ImageDigestMirrorSet"], &["idms"])
        .with_status();
/// `networks` of `operator.openshift.io/v1`.
pub const NETWORKS_OPERATOR: Resource = custom("operator.openshift.io", "v1", ["networks", "network", "Network"], &[]);
/// `cloudcredentials` of `operator.openshift.io/v1`.
pub const CLOUDCREDENTIALS: Resource =
    custom("operator.openshift.io", "v1", ["cloudcredentials", "cloudcredential", "CloudCredential"], &[]).with_status();
/// `credentialsrequests` of `cloudcredential.openshift.io/v1`.
pub const CREDENTIALSREQUESTS: Resource =
    custom("cloudcredential.openshift.io", "v1", ["credentialsrequests", "credentialsrequest", "CredentialsRequest"], &[])
        .namespaced()
        .with_status();
/// `imagecontentsourcepolicies` of `operator.openshift.io/v1alpha1`.
pub const IMAGECONTENTSOURCEPOLICIES: Resource = custom(
    "operator.openshift.io",
    "v1alpha1",
    ["imagecontentsourcepolicies", "imagecontentsourcepolicy", "ImageContentSourcePolicy"],
    &["icsp"],
);
/// `etcds` of `operator.openshift.io/v1`.
pub const ETCDS: Resource = custom("operator.openshift.io", "v1", ["etcds", "etcd", "Etcd"], &[]).with_status();
/// `kubeapiservers` of `operator.openshift.io/v1`.
pub const KUBEAPISERVERS: Resource =
    custom("operator.openshift.io", "v1", ["kubeapiservers", "kubeapiserver", "KubeAPIServer"], &[]).with_status();
/// `machineconfigpools` of `machineconfiguration.openshift.io/v1`.
pub const MACHINECONFIGPOOLS: Resource =
    custom("machineconfiguration.openshift.io", "v1", ["machineconfigpools", "machineconfigpool", "MachineConfigPool"], &["mcp"])
        .with_status()
        .shown_as(columns::MACHINECONFIGPOOLS);
/// `machineconfigs` of `machineconfiguration.openshift.io/v1`.
pub const MACHINECONFIGS: Resource =
    custom("machineconfiguration.openshift.io", "v1", ["machineconfigs", "machineconfig", "MachineConfig"], &["mc"])
        .shown_as(columns::MACHINECONFIGS);
/// `machineconfignodes` of `machineconfiguration.openshift.io/v1`.
pub const MACHINECONFIGNODES: Resource =
    custom("machineconfiguration.openshift.io", "v1", ["machineconfignodes", "machineconfignode", "MachineConfigNode"], &[])
        .with_status()
        .shown_as(columns::MACHINECONFIGNODES);
/// `controllerconfigs` of `machineconfiguration.openshift.io/v1`.
pub const CONTROLLERCONFIGS: Resource =
    custom("machineconfiguration.openshift.io", "v1", ["controllerconfigs", "controllerconfig", "ControllerConfig"], &[])
        .with_status();
/// `machines` of `machine.openshift.io/v1beta1`.
pub const MACHINES: Resource = custom("machine.openshift.io", "v1beta1", ["machines", "machine", "Machine"], &[])
    .namespaced()
    .with_status()
    .shown_as(columns::MACHINES);
/// `machinesets` of `machine.openshift.io/v1beta1`.
pub const MACHINESETS: Resource = custom("machine.openshift.io", "v1beta1", ["machinesets", "machineset", "MachineSet"], &[])
    .namespaced()
    .with_status()
    .scalable()
    .shown_as(columns::MACHINESETS);
/// `machinehealthchecks` of `machine.openshift.io/v1beta1`.
pub const MACHINEHEALTHCHECKS: Resource = custom(
    "machine.openshift.io",
    "v1beta1",
    ["machinehealthchecks", "machinehealthcheck", "MachineHealthCheck"],
    &["mhc", "mhcs"],
)
.namespaced()
.with_status()
.shown_as(columns::MACHINEHEALTHCHECKS);
/// `nodehealthchecks` of `remediation.medik8s.io/v1alpha1`.
pub const NODEHEALTHCHECKS: Resource =
    custom("remediation.medik8s.io", "v1alpha1", ["nodehealthchecks", "nodehealthcheck", "NodeHealthCheck"], &["nhc"])
        .with_status()
        .shown_as(columns::NODEHEALTHCHECKS);
/// `clusterserviceversions` of `operators.coreos.com/v1alpha1`.
pub const CLUSTERSERVICEVERSIONS: Resource = custom(
    "operators.coreos.com",
    "v1alpha1",
    ["clusterserviceversions", "clusterserviceversion", "ClusterServiceVersion"],
    &["csv", "csvs"],
)
.namespaced()
.with_status()
.shown_as(columns::CLUSTERSERVICEVERSIONS);
/// `subscriptions` of `operators.coreos.com/v1alpha1`.
pub const SUBSCRIPTIONS: Resource =
    custom("operators.coreos.com", "v1alpha1", ["subscriptions", "subscription", "Subscription"], &["sub", "subs"])
        .namespaced()
        .with_status();
/// `virtualmachineinstances` of `kubevirt.io/v1`.
pub const VIRTUALMACHINEINSTANCES: Resource = custom(
    "kubevirt.io",
    "v1",
    ["virtualmachineinstances", "virtualmachineinstance", "VirtualMachineInstance"],
    &["vmi", "vmis"],
)
.namespaced()
.with_status();
/// `nodenetworkstates` of `nmstate.io/v1beta1`.
pub const NODENETWORKSTATES: Resource =
    custom("nmstate.io", "v1beta1", ["nodenetworkstates", "nodenetworkstate", "NodeNetworkState"], &["nns"]).with_status();
/// `kuryrnetworks` of `openstack.org/v1`.
pub const KURYRNETWORKS: Resource =
    custom("openstack.org", "v1", ["kuryrnetworks", "kuryrnetwork", "KuryrNetwork"], &[]).namespaced().with_status();
/// `nodenetworkconfigurationpolicies` of `nmstate.io/v1`.
pub const NODENETWORKCONFIGURATIONPOLICIES: Resource = custom(
    "nmstate.io",
    "v1",
    ["nodenetworkconfigurationpolicies", "nodenetworkconfigurationpolicy", "NodeNetworkConfigurationPolicy"],
    &["nncp"],
)
.with_status();
/// `kuryrports` of `openstack.org/v1`.
pub const KURYRPORTS: Resource =
    custom("openstack.org", "v1", ["kuryrports", "kuryrport", "KuryrPort"], &["kp"]).namespaced().with_status();
/// `kuryrloadbalancers` of `openstack.org/v1`.
pub const KURYRLOADBALANCERS: Resource =
    custom("openstack.org", "v1", ["kuryrloadbalancers", "kuryrloadbalancer", "KuryrLoadBalancer"], &["klb"])
        .namespaced()
        .with_status();
/// `kuryrnetworkpolicies` of `openstack.org/v1`.
pub const KURYRNETWORKPOLICIES: Resource =
    custom("openstack.org", "v1", ["kuryrnetworkpolicies", "kuryrnetworkpolicy", "KuryrNetworkPolicy"], &["knp"])
        .namespaced()
        .with_status();

const fn builtin(
    group: &'static str,
    version: &'static str,
    names: [&'static str; 3],
    short: &'static [&'static str],
) -> Resource {
    let [plural, singular, kind] = names;
    Resource {
        group,
        version,
        plural,
        singular,
        kind,
        namespaced: false,
        short_names: short,
        status: false,
        scale: false,
        generation: false,
        custom: false,
        columns: columns::DEFAULT,
    }
}

const fn custom(
    group: &'static str,
    version: &'static str,
    names: [&'static str; 3],
    short: &'static [&'static str],
) -> Resource {
    Resource { custom: true, generation: true, ..builtin(group, version, names, short) }
}

impl Resource {
    const fn namespaced(self) -> Self {
        Self { namespaced: true, ..self }
    }

    const fn with_status(self) -> Self {
        Self { status: true, ..self }
    }

    const fn scalable(self) -> Self {
        Self { scale: true, ..self }
    }

    const fn counting(self) -> Self {
        Self { generation: true, ..self }
    }

    const fn shown_as(self, columns: &'static [Column]) -> Self {
        Self { columns, ..self }
    }
}
