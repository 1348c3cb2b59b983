//! Against a simulated cluster over HTTPS: what is refused there, and that nothing was changed.

mod support;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use support::{Place, append, id, open, started};

/// A served simulated cluster, stopped when dropped.
struct Served {
    child: Child,
    dir: PathBuf,
}

impl Served {
    fn start(place: &Place, args: &[&str]) -> Self {
        let dir = place.path("sim");
        let name = dir.display().to_string();
        let mut command = place.command(&[&["sim", "--dir", &name, "--speed", "100"], args].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("stdout is piped");
        BufReader::new(out).read_line(&mut line).expect("the kubeconfig's path is printed");
        assert_eq!(line.trim(), dir.join("kubeconfig").display().to_string());
        // Its operators take a simulated minute to look at themselves for the first time.
        std::thread::sleep(Duration::from_millis(600));
        Self { child, dir }
    }

    fn kubeconfig(&self) -> String {
        self.dir.join("kubeconfig").display().to_string()
    }

    fn writes(&self) -> usize {
        std::fs::read_to_string(self.dir.join("audit.jsonl")).map_or(0, |text| text.lines().count())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command that must be refused in one line, with a way on, and without a write.
fn refused(place: &Place, sim: &Served, args: &[&str], code: i32) -> String {
    let said = place.windlass(&[&["--kubeconfig", &sim.kubeconfig()], args].concat());
    let error: Vec<&str> = said.err.lines().rev().take(2).collect();
    assert_eq!(said.code, code, "{args:?}: {}", said.whole());
    assert!(error[0].starts_with("next: ") && error[1].starts_with("error: "), "{args:?}: {}", said.err);
    assert_eq!(sim.writes(), 0, "{args:?} must change nothing");
    format!("{}\n{}\n", error[1], error[0])
}

#[test]
fn what_the_cluster_does_not_offer_is_refused() {
    let place = Place::new();
    let sim = Served::start(&place, &[]);
    let text = [
        refused(&place, &sim, &["start", "eus-update"], 2),
        refused(&place, &sim, &["start", "eus-update", "--to", "4.17"], 2),
        refused(&place, &sim, &["start", "eus-update", "--to", "4.22"], 2),
        refused(&place, &sim, &["start", "eus-update", "--to", "4.18", "--channel", "nightly-4.18"], 2),
        refused(&place, &sim, &["start", "eus-update", "--to", "4.18", "--approve", "no-such-gate"], 2),
    ];
    insta::assert_snapshot!("refused", text.concat());
    assert!(!place.journal().exists(), "no run may be created");
}

#[test]
fn a_paused_pool_stops_a_start() {
    let place = Place::new();
    let faults = place.path("paused.yaml");
    std::fs::write(&faults, "world: [{kind: pool-paused, pool: worker}]\n").expect("it can be written");
    let sim = Served::start(&place, &["--faults", &faults.display().to_string()]);
    let text = refused(&place, &sim, &["start", "eus-update", "--to", "4.18"], 1);
    assert!(text.contains("worker") && text.contains("paused"), "{text}");
}

#[test]
fn a_preflight_shows_every_check_and_every_drain_and_changes_nothing() {
    let place = Place::new();
    let sim = Served::start(&place, &[]);
    let kubeconfig = sim.kubeconfig();
    let look = |args: &[&str]| {
        place.windlass(&[&["--kubeconfig", &kubeconfig, "preflight", "eus-update", "--to", "4.18"], args].concat())
    };
    let said = look(&[]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.whole());
    let steady = |line: &str| if line.ends_with(" s apart") { "               - SKEW\n".to_owned() } else { format!("{line}\n") };
    insta::assert_snapshot!("preflight", said.out.lines().map(steady).collect::<String>());
    let report: serde_json::Value = serde_json::from_str(&look(&["-o", "json"]).out).expect("stdout is one JSON value");
    let numbers: Vec<&str> =
        report["checks"].as_array().into_iter().flatten().filter_map(|check| check["number"].as_str()).collect();
    assert!(numbers.is_sorted() && numbers.first() == Some(&"P01") && numbers.last() == Some(&"P33"), "{numbers:?}");
    assert_eq!(report["drains"].as_array().map(Vec::len), Some(9));
    assert_eq!(sim.writes(), 0);
}

#[test]
fn a_preflight_that_blocks_names_the_checks() {
    let place = Place::new();
    let sim = Served::start(&place, &["--faults", "F2"]);
    let said = place.windlass(&["--kubeconfig", &sim.kubeconfig(), "preflight", "eus-update", "--to", "4.18"]);
    assert_eq!(said.code, 1, "{}", said.whole());
    assert!(said.err.contains("error: the cluster is not fit for it: budgets"), "{}", said.err);
    let drains = said.out.split("drains: ").nth(1).unwrap_or_default();
    assert!(drains.contains("! ") && drains.contains("is under several budgets: no eviction passes"), "{}", said.out);
    assert_eq!(sim.writes(), 0);
}

#[test]
fn windows_and_waves_that_can_not_be_are_refused() {
    let place = Place::new();
    let sim = Served::start(&place, &[]);
    let start = |args: &[&str], code| refused(&place, &sim, &[&["start", "eus-update", "--to", "4.18"], args].concat(), code);
    let night = "Sat 22:00-06:00 Europe/Berlin";
    let text = [
        start(&["--window", "Sat 22:00-06:00 Europe/Berln"], 2),
        start(&["--window", "Sat 22:00-06:00"], 2),
        start(&["--expect-hop", "soon"], 2),
        start(&["--canary", "canary=0%"], 2),
    ];
    insta::assert_snapshot!("terms_refused", text.concat());
    let too_long = start(&["--window", night], 1);
    assert!(too_long.contains("no window is long enough: 14h47m are needed") && too_long.contains("--expect-hop"), "{too_long}");
    let over = start(&["--window", "2020-01-04 22:00..2020-01-05 06:00 Europe/Berlin"], 2);
    assert!(over.contains("they all lie in the past"), "{over}");
    let crowded = start(&["--canary", "canary=100%,second=10%"], 2);
    assert!(crowded.contains("canary") || crowded.contains("wave"), "{crowded}");
    assert!(!place.journal().join("log").exists(), "no run may be created");
}

#[test]
fn a_plan_file_is_carried_out_only_as_it_was_signed() {
    let place = Place::new();
    let sim = Served::start(&place, &[]);
    let kubeconfig = sim.kubeconfig();
    let file = |name: &str| place.path(name).display().to_string();
    let plan = |name: &str, valid: &str| {
        let words = ["--kubeconfig", &kubeconfig, "plan", "eus-update", "--to", "4.18", "--valid", valid, "--out", &file(name)];
        let said = place.windlass(&words);
        assert_eq!(said.code, 0, "{}", said.whole());
        said.out.split(", plan ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or_default().to_owned()
    };
    let digest = plan("good.json", "7d");
    plan("old.json", "1s");
    let good = std::fs::read_to_string(place.path("good.json")).expect("the plan is there");
    let changed = good.replace("pause pool worker", "pause pool master");
    let mut unsigned: serde_json::Value = serde_json::from_str(&good).expect("a plan is JSON");
    unsigned.as_object_mut().expect("an object").remove("signature");
    for (name, text) in [("changed.json", changed), ("unsigned.json", unsigned.to_string()), ("odd.json", "{}".to_owned())] {
        std::fs::write(place.path(name), text).expect("it can be written");
    }
    let start =
        |name: &str, args: &[&str]| refused(&place, &sim, &[&["start", "--yes", "--plan", &file(name)], args].concat(), 2);
    let check = |said: &str, expect: &str| assert!(said.contains(expect), "{expect:?} in {said}");
    check(&start("old.json", &[]), "has expired at");
    check(&start("changed.json", &[]), "was changed after it was signed");
    check(&start("unsigned.json", &[]), "is not signed");
    check(&start("odd.json", &[]), "is no plan");
    check(&start("good.json", &["--digest", "0123456789abcdef"]), &format!("the plan for this cluster is now {digest}"));
    std::fs::remove_file(place.journal().join("signing.key")).expect("the key is beside the journal");
    check(&start("good.json", &[]), "with a key that is not yours");
}

#[test]
fn what_drifted_since_a_plan_needs_a_new_approval() {
    let place = Place::new();
    let sim = Served::start(&place, &[]);
    let kubeconfig = sim.kubeconfig();
    let path = place.path("plan.json").display().to_string();
    let said = place.windlass(&["--kubeconfig", &kubeconfig, "plan", "eus-update", "--to", "4.18", "--out", &path]);
    assert_eq!(said.code, 0, "{}", said.whole());
    drop(sim);
    // The same cluster, with a node more.
    let sim = Served::start(&place, &["--pools", "worker=5,infra=2"]);
    let said = place.windlass(&["--kubeconfig", &sim.kubeconfig(), "start", "--yes", "--plan", &path]);
    assert_eq!(said.code, 3, "{}", said.whole());
    let drift: Vec<&str> = said.err.lines().filter(|line| line.starts_with("  - ") || line.starts_with("  + ")).collect();
    assert!(drift.iter().any(|line| line.contains("+ node worker-4 of pool worker")), "{drift:?}");
    assert!(drift.iter().any(|line| line.starts_with("  - pool worker: 4 nodes")), "{drift:?}");
    assert!(said.err.contains("next: approve the new plan with --digest "), "{}", said.err);
    assert_eq!(sim.writes(), 0);
}

#[test]
fn a_run_of_another_cluster_is_left_alone() {
    let place = Place::new();
    let sim = Served::start(&place, &["--seed", "2"]);
    let mut journal = open(&place.journal());
    append(&mut journal, id(1), 1, vec![(0, started())]);
    drop(journal);
    let bound = "3874d70b-7f5e-406b-8935-511eb534ed92";
    let text = refused(&place, &sim, &["resume", &id(1).to_string()], 2);
    assert!(text.contains(bound) && text.matches('-').count() >= 8, "both ids must be named: {text}");
    refused(&place, &sim, &["resume"], 2);
}

/// A command that runs beside the test, its words in a file.
struct Running {
    child: Child,
    words: PathBuf,
}

impl Running {
    fn start(place: &Place, name: &str, args: &[&str]) -> Self {
        let words = place.path(name);
        let file = std::fs::File::create(&words).expect("it can be made");
        let child = place.command(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn();
        Self { child: child.expect("the binary runs"), words }
    }

    /// Its exit code and all it said.
    fn wait(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("it ends");
        (status.code(), std::fs::read_to_string(&self.words).unwrap_or_default())
    }

    /// Asks it to stop, as a shutdown would.
    fn terminate(self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        let sent = std::process::Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status();
        assert!(sent.is_ok_and(|status| status.success()), "the signal is sent");
        self.wait()
    }
}

/// Looks at the list until so many runs are in it, all driven by a worker.
fn has_runs(place: &Place, count: usize) -> bool {
    for _ in 0..100 {
        let list: serde_json::Value = serde_json::from_str(&place.windlass(&["list", "-o", "json"]).out).unwrap_or_default();
        if list.as_array().map(Vec::len) == Some(count) && !place.windlass(&["list"]).out.contains("nobody") {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}

#[test]
fn a_second_start_hands_its_run_over_and_a_signal_leaves_the_first_resumable() {
    let place = Place::new();
    let sim = Served::start(&place, &[]);
    let kubeconfig = sim.kubeconfig();
    let start = ["--kubeconfig", &kubeconfig, "start", "eus-update", "--to", "4.18", "--yes"];
    // Its cluster has the same id, and is left alone by the second start's plan: an update under way would block that.
    let first = Running::start(&place, "first", &["rehearse", "eus-update", "--speed", "20"]);
    assert!(has_runs(&place, 1), "{}", place.windlass(&["list"]).whole());
    let owner = format!("pid {}", first.child.id());
    let resume = place.windlass(&["--kubeconfig", &kubeconfig, "resume"]);
    assert_eq!(resume.code, 5, "{}", resume.whole());
    assert!(resume.err.contains(&owner), "{}", resume.err);
    let second = Running::start(&place, "second", &start);
    assert!(has_runs(&place, 2), "{}", place.windlass(&["list"]).whole());
    // The first worker drives it, on its own cluster, where an update is under way.
    let (code, said) = second.wait();
    assert!(code == Some(1) && said.contains(&format!("holds the journal: {owner}")), "{code:?}: {said}");
    assert!(said.lines().last().is_some_and(|line| line.starts_with("next: windlass history ")), "{said}");
    let (code, said) = first.terminate();
    let last = said.lines().last().unwrap_or_default();
    assert!(code == Some(3) && last.starts_with("next: windlass resume "), "{code:?}: {said}");
    assert!(place.windlass(&["list"]).out.contains("nobody"));
    assert_eq!(place.windlass(&["verify"]).code, 0);
}
