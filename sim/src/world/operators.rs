//! The cluster operators: names, run levels, what they call healthy.

use serde_json::{Value, json};

/// One cluster operator of the payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operator {
    /// The ClusterOperator's name.
    pub(crate) name: &'static str,
    /// The run level: operators of one level update together, after all lower levels.
    pub(crate) level: u8,
    /// Its share of the minutes that its level takes.
    pub(crate) pace: f64,
    /// Further names under `status.versions` that carry the release's version.
    pub(crate) operands: &'static [&'static str],
    /// Its namespaces.
    pub(crate) namespaces: &'static [&'static str],
    /// The resource of `operator.openshift.io` that it reconciles; empty when none.
    pub(crate) config: &'static str,
}

const fn op(name: &'static str, level: u8, pace: f64, namespaces: &'static [&'static str], config: &'static str) -> Operator {
    Operator { name, level, pace, operands: &[], namespaces, config }
}

const fn with(operator: Operator, operands: &'static [&'static str]) -> Operator {
    Operator { operands, ..operator }
}

/// The operator that updates nodes, last of all.
pub(crate) const MACHINE_CONFIG: &str = "machine-config";

/// All of them, in the order of `oc get clusteroperators`.
pub(crate) const OPERATORS: [Operator; 33] = [
    with(
        op("authentication", 50, 0.9, &["openshift-authentication", "openshift-authentication-operator"], "authentications"),
        &["oauth-apiserver"],
    ),
    op("baremetal", 30, 0.2, &["openshift-machine-api"], ""),
    op(
        "cloud-controller-manager",
        26,
        0.7,
        &["openshift-cloud-controller-manager", "openshift-cloud-controller-manager-operator"],
        "",
    ),
    op("cloud-credential", 50, 0.4, &["openshift-cloud-credential-operator"], "cloudcredentials"),
    op("cluster-autoscaler", 30, 0.2, &["openshift-machine-api"], ""),
    with(op("config-operator", 10, 1.0, &["openshift-config-operator"], "configs"), &["feature-gates"]),
    op("console", 50, 0.8, &["openshift-console", "openshift-console-operator"], "consoles"),
    op("control-plane-machine-set", 30, 0.3, &["openshift-machine-api"], ""),
    with(
        op("csi-snapshot-controller", 50, 0.4, &["openshift-cluster-storage-operator"], "csisnapshotcontrollers"),
        &["csi-snapshot-controller"],
    ),
    op("dns", 70, 0.8, &["openshift-dns", "openshift-dns-operator"], "dnses"),
    with(op("etcd", 12, 1.0, &["openshift-etcd", "openshift-etcd-operator"], "etcds"), &["raw-internal", "etcd"]),
    op("image-registry", 50, 0.6, &["openshift-image-registry"], ""),
    op("ingress", 50, 0.9, &["openshift-ingress", "openshift-ingress-operator"], "ingresscontrollers"),
    op("insights", 50, 0.3, &["openshift-insights"], "insightsoperators"),
    with(
        op("kube-apiserver", 20, 1.0, &["openshift-kube-apiserver", "openshift-kube-apiserver-operator"], "kubeapiservers"),
        &["raw-internal"],
    ),
    with(
        op(
            "kube-controller-manager",
            25,
            1.0,
            &["openshift-kube-controller-manager", "openshift-kube-controller-manager-operator"],
            "kubecontrollermanagers",
        ),
        &["raw-internal"],
    ),
    with(
        op("kube-scheduler", 25, 0.8, &["openshift-kube-scheduler", "openshift-kube-scheduler-operator"], "kubeschedulers"),
        &["raw-internal"],
    ),
    op("kube-storage-version-migrator", 50, 0.3, &["openshift-kube-storage-version-migrator"], "kubestorageversionmigrators"),
    op("machine-api", 30, 0.8, &["openshift-machine-api"], ""),
    op("machine-approver", 30, 0.3, &["openshift-cluster-machine-approver"], ""),
    op(MACHINE_CONFIG, 80, 1.0, &["openshift-machine-config-operator"], ""),
    op("marketplace", 50, 0.4, &["openshift-marketplace"], ""),
    op("monitoring", 50, 1.0, &["openshift-monitoring"], ""),
    op("network", 70, 1.0, &["openshift-network-operator", "openshift-ovn-kubernetes", "openshift-multus"], "networks"),
    op("node-tuning", 50, 0.5, &["openshift-cluster-node-tuning-operator"], ""),
    with(
        op("openshift-apiserver", 30, 1.0, &["openshift-apiserver", "openshift-apiserver-operator"], "openshiftapiservers"),
        &["openshift-apiserver"],
    ),
    op(
        "openshift-controller-manager",
        30,
        0.9,
        &["openshift-controller-manager", "openshift-controller-manager-operator"],
        "openshiftcontrollermanagers",
    ),
    op("openshift-samples", 50, 0.5, &["openshift-cluster-samples-operator"], ""),
    with(
        op("operator-lifecycle-manager", 50, 0.6, &["openshift-operator-lifecycle-manager"], ""),
        &["operator-lifecycle-manager"],
    ),
    with(
        op("operator-lifecycle-manager-catalog", 50, 0.6, &["openshift-operator-lifecycle-manager"], ""),
        &["operator-lifecycle-manager"],
    ),
    op("operator-lifecycle-manager-packageserver", 50, 0.7, &["openshift-operator-lifecycle-manager"], ""),
    op("service-ca", 50, 0.5, &["openshift-service-ca", "openshift-service-ca-operator"], "servicecas"),
    op("storage", 50, 0.8, &["openshift-cluster-csi-drivers", "openshift-cluster-storage-operator"], "storages"),
];

/// Each run level with the share of the operators' time that it takes; machine-config's own time is the nodes'.
pub(crate) const LEVELS: [(u8, f64); 9] =
    [(10, 0.02), (12, 0.2), (20, 0.26), (25, 0.1), (26, 0.05), (30, 0.12), (50, 0.15), (70, 0.1), (80, 0.0)];

impl Operator {
    /// The operator of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        OPERATORS.iter().find(|o| o.name == name)
    }

    /// `status.versions` once it runs `release`.
    pub(crate) fn versions(&self, release: &str, kubelet: &str) -> Value {
        let mut all = vec![json!({ "name": "operator", "version": release })];
        all.extend(self.operands.iter().map(|name| json!({ "name": name, "version": release })));
        if self.name.starts_with("kube-") && self.level < 30 {
            let kube = kubelet.trim_start_matches('v').split('+').next().unwrap_or_default();
            all.push(json!({ "name": self.name, "version": kube }));
        }
        Value::Array(all)
    }

    /// The messages of a healthy operator: available, progressing, degraded.
    pub(crate) fn healthy(&self, release: &str, nodes: usize, revision: u64) -> [String; 3] {
        let at = format!("{nodes} nodes are at revision {revision}");
        match self.name {
            "etcd" | "kube-apiserver" | "kube-controller-manager" | "kube-scheduler" => [
                format!("StaticPodsAvailable: {nodes} nodes are active; {at}"),
                format!("NodeInstallerProgressing: {at}"),
                "NodeControllerDegraded: All master nodes are ready".into(),
            ],
            MACHINE_CONFIG => {
                [format!("Cluster has deployed [{{operator {release}}}]"), format!("Cluster version is {release}"), String::new()]
            }
            "monitoring" => ["Successfully rolled out the stack.".into(), String::new(), String::new()],
            "openshift-samples" => {
                let done = format!("Samples installation successful at {release}");
                [done.clone(), done, String::new()]
            }
            "network" => Default::default(),
            _ => ["All is well".into(), "All is well".into(), "All is well".into()],
        }
    }

    /// What it says while it rolls `release` out: reason and message of Progressing.
    pub(crate) fn rolling(&self, release: &str, nodes: usize, revision: u64) -> (&'static str, String) {
        match self.name {
            "etcd" | "kube-apiserver" | "kube-controller-manager" | "kube-scheduler" => (
                "NodeInstaller",
                format!(
                    "NodeInstallerProgressing: {nodes} nodes are at revision {revision}; 0 nodes have achieved new revision {}",
                    revision + 1
                ),
            ),
            MACHINE_CONFIG => ("", format!("Working towards {release}")),
            "network" => ("Deploying", "DaemonSet \"/openshift-ovn-kubernetes/ovnkube-node\" update is rolling out".into()),
            "monitoring" => ("RollOutInProgress", "Rolling out the stack.".into()),
            "dns" => ("DNSReportsProgressingIsTrue", "DNS \"default\" reports Progressing=True".into()),
            name => ("_DeploymentRolledOut", format!("deployment {name} is being updated to {release}")),
        }
    }

    /// `status.relatedObjects`.
    pub(crate) fn related(&self) -> Value {
        let namespaces = self.namespaces.iter().map(|ns| json!({ "group": "", "resource": "namespaces", "name": ns }));
        let config = (!self.config.is_empty())
            .then(|| json!({ "group": "operator.openshift.io", "resource": self.config, "name": "cluster" }));
        config.into_iter().chain(namespaces).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_has_a_level_and_a_place_in_the_alphabet() {
        assert!(OPERATORS.is_sorted_by_key(|o| o.name));
        assert!(OPERATORS.iter().all(|o| LEVELS.iter().any(|(level, _)| *level == o.level)));
        assert!((LEVELS.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9);
        for (level, _) in LEVELS {
            let slowest = OPERATORS.iter().filter(|o| o.level == level).map(|o| o.pace).fold(0.0, f64::max);
            assert!(slowest > 0.0, "level {level} has no operator");
        }
    }
}
