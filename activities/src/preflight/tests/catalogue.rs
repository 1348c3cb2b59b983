//! The first half of the catalogue, to P19, one test for a number or a few: what passes, what warns, what blocks, and the evidence.

use serde_json::json;

use super::*;

/// Changes a healthy cluster or the plan and compares one check: verdict, then evidence.
pub(super) fn look(id: &str, edit: impl FnOnce(&mut Facts, &mut Preflight), expect: &str) {
    let (mut facts, mut plan) = (facts(), Preflight::new("4.18".parse().unwrap(), 14));
    edit(&mut facts, &mut plan);
    let report = judge(&facts, &plan);
    let check = report.checks.iter().find(|check| check.id == id).unwrap();
    assert_eq!(format!("{}: {}", check.verdict, check.evidence.join("; ")), expect, "{id}");
    assert_eq!(check.remedy.is_some(), check.verdict != CheckVerdict::Pass);
}

pub(super) fn of<K: serde::de::DeserializeOwned>(object: serde_json::Value) -> K {
    serde_json::from_value(object).unwrap()
}

pub(super) fn seen<K: serde::de::DeserializeOwned>(object: serde_json::Value) -> Look<K> {
    Look::Seen(of(object))
}

#[test]
fn the_catalogue_is_in_the_order_of_its_numbers_and_ids_are_unique() {
    let report = judge(&facts(), &Preflight::new("4.18".parse().unwrap(), 14));
    let numbers: Vec<&str> = report.checks.iter().map(|check| check.number.as_str()).collect();
    assert!(numbers.is_sorted() && numbers.iter().all(|number| number.len() == 3), "{numbers:?}");
    let ids: std::collections::BTreeSet<&str> = report.checks.iter().map(|check| check.id.as_str()).collect();
    assert_eq!(ids.len(), report.checks.len());
    let absent = (1..=33).map(|n| format!("P{n:02}")).filter(|number| !numbers.contains(&number.as_str()));
    assert_eq!(absent.collect::<Vec<_>>(), ["P24", "P26"]);
    assert_eq!(report.drains.len(), 5);
}

#[test]
fn what_could_not_be_read_is_a_warning_with_the_permission() {
    let no = || "permission missing: list things".to_owned();
    let check = |id: &str, what: &str, edit: fn(&mut Facts, String)| {
        look(id, |facts, _| edit(facts, no()), &format!("warn: {what} could not be read: {}", no()));
    };
    check("platform", "the network", |facts, why| facts.network = Look::Unreadable(why));
    check("access", "what this login may do", |facts, why| facts.denied = Look::Unreadable(why));
    check("rendered-configs", "rendered configurations", |facts, why| facts.unrendered = Look::Unreadable(why));
    check("etcd", "the operator of etcd", |facts, why| facts.etcd = Look::Unreadable(why));
    check("etcd", "the members of etcd", |facts, why| facts.etcd_endpoints = Look::Unreadable(why));
    check("evictable", "virtual machines", |facts, why| facts.virtual_machines = Look::Unreadable(why));
    check("installed-operators", "installed operators", |facts, why| facts.installed = Look::Unreadable(why));
    check("health-checks", "node health checks", |facts, why| facts.node_health_checks = Look::Unreadable(why));
    check("alerts", "alerts", |facts, why| facts.alerts = Look::Unreadable(why));
    check("images", "signatures and mirrors", |facts, why| facts.signed = Look::Unreadable(why));
    check("out-of-band", "bare-metal hosts", |facts, why| facts.hosts = Look::Unreadable(why));
    check("lock", "the lease windlass/windlass", |facts, why| facts.lock = Look::Unreadable(why));
    check("storage", "storage clusters", |facts, why| facts.storage = Look::Unreadable(why));
    check("webhooks", "webhooks", |facts, why| facts.webhooks = Look::Unreadable(why));
    check("single-replicas", "replicas", |facts, why| facts.replicas = Look::Unreadable(why));
}

#[test]
fn p01_the_way_must_fit_the_cluster() {
    look("platform", |_, _| (), "pass: 4.16, then 4.17 and 4.18");
    look(
        "platform",
        |facts, _| facts.platform = seen(json!({"status": {"platformStatus": {"type": "AWS"}}})),
        "pass: 4.16 on AWS, then 4.17 and 4.18",
    );
    look("platform", |_, plan| plan.hops = vec!["4.16".parse().unwrap()], "pass: 4.16, then 4.16");
    look("platform", |_, plan| plan.hops = vec!["4.18".parse().unwrap()], "block: 4.18 does not follow 4.16");
    look(
        "platform",
        |facts, _| facts.platform = seen(json!({"status": {"controlPlaneTopology": "External"}})),
        "block: the control plane is hosted elsewhere: it is updated there",
    );
    look(
        "platform",
        |facts, _| facts.network = seen(json!({"status": {"networkType": "OpenShiftSDN"}})),
        "block: the network plugin OpenShiftSDN is gone in 4.17: migrate to OVNKubernetes first",
    );
}

#[test]
fn p02_a_missing_permission_is_named() {
    let lacking = crate::rbac::needed_by("pause-pool").unwrap().into_iter().find(|one| one.verb == "patch");
    look(
        "access",
        |facts, _| facts.denied = Look::Seen(lacking.into_iter().collect()),
        "block: permission missing: patch machineconfigpools.machineconfiguration.openshift.io",
    );
    look("access", |facts, _| facts.denied = Look::Seen(vec![]), "pass: every permission that the run needs is granted");
}

#[test]
fn p06_rendered_configurations() {
    look("rendered-configs", |_, _| (), "pass: all that are named exist");
    look(
        "rendered-configs",
        |facts, _| facts.unrendered = seen(json!(["rendered-worker-r0"])),
        "block: rendered-worker-r0 does not exist and worker-0, worker-1 names it",
    );
    let custom = |hash: &str, source: &str| {
        let name = format!("rendered-canary-{hash}");
        let source = json!([{"name": source}]);
        move |facts: &mut Facts, _: &mut Preflight| {
            facts.pools[1].spec.configuration.source = of(json!([{"name": "00-worker"}]));
            facts
                .pools
                .push(of(json!({"metadata": {"name": "canary"}, "spec": {"configuration": {"name": name, "source": source}}})));
        }
    };
    look("rendered-configs", custom("r0", "00-worker"), "pass: all that are named exist");
    look("rendered-configs", custom("r1", "50-canary"), "pass: all that are named exist");
    look(
        "rendered-configs",
        custom("r1", "00-worker"),
        "warn: pool canary is made of the same as worker and renders differently: a node that moves between them reboots",
    );
}

#[test]
fn p07_nodes_that_do_not_fit() {
    look(
        "nodes",
        |facts, _| facts.nodes[4].status.node_info.kubelet_version = "v1.28.9".to_owned(),
        "block: node worker-1 runs kubelet 1.28, 4.18 goes along with 1.29 at the least",
    );
    look(
        "nodes",
        |facts, _| facts.nodes[4].status.node_info.os_image = "Red Hat Enterprise Linux 8.10 (Ootpa)".to_owned(),
        "warn: node worker-1 runs Red Hat Enterprise Linux 8.10 (Ootpa): it is updated with the vendor's playbook, after its \
         pool is let go",
    );
    look(
        "nodes",
        |facts, _| facts.nodes[4].status.node_info.os_image = "Red Hat Enterprise Linux CoreOS 416.94".to_owned(),
        "pass: 5 nodes ready and settled",
    );
    let pool = |name: &str| {
        of(json!({"metadata": {"name": name}, "spec": {"nodeSelector": {"matchLabels": {"node-role.kubernetes.io/worker": ""}}}}))
    };
    look(
        "nodes",
        |facts, _| {
            facts.nodes.truncate(4);
            facts.pools.extend([pool("a"), pool("b")]);
        },
        "block: node worker-0 is in several custom pools: a, b",
    );
    let fields = json!([{"manager": "kubectl-cordon", "fieldsV1": {"f:spec": {"f:unschedulable": {}}}}]);
    look(
        "cordons",
        |facts, _| {
            facts.nodes[4].spec.unschedulable = true;
            facts.nodes[4].metadata.managed_fields = of(fields);
            facts.pools[1].spec.max_unavailable = Some(of(json!(2)));
        },
        "warn: node worker-1 is cordoned by kubectl-cordon",
    );
}

#[test]
fn p10_p11_room_and_what_is_lost() {
    let pod = |name: &str, node: &str, owners: serde_json::Value| -> crate::views::Pod {
        of(json!({"metadata": {"name": name, "namespace": "shop", "ownerReferences": owners},
            "spec": {"nodeName": node, "containers": [{"resources": {"requests": {"cpu": "3"}}}],
                "nodeSelector": {"node-role.kubernetes.io/worker": ""}}, "status": {"phase": "Running"}}))
    };
    let owned = || json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart", "uid": "u"}]);
    let crowded = |cores: &'static str| {
        move |facts: &mut Facts, _: &mut Preflight| {
            facts.nodes.iter_mut().for_each(|node| node.status.allocatable = of(json!({"cpu": cores})));
            facts.pods = vec![pod("a", "worker-0", owned()), pod("b", "worker-1", owned())];
        }
    };
    look(
        "capacity",
        crowded("8"),
        "pass: pool master: the pods of 1 of 3 nodes find room on the others; pool worker: the pods of 1 of 2 nodes find room on the others",
    );
    look("capacity", crowded("4"), "warn: pool worker: with 1 of 2 nodes away 1 pods find no room: shop/b");
    look(
        "evictable",
        |facts, _| facts.pods = vec![pod("job", "worker-0", json!(null))],
        "warn: shop/job on worker-0: nothing makes it anew: it is lost",
    );
    let launcher = json!([{"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "name": "db", "uid": "u"}]);
    look(
        "evictable",
        |facts, _| {
            facts.pods = vec![pod("launcher", "worker-0", launcher)];
            facts.virtual_machines = seen(json!([{"metadata": {"name": "db", "namespace": "shop"},
                "spec": {"evictionStrategy": "LiveMigrate"}, "status": {"conditions": [{"type": "LiveMigratable", "status": "False"}]}}]));
        },
        "block: shop/launcher on worker-0: is a virtual machine that can't be moved",
    );
}

#[test]
fn p12_etcd() {
    let members = |count: usize| -> Look<crate::views::ConfigMap> {
        let data: std::collections::BTreeMap<String, String> = (0..count).map(|n| (n.to_string(), String::new())).collect();
        seen(json!({"data": data}))
    };
    let unknown = "the cluster knows of no backup: take one with cluster-backup.sh and copy it away";
    look("etcd", |facts, _| facts.etcd_endpoints = members(3), &format!("pass: 3 voting members; {unknown}"));
    look(
        "etcd",
        |facts, _| facts.etcd_endpoints = members(2),
        "block: 2 voting members for 3 control-plane nodes: one reboot loses the quorum",
    );
    look(
        "etcd",
        |facts, _| facts.etcd_endpoints = members(4),
        "warn: 4 voting members: an even number survives no more than one less",
    );
    look(
        "etcd",
        |facts, _| {
            facts.etcd = seen(
                json!({"status": {"conditions": [{"type": "EtcdMembersAvailable", "status": "False", "message": "2 of 3 members are available"}]}}),
            );
        },
        "block: EtcdMembersAvailable is not as it should be: 2 of 3 members are available",
    );
    look(
        "etcd",
        |facts, _| {
            let etcd = facts.operators.iter_mut().find(|operator| operator.metadata.name.as_deref() == Some("etcd")).unwrap();
            let old = crate::views::Condition {
                last_transition_time: Some(at(-3 * 24 * 60).to_datetime()),
                ..crate::condition::fixtures::condition("RecentBackup", Status::True, "")
            };
            etcd.status.conditions.push(old);
        },
        "warn: the last backup that the cluster knows of is 3 days old",
    );
}

#[test]
fn p13_a_signer_that_is_renewed_in_place_is_no_deadline() {
    let renewed = |ends: &str| {
        let mut signer = signer(ends);
        signer.metadata.name = Some("csr-signer-signer".to_owned());
        move |facts: &mut Facts, _: &mut Preflight| facts.signers = vec![signer]
    };
    look("certificates", renewed("2026-03-15T12:00:00Z"), "pass: the first ends in 14 days, the pause may last 14 days");
    look(
        "certificates",
        renewed("2026-03-04T12:00:00Z"),
        "warn: signer csr-signer-signer ends in 3 days, on 2026-03-04; it should have been renewed long ago",
    );
}

#[test]
fn p15_installed_operators_go_along_or_not() {
    let operator = |max: serde_json::Value| {
        let properties =
            json!([{"type": "olm.package", "value": {}}, {"type": "olm.maxOpenShiftVersion", "value": max}]).to_string();
        move |facts: &mut Facts, _: &mut Preflight| {
            facts.installed = seen(json!([
                {"metadata": {"name": "logging.v5", "namespace": "logs", "annotations": {"olm.properties": properties}}},
                {"metadata": {"name": "plain.v1", "namespace": "logs"}}
            ]));
        }
    };
    look("installed-operators", operator(json!("4.18")), "pass: logs/logging.v5 goes up to 4.18");
    look(
        "installed-operators",
        operator(json!("4.17")),
        "warn: logs/logging.v5 goes up to 4.17: update it before the hop to 4.18",
    );
    look("installed-operators", operator(json!("4.16.3")), "block: logs/logging.v5 goes up to 4.16, the first hop is 4.17");
    look(
        "installed-operators",
        operator(json!("soon")),
        "warn: logs/logging.v5 says olm.maxOpenShiftVersion \"soon\", which is no release",
    );
}

#[test]
fn p17_credentials_made_by_hand_are_prepared() {
    let state = |mode: &str, to: Option<&str>, missing: &[&str]| {
        let state = json!({"mode": mode, "ccoctl": false, "upgradeable_to": to, "platform": "AWS", "missing_secrets": missing, "at": "4.16"});
        move |facts: &mut Facts, _: &mut Preflight| facts.credentials = seen(state)
    };
    look("credentials", |_, _| (), "pass: the cluster has no credentials operator");
    look("credentials", state("mint", None, &[]), "pass: mode Mint");
    look("credentials", state("manual", Some("4.17.0"), &[]), "pass: mode Manual; prepared for 4.17.0");
    look("credentials", state("manual", Some("4.16.9"), &[]), "warn: credentials are prepared for 4.16.9, the next hop is 4.17");
    look("credentials", state("manual", None, &[]), "warn: credentials are made by hand and not said to be prepared for 4.17");
    look("credentials", state("manual", Some("v4.l7"), &[]), "block: upgradeable-to \"v4.l7\" is no release; write it as 4.17.0");
    look("credentials", state("manual", Some("4.17.0"), &["a/b"]), "block: the secret a/b that an operator needs is missing");
}

#[test]
fn p18_p19_node_health_checks_and_alerts() {
    let check = |phase: &str, reasons: &[&str]| {
        let object = json!([{"metadata": {"name": "workers"}, "spec": {"pauseRequests": reasons}, "status": {"phase": phase}}]);
        move |facts: &mut Facts, _: &mut Preflight| facts.node_health_checks = seen(object)
    };
    look("health-checks", check("Enabled", &[]), "pass: node health check workers watches the nodes");
    look("health-checks", check("Paused", &["move"]), "warn: node health check workers is paused already: move");
    look("health-checks", check("Remediating", &[]), "block: node health check workers is remediating a node");
    look("alerts", |_, _| (), "pass: Prometheus is not configured");
    look("alerts", |facts, _| facts.alerts = Look::Seen(Ok(vec!["none fires".to_owned()])), "pass: none fires");
    look("alerts", |facts, _| facts.alerts = Look::Seen(Err("KubeDown fires".to_owned())), "block: KubeDown fires");
}
