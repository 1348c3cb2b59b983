//! Simulated clusters with Kube-OVN, by their options.

mod support;

use support::Place;

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
