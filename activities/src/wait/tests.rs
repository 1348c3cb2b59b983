use std::time::Duration;

use serde_json::json;
use windlass_engine::Activity as _;

use super::*;
use crate::condition::operators_healthy;
use crate::testing::{Fault, NODES, OPERATORS, Said, Server, attempt};

/// Waits for healthy operators on a server whose `dns` is degraded, while `script` happens to it.
async fn check(wait: Wait, script: impl AsyncFnOnce(&Server), expect: Result<&str, &str>, expect_said: &[&str]) -> Duration {
    let server = Server::healthy();
    degrade(&server, "True");
    let cluster = server.cluster().await;
    let (cx, said) = attempt(&cluster);
    let began = tokio::time::Instant::now();
    let (outcome, ()) = tokio::join!(wait_for(&cx, wait, operators_healthy), async {
        // The watches are up and the wait has judged once.
        tokio::time::sleep(Duration::from_secs(1)).await;
        script(&server).await;
    });
    assert_eq!(outcome.map(|seen| seen.evidence).as_deref().map_err(ToString::to_string), expect.map_err(str::to_owned));
    assert_eq!(texts(&said), expect_said);
    began.elapsed()
}

fn texts(said: &Said) -> Vec<String> {
    // How long the lists take is not ours to say, and with a quick server they are there before the wait looks.
    said.lock().unwrap().iter().filter(|text| *text != READING).cloned().collect()
}

fn degrade(server: &Server, status: &str) {
    server.edit(OPERATORS, "dns", |dns| dns["status"]["conditions"][2]["status"] = json!(status));
}

fn recover_unseen(server: &Server) {
    server.edit_unseen(OPERATORS, "dns", |dns| dns["status"]["conditions"][2]["status"] = json!("False"));
}

const READING: &str = "reading the state of the cluster";
const DEGRADED: &str = "!! operator dns is degraded: all is well (since 2026-03-01 10:00:00Z)";
const HEALTHY: Result<&str, &str> = Ok("4 operators available, not degraded, at rest");

#[tokio::test(start_paused = true)]
async fn a_change_wakes_the_wait_at_once() {
    let took = check(Wait::default(), async |server| degrade(server, "False"), HEALTHY, &[DEGRADED]).await;
    assert!(took < Duration::from_millis(1050), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn several_samples_must_be_good_in_a_row() {
    let wait = Wait { samples: 3, spacing: Duration::from_secs(30), ..Wait::default() };
    let script = async |server: &Server| {
        degrade(server, "False");
        tokio::time::sleep(Duration::from_secs(40)).await;
        degrade(server, "True");
        tokio::time::sleep(Duration::from_secs(10)).await;
        degrade(server, "False");
    };
    let good = |sample: u32| format!("4 operators available, not degraded, at rest; sample {sample} of 3");
    let said = [DEGRADED, &good(1), &good(2), DEGRADED, &good(1), &good(2)];
    let took = check(wait, script, HEALTHY, &said).await;
    assert!((Duration::from_secs(111)..Duration::from_secs(112)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_a_state_and_ends_in_a_fresh_picture() {
    let script = async |server: &Server| {
        server.fail_all(Some(Fault::ResetBefore));
        tokio::time::sleep(Duration::from_secs(10 * 60)).await;
        recover_unseen(server);
        server.fail_all(None);
    };
    let away =
        "the API server is away since 2026-03-01 12:00:01Z, waited for until 2026-03-01 12:30:01Z: connection reset by peer";
    let took = check(Wait::default(), script, HEALTHY, &[DEGRADED, away]).await;
    assert!(took < Duration::from_secs(10 * 60 + 20), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_beyond_its_budget_ends_the_attempt_but_not_for_good() {
    let wait = Wait { outage_budget: Duration::from_secs(120), ..Wait::default() };
    let script = async |server: &Server| server.fail_all(Some(Fault::ResetBefore));
    let away =
        "the API server is away since 2026-03-01 12:00:01Z, waited for until 2026-03-01 12:02:01Z: connection reset by peer";
    let lost = "the API server is away since 2026-03-01 12:00:01Z, longer than 2 min: connection reset by peer";
    check(wait, script, Err(lost), &[DEGRADED, away]).await;
}

#[tokio::test(start_paused = true)]
async fn a_login_that_ended_is_named_and_waited_for() {
    let script = async |server: &Server| {
        server.fail_all(Some(Fault::Code(401)));
        tokio::time::sleep(Duration::from_secs(26 * 60 * 60)).await;
        recover_unseen(server);
        server.fail_all(None);
    };
    let ended = "the login has ended; run `oc login` for this cluster, the kubeconfig is read again (since 2026-03-01 12:00:01Z)";
    let took = check(Wait::default(), script, HEALTHY, &[DEGRADED, ended]).await;
    assert!(took < Duration::from_secs(26 * 60 * 60 + 20), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_ends_the_wait_and_is_named() {
    let script = async |server: &Server| server.fail_all(Some(Fault::Code(403)));
    let missing = "permission missing: list clusteroperators.config.openshift.io and watch clusteroperators.config.openshift.io; \
                   ask for it, then retry";
    let server = Server::healthy();
    let cluster = server.cluster().await;
    let (cx, _) = attempt(&cluster);
    script(&server).await;
    let error = wait_for(&cx, Wait::default(), operators_healthy).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.kind), ("forbidden", windlass_engine::FailureKind::Permanent));
    // Which of the four watches is refused first is not ours to say.
    assert!(
        error.message.starts_with("permission missing: list ") && error.message.len() > missing.len() / 2,
        "{}",
        error.message
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_fell_silent_is_begun_anew_by_the_safety_check() {
    let script = async |server: &Server| {
        recover_unseen(server);
        // A later change that is not seen either, of the object that the safety check reads.
        server.edit_unseen(crate::testing::VERSIONS, "version", |version| version["metadata"]["labels"] = json!({"a": "b"}));
    };
    let took = check(Wait::default(), script, HEALTHY, &[DEGRADED]).await;
    assert!(took < Duration::from_secs(70), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn waits_share_four_watches() {
    let server = Server::healthy();
    let cluster = server.cluster().await;
    let (first, second) = (attempt(&cluster).0, attempt(&cluster).0);
    let (one, two) =
        tokio::join!(wait_for(&first, Wait::default(), operators_healthy), wait_for(&second, Wait::default(), operators_healthy));
    assert!(one.is_ok() && two.is_ok());
    // Each kind is listed once and watched at most once, beside the read of the cluster's id.
    let requests = server.requests();
    assert!(requests.iter().filter(|request| request.as_str() == format!("GET {OPERATORS}")).count() <= 2, "{requests:?}");
    assert!(requests.len() <= 9, "{requests:?}");
}

#[tokio::test(start_paused = true)]
async fn the_picture_before_our_own_write_is_not_judged() {
    let server = Server::healthy();
    let cluster = server.cluster().await;
    let (cx, _) = attempt(&cluster);
    // The watches are up and know the pool as it was; what comes next reaches them only by the safety check.
    wait_for(&cx, Wait::default(), operators_healthy).await.unwrap();
    server.deafen();
    crate::pool::PausePool { pool: "worker".into() }.run(cx.clone()).await.unwrap();
    server.edit(crate::testing::VERSIONS, "version", |version| version["metadata"]["labels"] = json!({"a": "b"}));
    let paused = wait_for(&cx, Wait::default(), |snapshot| {
        let verdict = crate::condition::pool_paused(snapshot, &"worker".into());
        assert!(verdict.is_met(), "judged the picture before the write");
        verdict
    });
    assert_eq!(paused.await.unwrap().evidence, "pool worker is paused");
}

#[tokio::test(start_paused = true)]
async fn what_blocks_a_drain_is_told_within_a_minute_and_looked_at_politely() {
    let server = Server::healthy();
    let pod = json!({
        "metadata": {"name": "cart-1", "namespace": "shop", "labels": {"app": "cart"}},
        "spec": {"nodeName": "worker-0"}, "status": {"phase": "Running"},
    });
    let mut pod: crate::views::Pod = serde_json::from_value(pod).unwrap();
    let budget = json!({
        "metadata": {"name": "cart", "namespace": "shop"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "cart"}}},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1},
    });
    server.put(&serde_json::from_value::<crate::views::Budget>(budget).unwrap());
    // The server of these tests has one path for all pods, as a list over namespaces has.
    pod.metadata.namespace = None;
    server.put(&pod);
    server.edit("/api/v1/pods", "cart-1", |pod| pod["metadata"]["namespace"] = json!("shop"));
    let annotations = [("state", "Working"), ("desiredDrain", "drain-r1"), ("desiredConfig", "rendered-worker-r1")];
    server.edit(NODES, "worker-0", |node| {
        node["spec"]["unschedulable"] = json!(true);
        for (key, value) in annotations {
            node["metadata"]["annotations"][format!("machineconfiguration.openshift.io/{key}")] = json!(value);
        }
    });
    let cluster = server.cluster().await;
    let (cx, said) = attempt(&cluster);
    let wait = wait_for(&cx, Wait::default(), |snapshot| crate::condition::pool_rolled_out(snapshot, &"worker".into(), None));
    let script = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(texts(&said).pop().unwrap(), "node worker-0 is being drained");
        tokio::time::sleep(Duration::from_secs(40)).await;
        let expect = "!! node worker-0 does not drain: 1 pod is left, budget shop/cart (1 healthy, 1 must stay, which lasts until it \
                      or the number of replicas is changed) allows no disruption of shop/cart-1 (since 2026-03-01 12:00:00Z)";
        assert_eq!(texts(&said).pop().unwrap(), expect);
        tokio::time::sleep(Duration::from_secs(60 * 60)).await;
    };
    tokio::select! {
        _ = wait => panic!("the node is not rolled out"),
        () = script => {}
    }
    let looks = server.requests().iter().filter(|request| *request == "GET /api/v1/pods").count();
    assert!((10..=18).contains(&looks), "{looks} looks in an hour");
}
