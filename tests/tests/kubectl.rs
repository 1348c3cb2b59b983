//! The real kubectl against the simulated API server over HTTP; skipped, loudly, where there is no kubectl.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use chrono::DateTime;
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_sim::api::Budget;
use windlass_sim::scenario::Scenario;
use windlass_sim::store::resources::{
    CLUSTEROPERATORS, CLUSTERVERSIONS, CONFIGMAPS, DEPLOYMENTS, MACHINECONFIGPOOLS, NAMESPACES, NODES, PDBS, PODS,
};
use windlass_sim::{ApiService, ClusterShape, Server, Sim, SimClock, Store};

/// Virtual seconds a second: pods with a grace period of half a minute are gone at once.
const SPEED: f64 = 600.0;

struct Rig {
    store: Store,
    service: ApiService,
    server: Server,
    home: TempDir,
}

/// What one kubectl printed, when it succeeded.
struct Said {
    stdout: String,
    stderr: String,
}

impl Rig {
    async fn start() -> Result<Option<Self>> {
        if Command::new("kubectl").args(["version", "--client"]).output().is_err() {
            eprintln!("kubectl not found, skipped");
            return Ok(None);
        }
        let clock = SimClock::new(DateTime::from_timestamp(1_750_000_000, 0).context("an epoch")?, SPEED);
        let store = Store::new(clock, 1);
        populate(&store)?;
        let ending = store.clone();
        tokio::spawn(async move { ending.end_pods(|_, _| false).await });
        let service = ApiService::new(store.clone());
        // Some kubectls are dispatchers that run the kubectl of the server's version.
        service.set_version("v1.32.4");
        let home = tempfile::tempdir()?;
        let server = Server::start(service.clone(), &home.path().join("sim"), 0).await?;
        Ok(Some(Self { store, service, server, home }))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(args).arg("--request-timeout=30s").env("KUBECONFIG", self.server.kubeconfig()).env("HOME", self.home.path());
        command.env("KUBECACHEDIR", self.home.path().join("cache")).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Result<Output> {
        self.command(args).output().with_context(|| format!("kubectl {args:?}"))
    }

    fn ok(&self, args: &[&str]) -> Result<Said> {
        let output = self.run(args)?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "kubectl {args:?}: {stderr}");
        Ok(Said { stdout: String::from_utf8_lossy(&output.stdout).into_owned(), stderr })
    }

    fn stdout(&self, args: &[&str]) -> Result<String> {
        Ok(self.ok(args)?.stdout)
    }

    fn refused(&self, args: &[&str]) -> Result<String> {
        let output = self.run(args)?;
        ensure!(!output.status.success(), "kubectl {args:?} should have failed: {}", String::from_utf8_lossy(&output.stdout));
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Waits until so many watches on pools were begun.
    async fn watched(&self, watches: u64) -> Result<()> {
        let begun = || self.service.audit().read_count("watch", &MACHINECONFIGPOOLS.qualified());
        let mut reading = self.service.audit().reading();
        let until = reading.wait_for(|_| begun() >= watches);
        let reached = tokio::time::timeout(Duration::from_secs(30), until).await;
        reached.with_context(|| format!("{} of {watches} watches", begun()))?.map(drop).context("the audit is gone")
    }

    fn feed(&self, args: &[&str], manifest: &Value) -> Result<Output> {
        let mut child = self.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        child.stdin.take().context("stdin")?.write_all(manifest.to_string().as_bytes())?;
        Ok(child.wait_with_output()?)
    }

    fn feed_ok(&self, args: &[&str], manifest: &Value) -> Result<String> {
        let output = self.feed(args, manifest)?;
        ensure!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// A kubectl that goes on until it is dropped.
struct Follower(Child, BufReader<std::process::ChildStdout>);

impl Follower {
    fn start(rig: &Rig, args: &[&str]) -> Result<Self> {
        let mut child = rig.command(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let stdout = child.stdout.take().context("stdout")?;
        Ok(Self(child, BufReader::new(stdout)))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.1.read_line(&mut line)?;
        if line.is_empty() {
            bail!("kubectl ended");
        }
        Ok(squeeze(&line))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runs of spaces made one, so that column widths don't matter.
fn squeeze(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    lines.join("\n")
}

fn conditions(of: &[(&str, &str)]) -> Value {
    of.iter()
        .map(|(kind, status)| json!({ "type": kind, "status": status, "lastTransitionTime": "2025-06-15T14:06:40Z" }))
        .collect()
}

fn populate(store: &Store) -> Result<()> {
    for ns in ["default", "openshift-config", "shop"] {
        store.create(&NAMESPACES, json!({ "metadata": { "name": ns }, "status": { "phase": "Active" } }))?;
    }
    for name in ["worker-0", "worker-1"] {
        store.create(
            &NODES,
            json!({ "metadata": { "name": name, "labels": { "node-role.kubernetes.io/worker": "" } }, "spec": {},
                "status": { "conditions": conditions(&[("Ready", "True")]), "nodeInfo": { "kubeletVersion": "v1.29.6" } } }),
        )?;
    }
    store.create(
        &CLUSTERVERSIONS,
        json!({ "metadata": { "name": "version" }, "spec": { "channel": "eus-4.16", "clusterID": "c" }, "status": {
            "history": [{ "state": "Completed", "version": "4.16.3" }],
            "conditions": conditions(&[("Available", "True"), ("Progressing", "False")]) } }),
    )?;
    store.create(
        &CLUSTEROPERATORS,
        json!({ "metadata": { "name": "etcd" }, "spec": {}, "status": { "versions": [{ "name": "operator", "version": "4.16.3" }],
            "conditions": conditions(&[("Available", "True"), ("Progressing", "False"), ("Degraded", "False")]) } }),
    )?;
    for pool in ["master", "worker"] {
        store.create(
            &MACHINECONFIGPOOLS,
            json!({ "metadata": { "name": pool }, "spec": { "paused": false, "configuration": { "name": "rendered-1" } }, "status": {
                "configuration": { "name": "rendered-1" }, "machineCount": 3, "readyMachineCount": 3, "updatedMachineCount": 3,
                "degradedMachineCount": 0,
                "conditions": conditions(&[("Updated", "True"), ("Updating", "False"), ("Degraded", "False")]) } }),
        )?;
    }
    store.create(&CONFIGMAPS, json!({ "metadata": { "name": "admin-acks", "namespace": "openshift-config" }, "data": {} }))?;
    for (name, node) in [("web-0", "worker-0"), ("web-1", "worker-1")] {
        pod(store, name, node)?;
    }
    let selector = json!({ "matchLabels": { "app": "web" } });
    let pdb = store.create(
        &PDBS,
        json!({ "metadata": { "name": "web", "namespace": "shop" }, "spec": { "minAvailable": 1, "selector": selector } }),
    )?;
    let status = Budget::of(store, &pdb)?.status(&pdb);
    store.modify(&PDBS, Some("shop"), "web", |pdb| pdb["status"] = status)?;
    Ok(())
}

fn pod(store: &Store, name: &str, node: &str) -> Result<()> {
    store.create(
        &PODS,
        json!({
            "metadata": { "name": name, "namespace": "shop", "labels": { "app": "web" },
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u", "controller": true }] },
            "spec": { "nodeName": node, "containers": [{ "name": "web", "image": "web:1" }], "terminationGracePeriodSeconds": 30 },
            "status": { "phase": "Running", "conditions": conditions(&[("Ready", "True")]),
                "containerStatuses": [{ "name": "web", "ready": true, "restartCount": 0 }] },
        }),
    )?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_other_outputs() -> Result<()> {
    let Some(rig) = Rig::start().await? else { return Ok(()) };
    let columns =
        "NAME CONFIG UPDATED UPDATING DEGRADED MACHINECOUNT READYMACHINECOUNT UPDATEDMACHINECOUNT DEGRADEDMACHINECOUNT AGE";
    let pools = squeeze(&rig.stdout(&["get", "mcp"])?);
    ensure!(pools.starts_with(&format!("{columns}\nmaster rendered-1 True False False 3 3 3 0 ")), "{pools}");
    let operators = squeeze(&rig.stdout(&["get", "co"])?);
    ensure!(
        operators.starts_with("NAME VERSION AVAILABLE PROGRESSING DEGRADED SINCE MESSAGE\netcd 4.16.3 True False False "),
        "{operators}"
    );
    let version = squeeze(&rig.stdout(&["get", "clusterversion"])?);
    ensure!(version.starts_with("NAME VERSION AVAILABLE PROGRESSING SINCE STATUS\nversion 4.16.3 True False "), "{version}");
    let nodes = squeeze(&rig.stdout(&["get", "nodes", "-o", "wide"])?);
    ensure!(nodes.starts_with("NAME STATUS ROLES AGE VERSION INTERNAL-IP EXTERNAL-IP OS-IMAGE"), "{nodes}");
    ensure!(nodes.contains("worker-0 Ready worker "), "{nodes}");
    let pods = squeeze(&rig.stdout(&["get", "pods", "-A", "-l", "app=web", "--field-selector", "spec.nodeName=worker-1"])?);
    ensure!(pods.starts_with("NAMESPACE NAME READY STATUS RESTARTS AGE\nshop web-1 1/1 Running 0 "), "{pods}");
    let budgets = squeeze(&rig.stdout(&["get", "pdb", "-n", "shop"])?);
    ensure!(budgets.starts_with("NAME MIN AVAILABLE MAX UNAVAILABLE ALLOWED DISRUPTIONS AGE\nweb 1 N/A 1 "), "{budgets}");
    let json: Value = serde_json::from_str(&rig.stdout(&["get", "node", "worker-0", "-o", "json"])?)?;
    ensure!(json["kind"] == "Node" && json["status"]["nodeInfo"]["kubeletVersion"] == "v1.29.6", "{json}");
    let path = "jsonpath={.status.conditions[?(@.type==\"Updated\")].status}";
    ensure!(rig.stdout(&["get", "mcp", "worker", "-o", path])? == "True");
    let raw: Value =
        serde_json::from_str(&rig.stdout(&["get", "--raw", "/apis/config.openshift.io/v1/clusterversions/version"])?)?;
    ensure!(raw["spec"]["channel"] == "eus-4.16", "{raw}");
    ensure!(rig.stdout(&["version"])?.contains("Server Version: v1.32.4"));
    ensure!(rig.stdout(&["auth", "can-i", "patch", "nodes"])?.trim() == "yes");
    ensure!(
        rig.refused(&["get", "mcp", "nothing"])?
            .contains("machineconfigpools.machineconfiguration.openshift.io \"nothing\" not found")
    );
    ensure!(
        rig.stdout(&["api-resources", "--api-group=config.openshift.io", "-o", "name"])?
            .contains("clusteroperators.config.openshift.io")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_labels_and_annotations() -> Result<()> {
    let Some(rig) = Rig::start().await? else { return Ok(()) };
    rig.ok(&["patch", "mcp", "worker", "--type=merge", "-p", r#"{"spec":{"paused":true}}"#])?;
    rig.ok(&[
        "patch",
        "clusterversion",
        "version",
        "--type=json",
        "-p",
        r#"[{"op":"replace","path":"/spec/channel","value":"eus-4.18"}]"#,
    ])?;
    rig.ok(&["patch", "node", "worker-0", "-p", r#"{"spec":{"taints":[{"key":"a","effect":"NoSchedule"}]}}"#])?;
    rig.ok(&["label", "node", "worker-0", "zone=a"])?;
    rig.ok(&["annotate", "mcp", "worker", "note=held"])?;
    rig.ok(&["cordon", "worker-0"])?;
    let cordoned = rig.store.get(&NODES, None, "worker-0").context("node")?;
    ensure!(cordoned["spec"]["unschedulable"] == true && cordoned["spec"]["taints"][0]["key"] == "a", "{cordoned}");
    ensure!(cordoned["metadata"]["labels"]["zone"] == "a");
    rig.ok(&["uncordon", "worker-0"])?;
    let node = rig.store.get(&NODES, None, "worker-0").context("node")?;
    ensure!(node["spec"].get("unschedulable").is_none_or(|u| u == false), "{node}");
    let pool = rig.store.get(&MACHINECONFIGPOOLS, None, "worker").context("pool")?;
    ensure!(pool["spec"]["paused"] == true && pool["metadata"]["annotations"]["note"] == "held", "{pool}");
    ensure!(pool["metadata"]["generation"] == 2, "{pool}");
    let version = rig.store.get(&CLUSTERVERSIONS, None, "version").context("version")?;
    ensure!(version["spec"]["channel"] == "eus-4.18");
    let wrong = rig.refused(&["patch", "mcp", "worker", "--type=merge", "-p", r#"{"spec":{"paused":"yes"}}"#])?;
    ensure!(wrong.contains("spec.paused in body must be of type boolean"), "{wrong}");
    let strategic = rig.refused(&["patch", "mcp", "worker", "-p", r#"{"spec":{"paused":true}}"#])?;
    ensure!(strategic.contains("media types"), "{strategic}");
    let ack = r#"{"data":{"ack-4.16-x":"true"}}"#;
    rig.ok(&["patch", "cm", "admin-acks", "-n", "openshift-config", "--type=merge", "-p", ack, "--dry-run=server"])?;
    ensure!(rig.store.get(&CONFIGMAPS, Some("openshift-config"), "admin-acks").context("acks")?["data"] == json!({}));
    let agents: Vec<String> = rig.service.audit().records().into_iter().map(|r| format!("{} {}", r.verb, r.code)).collect();
    ensure!(agents.contains(&"patch 200".to_owned()) && agents.contains(&"patch 422".to_owned()), "{agents:?}");
    let file = std::fs::read_to_string(rig.home.path().join("sim/audit.jsonl"))?;
    ensure!(file.lines().count() == rig.service.audit().records().len() && file.contains("kubectl/v1"), "{file}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_and_waits() -> Result<()> {
    let Some(rig) = Rig::start().await? else { return Ok(()) };
    let mut follower = Follower::start(&rig, &["get", "mcp", "worker", "-w"])?;
    ensure!(follower.line()?.starts_with("NAME CONFIG UPDATED"));
    ensure!(follower.line()?.starts_with("worker rendered-1 True"));
    let update = |name: &str, status: &str| {
        rig.store.modify(&MACHINECONFIGPOOLS, None, name, |pool| {
            pool["status"]["conditions"] = conditions(&[("Updated", status), ("Updating", "True"), ("Degraded", "False")]);
        })
    };
    // kubectl shows the first event of a watch on one object only if the object changed after the watch began.
    rig.watched(1).await?;
    update("master", "False")?;
    update("worker", "False")?;
    let changed = follower.line()?;
    ensure!(changed.starts_with("worker rendered-1 False True False"), "{changed}");
    drop(follower);

    let waiting = Follower::start(&rig, &["wait", "--for=condition=Updated", "mcp/worker", "--timeout=30s"])?;
    let other = Follower::start(&rig, &["wait", "--for=jsonpath={.spec.paused}=true", "mcp/worker", "--timeout=30s"])?;
    rig.watched(3).await?;
    update("worker", "True")?;
    rig.store.modify(&MACHINECONFIGPOOLS, None, "worker", |pool| pool["spec"]["paused"] = json!(true))?;
    for mut waiter in [waiting, other] {
        ensure!(waiter.line()? == "machineconfigpool.machineconfiguration.openshift.io/worker condition met");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn applies_on_both_sides() -> Result<()> {
    let Some(rig) = Rig::start().await? else { return Ok(()) };
    let deployment = |image: &str, env: Value| {
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "shop" }, "spec": {
            "replicas": 2, "selector": { "matchLabels": { "app": "web" } }, "template": { "metadata": { "labels": { "app": "web" } },
            "spec": { "containers": [{ "name": "web", "image": image, "env": env }] } } } })
    };
    let apply = ["apply", "-f", "-"];
    ensure!(
        rig.feed_ok(&apply, &deployment("web:1", json!([{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }])))?
            .contains("created")
    );
    rig.store
        .modify(&DEPLOYMENTS, Some("shop"), "web", |d| d["spec"]["template"]["spec"]["containers"][0]["stdin"] = json!(true))?;
    ensure!(rig.feed_ok(&apply, &deployment("web:2", json!([{ "name": "B", "value": "3" }])))?.contains("configured"));
    let container =
        rig.store.get(&DEPLOYMENTS, Some("shop"), "web").context("deployment")?["spec"]["template"]["spec"]["containers"][0]
            .clone();
    ensure!(container["stdin"] == true && container["image"] == "web:2", "{container}");
    ensure!(container["env"] == json!([{ "name": "B", "value": "3" }]), "{container}");
    let pool = |paused: bool| {
        json!({ "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfigPool",
        "metadata": { "name": "infra" }, "spec": { "paused": paused } })
    };
    rig.feed_ok(&apply, &pool(false))?;
    ensure!(rig.feed_ok(&apply, &pool(true))?.contains("configured"));
    ensure!(rig.feed_ok(&apply, &pool(true))?.contains("unchanged"));

    let acks = |value: &str| {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "mine", "namespace": "openshift-config" },
        "data": { "a": value } })
    };
    let side = ["apply", "--server-side", "-f", "-", "--field-manager=one"];
    ensure!(rig.feed_ok(&side, &acks("1"))?.contains("serverside-applied"));
    let other = ["apply", "--server-side", "-f", "-", "--field-manager=two"];
    let conflict = rig.feed(&other, &acks("2"))?;
    let stderr = String::from_utf8_lossy(&conflict.stderr).into_owned();
    ensure!(!conflict.status.success() && stderr.contains("conflict with \"one\""), "{stderr}");
    rig.feed_ok(&[other.as_slice(), &["--force-conflicts"]].concat(), &acks("2"))?;
    ensure!(rig.store.get(&CONFIGMAPS, Some("openshift-config"), "mine").context("applied")?["data"]["a"] == "2");
    ensure!(rig.stdout(&["delete", "cm", "mine", "-n", "openshift-config"])?.contains("deleted"));
    rig.ok(&["create", "configmap", "typed", "-n", "shop", "--from-literal=a=b"])?;
    ensure!(rig.store.get(&CONFIGMAPS, Some("shop"), "typed").context("created")?["data"] == json!({ "a": "b" }));
    rig.ok(&["create", "namespace", "more"])?;
    ensure!(rig.stdout(&["scale", "deployment/web", "-n", "shop", "--replicas=5"])?.contains("scaled"));
    ensure!(rig.stdout(&["get", "deployment", "web", "-n", "shop", "-o", "jsonpath={.spec.replicas}"])? == "5");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_waits_for_the_budget() -> Result<()> {
    let Some(rig) = Rig::start().await? else { return Ok(()) };
    // One of two pods is not ready, so the budget of one leaves nothing to evict.
    let ready = |status: &str| {
        rig.store.modify(&PODS, Some("shop"), "web-1", |p| p["status"]["conditions"] = conditions(&[("Ready", status)]))
    };
    ready("False")?;
    let drain = ["drain", "worker-0", "--ignore-daemonsets", "--force", "--delete-emptydir-data"];
    let blocked = rig.refused(&[drain.as_slice(), &["--timeout=2s"]].concat())?;
    ensure!(blocked.contains("Cannot evict pod as it would violate the pod's disruption budget"), "{blocked}");
    ready("True")?;
    let drained = rig.ok(&[drain.as_slice(), &["--timeout=25s"]].concat())?;
    ensure!(drained.stdout.contains("node/worker-0 drained"), "{} {}", drained.stdout, drained.stderr);
    ensure!(rig.store.get(&PODS, Some("shop"), "web-0").is_none());
    ensure!(rig.store.get(&NODES, None, "worker-0").context("node")?["spec"]["unschedulable"] == true);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_refused() -> Result<()> {
    let Some(rig) = Rig::start().await? else { return Ok(()) };
    let said = rig.refused(&["get", "nodes", "--token=wrong"])?;
    ensure!(said.contains("Unauthorized") || said.contains("provide credentials"), "{said}");
    let mode = |path: &Path| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).map(|m| m.permissions().mode() & 0o777)
    };
    ensure!(mode(rig.server.kubeconfig())? == 0o600);
    ensure!(mode(&rig.home.path().join("sim/audit.jsonl"))? == 0o600);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_cluster_looks_like_one() -> Result<()> {
    let Some(rig) = Rig::start().await? else { return Ok(()) };
    let clock = SimClock::new(DateTime::from_timestamp(1_750_000_000, 0).context("an epoch")?, SPEED);
    let sim = Sim::start(ClusterShape::default(), Scenario::default(), clock)?;
    let server = sim.serve(&rig.home.path().join("default"), 0).await?;
    let kubeconfig = format!("--kubeconfig={}", server.kubeconfig().display());
    let rows =
        |resource: &str| -> Result<usize> { Ok(rig.stdout(&[&kubeconfig, "get", resource, "--no-headers"])?.lines().count()) };
    ensure!(rows("nodes")? == sim.store().list(&NODES).len() && rows("nodes")? == 9);
    ensure!(rows("co")? == 33);
    ensure!(rows("mcp")? == 3);
    let updated = rig.stdout(&[&kubeconfig, "wait", "mcp", "--all", "--for=condition=Updated", "--timeout=20s"])?;
    ensure!(updated.lines().count() == 3, "{updated}");
    let channel = rig.stdout(&[&kubeconfig, "get", "clusterversion", "version", "-o", "jsonpath={.spec.channel}"])?;
    ensure!(channel.contains("4.1"), "{channel}");
    Ok(())
}
