//! What the cluster reaches the world with: cloud credentials, service-account issuer, image mirrors.

use serde_json::{Value, json};

use super::shape::{CredentialsMode, Mirror};
use super::{Draft, Plan};
use crate::store::resources::{
    AUTHENTICATIONS, CLOUDCREDENTIALS, CREDENTIALSREQUESTS, IMAGECONTENTSOURCEPOLICIES, IMAGEDIGESTMIRRORSETS, SECRETS,
};

/// The namespace of CredentialsRequests.
const REQUESTS: &str = "openshift-cloud-credential-operator";

/// Components that ask for credentials: request, namespace and name of the Secret, service account.
const COMPONENTS: [(&str, &str, &str, &str); 5] = [
    ("openshift-image-registry", "openshift-image-registry", "installer-cloud-credentials", "registry"),
    ("openshift-ingress", "openshift-ingress-operator", "cloud-credentials", "ingress-operator"),
    ("openshift-machine-api", "openshift-machine-api", "cloud-credentials", "machine-api-controllers"),
    ("openshift-cluster-csi-drivers", "openshift-cluster-csi-drivers", "csi-cloud-credentials", "csi-driver-operator"),
    (
        "openshift-cloud-network-config-controller",
        "openshift-network-operator",
        "cloud-credentials",
        "cloud-network-config-controller",
    ),
];

pub(super) fn drafts(plan: &Plan<'_>) -> Vec<Draft> {
    let mut all = vec![credentials(plan), authentication(plan)];
    all.extend(root_secret(plan));
    all.extend(requests(plan));
    all.extend(plan.shape.mirrors.iter().enumerate().map(|(index, mirror)| mirrored(index, mirror)));
    all
}

fn credentials(plan: &Plan<'_>) -> Draft {
    let shape = &plan.shape.credentials;
    let spec = json!({ "credentialsMode": shape.mode.text(), "logLevel": "Normal", "managementState": "Managed" });
    let mut object = json!({ "metadata": { "name": "cluster" }, "spec": spec, "status": {} });
    if !shape.upgradeable_to.is_empty() {
        object["metadata"]["annotations"] = json!({ "cloudcredential.openshift.io/upgradeable-to": shape.upgradeable_to });
    }
    Draft::new(CLOUDCREDENTIALS, object)
}

fn authentication(plan: &Plan<'_>) -> Draft {
    let spec = json!({ "type": "", "oauthMetadata": { "name": "" }, "serviceAccountIssuer": plan.shape.credentials.issuer });
    Draft::new(AUTHENTICATIONS, json!({ "metadata": { "name": "cluster" }, "spec": spec, "status": {} }))
}

/// The cloud's root credentials, which an administrator may have removed, or never have given.
fn root_secret(plan: &Plan<'_>) -> Option<Draft> {
    let shape = &plan.shape.credentials;
    let kept = shape.root_secret && shape.mode != CredentialsMode::Manual;
    let name = plan.shape.platform.root_secret().filter(|_| kept)?;
    Some(Draft::new(SECRETS, json!({ "metadata": { "name": name, "namespace": "kube-system" }, "type": "Opaque", "data": {} })))
}

fn requests(plan: &Plan<'_>) -> Vec<Draft> {
    let Some(kind) = plan.shape.platform.provider_spec() else { return vec![] };
    let request = |(name, namespace, secret, account): (&str, &str, &str, &str)| {
        let provider = json!({ "apiVersion": "cloudcredential.openshift.io/v1", "kind": kind });
        let spec = json!({ "secretRef": { "namespace": namespace, "name": secret }, "serviceAccountNames": [account],
            "providerSpec": provider });
        let object = json!({ "metadata": { "name": name, "namespace": REQUESTS }, "spec": spec,
            "status": { "provisioned": true, "lastSyncGeneration": 1 } });
        let secret = json!({ "metadata": { "name": secret, "namespace": namespace }, "type": "Opaque", "data": {} });
        [Draft::new(CREDENTIALSREQUESTS, object), Draft::new(SECRETS, secret)]
    };
    COMPONENTS.into_iter().flat_map(request).collect()
}

fn mirrored(index: usize, mirror: &Mirror) -> Draft {
    let entry: Value = json!([{ "source": mirror.source, "mirrors": mirror.mirrors }]);
    let metadata = json!({ "name": format!("mirror-{index}") });
    if mirror.policy {
        return Draft::new(
            IMAGECONTENTSOURCEPOLICIES,
            json!({ "metadata": metadata, "spec": { "repositoryDigestMirrors": entry } }),
        );
    }
    Draft::new(IMAGEDIGESTMIRRORSETS, json!({ "metadata": metadata, "spec": { "imageDigestMirrors": entry } }))
}
