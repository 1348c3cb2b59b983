//! Machine config pools and the machine configs that they render.

use serde_json::{Value, json};

use super::graph::Release;
use super::json::{Said, name, selects, set_condition, text};
use super::nodes::mco;
use super::shape::{NetworkPlugin, PoolShape};
use super::{Draft, Plan};
use crate::clock::rfc3339;
use crate::store::resources::{MACHINECONFIGPOOLS, MACHINECONFIGS};

/// The label by which pools select machine configs.
pub(crate) const ROLE: &str = "machineconfiguration.openshift.io/role";
/// The program that makes the host's bridges for a network plugin.
const CONFIGURE_OVS: &str = "/usr/local/bin/configure-ovs.sh";
/// The annotation that tells the release a rendered config was made from.
pub(crate) const RELEASE: &str = "machineconfiguration.openshift.io/release-image-version";

pub(super) fn drafts(plan: &mut Plan<'_>) -> Vec<Draft> {
    let mut all: Vec<Draft> =
        roles(plan).iter().flat_map(|role| sources(role)).map(|mc| Draft::new(MACHINECONFIGS, mc)).collect();
    let sources: Vec<Value> = all.iter().map(|d| d.object.clone()).collect();
    let master = PoolShape::new("master", plan.shape.control_plane);
    for pool in std::iter::once(&master).chain(&plan.shape.pools) {
        let object = pool_object(plan, pool, &sources);
        let rendered = rendered_object(&object, &sources, &plan.release, plan.shape.network);
        all.push(Draft::new(MACHINECONFIGPOOLS, object));
        all.push(Draft::new(MACHINECONFIGS, rendered).owned_by(&MACHINECONFIGPOOLS, "", &pool.name));
    }
    all
}

/// The config that a pool's nodes run when the simulation starts.
pub(super) fn initial_rendered(plan: &Plan<'_>, pool: &str) -> String {
    let sources: Vec<Value> = roles(plan).iter().flat_map(|role| sources(role)).collect();
    rendered_name(pool, &selected(&selector(pool), sources.iter()), &plan.release, plan.shape.network)
}

fn roles(plan: &Plan<'_>) -> Vec<String> {
    let custom = plan.shape.pools.iter().map(|p| p.name.clone()).filter(|p| p != "worker");
    ["master".to_owned(), "worker".to_owned()].into_iter().chain(custom).collect()
}

/// The machine configs of a role: the platform's for built-in roles, one of the administrator's for a custom one.
fn sources(role: &str) -> Vec<Value> {
    let names = match role {
        "master" | "worker" => vec![
            format!("00-{role}"),
            format!("01-{role}-container-runtime"),
            format!("01-{role}-kubelet"),
            format!("97-{role}-generated-kubelet"),
            format!("98-{role}-generated-kubelet"),
            format!("99-{role}-generated-registries"),
            format!("99-{role}-ssh"),
        ],
        custom => vec![format!("50-{custom}-tuning")],
    };
    names.iter().map(|name| machine_config(name, role, &format!("/etc/windlass/{name}.conf"))).collect()
}

/// A machine config that writes one file.
pub(crate) fn machine_config(name: &str, role: &str, path: &str) -> Value {
    json!({
        "metadata": { "name": name, "labels": { ROLE: role } },
        "spec": { "config": { "ignition": { "version": "3.4.0" },
            "storage": { "files": [{ "path": path, "mode": 420, "contents": { "source": "data:," } }] } } },
    })
}

fn selector(pool: &str) -> Value {
    match pool {
        "master" | "worker" => json!({ "matchLabels": { ROLE: pool } }),
        custom => json!({ "matchExpressions": [{ "key": ROLE, "operator": "In", "values": ["worker", custom] }] }),
    }
}

/// The machine configs that a pool selects, by name; rendered ones are nobody's source.
pub(crate) fn selected<'a>(selector: &Value, all: impl Iterator<Item = &'a Value>) -> Vec<&'a Value> {
    let source = |mc: &&Value| !name(mc).starts_with("rendered-") && selects(selector, &mc["metadata"]["labels"]);
    let mut found: Vec<&Value> = all.filter(source).collect();
    found.sort_by_key(|mc| name(mc).to_owned());
    found
}

/// The name of what a pool renders: a digest over its sources and the release's own templates.
pub(crate) fn rendered_name(pool: &str, sources: &[&Value], release: &Release, plugin: NetworkPlugin) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(release.version.as_bytes());
    if plugin != NetworkPlugin::default() {
        hasher.update(plugin.name().as_bytes());
    }
    for source in sources {
        hasher.update(name(source).as_bytes()).update(source["spec"].to_string().as_bytes());
    }
    format!("rendered-{pool}-{}", &hasher.finalize().to_hex()[..32])
}

/// What a pool renders from all machine configs.
pub(crate) fn rendered_object<'a>(
    pool: &Value,
    all: impl IntoIterator<Item = &'a Value>,
    release: &Release,
    plugin: NetworkPlugin,
) -> Value {
    let sources = selected(&pool["spec"]["machineConfigSelector"], all.into_iter());
    let files: Vec<&Value> =
        sources.iter().filter_map(|mc| mc.pointer("/spec/config/storage/files")?.as_array()).flatten().collect();
    json!({
        "metadata": {
            "name": rendered_name(name(pool), &sources, release, plugin),
            "annotations": {
                mco("generated-by-controller-version"): &blake3::hash(release.version.as_bytes()).to_hex()[..40],
                RELEASE: release.version,
            },
        },
        "spec": {
            "config": { "ignition": { "version": "3.4.0" }, "storage": { "files": files },
                "systemd": { "units": [{ "name": "ovs-configuration.service", "enabled": true,
                    "contents": ovs_configuration(plugin) }] } },
            "kernelArguments": [], "kernelType": "default", "osImageURL": release.image(),
        },
    })
}

/// The unit that makes the host's bridges before the kubelet starts.
fn ovs_configuration(plugin: NetworkPlugin) -> String {
    format!(
        "[Unit]\nBefore=kubelet.service\n[Service]\nType=oneshot\nExecStart={CONFIGURE_OVS} {}\n\
         [Install]\nWantedBy=network-online.target\n",
        plugin.name()
    )
}

/// The plugin that a rendered config prepares its nodes for.
pub(crate) fn prepared_for(rendered: &Value) -> Option<NetworkPlugin> {
    let units = rendered.pointer("/spec/config/systemd/units")?.as_array()?;
    let unit = units.iter().find(|unit| unit["name"] == "ovs-configuration.service")?;
    let words = text(unit, "/contents").split_once(CONFIGURE_OVS)?.1;
    NetworkPlugin::named(words.split_whitespace().next()?)
}

/// `spec.configuration` of a pool for what it renders.
pub(crate) fn configuration(rendered: &Value, sources: &[&Value]) -> Value {
    let source =
        |mc: &&Value| json!({ "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfig", "name": name(mc) });
    json!({ "name": name(rendered), "source": sources.iter().map(source).collect::<Vec<_>>() })
}

fn pool_object(plan: &Plan<'_>, shape: &PoolShape, sources: &[Value]) -> Value {
    let pool = shape.name.as_str();
    let chosen = selected(&selector(pool), sources.iter());
    let rendered = rendered_name(pool, &chosen, &plan.release, plan.shape.network);
    let mut labels = json!({ format!("pools.operator.machineconfiguration.openshift.io/{pool}"): "" });
    if matches!(pool, "master" | "worker") {
        labels["machineconfiguration.openshift.io/mco-built-in"] = json!("");
    }
    if pool == "master" {
        labels["operator.machineconfiguration.openshift.io/required-for-upgrade"] = json!("");
    }
    let mut object = json!({
        "metadata": { "name": pool, "labels": labels },
        "spec": {
            "configuration": configuration(&json!({ "metadata": { "name": rendered } }), &chosen),
            "machineConfigSelector": selector(pool),
            "nodeSelector": { "matchLabels": { format!("node-role.kubernetes.io/{pool}"): "" } },
            "paused": shape.paused,
        },
        "status": {
            "configuration": { "name": rendered }, "observedGeneration": 1,
            "machineCount": shape.nodes, "updatedMachineCount": shape.nodes, "readyMachineCount": shape.nodes,
            "unavailableMachineCount": 0, "degradedMachineCount": 0,
            "certExpirys": cert_expirys(plan.now, plan.shape.signer_days),
        },
    });
    if shape.max_unavailable != "1" {
        let number = shape.max_unavailable.parse::<u64>();
        object["spec"]["maxUnavailable"] = number.map_or_else(|_| json!(shape.max_unavailable), |n| json!(n));
    }
    let since = plan.now - super::CLUSTER_AGE;
    for kind in ["RenderDegraded", "NodeDegraded", "Degraded"] {
        set_condition(&mut object, kind, &Said::no(), since);
    }
    let updated = Said::new("True", "", format!("All nodes are updated with MachineConfig {rendered}"));
    set_condition(&mut object, "Updated", &updated, since);
    set_condition(&mut object, "Updating", &Said::no(), since);
    spell_out_conditions(&mut object);
    object
}

/// Writes out the empty reasons and messages of a pool's conditions, which its operator does not omit.
pub(crate) fn spell_out_conditions(pool: &mut Value) {
    let conditions = pool["status"]["conditions"].as_array_mut();
    for condition in conditions.into_iter().flatten().filter_map(Value::as_object_mut) {
        for key in ["reason", "message"] {
            condition.entry(key).or_insert_with(|| json!(""));
        }
    }
}

/// `status.certExpirys`: the kube-apiserver's CA bundle.
pub(crate) fn cert_expirys(now: chrono::DateTime<chrono::Utc>, signer_days: i64) -> Value {
    let entry = |subject: &str, days: i64| {
        json!({ "bundle": "KubeAPIServerServingCAData", "subject": format!("CN={subject},OU=openshift"),
            "expiry": rfc3339(now + chrono::TimeDelta::days(days)) })
    };
    json!([
        entry("admin-kubeconfig-signer", 3535),
        entry("kube-apiserver-to-kubelet-signer", signer_days),
        entry("kube-apiserver-localhost-signer", 3535),
        entry("kube-apiserver-lb-signer", 3535),
    ])
}
