//! The printed permissions are enough: nothing that a run or a snapshot asks a cluster for is missing from them.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};
use windlass_sim::kube_ovn::KubeOvnShape;
use windlass_sim::shape::NetworkPlugin;
use windlass_sim::{Audit, ClusterShape, Scenario, Sim, SimClock};
use windlass_tests::{Ending, Stage, windlass};

/// `verb resource[.group][/part]` of everything that the printed roles allow.
fn granted(workflow: &str) -> BTreeSet<String> {
    let said = Command::new(windlass()).args(["rbac", workflow, "-o", "json"]).output().expect("the command runs");
    let roles: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let mut all = BTreeSet::new();
    for rule in roles.as_array().expect("roles").iter().flat_map(|role| role["rules"].as_array().cloned().unwrap_or_default()) {
        let (group, resource) = (text(&rule["apiGroups"][0]), text(&rule["resources"][0]));
        for verb in rule["verbs"].as_array().into_iter().flatten() {
            all.insert(format!("{} {}", text(verb), named(group, resource)));
        }
    }
    all
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn named(group: &str, resource: &str) -> String {
    let (plural, part) = resource.split_once('/').map_or((resource, String::new()), |(p, part)| (p, format!("/{part}")));
    if group.is_empty() { resource.to_owned() } else { format!("{plural}.{group}{part}") }
}

/// The same of everything that was asked of the cluster. Reviews of one's own login, and what is no resource, need no role.
fn asked(audit: &Audit) -> BTreeSet<String> {
    let reads = audit.reads().into_keys().filter(|read| !read.resource.starts_with('/'));
    let reads = reads.map(|read| format!("{} {}", read.verb, read.resource));
    let writes = audit.records().into_iter().filter(|record| !record.path.contains("/selfsubject"));
    reads.chain(writes.map(|record| format!("{} {}", record.verb, resource_of(&record.path)))).collect()
}

fn resource_of(path: &str) -> String {
    let parts: Vec<&str> = path.split('?').next().unwrap_or_default().trim_matches('/').split('/').collect();
    let (group, rest) = if parts[0] == "api" { ("", &parts[2..]) } else { (parts[1], &parts[3..]) };
    let rest = if rest[0] == "namespaces" && rest.len() > 2 { &rest[2..] } else { rest };
    let part = rest.get(2).map(|part| format!("/{part}")).unwrap_or_default();
    named(group, &format!("{}{part}", rest[0]))
}

async fn check(workflow: &'static str, input: Value, approvals: &[&str], writes: &[&str]) {
    let shape = ClusterShape::default().with_pools("worker=8,infra=2").expect("a shape");
    check_on(shape, workflow, input, approvals, writes).await;
}

async fn check_on(shape: ClusterShape, workflow: &'static str, input: Value, approvals: &[&str], writes: &[&str]) {
    let stage = Stage::new(workflow, shape, Scenario::calm());
    let approvals: Vec<String> = approvals.iter().map(|gate| (*gate).to_owned()).collect();
    stage.start(&input, &approvals, None, None).await.expect("the stage works");
    assert_eq!(stage.ending(), Ending::Completed, "{workflow}");
    let (asked, granted) = (asked(stage.sim.audit()), granted(workflow));
    let missing: Vec<&String> = asked.difference(&granted).collect();
    assert!(missing.is_empty(), "{workflow} lacks {missing:?}");
    for write in writes {
        assert!(asked.contains(*write), "{workflow} should have come to {write}: {asked:?}");
    }
}

fn terms() -> Value {
    json!({
        "windows": {"zone": "UTC", "slots": [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "00:00", "until": "24:00"}]},
        "canary": {"pool": "worker", "waves": [{"name": "first", "select": {"percent": 20}}], "soak_minutes": 30},
        "credentials": {},
        "deadlines": true,
    })
}

#[tokio::test(start_paused = true)]
async fn the_permissions_of_an_eus_update_are_enough() {
    let input = json!({"channel": "eus-4.18", "target": "4.18", "pause_days": 60, "terms": terms()});
    let approvals = ["ack-hop-1", "ack-hop-2", "release-pool-infra", "release-pool-worker", "release-pool-workerpool-first"];
    let pools = "machineconfigpools.machineconfiguration.openshift.io";
    let writes = [format!("create {pools}"), format!("delete {pools}"), "patch nodes".to_owned(), "patch configmaps".to_owned()];
    check("eus-update", input, &approvals, &writes.each_ref().map(String::as_str)).await;
}

#[tokio::test(start_paused = true)]
async fn the_permissions_of_a_cluster_update_are_enough() {
    let input = json!({"wanted": "newest", "pause_days": 14, "terms": terms()});
    let approvals = ["ack-hop-1", "release-pool-infra", "release-pool-worker", "release-pool-workerpool-first"];
    check("cluster-update", input, &approvals, &["patch clusterversions.config.openshift.io"]).await;
}

#[tokio::test(start_paused = true)]
async fn the_permissions_of_an_exchange_of_members_are_enough() {
    for version in ["1.11.0", "1.13.2"] {
        let kube_ovn = KubeOvnShape { version: version.to_owned(), ..KubeOvnShape::default() };
        let shape = ClusterShape { kube_ovn: Some(kube_ovn), ..ClusterShape::default() };
        let input = json!({"node": "control-plane-2", "with": "worker-0"});
        let writes =
            ["create pods/exec", "create pods", "delete pods", "patch deployments.apps", "patch daemonsets.apps", "patch nodes"];
        check_on(shape, "ovn-central-replace", input, &["kick-control-plane-2"], &writes).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_permissions_of_the_networks_migrations_are_enough() {
    for (workflow, network) in [("sdn-to-ovn", NetworkPlugin::Sdn), ("ovn-to-sdn", NetworkPlugin::Ovn)] {
        let shape = ClusterShape { network, ..ClusterShape::default() };
        let networks = ["patch networks.config.openshift.io", "patch networks.operator.openshift.io"];
        let writes = [&networks[..], &["create pods/exec", "delete namespaces"]].concat();
        check_on(shape, workflow, json!({}), &["prepare-nodes", "switch-network"], &writes).await;
    }
    // One that is done already, and is looked at as one that was begun by hand.
    check_on(ClusterShape::default(), "sdn-to-ovn", json!({"adopt": true}), &["adopt"], &[]).await;
}

#[tokio::test(start_paused = true)]
async fn the_permissions_of_a_migration_from_kuryr_are_enough() {
    let mut shape = ClusterShape::default();
    shape.suit_kuryr();
    let writes = ["patch networks.config.openshift.io", "patch pods", "patch services", "patch kuryrnetworks.openstack.org"];
    let gates = ["prepare-nodes", "switch-network", "clean-up-kuryr"];
    check_on(shape, "kuryr-to-ovn", json!({"cloud": "openstack"}), &gates, &writes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_permissions_of_a_snapshot_are_enough_and_only_read() {
    let sim = Sim::start(ClusterShape::default(), Scenario::calm(), SimClock::new(chrono::Utc::now(), 1.0)).expect("a cluster");
    let home = tempfile::tempdir().expect("a folder");
    let server = sim.serve(&home.path().join("sim"), 0).await.expect("loopback can be listened on");
    let mut command = Command::new(windlass());
    command.args(["snapshot", "--kubeconfig"]).arg(server.kubeconfig()).env("HOME", home.path());
    let said = tokio::task::spawn_blocking(move || command.output()).await.expect("it ends").expect("it runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let (asked, granted) = (asked(sim.audit()), granted("snapshot"));
    let missing: Vec<&String> = asked.difference(&granted).collect();
    assert!(missing.is_empty() && asked.len() > 10, "{missing:?} of {asked:?}");
    assert!(granted.iter().all(|one| one.starts_with("get ") || one.starts_with("list ")), "{granted:?}");
}
