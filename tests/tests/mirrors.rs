//! Naming, changing and ending mirrors, and what `status` says of them: the real command, over HTTPS.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;
use windlass_activities::mirror::read_cluster;
use windlass_activities::{Cluster, Connection, Settings};
use windlass_engine::mirror::{MirrorCopy, read_directory};
use windlass_sim::faults::{ApiFault, Effect, Match, When};
use windlass_sim::store::resources::LEASES;
use windlass_sim::{ClusterShape, FaultScript, Scenario, Server, Sim, SimClock};
use windlass_tests::{serve, windlass};

/// Simulated seconds in a second.
const SPEED: f64 = 3_000.0;

/// A command takes a second or two; one that takes this long hangs.
const LONGEST: Duration = Duration::from_secs(120);

/// A cluster, and a journal with a run that waits for a person at its first gate.
struct Scene {
    dir: tempfile::TempDir,
    sim: Sim,
    _server: Server,
}

impl Scene {
    /// The run is started with these flags.
    async fn new(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let sim =
            Sim::start(ClusterShape::default(), Scenario::calm(), SimClock::new(chrono::Utc::now(), SPEED)).expect("a shape");
        let server = serve(&sim, &dir.path().join("sim")).await;
        let scene = Self { dir, sim, _server: server };
        for share in ["one", "two"] {
            std::fs::create_dir(scene.path(share)).expect("a folder can be made");
        }
        scene.expect(3, &[&["start", "eus-update", "--to", "4.18"], flags].concat()).await;
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs a command in the folder of the shares, which has to end with this code; says what it said.
    async fn expect(&self, code: i32, args: &[&str]) -> String {
        self.expect_on(code, "sim/kubeconfig", args).await
    }

    /// The same on a cluster of one's choice.
    async fn expect_on(&self, code: i32, kubeconfig: &str, args: &[&str]) -> String {
        let mut command = Command::new(windlass());
        command.arg("--journal").arg(self.path("journal")).arg("--kubeconfig").arg(self.path(kubeconfig)).args(args);
        command.current_dir(self.dir.path()).stdin(Stdio::null()).kill_on_drop(true);
        let output: Output = tokio::time::timeout(LONGEST, command.output()).await.expect("it does not hang").expect("it runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        said
    }

    /// What `status` says of the mirror, to people and to programs.
    async fn mirror(&self) -> (String, Value) {
        let table = self.expect(0, &["status"]).await;
        let row = table.lines().find_map(|line| line.strip_prefix("mirror ")).unwrap_or_default().trim().to_owned();
        let status: Value = serde_json::from_str(&self.expect(0, &["status", "-o", "json"]).await).expect("JSON");
        (row, status["mirror"].clone())
    }

    /// Whether the mirror in a share vouches, and how many runs it has.
    fn share(&self, name: &str) -> (bool, usize) {
        standing(&read_directory(&self.path(name)).expect("it is readable"))
    }

    /// The same of the one in the cluster.
    async fn in_cluster(&self) -> (bool, usize) {
        self.in_cluster_of("sim/kubeconfig").await
    }

    async fn in_cluster_of(&self, kubeconfig: &str) -> (bool, usize) {
        let connection = Connection { kubeconfig: Some(self.path(kubeconfig)), context: None };
        let cluster = Cluster::connect_with(&connection, Settings::default()).await.expect("the cluster is there");
        standing(&read_cluster(&cluster).await.expect("it is readable"))
    }

    fn is_free(&self) -> bool {
        let lease = self.sim.store().get(&LEASES, Some("windlass"), "windlass").expect("it was taken");
        lease["spec"]["holderIdentity"] == ""
    }
}

fn standing(copies: &[MirrorCopy]) -> (bool, usize) {
    (copies.iter().any(|copy| copy.required), copies.iter().map(|copy| copy.open.len()).sum())
}

fn moved(from: &Path, to: &Path) {
    std::fs::rename(from, to).expect("it can be moved");
}

/// Seen to fail with the old mirror not told, with the cluster's taken for a directory, and with the lease kept after a refusal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_one_mirror_to_another_no_old_one_goes_on_vouching() {
    let scene = Scene::new(&["--mirror", "one", "--mirror-required"]).await;
    assert_eq!(scene.share("one"), (true, 1));
    let one = scene.path("one").display().to_string();
    let (row, object) = scene.mirror().await;
    assert_eq!(row, format!("{one}, required: has every record"));
    let expect = json!({"target": one, "required": true, "held_to": object["held_to"], "behind": 0, "since": null, "error": null,
        "refused": false});
    assert_eq!(object, expect);
    scene.expect(3, &["resume", "--mirror", "two", "--mirror-required"]).await;
    assert_eq!((scene.share("one"), scene.share("two")), ((false, 1), (true, 1)));
    moved(&scene.path("two"), &scene.path("away"));
    for place in ["cluster", "one", "none"] {
        let said = scene.expect(1, &["resume", "--mirror", place]).await;
        let two = scene.path("two").display().to_string();
        let expect =
            format!("the mirror {two} still vouches for every change, and can't be told otherwise: there is no such directory");
        assert!(said.contains(&expect) && said.contains(&format!("next: make {two} reachable, then retry")), "{place}: {said}");
        assert_eq!(scene.mirror().await.1["target"], two, "{place}: it is still the mirror");
        assert!(scene.is_free(), "{place}");
    }
    assert_eq!(scene.in_cluster().await, (false, 0));
    moved(&scene.path("away"), &scene.path("two"));
    scene.expect(3, &["resume", "--mirror", "cluster", "--mirror-required"]).await;
    assert_eq!((scene.share("two"), scene.in_cluster().await), ((false, 1), (true, 1)));
    assert_eq!(scene.mirror().await.0, "cluster, required: has every record");
    // Remembered, with what was said of it.
    scene.expect(3, &["resume"]).await;
    assert_eq!(scene.in_cluster().await, (true, 1));
    scene.expect(1, &["resume", "--mirror", "./cluster"]).await;
    assert_eq!(scene.in_cluster().await, (false, 1), "a directory of that name is no cluster, and is not there");
}

/// Seen to fail with what is remembered left behind, and with the old mirror not told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_is_ended_by_none() {
    for place in ["one", "cluster"] {
        let scene = Scene::new(&["--mirror", place, "--mirror-required"]).await;
        let said = scene.expect(2, &["resume", "--mirror", "none", "--mirror-required"]).await;
        assert!(said.contains("there is no mirror that could be required"), "{said}");
        scene.expect(3, &["resume", "--mirror", "none"]).await;
        let vouches = if place == "one" { scene.share("one").0 } else { scene.in_cluster().await.0 };
        assert!(!vouches && !scene.path("journal/mirror.json").exists() && !scene.path("none").exists(), "{place}");
        assert_eq!(scene.mirror().await, (String::new(), Value::Null), "{place}");
        scene.expect(3, &["resume"]).await;
        assert_eq!(scene.mirror().await.1, Value::Null, "{place}");
    }
}

/// Seen to fail with the error left out of what is remembered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_says_how_far_a_mirror_is_behind_and_why() {
    let scene = Scene::new(&["--mirror", "one"]).await;
    scene.expect(0, &["note", "latest", "nobody brings this to the mirror yet"]).await;
    let (row, object) = scene.mirror().await;
    assert!(row.contains(": 1 record behind for "), "{row}");
    assert_eq!((&object["behind"], &object["error"], object["since"].is_string()), (&json!(1), &Value::Null, true));
    moved(&scene.path("one"), &scene.path("away"));
    let said = scene.expect(3, &["resume"]).await;
    assert!(said.contains("there is no such directory; it is brought up to date later"), "{said}");
    let (row, object) = scene.mirror().await;
    assert!(row.contains(" records behind for ") && row.ends_with(": there is no such directory"), "{row}");
    assert!(object["behind"].as_u64().is_some_and(|behind| behind > 1), "{object}");
    assert_eq!(object["error"], "there is no such directory");
    moved(&scene.path("away"), &scene.path("one"));
    scene.expect(3, &["resume"]).await;
    let (row, object) = scene.mirror().await;
    assert!(row.ends_with(": has every record"), "{row}");
    assert_eq!((&object["behind"], &object["error"]), (&json!(0), &Value::Null));
}

/// Seen to fail with the missing permission taken for a refusal, and with the lease kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_permission_a_mirror_in_the_cluster_is_refused_or_lags() {
    let scene = Scene::new(&["--mirror", "cluster"]).await;
    let on = Match { resource: Some("secrets".to_owned()), namespace: Some("windlass".to_owned()), ..Match::default() };
    scene.sim.faults().add(FaultScript { api: vec![ApiFault { on, when: When::default(), effect: Effect::Forbidden }] });
    let missing = "permission missing: list secrets in namespace windlass";
    let said = scene.expect(1, &["resume", "--mirror", "cluster"]).await;
    let next = "next: `windlass rbac WORKFLOW --mirror cluster` prints what to have applied for this login";
    assert!(said.contains(missing) && said.contains(next) && scene.is_free(), "{said}");
    let said = scene.expect(3, &["resume"]).await;
    assert!(said.contains(missing) && said.contains("it is brought up to date later"), "{said}");
    let (row, object) = scene.mirror().await;
    assert!(row.starts_with("cluster: ") && row.contains(missing), "{row}");
    assert!(object["behind"].as_u64().is_some_and(|behind| behind > 0), "{object}");
    let said = scene.expect(1, &["adopt", "--from", "cluster"]).await;
    assert!(said.contains(missing) && said.contains(next), "{said}");
    scene.sim.faults().clear();
    scene.expect(3, &["resume"]).await;
    assert_eq!(scene.mirror().await.0, "cluster: has every record");
    let said = scene.expect(0, &["rbac", "eus-update", "--mirror", "cluster"]).await;
    assert!(said.contains("- secrets"), "{said}");
}

/// Seen to fail with the mirror attached before the runs were taken over: it was refused, and so was what helps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_was_put_back_from_an_old_copy_gets_what_its_mirror_has() {
    for place in ["one", "cluster"] {
        let scene = Scene::new(&["--mirror", place]).await;
        let (journal, old) = (scene.path("journal"), scene.path("old"));
        let copied = std::process::Command::new("cp").arg("-r").args([&journal, &old]).status().expect("cp runs");
        assert!(copied.success());
        scene.expect(0, &["note", "latest", "this is not in the copy"]).await;
        scene.expect(3, &["resume"]).await;
        std::fs::remove_dir_all(&journal).expect("it can be removed");
        moved(&old, &journal);
        let said = scene.expect(1, &["resume"]).await;
        assert!(said.contains("adopt them from it first") && said.contains("next: `windlass adopt --from "), "{place}: {said}");
        scene.expect(3, &["adopt", "--from", place, "--reason", "put back from a copy"]).await;
        let history = scene.expect(0, &["history", "latest"]).await;
        assert!(history.contains("this is not in the copy"), "{place}: {history}");
        assert!(scene.mirror().await.0.ends_with(": has every record"), "{place}");
    }
}

/// One journal, two clusters, each with a mirror of its own runs. Seen to fail with the mirrors in other clusters forgotten, and with the
/// one in the other cluster taken for this one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_cluster_has_the_mirror_of_its_own_runs() {
    let scene = Scene::new(&["--mirror", "cluster", "--mirror-required"]).await;
    let shape = ClusterShape { seed: 2, ..ClusterShape::default() };
    let other = Sim::start(shape, Scenario::calm(), SimClock::new(chrono::Utc::now(), SPEED)).expect("a shape");
    let _server = serve(&other, &scene.path("sim2")).await;
    assert_ne!(other.cluster_id(), scene.sim.cluster_id());
    let on_other = async |code, args: &[&str]| scene.expect_on(code, "sim2/kubeconfig", args).await;
    // Remembered, required as it was; the mirror of the first cluster is left alone.
    on_other(3, &["start", "eus-update", "--to", "4.18"]).await;
    assert_eq!((scene.in_cluster().await, scene.in_cluster_of("sim2/kubeconfig").await), ((true, 1), (true, 1)));
    let runs: Value = serde_json::from_str(&scene.expect(0, &["list", "-o", "json"]).await).expect("JSON");
    for run in runs.as_array().expect("a list") {
        let run = run["run"].as_str().expect("an id");
        let status = scene.expect(0, &["status", run]).await;
        assert!(status.contains("cluster, required: has every record"), "{status}");
    }
    // Here another one is named; over there the old one vouches until somebody gets there.
    on_other(3, &["resume", "--mirror", "one"]).await;
    assert_eq!((scene.in_cluster().await, scene.in_cluster_of("sim2/kubeconfig").await), ((true, 1), (false, 1)));
    on_other(3, &["resume", "--mirror", "none"]).await;
    scene.expect(3, &["resume"]).await;
    assert_eq!(scene.in_cluster().await, (false, 1), "nothing goes on here without its being told");
    assert!(!scene.path("journal/mirror.json").exists(), "and then there is nothing left to remember");
}
