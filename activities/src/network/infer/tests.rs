use super::*;
use crate::ids::{NodeName, PoolName, RenderedConfig};
use crate::pool::PoolState;

const SDN: &str = "OpenShiftSDN";
const OVN: &str = "OVNKubernetes";

/// When the network was switched, in the pictures that show it.
fn switch() -> Timestamp {
    Timestamp::from_micros(1_772_431_200_000_000)
}

fn node(name: &str, unprepared: Option<&str>, booted: Result<Timestamp, String>) -> Seen {
    Seen {
        boot: Boot { node: NodeName::new(name), boot_id: format!("boot-of-{name}"), addresses: Vec::new(), control_plane: false },
        control_plane: name.starts_with("master"),
        unprepared: unprepared.map(str::to_owned),
        booted,
    }
}

/// OpenShift SDN, nothing begun.
fn before() -> Picture {
    let pool = PoolState {
        name: PoolName::new("worker"),
        paused: false,
        target: RenderedConfig::new("rendered-worker-1"),
        rolled_out: RenderedConfig::new("rendered-worker-1"),
        nodes: 1,
        max_unavailable: "1".to_owned(),
    };
    let not = Some("runs rendered-worker-1");
    Picture {
        from: NetworkPlugin::OpenShiftSdn,
        to: NetworkPlugin::OvnKubernetes,
        wished: SDN.to_owned(),
        applied: SDN.to_owned(),
        accepted: String::new(),
        asked: String::new(),
        otherwise: None,
        refused: None,
        old_settings: true,
        old_namespace: Some(("u1".to_owned(), false)),
        old_daemons: true,
        new_namespace: None,
        new_daemons: None,
        pools: vec![(pool, false)],
        nodes: vec![node("master-0", not, Err("not asked".to_owned())), node("worker-0", not, Err("not asked".to_owned()))],
        unwell: Vec::new(),
    }
}

fn prepared() -> Picture {
    let mut picture = before();
    (picture.asked, picture.accepted) = (OVN.to_owned(), OVN.to_owned());
    picture.pools[0].1 = true;
    for node in &mut picture.nodes {
        node.unprepared = None;
    }
    picture
}

/// Switched; the nodes run since this long after it.
fn switched(seconds: [i64; 2]) -> Picture {
    let mut picture = prepared();
    (picture.wished, picture.applied) = (OVN.to_owned(), OVN.to_owned());
    (picture.old_daemons, picture.new_namespace, picture.new_daemons) = (false, Some(switch()), Some(switch()));
    for (node, seconds) in picture.nodes.iter_mut().zip(seconds) {
        node.booted = Ok(Timestamp::from_micros(switch().as_micros() + seconds * 1_000_000));
    }
    picture
}

fn ended(seconds: [i64; 2]) -> Picture {
    let mut picture = switched(seconds);
    (picture.asked, picture.accepted) = (String::new(), String::new());
    picture
}

#[test]
fn each_step_is_known_by_what_the_cluster_shows() {
    let check = |picture: Picture, edit: &dyn Fn(&mut Picture), step: Step, left: &[&str]| {
        let mut picture = picture;
        edit(&mut picture);
        let found = decide(&picture);
        assert_eq!((found.step, found.refusals.as_slice()), (Some(step), [].as_slice()));
        let names: Vec<&str> = found.left.all().map(|boot| boot.node.as_str()).collect();
        assert_eq!(names, left);
        assert!(!found.evidence.is_empty() && !found.done.is_empty() && !found.next.is_empty(), "{found:?}");
    };
    check(prepared(), &|_| {}, Step::Prepared, &[]);
    check(prepared(), &|picture| picture.accepted = String::new(), Step::Preparing, &[]);
    check(prepared(), &|picture| picture.nodes[1].unprepared = Some("behind".to_owned()), Step::Preparing, &[]);
    check(switched([-900, -900]), &|_| {}, Step::Switched, &["worker-0", "master-0"]);
    check(switched([-900, 300]), &|_| {}, Step::Switched, &["master-0"]);
    check(switched([300, 300]), &|_| {}, Step::Rebooted, &[]);
    check(ended([300, 300]), &|_| {}, Step::CleanedInPart, &[]);
    check(ended([300, 300]), &|picture| picture.old_settings = false, Step::CleanedInPart, &[]);
    let cleaned = |picture: &mut Picture| (picture.old_settings, picture.old_namespace) = (false, None);
    check(ended([300, 300]), &cleaned, Step::Done, &[]);
    // A cluster that has had OVN-Kubernetes from its first day: nobody has to know since when its hosts run.
    check(ended([-900, -900]), &cleaned, Step::Done, &[]);
}

#[test]
fn what_is_mixed_or_contradicts_itself_is_refused_with_what_to_do() {
    let check = |picture: Picture, edit: &dyn Fn(&mut Picture), parts: &[&str]| {
        let mut picture = picture;
        edit(&mut picture);
        let found = decide(&picture);
        let said = found.refusals.join("\n");
        assert!(found.step.is_none() && found.left.all().next().is_none(), "{found:?}");
        for part in parts {
            assert!(said.contains(part), "{said}");
        }
    };
    let set = |field: fn(&mut Picture) -> &mut String, text: &'static str| {
        move |picture: &mut Picture| *field(picture) = text.to_owned()
    };
    check(before(), &|_| {}, &["nothing of a migration to OVNKubernetes has begun", "windlass start sdn-to-ovn"]);
    check(before(), &|picture| picture.nodes[0].unprepared = None, &["1 of 2 nodes", "on their way back", "oc get mcp"]);
    check(before(), &set(|picture| &mut picture.accepted, OVN), &["on their way back"]);
    check(before(), &|picture| picture.nodes.clear(), &["no nodes"]);
    check(prepared(), &|picture| picture.otherwise = Some("a live migration"), &["a live migration is under way"]);
    let refused = |picture: &mut Picture| picture.refused = Some("cannot change ServiceNetwork during migration.".to_owned());
    check(prepared(), &refused, &["cannot change ServiceNetwork", "oc get clusteroperator network"]);
    check(prepared(), &set(|picture| &mut picture.asked, "Calico"), &["a migration to Calico is asked for"]);
    check(prepared(), &set(|picture| &mut picture.applied, "Kuryr"), &["the cluster's network is Kuryr"]);
    check(prepared(), &set(|picture| &mut picture.wished, OVN), &["the network operator is at it; wait until"]);
    check(prepared(), &set(|picture| &mut picture.wished, "Calico"), &["set it back to OpenShiftSDN"]);
    check(prepared(), &|picture| picture.new_daemons = Some(switch()), &["contradict", "get daemonset ovnkube-node"]);
    check(switched([300, 300]), &set(|picture| &mut picture.wished, SDN), &["somebody switches it back"]);
    check(switched([300, 300]), &set(|picture| &mut picture.accepted, ""), &["has not yet done what it is told"]);
    check(switched([300, 300]), &|picture| picture.old_daemons = true, &["has not yet done what it is told"]);
    check(switched([300, 300]), &|picture| picture.new_daemons = None, &["has not yet done what it is told"]);
    check(switched([30, 300]), &|_| {}, &["whether master-0 has rebooted", "too near to the switch", "oc debug node/master-0"]);
    check(switched([-30, 300]), &|_| {}, &["too near to the switch"]);
    let hangs = |picture: &mut Picture| picture.nodes[1].booted = Err("it is not ready".to_owned());
    check(switched([300, 300]), &hangs, &["whether worker-0 has rebooted since the switch can't be told: it is not ready"]);
    // A namespace that an earlier migration left: boots between it and the daemons tell nothing.
    let old = |picture: &mut Picture| picture.new_namespace = Some(Timestamp::from_micros(1_770_000_000_000_000));
    check(switched([-900, 300]), &old, &["whether master-0 has rebooted", "some time from"]);
    let bare = |picture: &mut Picture| picture.nodes[0].unprepared = Some("master-0 runs old".to_owned());
    check(switched([-900, 300]), &bare, &["master-0 runs old: it would come back from its reboot without a network"]);
    check(ended([-900, 300]), &|_| {}, &["the migration was ended, and master-0 have not rebooted", "shutdown -r +1"]);
    let unwell = |picture: &mut Picture| {
        (picture.old_settings, picture.old_namespace) = (false, None);
        picture.unwell = vec!["ingress".to_owned()];
    };
    check(ended([-900, 300]), &unwell, &["the migration was ended, and master-0"]);
}

#[test]
fn an_approval_covers_fewer_reboots_and_no_other_step() {
    let both = decide(&switched([-900, -900]));
    let one = decide(&switched([-900, 300]));
    let mut again = one.clone();
    again.left.control_plane[0].boot_id = "another".to_owned();
    assert!(both.covers(&one) && both.covers(&both));
    assert!(!one.covers(&both), "a node more would reboot");
    assert!(!one.covers(&again), "it is in another boot than the one that was agreed to end");
    assert!(!both.covers(&decide(&switched([300, 300]))), "another step");
    assert!(!both.covers(&decide(&ended([-900, 300]))), "refused");
}
