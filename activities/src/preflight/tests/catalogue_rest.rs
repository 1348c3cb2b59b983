//! The second half of the catalogue, from P20.

use serde_json::json;

use super::catalogue::{look, of, seen};
use super::*;

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
    look("lock", lease("2026-03-01T11:59:30Z"), "block: run 7 holds the lease windlass/windlass, renewed at 2026-03-01 11:59Z");
    look(
        "lock",
        lease("2026-03-01T08:00:00Z"),
        "warn: run 7 left the lease windlass/windlass behind, renewed last at 2026-03-01 08:00Z",
    );
    // A clock that is ahead is no sign of life: it would block for as long as it is ahead.
    look(
        "lock",
        lease("2026-03-01T14:00:00Z"),
        "warn: run 7 left the lease windlass/windlass behind, renewed last at 2026-03-01 14:00Z",
    );
    let ours = |facts: &mut Facts, _: &mut Preflight| {
        let holder = "laptop-1.a/j1/s1";
        facts.lock = seen(json!({"spec": {"holderIdentity": holder, "renewTime": "2026-03-01T11:59:30Z"}}));
        let (home, journal, start) = ("laptop-1.a".to_owned(), "j1".to_owned(), "s2".to_owned());
        facts.us = Some(crate::lease::Holder { home, journal, start });
    };
    look("lock", ours, "pass: no other run holds the cluster");
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
    look(
        "freeze",
        |_, plan| plan.blackout = Some("2026-12-24 to 2027-01-02 (year end)".to_owned()),
        "warn: the calendar has a blackout: 2026-12-24 to 2027-01-02 (year end); steps wait until it is over",
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
