//! The checks of the catalogue, one test for a number or a few: what passes, what warns, what blocks, and the evidence.

use serde_json::json;

use super::*;

/// Changes a healthy cluster or the plan and compares one check: verdict, then evidence.
fn look(id: &str, edit: impl FnOnce(&mut Facts, &mut Preflight), expect: &str) {
    let (mut facts, mut plan) = (facts(), Preflight::new("4.18".parse().unwrap(), 14));
    edit(&mut facts, &mut plan);
    let report = judge(&facts, &plan);
    let check = report.checks.iter().find(|check| check.id == id).unwrap();
    assert_eq!(format!("{}: {}", check.verdict, check.evidence.join("; ")), expect, "{id}");
    assert_eq!(check.remedy.is_some(), check.verdict != CheckVerdict::Pass);
}

fn of<K: serde::de::DeserializeOwned>(object: serde_json::Value) -> K {
    serde_json::from_value(object).unwrap()
}

fn seen<K: serde::de::DeserializeOwned>(object: serde_json::Value) -> Look<K> {
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
    check("lock", "the lease openshift-config/windlass", |facts, why| facts.lock = Look::Unreadable(why));
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

#[test]
fn p20_p21_p22_releases_and_the_way_to_them() {
    look("images", |_, _| (), "pass: no node is short of disk");
    look(
        "images",
        |facts, _| facts.nodes[0].status.allocatable = of(json!({"ephemeral-storage": "9Gi"})),
        "warn: node master-0 has 9 GiB of disk for images and pods",
    );
    look(
        "images",
        |facts, _| {
            facts.nodes[0].status.conditions.push(crate::condition::fixtures::condition("DiskPressure", Status::True, "full"));
        },
        "block: node master-0 is short of disk: full",
    );
    let lacking = |texts: &[&str]| {
        let lacking = texts.iter().map(|&text| text.to_owned()).collect();
        move |facts: &mut Facts, _: &mut Preflight| {
            facts.signed = Look::Seen(vec![Signed { release: "4.17.9".to_owned(), lacking }]);
        }
    };
    look("images", lacking(&["no signature: create it"]), "warn: 4.17.9: no signature: create it");
    look("images", lacking(&[]), "pass: no node is short of disk; signature and mirrors of 1 releases are there");
    look("path", |_, _| (), "pass: channels that lead there: eus-4.18");
    look(
        "path",
        |facts, _| facts.version.status.desired.channels = vec!["stable-4.16".to_owned()],
        "block: 4.16.20 is in no channel of 4.18; edges from an older release appear 45 to 90 days after a new EUS release",
    );
    look(
        "path",
        |facts, _| {
            let refused = crate::views::Condition {
                reason: "VersionNotFound".to_owned(),
                ..crate::condition::fixtures::condition("RetrievedUpdates", Status::False, "not in the graph")
            };
            facts.version.status.conditions.retain(|condition| condition.kind != "RetrievedUpdates");
            facts.version.status.conditions.push(refused);
        },
        "warn: updates can't be retrieved (VersionNotFound): not in the graph",
    );
}

#[test]
fn p22_risks_are_accepted_by_name() {
    let with = |state: &str, accepted: &[&str], free: &[&str]| {
        let conditional = json!([{"release": {"version": "4.17.9", "image": "i"},
            "risks": [{"name": "SlowDns", "message": "DNS is slow.", "url": "https://example.com/r"}],
            "conditions": [{"type": "Recommended", "status": state}]}]);
        let available: Vec<serde_json::Value> = free.iter().map(|version| json!({"version": version, "image": "j"})).collect();
        let accepted: Vec<String> = accepted.iter().map(|&name| name.to_owned()).collect();
        move |facts: &mut Facts, plan: &mut Preflight| {
            facts.version.status.conditional_updates = of(conditional);
            facts.version.status.available_updates = Some(of(json!(available)));
            plan.accepted_risks = accepted;
        }
    };
    let risk = |verdict: &str, state: &str, end: &str| {
        format!("{verdict}: 4.17.9: risk SlowDns {state}: DNS is slow. https://example.com/r{end}")
    };
    look("risks", |_, _| (), "pass: 4.17: no release with risks; 4.18: no release with risks");
    look("risks", with("False", &[], &[]), &risk("block", "applies", ""));
    look("risks", with("Unknown", &[], &[]), &risk("block", "could not be evaluated", ""));
    look("risks", with("False", &["SlowDns"], &[]), &risk("warn", "applies", " (accepted)"));
    look(
        "risks",
        with("False", &[], &["4.17.8"]),
        "pass: 4.17: 1 releases without risks, 1 with risks passed over; 4.18: no release with risks",
    );
    look(
        "risks",
        |facts, plan| {
            with("False", &[], &["4.17.8"])(facts, plan);
            plan.releases = vec![crate::condition::fixtures::release("4.17.9")];
        },
        &risk("block", "applies", ""),
    );
}

#[test]
fn p23_p27_p29_others_and_what_they_left() {
    look("leftovers", |_, _| (), "pass: no overrides, no forced update, no annotations of an earlier run");
    look(
        "leftovers",
        |facts, _| {
            facts.version.spec.overrides =
                of(json!([{"kind": "Deployment", "namespace": "openshift-dns", "name": "dns", "unmanaged": true}]));
        },
        "block: an override keeps Deployment openshift-dns/dns from being updated",
    );
    look(
        "leftovers",
        |facts, _| facts.version.spec.desired_update = Some(of(json!({"force": true}))),
        "warn: the last update was forced: signature and Upgradeable were not looked at",
    );
    look(
        "leftovers",
        |facts, _| facts.pools[1].metadata.annotations = Some(of(json!({"windlass.dev/run": "7"}))),
        "warn: pool worker carries windlass.dev/run=7 of an earlier run",
    );
    let lease = |renewed: &str| {
        let object = json!({"spec": {"holderIdentity": "run 7", "leaseDurationSeconds": 60, "renewTime": renewed}});
        move |facts: &mut Facts, _: &mut Preflight| facts.lock = seen(object)
    };
    look("lock", |_, _| (), "pass: no other run holds the cluster");
    look(
        "lock",
        lease("2026-03-01T11:59:30Z"),
        "block: run 7 holds the lease openshift-config/windlass, renewed at 2026-03-01 11:59Z",
    );
    look(
        "lock",
        lease("2026-03-01T08:00:00Z"),
        "warn: run 7 left the lease openshift-config/windlass behind, renewed last at 2026-03-01 08:00Z",
    );
    look("reconcilers", |_, _| (), "pass: nobody writes them again and again");
    look(
        "reconcilers",
        |facts, _| {
            facts.pools[1].metadata.managed_fields = of(json!([{"manager": "argocd-controller"}, {"manager": "windlass"}]));
        },
        "warn: pool worker is reconciled by argocd-controller",
    );
    look(
        "reconcilers",
        |facts, _| facts.version.metadata.annotations = Some(of(json!({"argocd.argoproj.io/tracking-id": "base"}))),
        "warn: clusterversion version is reconciled by argocd.argoproj.io/tracking-id=base",
    );
}

#[test]
fn p25_p30_hosts_and_storage() {
    let metal = |hosts: serde_json::Value| {
        move |facts: &mut Facts, _: &mut Preflight| {
            facts.nodes.truncate(2);
            facts.platform = seen(json!({"status": {"platformStatus": {"type": "BareMetal"}}}));
            facts.hosts = seen(hosts);
        }
    };
    let host = |name: &str, address: &str| json!({"metadata": {"name": name}, "spec": {"bmc": {"address": address}}});
    look("out-of-band", |_, _| (), "pass: the platform is not known");
    look(
        "out-of-band",
        metal(json!([host("master-0", "ipmi://a"), host("master-1", "ipmi://b")])),
        "pass: 2 nodes, each with a management address",
    );
    look(
        "out-of-band",
        metal(json!([host("master-0", "ipmi://a"), host("master-1", "")])),
        "warn: no management address is known of master-1",
    );
    let ceph = |health: &str| {
        let object =
            json!([{"metadata": {"name": "odf", "namespace": "openshift-storage"}, "status": {"ceph": {"health": health}}}]);
        move |facts: &mut Facts, _: &mut Preflight| facts.storage = seen(object)
    };
    look("storage", |_, _| (), "pass: no storage cluster is served here, no local volume is in use");
    look("storage", ceph("HEALTH_OK"), "pass: storage cluster openshift-storage/odf is well");
    look("storage", ceph("HEALTH_WARN"), "warn: storage cluster openshift-storage/odf says HEALTH_WARN");
    look(
        "storage",
        ceph("HEALTH_ERR"),
        "block: storage cluster openshift-storage/odf says HEALTH_ERR: a reboot more may lose data",
    );
    look(
        "storage",
        |facts, _| {
            facts.volumes = seen(json!([{"spec": {"local": {"path": "/a"}, "claimRef": {"namespace": "shop", "name": "data"}}}]));
        },
        "warn: volumes that are disks of single nodes are in use in shop",
    );
}

#[test]
fn p28_p33_windows_and_the_time_since_the_last_change() {
    let planned = |window: u64, step: u64| {
        move |_: &mut Facts, plan: &mut Preflight| {
            plan.window_seconds = Some(window);
            plan.longest_step = Some(LongestStep { name: "pool worker".to_owned(), p90_seconds: step });
        }
    };
    look("window", |_, _| (), "pass: there are no windows: steps begin when their turn comes");
    look("window", planned(8 * 3600, 3600), "pass: pool worker takes up to 1 h, the longest window lasts 8 h");
    look(
        "window",
        planned(8 * 3600, 7 * 3600 + 2700),
        "warn: pool worker takes up to 7 h 45 min, hardly less than the longest window of 8 h",
    );
    look("window", planned(3600, 3601), "block: pool worker takes up to 1 h 1 min, the longest window lasts 1 h");
    look("freeze", |_, _| (), "pass: the update to 4.16.20 ended 28 days ago");
    look(
        "freeze",
        |facts, _| facts.version.status.history[0].completion_time = Some(at(-90).to_datetime()),
        "warn: the update to 4.16.20 ended 1 h 30 min ago",
    );
}

#[test]
fn p31_p32_webhooks_and_single_replicas() {
    let hook = |pods: &[(&str, &str)], resources: &str, policy: &str| {
        let hook = json!([["guard", {"name": "guard.example.com", "failurePolicy": policy,
            "clientConfig": {"service": {"namespace": "guard", "name": "guard"}}, "rules": [{"resources": [resources]}]}]]);
        let pod = |(name, node): &(&str, &str)| {
            json!({"metadata": {"name": name, "namespace": "guard", "labels": {"app": "guard"}}, "spec": {"nodeName": node},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
        };
        let pods: Vec<serde_json::Value> = pods.iter().map(pod).collect();
        move |facts: &mut Facts, _: &mut Preflight| {
            facts.webhooks = seen(hook);
            facts.services =
                seen(json!([{"metadata": {"name": "guard", "namespace": "guard"}, "spec": {"selector": {"app": "guard"}}}]));
            facts.pods = of(json!(pods));
        }
    };
    let who = "webhook guard.example.com of guard refuses everything while guard/guard is away";
    look(
        "webhooks",
        hook(&[("a", "worker-0"), ("b", "worker-1")], "pods", "Fail"),
        "pass: 1 that fail closed, each with pods on several nodes",
    );
    look("webhooks", hook(&[], "pods", "Ignore"), "pass: 0 that fail closed, each with pods on several nodes");
    look("webhooks", hook(&[("a", "worker-0")], "pods", "Fail"), &format!("warn: {who}: only pod a answers, on worker-0"));
    look(
        "webhooks",
        hook(&[("a", "worker-0"), ("b", "worker-0")], "pods", ""),
        &format!("warn: {who}: all 2 pods are on worker-0"),
    );
    look("webhooks", hook(&[], "pods", "Fail"), &format!("block: {who}, and nothing answers there"));
    look("webhooks", hook(&[], "secrets", "Fail"), &format!("warn: {who}, and nothing answers there"));
    let router = |wished: i32| {
        move |facts: &mut Facts, _: &mut Preflight| {
            facts.replicas = Look::Seen(vec![Replicas {
                namespace: "openshift-ingress".to_owned(),
                name: "router-default".to_owned(),
                wished,
            }]);
        }
    };
    look("single-replicas", router(2), "pass: 1 components of ingress, registry and monitoring, each with several");
    look(
        "single-replicas",
        router(1),
        "warn: openshift-ingress/router-default has a single replica: it is away while its node drains",
    );
}
