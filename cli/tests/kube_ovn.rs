//! Simulated clusters with Kube-OVN, by their options.

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use support::Place;
use windlass_sim::kube_ovn::real;

/// Seen to fail with a shape that is not told of its hazards.
#[test]
fn hazards_of_ovn_central_stop_a_rehearsal() {
    for (hazard, said) in
        [("F50", "kube-ovn#6363"), ("F51", "no route to host"), ("F52", "plan again"), ("F57", "172.18.255.250")]
    {
        let place = Place::new();
        let rehearsed = place.windlass(&["rehearse", "ovn-central-replace", "--faults", hazard]);
        assert_eq!(rehearsed.code, 1, "{hazard}: {}", rehearsed.whole());
        assert!(rehearsed.whole().contains(said), "{hazard}: {}", rehearsed.whole());
    }
    let place = Place::new();
    let rehearsed = place.windlass(&["rehearse", "ovn-central-replace", "--faults", "F59"]);
    assert_eq!(rehearsed.code, 2, "{}", rehearsed.whole());
    assert!(rehearsed.err.contains("starts it anew"), "{}", rehearsed.err);
}

#[test]
fn what_follows_kube_ovn_is_a_version_or_nothing() {
    let place = Place::new();
    let said = place.windlass(&["rehearse", "--kube-ovn", "ovn-central-replace"]);
    assert_eq!(said.code, 2, "{}", said.whole());
    assert!(said.err.contains("put --kube-ovn last"), "{}", said.err);
    let said = place.windlass(&["rehearse", "ovn-central-replace", "--kube-ovn=v1.15.10"]);
    assert!(said.code == 1 && said.err.contains("1.15.10"), "{}", said.whole());
    let said = place.windlass(&["sim", "--dir", "served", "--raft", "real"]);
    assert!(said.code == 2 && said.err.contains("--kube-ovn"), "{}", said.whole());
}

/// A simulated cluster as a process of its own, which ends with the test.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The rafts need a few seconds to form.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);

/// Seen to fail with a cluster that serves a modelled raft whatever is asked for.
#[test]
fn a_cluster_on_real_rafts_is_served_and_planned_on() {
    if let Some(words) = real::missing() {
        assert!(std::env::var_os("WINDLASS_REAL_RAFT").is_none(), "{words}");
        eprintln!("skipped, there is no real raft: {words}");
        return;
    }
    let place = Place::new();
    let dir = place.path("served");
    let mut serve = place.command(&["sim", "--nodes", "3+1", "--raft", "real", "--speed", "20", "--kube-ovn"]);
    let mut served =
        Served(serve.arg("--dir").arg(&dir).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts"));
    let mut kubeconfig = String::new();
    BufReader::new(served.0.stdout.take().expect("a pipe")).read_line(&mut kubeconfig).expect("it says where its kubeconfig is");
    let plan =
        ["--kubeconfig", kubeconfig.trim(), "plan", "ovn-central-replace", "--node", "control-plane-2", "--with", "worker-0"];
    let begun = Instant::now();
    let planned = loop {
        let planned = place.windlass(&plan);
        if planned.code == 0 {
            break planned;
        }
        assert!(begun.elapsed() < WHOLE_WITHIN, "{}", planned.whole());
        std::thread::sleep(Duration::from_millis(200));
    };
    assert!(planned.out.contains("take 127."), "real servers have addresses of loopback: {}", planned.whole());
}
