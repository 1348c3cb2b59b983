//! A cluster's shape on its way from the cluster through a file into a rehearsal.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use chrono::Utc;
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_sim::snapshot::Snapshot;
use windlass_sim::store::resources::{MACHINECONFIGPOOLS, MACHINEHEALTHCHECKS, NODES, PDBS, PODS, SECRETS};
use windlass_sim::store::{Resource, Store};
use windlass_sim::{ClusterShape, Scenario, Server, Sim, SimClock};

/// What must not be found in any file.
const SECRET: &str = "hunter2-correct-horse";

struct Rig {
    sim: Sim,
    server: Server,
    home: TempDir,
}

impl Rig {
    async fn start(shape: ClusterShape) -> Result<Self> {
        let now = shape.copied.as_ref().map_or_else(Utc::now, |copied| copied.taken);
        let sim = Sim::start(shape, Scenario::calm(), SimClock::new(now, 1.0))?;
        let home = tempfile::tempdir()?;
        let server = sim.serve(&home.path().join("sim"), 0).await?;
        Ok(Self { sim, server, home })
    }

    async fn windlass(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(windlass_tests::windlass());
        command
            .args(args)
            .arg("--kubeconfig")
            .arg(self.server.kubeconfig())
            .arg("--journal")
            .arg(self.home.path().join("journal"));
        command.env("HOME", self.home.path()).stdin(Stdio::null());
        Ok(tokio::task::spawn_blocking(move || command.output()).await??)
    }

    /// Takes a snapshot and says where it is.
    async fn snapshot(&self) -> Result<PathBuf> {
        let said = self.windlass(&["snapshot"]).await?;
        ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let path = self.home.path().join("cluster.yaml");
        std::fs::write(&path, &said.stdout)?;
        Ok(path)
    }

    async fn plan(&self) -> Result<Value> {
        let said = self.windlass(&["plan", "eus-update", "--to", "4.18", "-o", "json"]).await?;
        serde_json::from_slice(&said.stdout).with_context(|| String::from_utf8_lossy(&said.stderr).into_owned())
    }
}

/// Puts the secret wherever careless people put theirs.
fn plant(store: &Store) -> Result<()> {
    let (ns, signer) = ("openshift-kube-apiserver-operator", "kube-apiserver-to-kubelet-signer");
    store.modify(&SECRETS, Some(ns), signer, |s| s["data"]["tls.key"] = json!(SECRET))?;
    for pod in store.list(&PODS) {
        let (ns, name) = (text(&pod, "/metadata/namespace").to_owned(), text(&pod, "/metadata/name").to_owned());
        store.modify(&PODS, Some(&ns), &name, |pod| {
            pod["spec"]["containers"][0]["env"] = json!([{ "name": "PASSWORD", "value": SECRET }]);
            pod["spec"]["containers"][0]["args"] = json!([format!("--password={SECRET}")]);
            pod["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = json!(SECRET);
        })?;
    }
    for node in store.list(&NODES) {
        store.modify(&NODES, None, text(&node, "/metadata/name"), |node| {
            node["status"]["images"] = json!([{ "names": [SECRET] }]);
            node["metadata"]["managedFields"] = json!([{ "manager": SECRET }]);
        })?;
    }
    Ok(())
}

fn text<'a>(object: &'a Value, at: &str) -> &'a str {
    object.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

/// Some fields of all objects of a kind, in order.
fn fields(store: &Store, resource: &Resource, paths: &[&str]) -> Vec<Vec<Value>> {
    let fields = |object: &Value| paths.iter().map(|path| object.pointer(path).cloned().unwrap_or_default()).collect();
    let mut all: Vec<Vec<Value>> = store.list(resource).iter().map(|object| fields(object)).collect();
    all.sort_by_key(|fields| json!(fields).to_string());
    all
}

/// The steps of a plan, each with the microseconds since the first: the two clusters are planned for at two moments.
fn steps_from_the_first(plan: &Value) -> Vec<Value> {
    let mut steps = plan["steps"].as_array().cloned().unwrap_or_default();
    let at = |step: &Value| step["expected_at"].as_i64().expect("a moment");
    let first = at(steps.first().expect("a plan has steps"));
    for step in &mut steps {
        step["expected_at"] = json!(at(step) - first);
    }
    steps
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_comes_back_from_its_snapshot() -> Result<()> {
    let mut shape = ClusterShape { seed: 5, ..ClusterShape::default() };
    shape.pools[0].max_unavailable = "50%".to_owned();
    let real = Rig::start(shape).await?;
    plant(real.sim.store())?;
    let path = real.snapshot().await?;
    let file = std::fs::read_to_string(&path)?;
    assert!(!file.contains(SECRET) && !file.contains("managedFields") && !file.contains("quay.io/harbour"), "it leaks");

    let copy = Rig::start(Snapshot::load(&path)?.shape(99)).await?;
    let same = |resource: &Resource, paths: &[&str]| {
        let (one, other) = (fields(real.sim.store(), resource, paths), fields(copy.sim.store(), resource, paths));
        assert_eq!(one, other, "{}", resource.plural);
        assert!(!one.is_empty(), "{}", resource.plural);
    };
    same(
        &NODES,
        &["/metadata/name", "/metadata/labels", "/spec/taints", "/status/allocatable", "/status/nodeInfo/kubeletVersion"],
    );
    same(
        &MACHINECONFIGPOOLS,
        &["/metadata/name", "/spec/maxUnavailable", "/spec/nodeSelector", "/spec/paused", "/status/machineCount"],
    );
    same(&PODS, &["/metadata/namespace", "/metadata/name", "/spec/nodeName", "/metadata/ownerReferences/0/kind"]);
    same(&PDBS, &["/metadata/namespace", "/metadata/name", "/spec", "/status/disruptionsAllowed"]);
    same(&MACHINEHEALTHCHECKS, &["/metadata/name", "/spec"]);
    let (one, other) = (real.plan().await?, copy.plan().await?);
    assert_eq!(one["cluster"], other["cluster"]);
    assert_eq!(steps_from_the_first(&one), steps_from_the_first(&other));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_cluster_is_rehearsed_from_its_snapshot() -> Result<()> {
    let real = Rig::start(ClusterShape::default().with_nodes("3+59")?).await?;
    let path = real.snapshot().await?;
    let from = path.to_string_lossy();
    let said = real.windlass(&["rehearse", "--from", &from, "--faults", "F7", "eus-update", "-o", "json"]).await?;
    let talk = String::from_utf8_lossy(&said.stderr);
    let report: Value = serde_json::from_slice(&said.stdout).with_context(|| talk.clone().into_owned())?;
    assert_eq!((said.status.code(), &report["state"]), (Some(0), &json!("completed")), "{report}");
    let rebooted = report["reboots"].as_object().context("reboots by node")?;
    let nodes: Vec<String> = real.sim.reboot_counts().into_keys().collect();
    assert_eq!(rebooted.keys().cloned().collect::<Vec<_>>(), nodes);
    assert!(talk.contains("note: the update service's answers are made up"), "{talk}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_snapshot_is_refused_with_the_place() -> Result<()> {
    let real = Rig::start(ClusterShape::default()).await?;
    let good: Value = serde_json::to_value(Snapshot::load(&real.snapshot().await?)?)?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("cluster.yaml");
    let check = |content: &str, expect: &[&str]| {
        std::fs::write(&path, content).expect("a writable file");
        let error = Snapshot::load(&path).map(|_| ()).expect_err("it is refused").to_string();
        assert!(expect.iter().all(|part| error.contains(part)), "{error}");
    };
    let edited = |edit: &dyn Fn(&mut Value)| {
        let mut value = good.clone();
        edit(&mut value);
        value.to_string()
    };
    check("apiVersion: v1\nkind: List\nitems: []\n", &["unknown field", "apiVersion", "windlass snapshot > FILE"]);
    check("windlass: cluster-snapshot\nobjects: [}\n", &["line 2"]);
    check(&edited(&|v| v["windlass"] = json!("cluster")), &["where \"cluster-snapshot\" belongs"]);
    check(&edited(&|v| v["format"] = json!(7)), &["it has format 7, and this windlass reads format 1"]);
    check(
        &edited(&|v| drop(v["objects"][3]["metadata"].as_object_mut().map(|m| m.remove("name")))),
        &["objects[3]", "metadata.name"],
    );
    check(&edited(&|v| v["objects"][2]["spec"] = json!([])), &["objects[2]", "spec is no mapping"]);
    check(&edited(&|v| v["objects"][2] = v["objects"][1].clone()), &["objects[2] is objects[1] again: ClusterOperator"]);
    check(&edited(&|v| v["objects"][0]["status"]["desired"]["version"] = json!("latest")), &["status.desired.version", "latest"]);
    // Each of these was once a panic or a cluster without an end further on.
    let endless = edited(&|v| v["objects"][0]["status"]["desired"]["version"] = json!("4.18446744073709551615.0"));
    check(&endless, &["status.desired.version", "no release"]);
    check(&edited(&|v| v["taken"] = json!("-262143-01-01T00:00:00Z")), &["it was taken -262143-01-01", "no such cluster"]);
    check(&edited(&|v| v["objects"][2]["spec"]["replicas"] = json!(u64::MAX)), &["replicas, and at most 500000 are made"]);
    let without = |kind: &'static str| edited(&|v| v["objects"].as_array_mut().expect("a list").retain(|o| o["kind"] != kind));
    check(&without("ClusterVersion"), &["it has no ClusterVersion"]);
    check(&without("MachineConfigPool"), &["it has no MachineConfigPool master"]);
    check(&without("Node"), &["none of its nodes is in the pool master"]);
    let zero = Snapshot::load(Path::new("/dev/zero")).map(|_| ()).expect_err("a file without an end is refused");
    assert!(zero.to_string().contains("more than 268435456 bytes"), "{zero}");
    assert!(Snapshot::load(Path::new("no-such-file")).is_err_and(|e| e.to_string().contains("no-such-file: check the path")));
    Ok(())
}
