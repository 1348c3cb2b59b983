use super::*;
use crate::condition::fixtures::{healthy, node as change};
use crate::snapshot::Snapshot;

/// Three control-plane nodes and so many workers, in zones a, b and c by turns; the last worker is of another type.
fn cluster(workers: usize) -> Snapshot {
    let mut snapshot = healthy();
    let template = snapshot.nodes["worker-0"].as_ref().clone();
    for index in 0..workers {
        let mut node = template.clone();
        let name = format!("worker-{index}");
        node.metadata.name = Some(name.clone());
        let labels = node.metadata.labels.get_or_insert_default();
        labels.insert(ZONE.to_owned(), ["a", "b", "c"][index % 3].to_owned());
        labels.insert(MACHINE_TYPE.to_owned(), if index + 1 == workers { "large" } else { "small" }.to_owned());
        std::sync::Arc::make_mut(&mut snapshot.nodes).insert(name, std::sync::Arc::new(node));
    }
    snapshot
}

fn outcome(snapshot: &Snapshot, flag: &str) -> Result<Waves, String> {
    let pools: Vec<MachineConfigPool> = snapshot.pools.values().map(|pool| pool.as_ref().clone()).collect();
    let nodes: Vec<Node> = snapshot.nodes.values().map(|node| node.as_ref().clone()).collect();
    choose(&CanarySpec::from_flag(flag).unwrap(), &pools, &nodes).map_err(|problems| problems.join("; "))
}

fn shown(waves: &Waves) -> String {
    let of = |wave: &Wave| {
        let names: Vec<String> = wave.nodes.iter().map(|node| node.name.as_str().replace("worker-", "")).collect();
        format!("{}: {}", wave.name, names.join(" "))
    };
    waves.waves.iter().map(of).collect::<Vec<_>>().join("; ")
}

#[test]
fn shares_are_rounded_up_and_spread_over_zones_and_machine_types() {
    let check = |workers: usize, flag: &str, expect: &str| {
        let waves = outcome(&cluster(workers), flag).unwrap();
        assert_eq!(shown(&waves), expect);
        let taken: usize = waves.waves.iter().map(|wave| wave.nodes.len()).sum();
        assert_eq!(taken + waves.rest.len(), workers);
    };
    check(3, "canary=10%", "canary: 0");
    check(9, "canary=30%", "canary: 0 1 8");
    check(9, "canary=30%,second=30%", "canary: 0 1 8; second: 2 3 4");
    check(9, "canary=10%,named=worker-0+worker-4", "canary: 1; named: 0 4");
    check(9, "canary=20%,b=topology.kubernetes.io/zone=b", "canary: 0 8; b: 1 4 7");
    check(3, "all=100%", "all: 0 1 2");
}

#[test]
fn the_same_cluster_gives_the_same_waves() {
    let waves = outcome(&cluster(9), "canary=30%").unwrap();
    assert_eq!(outcome(&cluster(9), "canary=30%").unwrap(), waves);
    let wave = &waves.waves[0];
    assert_eq!((wave.pool.as_str(), wave.label.as_str()), ("workerpool-canary", "node-role.kubernetes.io/workerpool-canary"));
    let node = &wave.nodes[0];
    assert_eq!((node.name.as_str(), node.boot_id.as_str(), node.rendered.as_str()), ("worker-0", "b0", "rendered-worker-r0"));
    assert_eq!(waves.evidence, ["wave canary: 3 of 9 nodes: worker-0, worker-1, worker-8"]);
    let small = outcome(&cluster(9), "canary=1%").unwrap();
    assert_eq!(small.evidence[1], "no machine of type large is in the first wave, canary");
}

#[test]
fn nodes_that_should_not_move_are_passed_over_or_refused() {
    let mut snapshot = cluster(6);
    change(&mut snapshot, "worker-0", |node| node.spec.unschedulable = true);
    let check = |flag: &str, expect: Result<&str, &str>| {
        let outcome = outcome(&snapshot, flag).map(|waves| shown(&waves));
        assert_eq!(outcome.as_deref().map_err(String::as_str), expect, "{flag}");
    };
    check("canary=20%", Ok("canary: 1 5"));
    check("canary=worker-0", Err("wave canary: node worker-0 is cordoned"));
    check("canary=worker-9", Err("wave canary: node worker-9 does not exist"));
    check("canary=master-0", Err("wave canary: node master-0 is part of the control plane"));
    check("canary=topology.kubernetes.io/zone=a", Ok("canary: 3"));
    check("canary=gpu=yes", Err("wave canary: gpu=yes selects no usable node of pool worker"));
    check("a=worker-1,b=topology.kubernetes.io/zone=b", Err("node worker-1 is in both wave a and wave b"));
    check("canary=100%", Err("wave canary: 100% of pool worker are 6 nodes, and 5 are left that can be used (worker-0 cannot)"));
}

#[test]
fn a_pool_that_is_not_at_rest_gives_no_nodes() {
    let check = |edit: &dyn Fn(&mut Snapshot), expect: &str| {
        let mut snapshot = cluster(3);
        edit(&mut snapshot);
        assert_eq!(outcome(&snapshot, "canary=10%").unwrap_err(), expect);
    };
    let worker = |snapshot: &mut Snapshot, edit: &dyn Fn(&mut MachineConfigPool)| {
        crate::condition::fixtures::pool(snapshot, "worker", |pool| edit(pool));
    };
    check(
        &|snapshot| worker(snapshot, &|pool| pool.spec.paused = true),
        "pool worker is paused; unpause it, its nodes would not move",
    );
    check(
        &|snapshot| worker(snapshot, &|pool| pool.spec.configuration.name = "rendered-worker-r1".to_owned()),
        "pool worker is moving from rendered-worker-r0 to rendered-worker-r1; wait until it is updated",
    );
    check(
        &|snapshot| {
            change(snapshot, "worker-2", |node| {
                let label = "node-role.kubernetes.io/workerpool-canary".to_owned();
                node.metadata.labels.get_or_insert_default().insert(label, String::new());
            });
        },
        "node worker-2 has the label node-role.kubernetes.io/workerpool-canary already; remove it",
    );
}

#[test]
fn nodes_of_another_custom_pool_and_taken_names_are_refused() {
    let mut snapshot = cluster(3);
    let mut infra = snapshot.pools["worker"].as_ref().clone();
    infra.metadata.name = Some("workerpool-canary".to_owned());
    infra.spec.node_selector.get_or_insert_default().match_labels = [("infra".to_owned(), String::new())].into();
    std::sync::Arc::make_mut(&mut snapshot.pools).insert("workerpool-canary".to_owned(), std::sync::Arc::new(infra));
    change(&mut snapshot, "worker-1", |node| {
        drop(node.metadata.labels.get_or_insert_default().insert("infra".to_owned(), String::new()));
    });
    assert_eq!(
        outcome(&snapshot, "canary=worker-1").unwrap_err(),
        "pool workerpool-canary exists already; give wave canary another name, or delete the pool; \
         wave canary: node worker-1 is in pool workerpool-canary already"
    );
    assert_eq!(shown(&outcome(&snapshot, "first=60%").unwrap()), "first: 0 2");
}
