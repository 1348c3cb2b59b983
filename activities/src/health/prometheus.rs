use std::collections::BTreeMap;

use serde::Deserialize;

use super::ask::{Access, Answer, ask, trimmed};
use super::probe::Finding;
use super::spec::PrometheusProbe;
use crate::cluster::Cluster;

/// Alerts that paused pools raise themselves: they would keep the update from ever going on (openshift/managed-upgrade-operator
/// #112). The certificate deadline behind them is watched on its own.
const RAISED_BY_US: [&str; 1] = ["MachineConfigControllerPausedPoolKubeletCA"];

/// How many alerts one line names.
const NAMED: usize = 10;

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    status: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    data: Alerts,
}

#[derive(Default, Deserialize)]
struct Alerts {
    #[serde(default, deserialize_with = "crate::views::nullable")]
    alerts: Vec<Alert>,
}

/// One alert, as Prometheus tells it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Alert {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    state: String,
    active_at: String,
}

/// Asks for the critical alerts that fire.
pub(super) async fn look(cluster: &Cluster, probe: &PrometheusProbe) -> Finding {
    let url = format!("{}/api/v1/alerts", probe.url.trim_end_matches('/'));
    let access = Access { token_file: probe.token_file.as_deref(), ca_file: probe.ca_file.as_deref() };
    let alerts = ask(cluster, &url, access).await.and_then(|answer| read(&answer));
    match alerts {
        Ok(alerts) => judge(alerts, &probe.allow),
        Err(cause) => Finding::unknown("alerts", format!("{} does not tell: {cause}", probe.url)),
    }
}

fn read(answer: &Answer) -> Result<Vec<Alert>, String> {
    let reply: Result<Reply, _> = serde_json::from_slice(&answer.body);
    match (answer.status.as_u16(), reply) {
        (401 | 403, _) => Err(format!("it answered {}; name a token_file that may read alerts", answer.status.as_u16())),
        (200, Ok(reply)) if reply.status == "success" => Ok(reply.data.alerts),
        (200, Ok(reply)) => Err(format!("it answered {:?}: {}", reply.status, trimmed(&reply.error))),
        (200, Err(error)) => Err(format!("it did not answer with alerts: {error}")),
        (code, _) => Err(format!("it answered {code}: {}", trimmed(&String::from_utf8_lossy(&answer.body)))),
    }
}

fn judge(mut alerts: Vec<Alert>, allow: &[String]) -> Finding {
    alerts.retain(|alert| alert.state == "firing" && alert.label("severity") == "critical");
    alerts.sort();
    let is_known = |alert: &Alert| RAISED_BY_US.contains(&alert.name()) || allow.iter().any(|name| name == alert.name());
    let (known, grave): (Vec<Alert>, Vec<Alert>) = alerts.into_iter().partition(is_known);
    if !grave.is_empty() {
        let mut lines: Vec<String> = grave.iter().take(NAMED).map(Alert::in_words).collect();
        if grave.len() > NAMED {
            lines.push(format!("and {} more", grave.len() - NAMED));
        }
        return Finding::bad("alerts", lines.join("; "));
    }
    let mut text = "no critical alert fires".to_owned();
    if !known.is_empty() {
        let names: Vec<&str> = known.iter().map(Alert::name).collect();
        text = format!("{text} but those that may: {}", names.join(", "));
    }
    Finding::well("alerts", text)
}

impl Alert {
    fn label(&self, key: &str) -> &str {
        self.labels.get(key).map(String::as_str).unwrap_or_default()
    }

    fn name(&self) -> &str {
        self.label("alertname")
    }

    fn in_words(&self) -> String {
        let whose: Vec<String> = ["namespace", "name", "node", "pod", "job"]
            .into_iter()
            .filter_map(|key| self.labels.get(key).map(|value| format!("{key} {value}")))
            .collect();
        let whose = if whose.is_empty() { String::new() } else { format!(" ({})", whose.join(", ")) };
        let told = ["summary", "message", "description"].into_iter().find_map(|key| self.annotations.get(key));
        let told = told.map(|text| format!(": {}", trimmed(text))).unwrap_or_default();
        format!("{} fires since {}{whose}{told}", self.name(), self.active_at)
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::*;

    fn alert(name: &str, severity: &str, state: &str) -> serde_json::Value {
        json!({"labels": {"alertname": name, "severity": severity, "namespace": "shop"}, "state": state,
            "annotations": {"summary": "all is\n lost"}, "activeAt": "2026-03-01T12:00:00Z", "value": "1e+00"})
    }

    #[test]
    fn critical_alerts_stop_and_those_that_may_fire_are_named() {
        let check = |alerts: &[serde_json::Value], expect: &str| {
            let body = json!({"status": "success", "data": {"alerts": alerts}}).to_string().into_bytes();
            let alerts = read(&Answer { status: StatusCode::OK, body }).unwrap();
            assert_eq!(judge(alerts, &["TargetDown".to_owned()]).to_string(), expect);
        };
        check(&[], "alerts: no critical alert fires");
        check(
            &[
                alert("Watchdog", "none", "firing"),
                alert("ShopDown", "warning", "firing"),
                alert("ShopDown", "critical", "pending"),
            ],
            "alerts: no critical alert fires",
        );
        check(
            &[alert("ShopDown", "critical", "firing"), alert("TargetDown", "critical", "firing")],
            "alerts: ShopDown fires since 2026-03-01T12:00:00Z (namespace shop): all is lost",
        );
        check(
            &[alert("TargetDown", "critical", "firing"), alert(RAISED_BY_US[0], "critical", "firing")],
            "alerts: no critical alert fires but those that may: MachineConfigControllerPausedPoolKubeletCA, TargetDown",
        );
        check(
            &vec![alert("A", "critical", "firing"); 12],
            &format!("alerts: {}and 2 more", "A fires since 2026-03-01T12:00:00Z (namespace shop): all is lost; ".repeat(10)),
        );
    }

    #[test]
    fn an_answer_that_is_none_is_not_read_as_no_alerts() {
        let check = |code: u16, body: &str, expect: &str| {
            let answer = Answer { status: StatusCode::from_u16(code).unwrap(), body: body.as_bytes().to_vec() };
            let error = read(&answer).unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        check(401, "Unauthorized", "name a token_file");
        check(302, "<a>", "it answered 302");
        check(200, "<html>", "did not answer with alerts");
        check(200, r#"{"status": "error", "error": "query timed out"}"#, "query timed out");
        check(200, "{}", "it answered \"\"");
        check(503, "starting\nup", "it answered 503: starting up");
    }
}
