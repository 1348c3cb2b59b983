use serde_json::{Value, json};

use super::*;

/// Reads YAML as a view and writes it back: what the view models must come out as it went in.
fn check<K: View + serde::Serialize>(yaml: &str, modelled: &[&str]) -> K {
    let source: Value = serde_saphyr::from_str(yaml).unwrap();
    let view: K = serde_json::from_value(source.clone()).unwrap();
    let back = serde_json::to_value(&view).unwrap();
    for pointer in modelled {
        assert_eq!(back.pointer(pointer), source.pointer(pointer), "{pointer}");
        assert!(source.pointer(pointer).is_some(), "{pointer} is not in the fixture");
    }
    view
}

#[test]
fn a_cluster_version_in_mid_update_is_read_without_loss() {
    let version: ClusterVersion = check(
        "
metadata: {name: version, generation: 3, resourceVersion: '33786', uid: 16ac3a1e}
spec:
  channel: eus-4.18
  clusterID: 4acee7ef-728d-43bd-ab41-401873c444ea
  desiredUpdate: {version: 4.17.1, image: 'quay.example.com/r@sha256:aa', force: false, architecture: ''}
  upstream: https://graph.example.com/graph
status:
  availableUpdates: null
  capabilities: {enabledCapabilities: [Build]}
  conditionalUpdates:
  - conditions: [{type: Recommended, status: 'True', reason: AsExpected, message: fine, lastTransitionTime: '2026-02-07T16:31:06Z'}]
    release: {version: 4.17.9, image: 'quay.example.com/r@sha256:bb', channels: [eus-4.18], url: 'https://errata.example.com/1'}
    risks: [{name: SlowBoot, message: slow, url: 'https://kb.example.com/1', matchingRules: [{type: Always}]}]
  conditions:
  - {type: RetrievedUpdates, status: 'True', lastTransitionTime: '2026-02-07T15:59:57Z'}
  - {type: Progressing, status: 'True', reason: ClusterOperatorUpdating, message: 'Working towards 4.17.1', lastTransitionTime: '2026-02-07T16:31:03Z'}
  desired: {version: 4.17.1, image: 'quay.example.com/r@sha256:aa', channels: [eus-4.18, stable-4.17]}
  history:
  - {state: Partial, startedTime: '2026-02-07T16:31:03Z', completionTime: null, version: 4.17.1, image: 'quay.example.com/r@sha256:aa', verified: true}
  - {state: Completed, startedTime: '2026-02-07T15:59:57Z', completionTime: '2026-02-07T16:17:57Z', version: 4.16.0, image: 'quay.example.com/r@sha256:cc', verified: false}
  observedGeneration: 3
  versionHash: I3skQa0FyxU=
",
        &[
            "/metadata",
            "/spec/channel",
            "/spec/clusterID",
            "/spec/upstream",
            "/spec/desiredUpdate/image",
            "/status/availableUpdates",
            "/status/conditionalUpdates/0/conditions",
            "/status/conditionalUpdates/0/release/channels",
            "/status/conditionalUpdates/0/risks/0/name",
            "/status/conditions/1",
            "/status/desired/channels",
            "/status/history",
            "/status/observedGeneration",
        ],
    );
    assert_eq!(version.status.available_updates, None);
    assert!(version.is_observed());
    assert_eq!(version.completed().map(|entry| entry.version.as_str()), Some("4.16.0"));
    assert_eq!(version.recommended().map(|release| release.version.as_str()).collect::<Vec<_>>(), ["4.17.9"]);
    assert_eq!(version.says("Upgradeable"), Status::Unknown);
}

#[test]
fn a_pool_and_a_node_are_read_without_loss() {
    let pool: MachineConfigPool = check(
        "
metadata: {name: worker, generation: 4}
spec:
  configuration: {name: rendered-worker-r1, source: [{kind: MachineConfig, name: 00-worker}]}
  machineConfigSelector: {matchLabels: {machineconfiguration.openshift.io/role: worker}}
  maxUnavailable: 10%
  nodeSelector: {matchLabels: {node-role.kubernetes.io/worker: ''}}
  paused: true
status:
  certExpirys: [{bundle: KubeAPIServerServingCAData, subject: CN=kube-apiserver-lb-signer, expiry: '2034-02-04T15:50:00Z'}]
  conditions: [{type: Updated, status: 'False', reason: '', message: '', lastTransitionTime: '2026-02-07T16:31:03Z'}]
  configuration: {name: rendered-worker-r0}
  degradedMachineCount: 0
  machineCount: 3
  observedGeneration: 4
  readyMachineCount: 3
  unavailableMachineCount: 0
  updatedMachineCount: 0
",
        &[
            "/spec/maxUnavailable",
            "/spec/nodeSelector/matchLabels",
            "/spec/paused",
            "/spec/configuration/name",
            "/status/certExpirys",
            "/status/conditions",
            "/status/configuration",
            "/status/machineCount",
        ],
    );
    assert!(pool.is_observed());
    let node: Node = check(
        "
metadata:
  name: worker-0
  labels: {node-role.kubernetes.io/worker: ''}
  annotations:
    machineconfiguration.openshift.io/currentConfig: rendered-worker-r0
    machineconfiguration.openshift.io/desiredConfig: rendered-worker-r1
    machineconfiguration.openshift.io/desiredDrain: drain-rendered-worker-r1
    machineconfiguration.openshift.io/lastAppliedDrain: uncordon-rendered-worker-r0
    machineconfiguration.openshift.io/state: Working
spec:
  unschedulable: true
  taints: [{key: node.kubernetes.io/unschedulable, effect: NoSchedule, timeAdded: '2026-03-01T11:45:00Z'}]
status:
  conditions: [{type: Ready, status: 'True', reason: KubeletReady, message: ready, lastTransitionTime: '2026-02-07T16:10:36Z', lastHeartbeatTime: '2026-02-07T16:26:14Z'}]
  nodeInfo: {architecture: amd64, bootID: 8f3c, kubeletVersion: v1.29.6+aba1e8d, osImage: CoreOS, machineID: x}
  images: [{names: [a], sizeBytes: 1}]
",
        &["/metadata", "/spec/taints", "/spec/unschedulable", "/status/nodeInfo/bootID", "/status/nodeInfo/kubeletVersion"],
    );
    assert!(node.is_draining() && !node.is_control_plane());
    assert_eq!(
        (node.current_config(), node.desired_config(), node.config_state()),
        ("rendered-worker-r0", "rendered-worker-r1", "Working")
    );
    assert_eq!(node.kubelet_minor(), Some(29));
    assert!(node.cordoned_at().is_some());
}

#[test]
fn nulls_and_absent_parts_are_read_as_nothing() {
    let check = |object: Value| drop(serde_json::from_value::<ClusterOperator>(object).unwrap());
    check(json!({"metadata": {"name": "dns"}}));
    check(json!({"metadata": {"name": "dns"}, "spec": {}, "status": null}));
    check(json!({"metadata": {"name": "dns"}, "status": {"conditions": null, "versions": null, "extension": null}}));
    let odd: Condition = serde_json::from_value(json!({"type": "A", "status": "Perhaps", "reason": null})).unwrap();
    assert_eq!(odd.status, Status::Unknown);
    let version: ClusterVersion = serde_json::from_value(
        json!({"metadata": {}, "spec": {"clusterID": ""}, "status": {"desired": {"channels": null}, "history": null}}),
    )
    .unwrap();
    assert!(version.status.history.is_empty());
}

#[test]
fn labels_are_selected_as_the_server_does() {
    let labels = [("role".to_owned(), "infra".to_owned())].into();
    let check = |selector: Value, expect: bool| {
        let selector: LabelSelector = serde_json::from_value(selector).unwrap();
        assert_eq!(selector.selects(Some(&labels)), expect);
    };
    let expression = |operator: &str, key: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
    check(json!({}), true);
    check(json!({"matchLabels": {"role": "infra"}}), true);
    check(json!({"matchLabels": {"role": "worker"}}), false);
    check(expression("In", "role", &["infra", "worker"]), true);
    check(expression("In", "zone", &["a"]), false);
    check(expression("NotIn", "role", &["infra"]), false);
    check(expression("NotIn", "zone", &["a"]), true);
    check(expression("Exists", "role", &[]), true);
    check(expression("DoesNotExist", "role", &[]), false);
    check(expression("Matches", "role", &["infra"]), false);
}

#[test]
fn templates_nodes_and_pods_of_workloads_are_read_without_loss() {
    let deployment: Deployment = check(
        "
metadata: {name: ovn-central, namespace: kube-system, generation: 4}
spec:
  replicas: 3
  selector: {matchLabels: {app: ovn-central}}
  template:
    metadata: {labels: {app: ovn-central}}
    spec:
      nodeSelector: {kube-ovn/role: master}
      containers:
      - name: ovn-central
        image: example.com/kube-ovn:v1.13.2
        env: [{name: NODE_IPS, value: '172.18.0.3,172.18.0.4'}, {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
status: {observedGeneration: 4, replicas: 3, updatedReplicas: 2, readyReplicas: 1, availableReplicas: 1}
",
        &["/spec/replicas", "/spec/selector/matchLabels", "/spec/template/spec/nodeSelector", "/status/updatedReplicas"],
    );
    let container = &deployment.spec.template.spec.containers[0];
    assert_eq!(container.variable("NODE_IPS"), Some("172.18.0.3,172.18.0.4"));
    assert_eq!((container.variable("POD_IP"), container.variable("HOME")), (None, None));
    let set: DaemonSet = check(
        "
metadata: {name: ovs-ovn, namespace: kube-system}
spec: {updateStrategy: {type: OnDelete}, template: {spec: {containers: [{name: openvswitch, env: [{name: OVN_DB_IPS, value: a}]}]}}}
status: {observedGeneration: 1, desiredNumberScheduled: 3, updatedNumberScheduled: 2, numberReady: 3, numberAvailable: 3}
",
        &["/spec/updateStrategy", "/spec/template/spec/containers/0/env", "/status"],
    );
    assert_eq!(set.spec.update_strategy.kind, "OnDelete");
    let addresses =
        "[{type: Hostname, address: node-a}, {type: InternalIP, address: 172.18.0.3}, {type: InternalIP, address: 'fd00::3'}]";
    let node: Node = check(&format!("status: {{addresses: {addresses}}}"), &["/status/addresses"]);
    assert_eq!(node.internal_addresses().map(|address| address.to_string()).collect::<Vec<_>>(), ["172.18.0.3", "fd00::3"]);
    let pod: Pod = check("status: {phase: Running, hostIP: 172.18.0.3}", &["/status/hostIP"]);
    assert!(pod.runs());
    let deleted: Pod = check(
        "{metadata: {deletionTimestamp: '2026-02-07T16:31:03Z'}, status: {phase: Running}}",
        &["/metadata/deletionTimestamp", "/status/phase"],
    );
    assert!(!deleted.runs() && !Pod::default().runs());
    let crashing = check::<Pod>(
        "
status:
  containerStatuses:
  - name: main
    restartCount: 4
    state: {waiting: {reason: CrashLoopBackOff, message: back-off 40s}}
    lastState: {terminated: {exitCode: 1, reason: Error, message: no such address}}
",
        &["/status/containerStatuses/0"],
    );
    let status = &crashing.status.containers[0];
    assert_eq!(status.state.waiting.as_ref().unwrap().reason, "CrashLoopBackOff");
    assert_eq!(status.last_state.terminated.as_ref().unwrap().message, "no such address");
}
