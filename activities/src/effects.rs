//! Every activity that writes, with its reply lost before and after the effect: never twice, never silently.

use http::Method;
use serde_json::{Value, json};
use windlass_engine::{Activity, FailureKind, Probe};

use crate::admin_ack::{AcknowledgeGate, Gate, GateAcknowledged};
use crate::channel::SetChannel;
use crate::cluster::Cluster;
use crate::condition::fixtures::release;
use crate::machine_health::{HealthCheckResumed, PauseHealthCheck, ResumeHealthCheck};
use crate::pool::{PausePool, PoolReturned, ReleasePool, ReturnPool};
use crate::testing::{Fault, POOLS, Server, VERSIONS, attempt, run};
use crate::update::{RequestUpdate, UpdateState};
use crate::views::{ConfigMap, MachineHealthCheck};

const CHECKS: &str = "/apis/machine.openshift.io/v1beta1/namespaces/openshift-machine-api/machinehealthchecks";
const ACKS: &str = "/api/v1/namespaces/openshift-config/configmaps";

fn server() -> Server {
    let server = Server::healthy();
    for name in ["workers", "machine-api-termination-handler"] {
        let check = json!({"metadata": {"name": name, "namespace": "openshift-machine-api"}, "spec": {}});
        server.put(&serde_json::from_value::<MachineHealthCheck>(check).unwrap());
    }
    let gates =
        json!({"metadata": {"name": "admin-gates", "namespace": "openshift-config-managed"}, "data": {"ack-4.16-x": "Check."}});
    server.put(&serde_json::from_value::<ConfigMap>(gates).unwrap());
    server
}

fn gate() -> AcknowledgeGate {
    AcknowledgeGate { gate: Gate { key: "ack-4.16-x".to_owned(), text: "Check.".to_owned() } }
}

fn request(server: &Server) -> RequestUpdate {
    let version = serde_json::from_value(server.read(VERSIONS, "version")).unwrap();
    RequestUpdate { release: release("4.17.9"), seen: UpdateState::of(&version), accepted_risks: Vec::new() }
}

/// Runs an activity whose goal may simply be stated again, with its first write failing, until it ends well.
async fn declared<A: Activity<World = Cluster>>(activity: A, server: &Server, fault: Fault) -> A::Output {
    let cluster = server.cluster().await;
    server.fail_next(&Method::PATCH, fault);
    let (cx, _) = attempt(&cluster);
    let error = activity.clone().run(cx.clone()).await.err().unwrap();
    assert_eq!(error.kind, FailureKind::Unknown, "{error}");
    activity.run(cx).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stated_goal_is_reached_once_whatever_reply_is_lost() {
    for (fault, writes) in [(Fault::ResetBefore, 1), (Fault::ResetAfter, 1), (Fault::Code(504), 1)] {
        let check = |server: &Server| assert_eq!(server.writes().len(), writes, "{fault:?}: {:?}", server.writes());

        let pausing = server();
        declared(PausePool { pool: "worker".into() }, &pausing, fault).await;
        assert_eq!(pausing.read(POOLS, "worker")["spec"]["paused"], true);
        check(&pausing);

        let channel = server();
        let set = declared(SetChannel { channel: "eus-4.18".into() }, &channel, fault).await;
        assert_eq!(channel.read(VERSIONS, "version")["spec"]["channel"], "eus-4.18");
        assert_eq!(set.channel, "eus-4.18".into());
        check(&channel);

        let health = server();
        let paused = declared(PauseHealthCheck { name: "workers".into() }, &health, fault).await;
        assert!(paused.ours);
        check(&health);
        let resumed = declared(ResumeHealthCheck { name: "workers".into() }, &health, fault).await;
        assert!(matches!(resumed, HealthCheckResumed::Resumed | HealthCheckResumed::AlreadyActive));
        assert_eq!(health.read(CHECKS, "workers")["metadata"]["annotations"], json!({}));

        let acks = server();
        let there = json!({"metadata": {"name": "admin-acks", "namespace": "openshift-config"}, "data": {}});
        acks.put(&serde_json::from_value::<ConfigMap>(there).unwrap());
        declared(gate(), &acks, fault).await;
        assert_eq!(acks.read(ACKS, "admin-acks")["data"], json!({"ack-4.16-x": "true"}));
        check(&acks);
    }
}

#[tokio::test(start_paused = true)]
async fn a_goal_that_is_reached_already_writes_nothing() {
    let server = server();
    let cluster = server.cluster().await;
    let (cx, _) = attempt(&cluster);
    PausePool { pool: "worker".into() }.run(cx.clone()).await.unwrap();
    let again = PausePool { pool: "worker".into() }.run(cx.clone()).await.unwrap();
    assert!(again.already);
    let acknowledged = gate().run(cx.clone()).await.unwrap();
    assert_eq!(acknowledged, GateAcknowledged { key: "ack-4.16-x".to_owned(), already: false });
    assert!(gate().run(cx.clone()).await.unwrap().already);
    let returned = ReturnPool { pool: "worker".into() }.run(cx.clone()).await.unwrap();
    assert_eq!(returned, PoolReturned::Returned);
    assert_eq!(ReturnPool { pool: "worker".into() }.run(cx.clone()).await.unwrap(), PoolReturned::AlreadyReturned);
    let expect = [
        format!("PATCH {POOLS}/worker"),
        format!("PATCH {ACKS}/admin-acks"),
        format!("POST {ACKS}"),
        format!("PATCH {POOLS}/worker"),
    ];
    assert_eq!(server.writes(), expect);
    let error = PausePool { pool: "master".into() }.run(cx).await.unwrap_err();
    assert_eq!(error.code, "not-pausable");
}

#[tokio::test(start_paused = true)]
async fn an_update_in_doubt_is_found_by_its_probe() {
    let check = async |fault: Option<Fault>, meddle: &dyn Fn(&Server), expect: &str| {
        let server = server();
        let cluster = server.cluster().await;
        let request = request(&server);
        if let Some(fault) = fault {
            server.fail_next(&Method::PATCH, fault);
        }
        let (cx, _) = attempt(&cluster);
        let outcome = request.clone().run(cx.clone()).await;
        assert_eq!(outcome.is_err(), fault.is_some());
        meddle(&server);
        let shown = match request.probe(cx).await.unwrap() {
            Probe::Happened { evidence, .. } => format!("happened: {evidence}"),
            Probe::DidNotHappen(seen) => format!("did not happen: {seen}"),
            Probe::CannotTell(seen) => format!("cannot tell: {seen}"),
        };
        assert_eq!(shown, expect);
    };
    let happened = "happened: spec.desiredUpdate names registry.example.com/release@sha256:4.17.9";
    check(None, &|_| {}, happened).await;
    check(Some(Fault::ResetAfter), &|_| {}, happened).await;
    check(Some(Fault::ResetBefore), &|_| {}, "did not happen: spec.desiredUpdate names nothing as before").await;
    check(Some(Fault::Silence), &|_| {}, "did not happen: spec.desiredUpdate names nothing as before").await;
    let meddle = |server: &Server| {
        let other = json!({"version": "4.17.10", "image": "other"});
        server.edit(VERSIONS, "version", |version| version["spec"]["desiredUpdate"] = other);
    };
    check(
        Some(Fault::ResetBefore),
        &meddle,
        "cannot tell: somebody else changed the wished update: spec.desiredUpdate named nothing, now it names 4.17.10 other; \
         find out who, then plan again",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_update_is_not_asked_for_over_somebody_elses_change() {
    let server = server();
    let cluster = server.cluster().await;
    let request = request(&server);
    let (cx, _) = attempt(&cluster);
    // The change comes between our look and our act: the patch's own test finds it.
    server.edit(VERSIONS, "version", |version| version["metadata"]["generation"] = json!(4));
    let stale: Value = json!([{"op": "test", "path": "/metadata/generation", "value": 3}]);
    let error = cluster.patch::<crate::views::ClusterVersion>(None, "version", &crate::cluster::Patch::Json(stale)).await;
    assert!(error.unwrap_err().is_precondition());
    // The next attempt looks again and finds its own wish still free.
    request.clone().run(cx.clone()).await.unwrap();
    assert_eq!(server.read(VERSIONS, "version")["spec"]["desiredUpdate"]["version"], "4.17.9");
    // A repeat is a look, no write.
    let writes = server.writes().len();
    request.run(cx).await.unwrap();
    assert_eq!(server.writes().len(), writes);
}

#[tokio::test(start_paused = true)]
async fn a_release_in_doubt_is_found_by_its_probe() {
    let check = async |fault: Fault, expect: Option<bool>| {
        let server = server();
        server.edit(POOLS, "worker", |pool| pool["spec"]["paused"] = json!(true));
        let cluster = server.cluster().await;
        let (cx, _) = attempt(&cluster);
        server.fail_next(&Method::PATCH, fault);
        let release = ReleasePool { pool: "worker".into(), was: "rendered-worker-r0".into() };
        assert!(release.clone().run(cx.clone()).await.is_err());
        let found = match release.probe(cx).await.unwrap() {
            Probe::Happened { .. } => Some(true),
            Probe::DidNotHappen(_) => Some(false),
            Probe::CannotTell(_) => None,
        };
        assert_eq!(found, expect);
    };
    check(Fault::ResetBefore, Some(false)).await;
    check(Fault::ResetAfter, Some(true)).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_somebody_else_is_neither_taken_nor_given_back() {
    let server = server();
    server.edit(CHECKS, "workers", |check| {
        check["metadata"]["annotations"] = json!({"cluster.x-k8s.io/paused": ""});
    });
    let cluster = server.cluster().await;
    let (cx, _) = attempt(&cluster);
    assert!(!PauseHealthCheck { name: "workers".into() }.run(cx.clone()).await.unwrap().ours);
    let left = ResumeHealthCheck { name: "workers".into() }.run(cx).await.unwrap();
    assert_eq!(left, HealthCheckResumed::PausedByOther { paused_by: String::new() });
    assert!(server.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pause_names_the_run() {
    let server = server();
    let cluster = server.cluster().await;
    let (cx, _) = attempt(&cluster);
    let paused = PauseHealthCheck { name: "workers".into() }.run(cx).await.unwrap();
    assert_eq!(paused.paused_by, format!("windlass/{}", run()));
}
