use super::*;
use crate::testing::{Fault, Server, clock};
use crate::views::Namespace;

const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
current-context: lab
clusters: [{name: lab, cluster: {server: 'http://127.0.0.1:9'}}]
users: [{name: me, user: {token: sesame}}]
contexts:
- {name: lab, context: {cluster: lab, user: me}}
- {name: prod, context: {cluster: gone, user: me}}
";

#[tokio::test]
async fn each_wrong_kubeconfig_says_what_is_wrong_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let check = async |text: Option<&str>, context: Option<&str>, expect: &str| {
        let path = folder.path().join("kubeconfig");
        let _ = std::fs::remove_file(&path);
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let connection = Connection { kubeconfig: Some(path.clone()), context: context.map(str::to_owned) };
        let Err(error) = Cluster::connect(&connection).await else { panic!("connected") };
        let text = error.to_string().replace(&path.display().to_string(), "PATH");
        assert_eq!(text, expect);
        assert_eq!(text.lines().count(), 1);
    };
    check(
        None,
        None,
        "kubeconfig PATH cannot be read: No such file or directory (os error 2); name another one with --kubeconfig",
    )
    .await;
    check(Some(KUBECONFIG), Some("test"), "the kubeconfig has no context \"test\"; choose one of lab, prod with --context").await;
    check(
        Some(&KUBECONFIG.replace("current-context: lab", "")),
        None,
        "the kubeconfig has no current context; choose one of lab, prod with --context",
    )
    .await;
    check(
        Some(KUBECONFIG),
        Some("prod"),
        "the kubeconfig is not usable: failed to load the cluster of context: gone; check it with `oc config view`",
    )
    .await;
    check(
        Some(KUBECONFIG),
        None,
        "the API server http://127.0.0.1:9 cannot be reached: Connection refused (os error 111); \
         check the address, the network and the proxy, then retry",
    )
    .await;
}

#[tokio::test]
async fn text_that_is_no_kubeconfig_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, "clusters: [what: {").unwrap();
    let Err(error) = Cluster::connect(&Connection { kubeconfig: Some(path), context: None }).await else { panic!("connected") };
    let text = error.to_string();
    assert!(text.starts_with("the kubeconfig is not usable: ") && text.lines().count() == 1, "{text}");
}

#[tokio::test(start_paused = true)]
async fn each_refusal_says_what_is_missing() {
    let check = async |server: Server, expect: &str| {
        let settings = Settings::simulated(clock());
        let Err(error) = Cluster::from_client(server.client(), settings).await else { panic!("connected") };
        assert_eq!(error.to_string(), expect);
    };
    let failing = |fault: Fault| {
        let server = Server::healthy();
        server.fail_all(Some(fault));
        server
    };
    check(
        Server::default(),
        "memory:// tells no id of its cluster: it has no namespace kube-system; choose another context with --context",
    )
    .await;
    check(failing(Fault::Code(401)), "the login at memory:// has ended; run `oc login memory://`, then retry").await;
    check(
        failing(Fault::Code(403)),
        "permission missing at memory://: get clusterversions.config.openshift.io; ask for it, then retry",
    )
    .await;
    check(
        failing(Fault::Silence),
        "the API server memory:// cannot be reached: no answer within 30 s; check the address, the network and the proxy, \
         then retry",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_cluster_without_a_version_is_known_by_its_oldest_namespace() {
    let server = Server::default();
    let mut namespace = Namespace::default();
    (namespace.metadata.name, namespace.metadata.uid) = (Some("kube-system".to_owned()), Some("f0e1".to_owned()));
    server.put(&namespace);
    let cluster = Cluster::from_client(server.client(), Settings::simulated(clock())).await.unwrap();
    assert_eq!(cluster.id().as_str(), "f0e1");
    assert_eq!(
        cluster.check_openshift().unwrap_err().to_string(),
        "memory:// is not an OpenShift cluster: it has no ClusterVersion; choose another context with --context"
    );
}
