use http::Method;
use serde_json::json;
use windlass_engine::FailureKind;

use super::*;
use crate::testing::{Fault, Server, attempt};

pub(in crate::ovn::clients) const SETS: &str = "/apis/apps/v1/namespaces/kube-system/daemonsets";
pub(in crate::ovn::clients) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/kube-system/deployments";

pub(in crate::ovn::clients) fn ips(text: &str) -> Vec<IpAddr> {
    text.split(',').filter(|last| !last.is_empty()).map(|last| format!("10.0.0.{last}").parse().unwrap()).collect()
}

/// A workload whose container `main` is told the addresses.
pub(in crate::ovn::clients) fn workload(name: &str, told: &str) -> Value {
    let env = json!([{"name": "A", "value": "a"}, {"name": OVN_DB_IPS, "value": super::super::list(&ips(told))}]);
    let template = json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "env": env}]}});
    json!({"metadata": {"name": name, "namespace": NAMESPACE, "generation": 1, "uid": name},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template}})
}

pub(in crate::ovn::clients) fn put(server: &Server, kind: Workload, object: Value) {
    match kind {
        Workload::Deployment => server.put(&serde_json::from_value::<Deployment>(object).unwrap()),
        Workload::DaemonSet => server.put(&serde_json::from_value::<DaemonSet>(object).unwrap()),
    }
}

pub(in crate::ovn::clients) fn client(kind: Workload, name: &str, told: &str) -> Client {
    Client { kind, name: name.to_owned(), container: "main".to_owned(), addresses: ips(told), on_delete: false }
}

fn server() -> Server {
    let server = Server::healthy();
    for name in ["ovn-central", "kube-ovn-monitor", "kube-ovn-controller"] {
        put(&server, Workload::Deployment, workload(name, if name == "ovn-central" { "" } else { "1,2" }));
    }
    for name in ["kube-ovn-cni", "ovs-ovn"] {
        put(&server, Workload::DaemonSet, workload(name, "1,2"));
    }
    server.edit(SETS, "ovs-ovn", |set| set["spec"]["updateStrategy"] = json!({"type": "OnDelete"}));
    server
}

/// Seen to fail with: the controller left where its name sorts it; empty lists told to whoever finds the databases otherwise.
#[tokio::test(start_paused = true)]
async fn whoever_is_told_is_listed_in_the_order_of_need() {
    let server = server();
    let cluster = server.cluster().await;
    let found = ListClients {}.run(attempt(&cluster).0).await.unwrap();
    let names: Vec<(&str, bool)> = found.iter().map(|client| (client.name.as_str(), client.on_delete)).collect();
    let expect = [("ovs-ovn", true), ("kube-ovn-controller", false), ("kube-ovn-cni", false), ("kube-ovn-monitor", false)];
    assert_eq!(names, expect);
    assert!(found.iter().all(|client| client.container == "main" && client.addresses == ips("1,2")), "{found:?}");

    let containers = "/spec/template/spec/containers/0/env/1/value";
    server.edit(SETS, "kube-ovn-cni", |set| *set.pointer_mut(containers).unwrap() = json!("ovn-db.example.com"));
    let error = ListClients {}.run(attempt(&cluster).0).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "where kube-ovn-cni is told that the databases are can't be read: OVN_DB_IPS of container main has \"ovn-db.example.com\", \
         no address; look at it, then plan again"
    );
}

/// Seen to fail with: a repeat that writes once more.
#[tokio::test(start_paused = true)]
async fn addresses_are_set_once_whatever_reply_is_lost() {
    for fault in [Fault::ResetBefore, Fault::ResetAfter, Fault::Code(504), Fault::Silence] {
        for (kind, name, path) in
            [(Workload::DaemonSet, "ovs-ovn", SETS), (Workload::Deployment, "kube-ovn-controller", DEPLOYMENTS)]
        {
            let server = server();
            let cluster = server.cluster().await;
            let set = SetDatabaseAddresses { client: client(kind, name, "1,2"), addresses: ips("1,2,3") };
            server.fail_next(&Method::PATCH, fault);
            let error = set.clone().run(attempt(&cluster).0).await.unwrap_err();
            assert_eq!(error.kind, FailureKind::Unknown, "{error}");
            let again = set.clone().run(attempt(&cluster).0).await.unwrap();
            assert_eq!(again.already, fault == Fault::ResetAfter);
            assert!(set.run(attempt(&cluster).0).await.unwrap().already);
            assert_eq!(server.writes().len(), 1, "{fault:?}: {:?}", server.writes());
            let env = server.read(path, name)["spec"]["template"]["spec"]["containers"][0]["env"].clone();
            assert_eq!(env, json!([{"name": "A", "value": "a"}, {"name": OVN_DB_IPS, "value": "10.0.0.1,10.0.0.2,10.0.0.3"}]));
        }
    }
}

/// Seen to fail with: the patch sent whatever the workload was told.
#[tokio::test(start_paused = true)]
async fn what_somebody_else_told_is_not_overwritten() {
    let server = server();
    let cluster = server.cluster().await;
    put(&server, Workload::DaemonSet, workload("ovs-ovn", "1,9"));
    let set = SetDatabaseAddresses { client: client(Workload::DaemonSet, "ovs-ovn", "1,2"), addresses: ips("1,2,3") };
    let error = set.run(attempt(&cluster).0).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (FailureKind::Permanent, "changed-by-other"));
    assert!(error.message.contains("at 10.0.0.1,10.0.0.9; it was 10.0.0.1,10.0.0.2"), "{error}");
    assert!(server.writes().is_empty());
}

#[test]
fn a_plan_shows_the_request() {
    let set = SetDatabaseAddresses { client: client(Workload::DaemonSet, "ovs-ovn", "1,2"), addresses: ips("1") };
    assert_eq!(
        set.requests(),
        [format!(
            "PATCH {SETS}/ovs-ovn json [{{\"op\":\"replace\",\"path\":\"/spec/template/spec/containers/[main]/env/[OVN_DB_IPS]/value\",\
             \"value\":\"10.0.0.1\"}}]"
        )]
    );
}
