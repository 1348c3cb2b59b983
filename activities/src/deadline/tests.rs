use serde_json::{Value, json};

use super::*;
use crate::condition::fixtures::{at, healthy};
use crate::testing::{POOLS, Server, VERSIONS, attempt};

/// So many days after the fixtures' now.
fn days(days: i64) -> Timestamp {
    at(days * 24 * 60)
}

fn text(at: Timestamp) -> String {
    at.to_datetime().to_rfc3339()
}

fn signer(namespace: &str, name: &str, from: Option<i64>, until: i64) -> TlsSecret {
    let mut annotations = json!({"auth.openshift.io/certificate-not-after": text(days(until))});
    if let Some(from) = from {
        annotations["auth.openshift.io/certificate-not-before"] = text(days(from)).into();
    }
    serde_json::from_value(json!({"metadata": {"name": name, "namespace": namespace, "annotations": annotations}})).unwrap()
}

fn kubelet_signer(from: Option<i64>, until: i64) -> TlsSecret {
    signer("openshift-kube-apiserver-operator", KUBELET_SIGNER, from, until)
}

fn version(applied: &str) -> ClusterVersion {
    let mut version = healthy().version().unwrap().clone();
    version.status.history[0].version = applied.to_owned();
    version
}

fn pool(name: &str, paused: bool, expiries: &[(&str, i64)]) -> MachineConfigPool {
    let entry = |(subject, ends): &(&str, i64)| json!({"bundle": "ca-bundle", "subject": subject, "expiry": text(days(*ends))});
    let expiries: Vec<Value> = expiries.iter().map(entry).collect();
    let pool = json!({"metadata": {"name": name}, "spec": {"paused": paused}, "status": {"certExpirys": expiries}});
    serde_json::from_value(pool).unwrap()
}

fn paused(name: &str, since: i64) -> PausedPool {
    PausedPool { pool: name.into(), since: days(since) }
}

/// What comes to pass, and in how many days.
fn check(facts: &Facts, expect: &[(&str, i64)]) {
    let found: Vec<(String, Timestamp)> = deadlines(facts).into_iter().map(|deadline| (deadline.what, deadline.at)).collect();
    let expect: Vec<(String, Timestamp)> = expect.iter().map(|(what, day)| ((*what).to_owned(), days(*day))).collect();
    assert_eq!(found, expect);
}

#[test]
fn paused_pools_miss_the_new_signer_until_4_12() {
    let ends = ("signer kube-apiserver-to-kubelet-signer ends", 165);
    let replaced = ("signer kube-apiserver-to-kubelet-signer is replaced", 92);
    let missed = ("pool worker missed the replacement of signer kube-apiserver-to-kubelet-signer", -200);
    let limit = |since: i64| ("pool worker is paused for 60 days", since + 60);
    let judge = |applied: &str, from: Option<i64>, since: Option<i64>, expect: &[(&str, i64)]| {
        let paused = since.map(|since| paused("worker", since)).into_iter().collect();
        let signers = vec![kubelet_signer(from, 165)];
        check(&Facts { version: version(applied), pools: Vec::new(), signers, paused }, expect);
    };
    judge("4.12.40", Some(-200), None, &[replaced, ends]);
    judge("4.12.40", Some(-200), Some(-10), &[limit(-10), replaced, ends]);
    judge("4.12.40", Some(-200), Some(-201), &[missed, limit(-201), replaced, ends]);
    judge("4.12.40", None, None, &[replaced, ends]);
    judge("4.13.0", Some(-200), Some(-201), &[limit(-201), ends]);
    judge("4.16.20", Some(-200), Some(-10), &[limit(-10), ends]);
    // A version that can't be read may be an old one.
    judge("", Some(-200), None, &[replaced, ends]);
}

#[test]
fn the_applied_release_counts_not_the_one_under_way() {
    let mut version = version("4.12.40");
    let mut under_way = version.status.history[0].clone();
    (under_way.state, under_way.version) = (crate::views::HistoryState::Partial, "4.13.1".to_owned());
    version.status.history.insert(0, under_way);
    let facts = Facts { version, pools: Vec::new(), signers: vec![kubelet_signer(Some(-200), 165)], paused: Vec::new() };
    assert_eq!(deadlines(&facts)[0].at, days(92));
}

#[test]
fn every_signer_and_the_first_certificate_of_each_pool_has_an_end() {
    let signers = vec![
        signer("openshift-kube-apiserver-operator", "loadbalancer-serving-signer", None, 3000),
        signer("openshift-kube-controller-manager-operator", "csr-signer-signer", None, 31),
    ];
    let pools = vec![
        pool("infra", false, &[]),
        pool("master", false, &[("CN=early", 2)]),
        pool("worker", false, &[("CN=late", 900), ("CN=early", 40)]),
    ];
    let facts = Facts { version: version("4.16.20"), pools, signers, paused: vec![paused("worker", 0), paused("infra", -30)] };
    check(
        &facts,
        &[
            ("pool infra is paused for 60 days", 30),
            ("signer csr-signer-signer ends", 31),
            ("pool worker: CN=early ends", 40),
            ("pool worker is paused for 60 days", 60),
            ("signer loadbalancer-serving-signer ends", 3000),
        ],
    );
    let all = deadlines(&facts);
    assert!(all.iter().all(|deadline| !deadline.source.is_empty() && !deadline.consequence.is_empty()));
    assert_eq!(all[2].source, "status.certExpirys of the pool, bundle ca-bundle");
}

#[test]
fn a_person_is_told_two_weeks_before_and_pressed_one_week_before() {
    let deadline = pause_limit(&paused("worker", 0));
    assert_eq!((deadline.warn_at(), deadline.escalate_at(), deadline.at), (days(46), days(53), days(60)));
    let earliest = Deadline { at: Timestamp::from_micros(i64::MIN), ..deadline };
    assert_eq!(earliest.warn_at(), earliest.at);
}

#[tokio::test(start_paused = true)]
async fn deadlines_are_read_from_the_cluster() {
    let server = Server::healthy();
    server.put(&kubelet_signer(Some(-285), 80));
    let since = text(days(-5));
    server.edit(VERSIONS, "version", |version| version["status"]["history"][0]["version"] = "4.12.40".into());
    server.edit(POOLS, "worker", |pool| {
        pool["spec"]["paused"] = json!(true);
        pool["metadata"]["managedFields"] = json!([
            {"manager": "someone", "operation": "Update", "time": since, "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:paused": {}}}},
            {"manager": "operator", "operation": "Update", "time": text(days(-1)), "fieldsType": "FieldsV1", "fieldsV1": {"f:status": {}}},
        ]);
    });
    let cluster = server.cluster().await;
    let read = async |paused: Vec<PausedPool>| {
        let found = ReadDeadlines { paused }.run(attempt(&cluster).0).await.unwrap();
        found.into_iter().map(|deadline| (deadline.what, deadline.at)).collect::<Vec<_>>()
    };
    let replaced = ("signer kube-apiserver-to-kubelet-signer is replaced".to_owned(), days(7));
    let ends = ("signer kube-apiserver-to-kubelet-signer ends".to_owned(), days(80));
    let limit = |day: i64| ("pool worker is paused for 60 days".to_owned(), days(day));
    assert_eq!(read(Vec::new()).await, [replaced.clone(), limit(55), ends.clone()]);
    // Who paused it knows better than the field's last writer.
    assert_eq!(read(vec![paused("worker", -20)]).await, [replaced, limit(40), ends]);
    assert!(server.writes().is_empty());
}
