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
