//! The monitoring API: what fires, when, and who may ask.

mod world_support;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use windlass_sim::scenario::{When, WorldFault};
use windlass_sim::shape::AlertShape;
use windlass_sim::{ClusterShape, Sim};
use world_support::{calm, hop, pass, pause, prepare, start};

async fn ask(sim: &Sim, path: &str, token: &str) -> (u16, Value) {
    let request = Request::get(path).header("authorization", format!("Bearer {token}")).body(Full::<Bytes>::default());
    let reply = sim.service().handle(request.expect("a request")).await.expect("a reply");
    let status = reply.status().as_u16();
    let body = reply.into_body().collect().await.expect("a body").to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// The alerts in this state, as `name/severity`.
async fn alerts(sim: &Sim, state: &str) -> Vec<String> {
    let (status, body) = ask(sim, "/prometheus/api/v1/alerts", "").await;
    assert_eq!((status, body["status"].as_str()), (200, Some("success")));
    let all = body["data"]["alerts"].as_array().expect("a list").iter().filter(|a| a["state"] == state);
    let text = |a: &Value, key: &str| a["labels"][key].as_str().unwrap_or_default().to_owned();
    all.map(|a| format!("{}/{}", text(a, "alertname"), text(a, "severity"))).collect()
}

async fn count(sim: &Sim, query: &str) -> usize {
    let encoded: String = form_urlencoded::Serializer::new(String::new()).append_pair("query", query).finish();
    let (status, body) = ask(sim, &format!("/prometheus/api/v1/query?{encoded}"), "").await;
    assert_eq!((status, body["data"]["resultType"].as_str()), (200, Some("vector")), "{body}");
    body["data"]["result"].as_array().map_or(0, Vec::len)
}

#[tokio::test(start_paused = true)]
async fn a_healthy_cluster_raises_nothing_but_the_watchdog() {
    let sim = calm();
    pass(&sim, 5).await;
    assert_eq!(alerts(&sim, "firing").await, ["Watchdog/none"]);
    assert_eq!(count(&sim, "ALERTS{severity=\"critical\",alertstate=\"firing\"}").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_degraded_operator_is_pending_for_half_an_hour() {
    let fault = WorldFault::OperatorDegraded {
        when: When::default(),
        operator: "dns".into(),
        reason: "NoDNS".into(),
        message: "no DNS pod is ready".into(),
        minutes: Some(60.0),
    };
    let sim = start(ClusterShape::default(), vec![fault]);
    let alert = "ClusterOperatorDegraded/warning".to_owned();
    pass(&sim, 20).await;
    assert!(alerts(&sim, "pending").await.contains(&alert));
    pass(&sim, 15).await;
    assert!(alerts(&sim, "firing").await.contains(&alert));
    assert_eq!(count(&sim, "ALERTS{alertname=~\"ClusterOperator.*\",name=\"dns\",alertstate=\"firing\"}").await, 1);
    pass(&sim, 60).await;
    assert_eq!(alerts(&sim, "firing").await, ["Watchdog/none"]);
}

#[tokio::test(start_paused = true)]
async fn silent_nodes_and_failed_drains_are_told() {
    let silent = WorldFault::NodeSilent { when: When::default(), node: "infra/0".into(), minutes: None };
    let sim = start(ClusterShape { single_replicas: 1, health_check_minutes: None, ..ClusterShape::default() }, vec![silent]);
    pass(&sim, 20).await;
    assert!(alerts(&sim, "firing").await.contains(&"KubeNodeNotReady/warning".to_owned()));
    let sim = start(ClusterShape { single_replicas: 1, ..ClusterShape::default() }, vec![]);
    prepare(&sim).await;
    hop(&sim, "4.17.11").await;
    pause(&sim, "worker", false).await;
    pass(&sim, 90).await;
    let firing = alerts(&sim, "firing").await;
    for alert in ["MCCDrainError/warning", "ClusterNotUpgradeable/info"] {
        assert!(firing.contains(&alert.to_owned()), "{alert} is not in {firing:?}");
    }
    assert_eq!(count(&sim, "ALERTS{exported_node=\"worker-0\"}").await, 1);
}

#[tokio::test(start_paused = true)]
async fn alerts_of_the_shape_fire_in_their_time() {
    let critical = AlertShape {
        name: "ShopIsDown".into(),
        severity: "critical".into(),
        namespace: "shop-0".into(),
        summary: "Nobody can buy anything.".into(),
        from_minutes: 10.0,
        minutes: Some(30.0),
    };
    let sim = start(ClusterShape { alerts: vec![critical], ..ClusterShape::default() }, vec![]);
    for (minutes, expected) in [(5, 0), (10, 1), (30, 0)] {
        pass(&sim, minutes).await;
        assert_eq!(count(&sim, "ALERTS{severity=\"critical\"}").await, expected, "after {minutes} minutes more");
    }
}

#[tokio::test(start_paused = true)]
async fn risks_are_series_unless_nothing_is_known_of_them() {
    let sim = calm();
    for (risk, series) in
        [("OVNNorthdLeak", 1), ("AzureRegistryImagePreservation", 1), ("MonitoringConfigReset", 0), ("Other", 0)]
    {
        assert_eq!(count(&sim, &format!("group(windlass_sim_risk{{name=\"{risk}\"}})")).await, series, "{risk}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_of_its_own_guards_the_alerts() {
    let sim = calm();
    sim.require_monitoring_token("right");
    for (token, status) in [("right", 200), ("wrong", 401), ("", 401)] {
        assert_eq!(ask(&sim, "/prometheus/api/v1/alerts", token).await.0, status, "{token:?}");
    }
    assert_eq!(ask(&sim, "/api/v1/nodes/worker-0", "").await.0, 200, "the Kubernetes API is another door");
    assert_eq!(ask(&sim, "/prometheus/api/v1/rules", "right").await.0, 404);
    let (status, body) = ask(&sim, "/prometheus/api/v1/query?query=sum(up)", "right").await;
    assert_eq!((status, body["errorType"].as_str()), (400, Some("bad_data")));
}
