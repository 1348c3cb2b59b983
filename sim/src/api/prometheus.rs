//! The monitoring API beside the Kubernetes one: `alerts`, and instant queries of the few series that the simulation has.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::request::Parts;
use http::{Method, header};
use serde_json::{Value, json};

use super::reply::{self, Reply};
use super::request::header_text;
use crate::store::ApiError;

/// The path under which Prometheus answers.
pub const PROMETHEUS_PATH: &str = "/prometheus";

/// Where the alerts and the series come from.
pub(crate) struct Monitoring {
    alerts: Box<dyn Fn() -> Vec<Value> + Send + Sync>,
    risk: Box<Verdicts>,
    token: Mutex<Option<String>>,
}

/// Whether the risk of this name applies; none when nothing is known of it.
type Verdicts = dyn Fn(&str) -> Option<bool> + Send + Sync;

impl fmt::Debug for Monitoring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Monitoring")
    }
}

impl Monitoring {
    pub(crate) fn new(
        alerts: impl Fn() -> Vec<Value> + Send + Sync + 'static,
        risk: impl Fn(&str) -> Option<bool> + Send + Sync + 'static,
    ) -> Self {
        Self { alerts: Box::new(alerts), risk: Box::new(risk), token: Mutex::new(None) }
    }

    /// Asks for this bearer token from now on.
    pub(crate) fn require(&self, token: &str) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.to_owned());
    }

    /// Answers a request under [`PROMETHEUS_PATH`].
    pub(super) fn answer(&self, path: &str, parts: &Parts, body: &Bytes, now: DateTime<Utc>) -> Result<Reply, ApiError> {
        self.admit(parts)?;
        let path = path.trim_start_matches(PROMETHEUS_PATH).trim_end_matches('/');
        match path {
            "/-/healthy" | "/-/ready" => Ok(reply::text("ok")),
            "/api/v1/alerts" => Ok(success(&json!({ "alerts": (self.alerts)() }))),
            "/api/v1/query" => Ok(self.query(parts, body, now)),
            _ => Err(ApiError::no_such_path()),
        }
    }

    fn admit(&self, parts: &Parts) -> Result<(), ApiError> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let given = header_text(&parts.headers, header::AUTHORIZATION);
        if token.as_ref().is_none_or(|token| given.strip_prefix("Bearer ") == Some(token)) {
            return Ok(());
        }
        Err(ApiError::new(401, "Unauthorized", "Unauthorized"))
    }

    fn query(&self, parts: &Parts, body: &Bytes, now: DateTime<Utc>) -> Reply {
        let form = if parts.method == Method::POST { body.as_ref() } else { parts.uri.query().unwrap_or_default().as_bytes() };
        let query = form_urlencoded::parse(form).find(|(key, _)| key == "query").map(|(_, value)| value.into_owned());
        let Some(query) = query.filter(|q| !q.trim().is_empty()) else {
            return failure("invalid parameter \"query\": unknown position: parse error: no expression found in input");
        };
        match Selector::parse(&query) {
            Ok(selector) => {
                let series = self.select(&selector, now);
                success(&json!({ "resultType": "vector", "result": series }))
            }
            Err(error) => failure(&format!("invalid parameter \"query\": 1:1: parse error: {error}")),
        }
    }

    fn select(&self, selector: &Selector, now: DateTime<Utc>) -> Vec<Value> {
        let at = |value: &str| json!([now.timestamp(), value]);
        match selector.metric.as_str() {
            "ALERTS" => {
                let series = (self.alerts)().into_iter().map(|alert| {
                    let mut labels = alert["labels"].clone();
                    labels["__name__"] = json!("ALERTS");
                    labels["alertstate"] = alert["state"].clone();
                    labels
                });
                series.filter(|l| selector.selects(l)).map(|labels| json!({ "metric": labels, "value": at("1") })).collect()
            }
            // A risk of which nothing is known has no series, which is what leaves its verdict open.
            "windlass_sim_risk" => {
                let named = selector.matchers.iter().find(|m| m.label == "name").map_or("", |m| m.value.as_str());
                let value = (self.risk)(named).map(|applies| if applies { "1" } else { "0" });
                value.map(|value| json!({ "metric": {}, "value": at(value) })).into_iter().collect()
            }
            _ => vec![],
        }
    }
}

fn success(data: &Value) -> Reply {
    reply::json(200, &json!({ "status": "success", "data": data }))
}

fn failure(error: &str) -> Reply {
    reply::json(400, &json!({ "status": "error", "errorType": "bad_data", "error": error }))
}

/// The one form of query that is understood: a metric with label matchers, plain or inside one `group(…)`.
#[derive(Debug, PartialEq, Eq)]
struct Selector {
    metric: String,
    matchers: Vec<Matcher>,
}

#[derive(Debug, PartialEq, Eq)]
struct Matcher {
    label: String,
    operator: Operator,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    IsOneOf,
    IsNoneOf,
}

impl Selector {
    fn parse(query: &str) -> Result<Self, String> {
        let query = query.trim();
        let inner = query.strip_prefix("group(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(query).trim();
        let (metric, matchers) = match inner.split_once('{') {
            None => (inner, ""),
            Some((metric, rest)) => (metric.trim(), rest.strip_suffix('}').ok_or("unclosed left brace")?),
        };
        let named = metric.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
        if metric.is_empty() || !named {
            return Err(format!("the simulated Prometheus knows no expression {query:?}"));
        }
        Ok(Self { metric: metric.to_owned(), matchers: matchers_of(matchers)? })
    }

    fn selects(&self, labels: &Value) -> bool {
        self.matchers.iter().all(|m| m.holds(labels[&m.label].as_str().unwrap_or_default()))
    }
}

fn matchers_of(text: &str) -> Result<Vec<Matcher>, String> {
    let mut rest = text.trim();
    let mut found = vec![];
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).ok_or("a label without a value")?;
        let (label, after) = rest.split_at(end);
        let operators = [("=~", Operator::IsOneOf), ("!~", Operator::IsNoneOf), ("!=", Operator::IsNot), ("=", Operator::Is)];
        let after = after.trim_start();
        let (sign, operator) =
            operators.into_iter().find(|(sign, _)| after.starts_with(sign)).ok_or("no operator behind a label")?;
        let quoted = after[sign.len()..].trim_start().strip_prefix('"').ok_or("a value without quotes")?;
        let (value, after) = quoted.split_once('"').ok_or("an unterminated value")?;
        found.push(Matcher { label: label.to_owned(), operator, value: value.to_owned() });
        rest = after.trim_start().trim_start_matches(',').trim_start();
    }
    Ok(found)
}

impl Matcher {
    fn holds(&self, value: &str) -> bool {
        // Of regular expressions, alternatives are understood, and `.*` and `.+` at their ends.
        let one_of = || self.value.split('|').any(|pattern| alternative(pattern, value));
        match self.operator {
            Operator::Is => self.value == value,
            Operator::IsNot => self.value != value,
            Operator::IsOneOf => one_of(),
            Operator::IsNoneOf => !one_of(),
        }
    }
}

fn alternative(pattern: &str, value: &str) -> bool {
    if let Some(start) = pattern.strip_suffix(".*") {
        return value.starts_with(start);
    }
    match pattern.strip_suffix(".+") {
        Some(start) => value.starts_with(start) && value.len() > start.len(),
        None => value == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, labels: &Value, expected: Result<bool, &str>) {
        let seen = Selector::parse(query).map(|s| s.selects(labels));
        match (seen, expected) {
            (Ok(seen), Ok(expected)) => assert_eq!(seen, expected, "{query}"),
            (Err(seen), Err(expected)) => assert!(seen.contains(expected), "{query}: {seen}"),
            (seen, expected) => assert_eq!(seen.map_err(|_| "another error"), expected, "{query}"),
        }
    }

    #[test]
    fn label_matchers_select() {
        let labels = json!({ "alertname": "KubeNodeNotReady", "severity": "warning", "node": "worker-0" });
        check("ALERTS", &labels, Ok(true));
        check("ALERTS{severity=\"warning\"}", &labels, Ok(true));
        check("ALERTS{ severity = \"critical\" }", &labels, Ok(false));
        check("ALERTS{severity!=\"critical\", node=~\"worker-.*\"}", &labels, Ok(true));
        check("ALERTS{severity=~\"critical|warning\"}", &labels, Ok(true));
        check("ALERTS{alertname!~\"Watchdog|KubeNode.+\"}", &labels, Ok(false));
        check("group(ALERTS{namespace=\"\"})", &labels, Ok(true));
        check("ALERTS{severity=\"warning\"", &labels, Err("unclosed"));
        check("ALERTS{severity=warning}", &labels, Err("quotes"));
        check("sum(rate(up[5m]))", &labels, Err("knows no expression"));
    }
}
