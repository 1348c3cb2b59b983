//! What an update needs beyond the cluster: an update service, signatures, mirrors, cloud credentials, operators that agree.

mod world_support;

use http::Method;
use serde_json::{Value, json};
use windlass_sim::shape::{Credentials, CredentialsMode, InstalledOperator, Mirror, Platform};
use windlass_sim::store::Preconditions;
use windlass_sim::store::resources::{
    AUTHENTICATIONS, CLUSTEROPERATORS, CREDENTIALSREQUESTS, IMAGECONTENTSOURCEPOLICIES, IMAGEDIGESTMIRRORSETS, INFRASTRUCTURES,
    SECRETS,
};
use windlass_sim::{ClusterShape, Sim};
use world_support::{
    VERSION, completed, condition, get, hop, pass, patch, request_update, says, send, set_channel, start, until, version,
};

const CREDENTIAL: &str = "/apis/operator.openshift.io/v1/cloudcredentials/cluster";

fn operator(sim: &Sim, name: &str) -> (String, String, String) {
    condition(&get(sim, &CLUSTEROPERATORS, None, name), "Upgradeable")
}

fn image_of(version: &str) -> String {
    ClusterShape::default().update_graph().release(version).expect("a release").image()
}

async fn ask_for(sim: &Sim, image: &str) {
    patch(sim, VERSION, json!({ "spec": { "desiredUpdate": { "version": "", "image": image } } })).await;
}

async fn refused(sim: &Sim, words: &str) {
    until(sim, 10, "a refusal", |sim| says(&version(sim), "ReleaseAccepted") == "False").await;
    let (_, reason, message) = condition(&version(sim), "ReleaseAccepted");
    assert_eq!(reason, "RetrievePayload");
    assert!(message.contains(words), "{message}");
    assert_eq!(version(sim)["status"]["desired"]["version"], "4.16.21");
}

async fn sign(sim: &Sim, digest: &str, labels: Value) {
    let name = digest.replacen(':', "-", 1);
    let body = json!({ "metadata": { "name": name, "labels": labels }, "binaryData": { format!("{name}-1"): "b3BlbnBncA==" } });
    send(sim, Method::POST, "/api/v1/namespaces/openshift-config-managed/configmaps", Some(body)).await;
}

fn disconnected(mirrors: Vec<Mirror>) -> Sim {
    start(ClusterShape { disconnected: true, mirrors, ..ClusterShape::default() }, vec![])
}

fn mirror(policy: bool) -> Mirror {
    let source = "quay.io/openshift-release-dev/ocp-release".to_owned();
    Mirror { source, mirrors: vec!["registry.harbour.example.com:5000/ocp/release".into()], policy }
}

#[tokio::test(start_paused = true)]
async fn a_digest_that_nobody_signed_is_refused() {
    let sim = start(ClusterShape::default(), vec![]);
    pass(&sim, 1).await;
    let unknown = format!("sha256:{}", "5e".repeat(32));
    ask_for(&sim, &format!("quay.io/somewhere/release@{unknown}")).await;
    refused(&sim, &format!("unable to verify {unknown} against keyrings")).await;
    sign(&sim, &unknown, json!({ "release.openshift.io/verification-signatures": "" })).await;
    until(&sim, 10, "another refusal", |sim| condition(&version(sim), "ReleaseAccepted").2.contains("DeadlineExceeded")).await;
}

#[tokio::test(start_paused = true)]
async fn a_disconnected_update_needs_a_signature_and_a_mirror() {
    let registry = "registry.harbour.example.com:5000/ocp/release";
    for policy in [false, true] {
        let sim = disconnected(vec![mirror(policy)]);
        let r = if policy { IMAGECONTENTSOURCEPOLICIES } else { IMAGEDIGESTMIRRORSETS };
        assert_eq!(sim.store().list(&r).len(), 1);
        pass(&sim, 1).await;
        assert_eq!(condition(&version(&sim), "RetrievedUpdates").1, "RemoteFailed");
        assert!(version(&sim)["status"]["availableUpdates"].is_null());
        let image = image_of("4.17.11");
        let digest = image.rsplit_once('@').map(|(_, d)| d.to_owned()).expect("a digest");
        let mirrored = format!("{registry}@{digest}");
        ask_for(&sim, &mirrored).await;
        refused(&sim, &format!("unable to verify {digest}")).await;
        sign(&sim, &digest, json!({ "release.openshift.io/verification-signatures": "" })).await;
        until(&sim, 24 * 60, "the update", |sim| completed(sim, "4.17.11")).await;
        let status = version(&sim)["status"].clone();
        assert_eq!((&status["desired"]["image"], &status["history"][0]["image"]), (&json!(mirrored), &json!(mirrored)));
        ask_for(&sim, &image).await;
        pass(&sim, 30).await;
        assert_eq!(sim.ledger().accepted.len(), 1, "the same digest under another name is the same release");
    }
}

#[tokio::test(start_paused = true)]
async fn a_signature_without_its_label_or_an_image_without_a_mirror_helps_nobody() {
    let image = image_of("4.17.11");
    let digest = image.rsplit_once('@').map(|(_, d)| d.to_owned()).expect("a digest");
    let sim = disconnected(vec![mirror(false)]);
    sign(&sim, &digest, json!({})).await;
    ask_for(&sim, &image).await;
    refused(&sim, "unable to verify").await;
    let sim = disconnected(vec![]);
    sign(&sim, &digest, json!({ "release.openshift.io/verification-signatures": "" })).await;
    ask_for(&sim, &image).await;
    refused(&sim, "DeadlineExceeded").await;
}

#[tokio::test(start_paused = true)]
async fn an_upstream_of_its_own_serves_a_disconnected_cluster() {
    let sim = disconnected(vec![]);
    pass(&sim, 1).await;
    let graph = "/api/upgrades_info/v1/graph?channel=stable-4.16";
    let request = || http::Request::get(graph).body(http_body_util::Full::<bytes::Bytes>::default()).expect("a request");
    assert_eq!(sim.service().handle(request()).await.expect("a reply").status(), 503);
    patch(&sim, VERSION, json!({ "spec": { "upstream": "https://updates.harbour.example.com/graph" } })).await;
    until(&sim, 2, "the updates", |sim| says(&version(sim), "RetrievedUpdates") == "True").await;
    assert!(version(&sim)["status"]["availableUpdates"].as_array().is_some_and(|all| !all.is_empty()));
    assert_eq!(sim.service().handle(request()).await.expect("a reply").status(), 200);
    patch(&sim, VERSION, json!({ "spec": { "upstream": "https://updates.harbour.invalid/graph" } })).await;
    until(&sim, 2, "the failure", |sim| condition(&version(sim), "RetrievedUpdates").1 == "RemoteFailed").await;
}

#[tokio::test(start_paused = true)]
async fn updates_within_a_minor_and_by_one_minor_need_no_eus_channel() {
    let sim = start(ClusterShape { pools: vec![], ..ClusterShape::default() }, vec![]);
    pass(&sim, 1).await;
    hop(&sim, "4.16.25").await;
    set_channel(&sim, "stable-4.17").await;
    pass(&sim, 1).await;
    hop(&sim, "4.17.11").await;
}

fn manual(upgradeable_to: &str) -> ClusterShape {
    let issuer = "https://harbour-oidc.s3.us-east-2.amazonaws.com".to_owned();
    let mode = CredentialsMode::Manual;
    let credentials = Credentials { mode, issuer, upgradeable_to: upgradeable_to.into(), ..Credentials::default() };
    ClusterShape { credentials, ..ClusterShape::default() }
}

async fn promise(sim: &Sim, version: &str) {
    let annotations = json!({ "cloudcredential.openshift.io/upgradeable-to": version });
    patch(sim, CREDENTIAL, json!({ "metadata": { "annotations": annotations } })).await;
    pass(sim, 3).await;
}

#[tokio::test(start_paused = true)]
async fn manual_credentials_forbid_each_minor_until_it_is_promised() {
    let sim = start(manual(""), vec![]);
    pass(&sim, 3).await;
    assert_eq!(
        get(&sim, &AUTHENTICATIONS, None, "cluster")["spec"]["serviceAccountIssuer"].as_str().map(str::is_empty),
        Some(false)
    );
    assert!(sim.store().get(&SECRETS, Some("kube-system"), "aws-creds").is_none());
    assert_eq!(operator(&sim, "cloud-credential").1, "MissingUpgradeableAnnotation");
    assert_eq!(condition(&version(&sim), "Upgradeable").1, "MissingUpgradeableAnnotation");
    for (promised, status) in [("4.16.30", "False"), ("soon", "False"), ("4.17.11", "True"), ("v4.17", "True")] {
        promise(&sim, promised).await;
        assert_eq!(operator(&sim, "cloud-credential").0, status, "{promised}");
    }
    set_channel(&sim, "eus-4.18").await;
    pass(&sim, 1).await;
    hop(&sim, "4.17.11").await;
    pass(&sim, 3).await;
    assert_eq!(operator(&sim, "cloud-credential").1, "MissingUpgradeableAnnotation", "the next minor needs its own promise");
}

#[tokio::test(start_paused = true)]
async fn a_cloud_without_its_root_credentials_forbids_minor_updates() {
    for (platform, secret) in
        [(Platform::Aws, Some("aws-creds")), (Platform::VSphere, Some("vsphere-creds")), (Platform::BareMetal, None)]
    {
        let sim = start(ClusterShape { platform, ..ClusterShape::default() }, vec![]);
        pass(&sim, 1).await;
        assert_eq!(get(&sim, &INFRASTRUCTURES, None, "cluster")["status"]["platform"], platform.name());
        assert_eq!(sim.store().list(&CREDENTIALSREQUESTS).is_empty(), secret.is_none());
        assert_eq!(operator(&sim, "cloud-credential").0, "True");
        let Some(secret) = secret else { continue };
        sim.store().delete(&SECRETS, Some("kube-system"), secret, &Preconditions::default()).expect("the secret is there");
        pass(&sim, 3).await;
        assert_eq!(operator(&sim, "cloud-credential").1, "MissingRootCredential");
    }
}

#[tokio::test(start_paused = true)]
async fn operators_say_up_to_which_minor_they_go() {
    for (max, status) in
        [(Some("4.16"), "False"), (Some("4.17"), "True"), (Some("4.17.3"), "True"), (Some("new"), "False"), (None, "True")]
    {
        let capped = InstalledOperator {
            name: "store.v1.2.3".into(),
            namespace: "openshift-storage".into(),
            max_openshift: max.map(str::to_owned),
        };
        let sim = start(ClusterShape { installed_operators: vec![capped], ..ClusterShape::default() }, vec![]);
        pass(&sim, 1).await;
        let (seen, reason, message) = operator(&sim, "operator-lifecycle-manager");
        assert_eq!(seen, status, "{max:?}");
        if status == "False" {
            assert_eq!(reason, "IncompatibleOperatorsInstalled");
            assert!(message.contains("openshift-storage/store.v1.2.3 is incompatible"), "{message}");
        }
    }
    let sim = start(ClusterShape::default(), vec![]);
    pass(&sim, 1).await;
    request_update(&sim, "4.16.25").await;
    until(&sim, 24 * 60, "the update", |sim| completed(sim, "4.16.25")).await;
}
