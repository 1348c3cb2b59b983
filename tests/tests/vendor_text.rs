//! What is wrong in the vendor's texts about migrations of the network, row by row: refused, or not possible here. Rows 000 are of the
//! text about Kuryr, rows 001 of the one about OpenShift SDN. The rows about
//! security groups and the router stand beside what captures them, in `activities/src/kuryr/capture/tests.rs`.

use serde_json::{Value, json};
use windlass_activities::network::NetworkPlugin;
use windlass_activities::network::policies::{DeleteHostPolicy, HostPolicy};
use windlass_activities::network::reboot::Boots;
use windlass_activities::network::settings::{ClusterRange, OvnSettings};
use windlass_activities::network::switch::SwitchPlugin;
use windlass_activities::verify::Healthy;
use windlass_engine::{Activity as _, Event};
use windlass_sim::{ClusterShape, Scenario, shape};
use windlass_tests::{Ending, Stage, on_paused_time};

/// `… ] "networkType"` lacks a comma, and `"hostPrefix": "23"` is no number.
#[test]
fn row_000_missing_comma_and_a_prefix_in_quotes() {
    assert!(serde_json::from_value::<ClusterRange>(json!({"cidr": "10.132.0.0/14", "hostPrefix": "23"})).is_err());
    let range = ClusterRange { cidr: "10.132.0.0/14".parse().expect("a range"), host_prefix: 23 };
    let (from, to) = (NetworkPlugin::OpenShiftSdn, NetworkPlugin::OvnKubernetes);
    let request = SwitchPlugin { from, to, cluster_network: vec![range] }.requests().remove(0);
    let body: Value = serde_json::from_str(&request[request.find('[').expect("a patch")..]).expect("it is JSON");
    let network =
        body.as_array().expect("operations").iter().find(|one| one["path"] == "/spec/clusterNetwork").expect("it is set");
    assert_eq!(network["value"], json!([{"cidr": "10.132.0.0/14", "hostPrefix": 23}]));
}

/// `10064.0.0/16` for `100.64.0.0/16`.
#[test]
fn row_000_range_that_is_none() {
    let error = serde_json::from_value::<OvnSettings>(json!({"v4_internal_subnet": "10064.0.0/16"})).expect_err("it is no range");
    assert!(error.to_string().contains("invalid IP address"), "{error}");
}

/// A whole migration on a simulated cluster.
fn migrate(judge: impl Fn(&Stage)) {
    on_paused_time(async {
        let shape =
            ClusterShape { network: shape::NetworkPlugin::Sdn, ..ClusterShape::default() }.with_nodes("3+2").expect("a shape");
        let stage = Stage::new("sdn-to-ovn", shape, Scenario::default());
        let approvals = ["prepare-nodes", "switch-network"].map(str::to_owned);
        stage.start(&json!({}), &approvals, None, None).await.expect("the stage works");
        assert_eq!(stage.ending(), Ending::Completed, "{}", stage.last_failure());
        judge(&stage);
    });
}

/// The results of one kind in a run's history.
fn results<T: serde::de::DeserializeOwned>(stage: &Stage) -> Vec<T> {
    let result = |event: &Event| if let Event::ActivityCompleted { output, .. } = event { output.to().ok() } else { None };
    stage.history().iter().filter_map(|record| result(&record.event)).collect()
}

/// `shutdown -r -t 3`, of which systemd ignores `-t 3`; and `until oc rsh … shutdown`, which reboots twice where the answer is lost.
#[test]
fn row_000_shutdown_minus_t_and_row_001_until_oc_rsh() {
    migrate(|stage| {
        let told: Vec<String> = stage.effects().into_iter().filter(|effect| effect.contains("/exec?")).collect();
        assert_eq!(told.len(), 5, "each host once: {told:?}");
        for one in &told {
            assert!(one.contains("systemd-run") && one.contains("on-active") && one.contains("boot_id"), "{one}");
            assert!(!one.contains("shutdown"), "{one}");
        }
        assert!(stage.sim.reboot_counts().values().all(|times| *times == 2), "{:?}", stage.sim.reboot_counts());
    });
}

/// `awk '{print $7}'` of `oc get pods -o wide` is another column once a pod was restarted "5h ago": each host is told in the pod that the
/// API says runs on it.
#[test]
fn row_001_column_of_the_node() {
    migrate(|stage| {
        let boots = results::<Boots>(stage).into_iter().next();
        let told: Vec<String> = stage.effects().into_iter().filter(|effect| effect.contains("/exec?")).collect();
        for boot in boots.expect("they were read").all() {
            let own: Vec<&String> = told.iter().filter(|one| one.contains(&boot.boot_id)).collect();
            assert!(own.len() == 1 && own[0].contains(&format!("-{}", boot.node)), "{}: {own:?}", boot.node);
        }
    });
}

/// `oc delete nncp FILE`: a name, and the uid with it.
#[test]
fn row_001_policy_by_the_name_of_a_file() {
    let policy = HostPolicy { name: "bond0-static".to_owned(), uid: "u".to_owned(), why: String::new() };
    let requests = DeleteHostPolicy { policy }.requests();
    assert_eq!(requests, ["DELETE /apis/nmstate.io/v1/nodenetworkconfigurationpolicies/bond0-static"]);
}

/// Three `oc wait` in sequence are no picture: operators, nodes and pools are judged together, three times in a row.
#[test]
fn row_001_three_waits_in_sequence() {
    migrate(|stage| {
        let samples: Vec<u32> = results::<Healthy>(stage).into_iter().map(|healthy| healthy.samples).collect();
        assert!(samples.len() >= 4 && samples.iter().all(|found| *found == 3), "{samples:?}");
    });
}

/// The title says rollback where a migration is meant: the plan says from where to where.
#[test]
fn row_001_title_that_means_the_other_way() {
    let say = |from, to| SwitchPlugin { from, to, cluster_network: Vec::new() }.summary();
    let (sdn, ovn) = (NetworkPlugin::OpenShiftSdn, NetworkPlugin::OvnKubernetes);
    assert!(say(sdn, ovn).starts_with("switch the network from OpenShift SDN to OVN-Kubernetes"));
    assert!(say(ovn, sdn).starts_with("switch the network from OVN-Kubernetes to OpenShift SDN"));
}
