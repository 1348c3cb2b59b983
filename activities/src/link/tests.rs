use http::Method;
use serde_json::json;
use windlass_engine::FailureKind::{Permanent, Transient, Unknown};
use windlass_engine::{ActivityError, FailureKind};

use super::*;
use crate::cluster::{Patch, Query};
use crate::testing::{Fault, POOLS, Server};
use crate::views::{MachineConfigPool, Node};

#[tokio::test(start_paused = true)]
async fn what_a_failed_write_means_depends_on_whether_it_was_refused_or_lost() {
    let check = async |fault: Fault, kind: FailureKind, retry_after: Option<u64>, took_effect: bool| {
        let server = Server::healthy();
        let cluster = server.cluster().await;
        server.fail_next(&Method::PATCH, fault);
        let patch = Patch::Merge(json!({"spec": {"paused": true}}));
        let error: ActivityError = cluster.patch::<MachineConfigPool>(None, "worker", &patch).await.unwrap_err().into();
        assert_eq!((error.kind, error.retry_after_seconds), (kind, retry_after), "{fault:?}: {error}");
        assert_eq!(server.read(POOLS, "worker")["spec"]["paused"] == json!(true), took_effect);
    };
    check(Fault::ResetBefore, Unknown, None, false).await;
    check(Fault::ResetAfter, Unknown, None, true).await;
    check(Fault::Silence, Unknown, None, false).await;
    check(Fault::Code(504), Unknown, None, false).await;
    check(Fault::Busy(7), Transient, Some(7), false).await;
    check(Fault::Code(409), Transient, None, false).await;
    check(Fault::Code(401), Transient, None, false).await;
    check(Fault::Code(403), Permanent, None, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up_after_the_limit() {
    let server = Server::healthy();
    let cluster = server.cluster().await;
    server.fail_next(&Method::GET, Fault::Silence);
    let began = tokio::time::Instant::now();
    let error = cluster.get::<MachineConfigPool>(None, "worker").await.unwrap_err();
    assert_eq!(began.elapsed(), CALL_LIMIT);
    assert_eq!(error.to_string(), "get machineconfigpools/worker: no answer within 30 s");
}

#[tokio::test(start_paused = true)]
async fn no_call_is_repeated_behind_our_back() {
    let server = Server::healthy();
    let cluster = server.cluster().await;
    let before = server.requests().len();
    server.fail_next(&Method::GET, Fault::Busy(1));
    assert!(cluster.get::<MachineConfigPool>(None, "worker").await.is_err());
    assert_eq!(server.requests().len(), before);
    server.fail_next(&Method::GET, Fault::Code(404));
    assert!(cluster.get::<MachineConfigPool>(None, "worker").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn lists_come_in_pages() {
    let server = Server::healthy();
    server.page(2);
    let cluster = server.cluster().await;
    let nodes: Vec<Node> = cluster.list(&Query::default()).await.unwrap();
    assert_eq!(nodes.len(), 5);
    assert_eq!(server.requests().iter().filter(|request| request.ends_with("/nodes")).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_clusters_id_binds_a_run() {
    let cluster = Server::healthy().cluster().await;
    assert!(cluster.check_identity("5a2c0f6e-0000-4000-8000-000000000001").is_ok());
    assert_eq!(
        cluster.check_identity("another").unwrap_err().to_string(),
        "this run belongs to cluster another, but the kubeconfig leads to cluster 5a2c0f6e-0000-4000-8000-000000000001; \
         choose that cluster's context with --context"
    );
}

#[test]
fn a_refused_connection_has_sent_nothing() {
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    assert!(matches!(sending_failed(&kube::Error::Service(refused.into())), Failure::NotSent(_)));
    let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    assert!(matches!(sending_failed(&kube::Error::Service(reset.into())), Failure::Lost(_)));
}
