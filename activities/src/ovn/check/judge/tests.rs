use serde_json::json;

use super::super::super::fixtures::{Is, address, answers, pod};
use super::super::super::look::version_of;
use super::super::super::{CentralNode, CentralPod};
use super::*;

const WHOLE: [Is; 3] = [Is::Leading, Is::Following, Is::Following];

/// Three members and a fourth node, `node-4`, that is none; both databases in the same state.
fn scene(states: &[Is]) -> Look {
    let raft = |database: Database| {
        let mut answers = answers(states);
        for answer in &mut answers {
            if let super::super::super::raft::Said::Status(status, _) = &mut answer.said {
                database.schema().clone_into(&mut status.database);
            }
        }
        Raft::of_cluster(database, None, &answers)
    };
    let members = u8::try_from(states.len()).unwrap();
    let name = |member: u8| NodeName::new(format!("node-{member}"));
    let central = Central {
        version: version_of("kube-ovn:v1.13.2"),
        image: "kube-ovn:v1.13.2".to_owned(),
        replicas: u32::from(members),
        node_ips: (1..=members).map(address).collect(),
        nodes: (1..=members)
            .map(|member| CentralNode { name: name(member), address: address(member), labelled: true, ready: true })
            .collect(),
        pods: (1..=members)
            .map(|member| CentralPod {
                name: pod(member),
                uid: format!("uid-{member}"),
                node: Some(name(member)),
                address: Some(address(member)),
                ready: true,
                runs: true,
            })
            .collect(),
        databases: Database::BOTH.map(raft).to_vec(),
    };
    Look { central, nodes: (1..=members + 1).map(|member| node(member, member <= members)).collect() }
}

fn node(member: u8, labelled: bool) -> Node {
    let labels = if labelled { json!({"kube-ovn/role": "master"}) } else { json!({}) };
    serde_json::from_value(json!({
        "metadata": {"name": format!("node-{member}"), "labels": labels},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": address(member).to_string()}],
        },
    }))
    .unwrap()
}

fn remove(node: &str) -> CheckCentral {
    CheckCentral { remove: Some(node.into()), add: None, add_first: false }
}

fn replace(node: &str, with: &str) -> CheckCentral {
    CheckCentral { remove: Some(node.into()), add: Some(with.into()), add_first: false }
}

fn add(node: &str) -> CheckCentral {
    CheckCentral { remove: None, add: Some(node.into()), add_first: false }
}

fn lines(lines: &[String], parts: &[&str]) {
    assert_eq!(lines.len(), parts.len(), "{lines:#?}");
    for (line, part) in lines.iter().zip(parts) {
        assert!(line.contains(part), "{line:?} does not say {part:?}");
    }
}

#[test]
fn a_whole_cluster_may_be_changed() {
    let report = judge(&remove("node-3"), &scene(&WHOLE));
    lines(&report.blockers, &[]);
    let outage = |database: &str| {
        format!("2 of the members of the {database} database are left: while each of them restarts, nothing can")
    };
    lines(&report.warnings, &[&outage("northbound"), &outage("southbound")]);
    let leaving = report.leaving.unwrap();
    assert_eq!((leaving.address, leaving.pod.map(|pod| pod.name)), (address(3), Some("ovn-central-3".to_owned())));
    assert_eq!(
        leaving.servers.iter().map(|server| (server.database, server.leads)).collect::<Vec<_>>(),
        [(Database::Northbound, false), (Database::Southbound, false)]
    );

    let report = judge(&replace("node-1", "node-4"), &scene(&WHOLE));
    lines(&report.blockers, &[]);
    assert_eq!(report.joining, Some(address(4)));
    let first = "172.18.0.3 is the first of NODE_IPS";
    assert!(report.warnings.iter().any(|line| line.starts_with(first)), "{:?}", report.warnings);
    let leads = "172.18.0.3 leads the southbound database: when it is out, nothing can be written until another is elected, up to 10000 ms";
    assert!(report.warnings.iter().any(|line| line == leads), "{:?}", report.warnings);

    let report = judge(&replace("node-3", "node-3"), &scene(&WHOLE));
    lines(&report.blockers, &[]);
    assert_eq!(report.joining, Some(address(3)));

    let report = judge(&add("node-4"), &scene(&WHOLE));
    lines(&report.blockers, &[]);
    lines(&report.warnings, &["4 members, an even number, survive no more losses than 3"]);
    let report = judge(&CheckCentral { add_first: true, ..replace("node-3", "node-4") }, &scene(&WHOLE));
    lines(&report.blockers, &[]);
    assert!(report.warnings.iter().any(|line| line.contains("not the vendor's order")), "{:?}", report.warnings);
}

#[test]
fn a_dead_member_may_go_if_the_others_are_whole() {
    for dead in [Is::Silent, Is::Cut, Is::Seeking, Is::Foreign] {
        let report = judge(&replace("node-3", "node-4"), &scene(&[Is::Leading, Is::Following, dead]));
        lines(&report.blockers, &[]);
        assert!(report.leaving.is_some());
    }
    let report = judge(&remove("node-3"), &scene(&[Is::Leading, Is::Following, Is::Silent]));
    let by = "172.18.0.5 (3333) in the northbound database does not answer: pod ovn-central-3: no answer within 10 s; it is taken out by its \
              raft address tcp:[172.18.0.5]:6643";
    assert!(report.warnings.iter().any(|line| line == by), "{:?}", report.warnings);
    assert_eq!(report.leaving.unwrap().servers[0].id, None);
}

/// Seen to fail with each of the checks left out, one at a time.
#[test]
fn everything_that_forbids_a_change_is_named() {
    let check = |check: &CheckCentral, look: &Look, parts: &[&str]| lines(&judge(check, look).blockers, parts);
    let edited = |edit: &dyn Fn(&mut Look)| {
        let mut look = scene(&WHOLE);
        edit(&mut look);
        look
    };
    let whole = scene(&WHOLE);
    let (sets, remove_3, add_4) = ("the sets that name the members differ", remove("node-3"), add("node-4"));
    check(
        &remove("node-4"),
        &whole,
        &["node-4 (172.18.0.6) is no member of the northbound and southbound databases:\n  NODE_IPS"],
    );
    check(&remove("node-9"), &whole, &["node node-9 does not exist:\n  NODE_IPS"]);
    check(&remove("172.18.0.5"), &whole, &["172.18.0.5 is the address of node node-3: name the node (--node node-3)"]);
    check(&remove("172.18.0.9"), &whole, &["172.18.0.9 is no member of the northbound and southbound databases:\n  NODE_IPS"]);
    let only_one = edited(&|look| look.central.databases[1] = scene(&[Is::Leading, Is::Following]).central.databases.remove(1));
    check(&remove_3, &only_one, &[sets, "node-3 (172.18.0.5) is no member of the southbound database"]);
    assert!(judge(&remove_3, &only_one).leaving.is_none());
    let unlabelled = edited(&|look| look.central.nodes[1].labelled = false);
    check(
        &remove_3,
        &unlabelled,
        &["the sets that name the members differ; bring them in line first:
  NODE_IPS            172.18.0.3  172.18.0.4  172.18.0.5
  labelled nodes      172.18.0.3  -           172.18.0.5
  northbound servers  172.18.0.3  172.18.0.4  172.18.0.5
  southbound servers  172.18.0.3  172.18.0.4  172.18.0.5"],
    );
    check(
        &remove_3,
        &edited(&|look| look.central.node_ips.truncate(2)),
        &["NODE_IPS            172.18.0.3  172.18.0.4  -\n  labelled", "3 replicas and 2 addresses"],
    );
    check(&remove_3, &edited(&|look| look.central.replicas = 2), &["2 replicas and 3 addresses"]);
    check(&remove_3, &edited(&|look| look.central.version = version_of("x:v1.16.1")), &["Kube-OVN 1.16.1 deletes the databases"]);
    let nameless = edited(&|look| look.central.version = None);
    check(&remove_3, &nameless, &[]);
    check(&CheckCentral { add_first: true, ..replace("node-3", "node-4") }, &nameless, &["allowed only under a known version"]);

    let short = |state: Is| scene(&[Is::Leading, state, Is::Following]);
    for state in [Is::Silent, Is::Lagging(5000)] {
        let parts = ["does not let us take 172.18.0.5 out (northbound", "does not let us take 172.18.0.5 out (southbound"];
        check(&remove_3, &short(state), &parts);
        check(&replace("node-3", "node-4"), &short(state), &parts);
    }
    let only = ["it is the only member", "it is the only member"];
    check(&remove("node-1"), &scene(&[Is::Leading]), &only);
    let restart = ["does not let us restart the members one after the other (northbound", "one after the other (southbound"];
    check(&add_4, &short(Is::Silent), &restart);
    check(&CheckCentral { add_first: true, ..replace("node-2", "node-4") }, &short(Is::Silent), &restart);
    // Of five, the guard lets one go; but with another one dead, those that stay could not be restarted.
    let five = [Is::Leading, Is::Following, Is::Following, Is::Following, Is::Silent];
    check(&remove("node-4"), &scene(&five), &["does not let us take 172.18.0.6 out", "does not let us take 172.18.0.6 out"]);
}

#[test]
fn a_joiner_must_be_fit_and_unknown() {
    let check = |edit: &dyn Fn(&mut Node), part: &str| {
        let mut look = scene(&WHOLE);
        edit(look.nodes.last_mut().unwrap());
        lines(&judge(&replace("node-3", "node-4"), &look).blockers, &[part]);
    };
    check(
        &|node| node.status.conditions[0].status = Status::Unknown,
        "node node-4, which shall join, is not ready: no reason given",
    );
    check(&|node| node.status.conditions.clear(), "node node-4, which shall join, is not ready: its kubelet says nothing");
    check(&|node| node.status.addresses.clear(), "node node-4, which shall join, has no address");
    check(&|node| node.status.addresses[0].address = "fd00::4".to_owned(), "has fd00::4, of another family than 172.18.0.3");
    let labels = |node: &mut Node| node.metadata.labels = Some([("kube-ovn/role".to_owned(), "master".to_owned())].into());
    check(&labels, "node-4, which shall join, has the label kube-ovn/role=master already");
    lines(&judge(&add("node-9"), &scene(&WHOLE)).blockers, &["node node-9, which shall join, does not exist"]);
    lines(
        &judge(&replace("node-3", "node-2"), &scene(&WHOLE)).blockers,
        &[
            "node-2 (172.18.0.4), which shall join, is a member already in the northbound database, 172.18.0.4 (2222) follows: take it out first",
            "is a member already in the southbound database",
            "node-2 (172.18.0.4), which shall join, is in NODE_IPS already (172.18.0.3,172.18.0.4,172.18.0.5)",
            "node-2, which shall join, has the label kube-ovn/role=master already",
        ],
    );
}

/// What can't be written meanwhile is said before it happens.
#[test]
fn outages_are_told_before() {
    let two = [Is::Leading, Is::Following];
    let report = judge(&add("node-3"), &scene(&two));
    lines(&report.blockers, &[]);
    let outage = |database: &str| {
        format!("the {database} database has 2 members: while each of them restarts, nothing can be written to it")
    };
    lines(&report.warnings, &[&outage("northbound"), &outage("southbound")]);
    let report = judge(&remove("node-2"), &scene(&two));
    lines(&report.blockers, &[]);
    assert!(
        report.warnings.iter().any(|line| line.starts_with("one member is left of the northbound database")),
        "{:?}",
        report.warnings
    );
}

/// A member whose node is gone is named by its address; what the other sets say of it is no difference.
#[test]
fn a_member_without_a_node_goes_by_its_address() {
    let mut look = scene(&[Is::Leading, Is::Following, Is::Silent]);
    look.nodes.retain(|node| node.name() != "node-3");
    look.central.nodes.retain(|node| node.name.as_str() != "node-3");
    let help = "172.18.0.5 has no node any more: `windlass start ovn-central-remove --node 172.18.0.5` takes such a member out";
    let report = judge(&remove("node-3"), &look);
    lines(&report.blockers, &[help, "node node-3 does not exist"]);
    for node_ips in [3, 2] {
        look.central.node_ips.truncate(node_ips);
        look.central.replicas = u32::try_from(node_ips).unwrap();
        let report = judge(&remove("172.18.0.5"), &look);
        lines(&report.blockers, &[]);
        let leaving = report.leaving.unwrap();
        assert!(leaving.gone && leaving.address == address(3), "{leaving:?}");
        assert_eq!(leaving.pod.map(|pod| pod.name), Some("ovn-central-3".to_owned()));
        assert_eq!(leaving.servers.len(), 2);
        assert!(
            report.warnings.iter().any(|line| line.starts_with("no node has the address 172.18.0.5")),
            "{:?}",
            report.warnings
        );
    }
    look.central.databases.truncate(1);
    let report = judge(&remove("172.18.0.5"), &look);
    assert!(report.leaving.is_none() && !report.blockers.is_empty());
}
