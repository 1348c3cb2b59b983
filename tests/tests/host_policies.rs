//! Policies of the hosts' own network that hold the default route: copied, deleted at a gate by uid, and others left alone.

use futures::FutureExt as _;
use serde_json::{Value, json};
use windlass_engine::control::What;
use windlass_sim::shape::NetworkPlugin;
use windlass_sim::store::Preconditions;
use windlass_sim::store::resources::{NODENETWORKCONFIGURATIONPOLICIES as POLICIES, NODES};
use windlass_sim::{ClusterShape, Scenario};
use windlass_tests::{Around, Ending, Proof, Stage, crash_at_every_append, lose_every_reply, on_paused_time};

const GATES: [&str; 3] = ["delete-host-policies", "prepare-nodes", "switch-network"];

fn policy(name: &str, interface: &str, kind: &str) -> Value {
    json!({"apiVersion": "nmstate.io/v1", "kind": "NodeNetworkConfigurationPolicy", "metadata": {"name": name, "labels": {"team": "net"}},
        "spec": {"nodeSelector": {"kubernetes.io/os": "linux"}, "desiredState": {"interfaces": [{"name": interface, "type": kind, "mtu": 9000}]}}})
}

/// Hosts whose default route leads over a bond of two, and two policies, of which one holds the bond.
fn shape() -> ClusterShape {
    let shape = ClusterShape { network: NetworkPlugin::Sdn, health_check_minutes: None, ..ClusterShape::default() };
    let mut shape = shape.with_nodes("3+2").expect("a shape");
    for node in ["master-0", "master-1", "master-2", "worker-0", "worker-1"] {
        shape.objects.push(json!({"apiVersion": "nmstate.io/v1beta1", "kind": "NodeNetworkState", "metadata": {"name": node},
            "status": {"currentState": {
                "interfaces": [{"name": "bond0", "type": "bond", "link-aggregation": {"port": ["eno1", "eno2"]}}, {"name": "eno5", "type": "ethernet"}],
                "routes": {"running": [{"destination": "0.0.0.0/0", "next-hop-interface": "bond0"}]}}}}));
    }
    shape.objects.push(policy("bond0-static", "bond0", "bond"));
    shape.objects.push(policy("storage-net", "eno5", "ethernet"));
    shape
}

fn names(stage: &Stage) -> Vec<String> {
    let policies = stage.sim.store().list(&POLICIES);
    policies.iter().filter_map(|policy| policy["metadata"]["name"].as_str().map(str::to_owned)).collect()
}

fn migrated(stage: &Stage) {
    assert_eq!(names(stage), ["storage-net"]);
    for node in stage.sim.store().list(&NODES) {
        let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
        assert!(node["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(ready)), "{}", node["metadata"]["name"]);
    }
    assert!(stage.sim.reboot_counts().values().all(|times| *times == 2), "{:?}", stage.sim.reboot_counts());
}

/// Seen to fail with the gate left out, and with every policy taken for one that is in the way.
#[test]
fn a_policy_that_holds_the_default_route_is_deleted_at_a_gate_and_its_copy_makes_it_again() {
    on_paused_time(async {
        let stage = Stage::new("sdn-to-ovn", shape(), Scenario::default());
        stage
            .start(&json!({}), &GATES[1..].iter().map(ToString::to_string).collect::<Vec<_>>(), None, None)
            .await
            .expect("it works");
        assert_eq!(stage.ending(), Ending::AtGates(vec![GATES[0].to_owned()]));
        assert!(stage.effects().is_empty() && names(&stage).len() == 2, "{:?}", stage.effects());
        let question = stage.question(GATES[0]);
        assert!(question.contains("bond0-static: it configures bond0") && !question.contains("storage-net"), "{question}");
        stage.approve(GATES[0]).await.expect("an open gate");
        assert_eq!(stage.ending(), Ending::Completed, "{}", stage.last_failure());
        migrated(&stage);
        let result = format!("{:?}", stage.state().expect("it is there").ended);
        let path =
            result.split('`').find_map(|part| part.strip_prefix("oc create -f ")).expect("the command that makes it again");
        let copy: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("the copy is there")).expect("it is JSON");
        let mut expected = policy("bond0-static", "bond0", "bond");
        expected["metadata"]["annotations"] = Value::Null;
        assert_eq!(copy["items"], json!([expected]));
    });
}

/// Somebody makes another one of the same name while the person is asked.
#[test]
fn another_policy_of_the_name_is_left_alone_and_told() {
    on_paused_time(async {
        let stage = Stage::new("sdn-to-ovn", shape(), Scenario::default());
        stage.start(&json!({}), &[], None, None).await.expect("it works");
        let store = stage.sim.store();
        store.delete(&POLICIES, None, "bond0-static", &Preconditions::default()).expect("it is there");
        store.create(&POLICIES, policy("bond0-static", "eno5", "ethernet")).expect("it is gone");
        for gate in GATES {
            stage.approve(gate).await.expect("an open gate");
        }
        assert_eq!(stage.ending(), Ending::Completed, "{}", stage.last_failure());
        assert_eq!(names(&stage), ["bond0-static", "storage-net"]);
        let result = format!("{:?}", stage.state().expect("it is there").ended);
        assert!(result.contains("there is another policy bond0-static now, which was left alone"), "{result}");
    });
}

#[test]
fn who_rejects_the_deletion_ends_the_run_with_nothing_changed() {
    on_paused_time(async {
        let stage = Stage::new("sdn-to-ovn", shape(), Scenario::default());
        stage.start(&json!({}), &[], None, None).await.expect("it works");
        stage.tell(What::Reject { gate: GATES[0].to_owned() }).expect("a journal").expect("an open gate");
        stage.resume(None).await.expect("it works");
        assert!(matches!(stage.ending(), Ending::Failed(_)) && stage.effects().is_empty(), "{:?}", stage.effects());
    });
}

#[test]
fn deleting_policies_survives_crashes_and_lost_replies() {
    let proof = Proof {
        workflow: "sdn-to-ovn",
        input: json!({}),
        approvals: GATES.map(str::to_owned).to_vec(),
        shape: shape(),
        around: Around {
            after: |stage| async { migrated(stage) }.boxed_local(),
            effect: |effect| (!effect.contains("/exec?")).then(|| effect.to_owned()),
            ..Around::default()
        },
    };
    crash_at_every_append(&proof);
    lose_every_reply(&proof);
}
