//! The nodes' disks by commands in pods that mount them, and what OVN's own tools do there.

mod kube_ovn_support;

use kube_ovn_support::{NODES, central, exec, exec_in, id_of, plain, settle, until};
use serde_json::json;
use windlass_sim::Sim;
use windlass_sim::containers::Output;
use windlass_sim::kube_ovn::Database::Northbound;
use windlass_sim::store::resources::PODS;

/// A short-lived pod on a node that mounts `/etc/origin`.
async fn host_pod(sim: &Sim, node: &str) -> String {
    let name = format!("host-{node}");
    let container = json!({ "name": "host", "image": "kube-ovn", "command": ["sleep", "600"],
        "volumeMounts": [{ "name": "origin", "mountPath": "/host/origin" }] });
    let pod = json!({
        "metadata": { "name": name, "namespace": "kube-system" },
        "spec": { "nodeName": node, "containers": [container], "volumes": [{ "name": "origin", "hostPath": { "path": "/etc/origin" } }] },
        "status": { "phase": "Pending" },
    });
    sim.store().create(&PODS, pod).expect("a pod");
    until(sim, 60, "the pod runs", async |sim| {
        sim.store().get(&PODS, Some("kube-system"), &name).is_some_and(|pod| pod["status"]["phase"] == "Running")
    })
    .await;
    name
}

fn text(output: &Output) -> (i32, String) {
    let said = if output.code == 0 { &output.stdout } else { &output.stderr };
    (output.code, String::from_utf8_lossy(said).into_owned())
}

/// Seen to fail with a mount that leads to another node's disk.
#[tokio::test(start_paused = true)]
async fn a_host_pod_sees_its_own_node_and_moves_its_directory() {
    let sim = plain();
    let pod = host_pod(&sim, NODES[1]).await;
    let object = sim.store().get(&PODS, Some("kube-system"), &pod).expect("the pod");
    assert_eq!(object["status"]["hostIP"], "172.18.0.4");
    let run = async |words: &[&str]| text(&exec_in(&sim, "kube-system", &pod, words).await);
    assert_eq!(run(&["ls", "-1A", "/host/origin/ovn"]).await, (0, "ovnnb_db.db\novnsb_db.db\n".into()));
    let file = "/host/origin/ovn/ovnnb_db.db";
    assert_eq!(run(&["ovsdb-tool", "db-local-address", file]).await, (0, "tcp:[172.18.0.4]:6643\n".into()));
    assert_eq!(run(&["ovsdb-tool", "db-name", file]).await, (0, "OVN_Northbound\n".into()));
    let id = id_of(&sim, NODES[1], Northbound).await;
    assert_eq!(run(&["ovsdb-tool", "db-sid", file]).await, (0, format!("{id}\n")));
    let missing = "ls: cannot access '/host/origin/gone': No such file or directory\n";
    assert_eq!(run(&["ls", "-1A", "/host/origin/gone"]).await, (2, missing.into()));

    central(&sim).kill(NODES[1]);
    assert_eq!(run(&["mv", "-T", "-n", "/host/origin/ovn", "/host/origin/ovn.aside"]).await, (0, String::new()));
    assert!(!central(&sim).directory(NODES[1]).expect("a disk").exists());
    let said = "mv: cannot stat '/host/origin/ovn': No such file or directory\n";
    assert_eq!(run(&["mv", "-T", "-n", "/host/origin/ovn", "/host/origin/ovn.other"]).await, (1, said.into()));
    assert_eq!(run(&["ls", "-1A", "/host/origin"]).await, (0, "ovn.aside\n".into()));
    assert_eq!(run(&["cat", "/etc/passwd"]).await.0, 1, "what is not mounted is not there");
    assert_eq!(run(&["cat", "/host/origin/../../../etc/passwd"]).await.0, 1, "nor by a detour");
}

/// Seen to fail with a backup without rows.
#[tokio::test(start_paused = true)]
async fn data_outlives_its_leader_and_is_in_a_backup() {
    let sim = plain();
    settle(&sim, 1).await;
    let add = async |node: &str, words: &[&str]| text(&exec(&sim, node, words).await);
    assert_eq!(add(NODES[0], &["ovn-nbctl", "ls-add", "blue"]).await, (0, String::new()));
    assert_eq!(add(NODES[1], &["ovn-nbctl", "--no-leader-only", "ls-add", "green"]).await, (0, String::new()));
    let (code, said) = add(NODES[1], &["ovn-nbctl", "ls-add", "red"]).await;
    assert_eq!((code, said.as_str()), (1, "ovn-nbctl: unix:/var/run/ovn/ovnnb_db.sock: database connection failed ()\n"));
    central(&sim).crash(NODES[0], Northbound);
    settle(&sim, 60).await;
    for node in NODES {
        let (code, rows) = add(node, &["ovn-nbctl", "--no-leader-only", "ls-list"]).await;
        let names: Vec<&str> = rows.lines().filter_map(|line| line.split(['(', ')']).nth(1)).collect();
        assert_eq!((code, names), (0, vec!["blue", "green"]), "{node}");
    }
    let backup = ["ovsdb-client", "backup", "unix:/var/run/ovn/ovnnb_db.sock", "OVN_Northbound"];
    let (code, whole) = add(NODES[2], &backup).await;
    assert_eq!(code, 0);
    assert!(whole.starts_with("OVSDB JSON ") && whole.contains("blue") && whole.contains("green"), "{whole}");
}

/// Seen to fail with writes that count as done before most of the servers have them.
#[tokio::test(start_paused = true)]
async fn a_write_that_no_majority_has_is_not_done() {
    let sim = plain();
    settle(&sim, 1).await;
    for node in &NODES[1..] {
        central(&sim).cut(node, true);
    }
    let alone = exec(&sim, NODES[0], &["ovn-nbctl", "--timeout=3", "ls-add", "lost"]).await;
    assert_ne!(alone.code, 0);
    let asked = exec(&sim, NODES[0], &["ovn-nbctl", "--no-leader-only", "ls-list"]).await;
    assert_eq!(text(&asked), (0, String::new()));
}
