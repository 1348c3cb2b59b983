//! The network operator: refuses unsafe wishes, has the nodes prepared for another plugin, and exchanges the plugins.
//!
//! It says in `status.networkType` what it applied before a single node runs it: until a node has rebooted, its pods talk over the
//! old plugin, and to nobody on a node that has.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::mirror::News;
use super::{Controller, Cx, earlier};
use crate::rng::Rng;
use crate::store::Preconditions;
use crate::store::resources::{CLUSTEROPERATORS, DAEMONSETS, NAMESPACES, NETWORKS_CONFIG, NETWORKS_OPERATOR};
use crate::world::json::{Said, set_condition, text};
use crate::world::network::{CLUSTER, Network};
use crate::world::operators::Operator;
use crate::world::shape::NetworkPlugin;
use crate::world::workloads::daemon_set_object;

/// Seconds from a wish to its effect.
const APPLIES_IN: std::ops::Range<u64> = 10..40;
/// Seconds that operators take to recover once all pods can talk again.
const RECOVERS_IN: std::ops::Range<u64> = 120..360;
/// Operators whose pods on several nodes have to talk to one another.
const TALKERS: [&str; 6] = ["authentication", "console", "image-registry", "ingress", "monitoring", "openshift-apiserver"];
const NETWORK: &str = "network";

/// The network operator.
pub(super) struct Cno {
    rng: Rng,
    /// What is applied next, and when.
    wish: Option<(Wish, DateTime<Utc>)>,
    talk: Talk,
}

/// Whether the pods of all nodes reach one another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Talk {
    All,
    /// Nodes run different plugins.
    Split,
    /// They do no more; operators are well again then.
    Recovering(DateTime<Utc>),
}

/// What the two objects ask for.
#[derive(Clone, PartialEq, Debug)]
struct Wish {
    migration: Value,
    plugin: NetworkPlugin,
    cluster_network: Value,
}

impl Cno {
    pub(super) fn new(rng: Rng) -> Self {
        Self { rng, wish: None, talk: Talk::All }
    }

    /// Looks at what is wished, and applies it when its time has come.
    fn follow_wishes(&mut self, cx: &mut Cx<'_>) {
        let config = cx.store.get(&NETWORKS_CONFIG, None, CLUSTER);
        let (Some(config), Some(operator)) = (config, cx.store.get(&NETWORKS_OPERATOR, None, CLUSTER)) else { return };
        let wish = match wish(&config, &operator) {
            Ok(wish) => wish,
            Err(why) => {
                self.wish = None;
                let how = "Use 'oc edit network.operator.openshift.io cluster' to undo the change.";
                let message = format!("Not applying unsafe configuration change: invalid configuration: [{why}]. {how}");
                return say_degraded(cx, &Said::new("True", "InvalidOperatorConfig", message));
            }
        };
        say_degraded(cx, &Said::no());
        if wish.is_applied(&config) {
            self.wish = None;
            return;
        }
        match self.wish.take() {
            Some((known, at)) if known == wish && at <= cx.now => apply(cx, &config, &wish),
            Some((known, at)) if known == wish => self.wish = Some((known, at)),
            Some(_) | None => self.wish = Some((wish, cx.in_seconds(self.rng.range(APPLIES_IN)))),
        }
    }

    /// Lets operators fail while nodes run different plugins, and recover some time after all run the same.
    fn follow_nodes(&mut self, cx: &mut Cx<'_>) {
        let running = Network::read(cx.store).running;
        let split = cx.mirror.nodes.keys().any(|node| cx.shared.plugins.get(node).is_some_and(|plugin| *plugin != running));
        let talk = match self.talk {
            Talk::All | Talk::Recovering(_) if split => Talk::Split,
            Talk::Split if !split => Talk::Recovering(cx.in_seconds(self.rng.range(RECOVERS_IN))),
            Talk::Recovering(at) if at <= cx.now => Talk::All,
            Talk::All | Talk::Split | Talk::Recovering(_) => return,
        };
        if let (Talk::All, Talk::Split) | (Talk::Recovering(_), Talk::All) = (self.talk, talk) {
            for operator in TALKERS {
                set_talker(cx, operator, talk == Talk::All);
            }
        }
        self.talk = talk;
    }
}

impl Controller for Cno {
    fn name(&self) -> &'static str {
        "cno"
    }

    fn concerns(&self, news: &News) -> bool {
        news.of(&NETWORKS_CONFIG) || news.of(&NETWORKS_OPERATOR) || !news.nodes.is_empty()
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>> {
        self.follow_wishes(cx);
        self.follow_nodes(cx);
        let recovers = match self.talk {
            Talk::Recovering(at) => Some(at),
            Talk::All | Talk::Split => None,
        };
        earlier(self.wish.as_ref().map(|(_, at)| *at), recovers)
    }
}

impl Wish {
    fn is_applied(&self, config: &Value) -> bool {
        let status = &config["status"];
        status["migration"] == self.migration
            && text(config, "/status/networkType") == self.plugin.name()
            && status["clusterNetwork"] == self.cluster_network
    }
}

/// What is asked for, or why it is refused, as the operator of releases 4.8 to 4.16 checks it.
fn wish(config: &Value, operator: &Value) -> Result<Wish, String> {
    let (spec, status) = (&config["spec"], &config["status"]);
    let (wanted, applied) = (text(config, "/spec/networkType"), text(config, "/status/networkType"));
    let plugin = NetworkPlugin::named(wanted).ok_or_else(|| format!("unsupported network type: {wanted}"))?;
    let target = text(operator, "/spec/migration/networkType");
    // Nothing migrates to Kuryr, and from it the only way leads to OVN-Kubernetes.
    let from_kuryr = NetworkPlugin::named(applied) == Some(NetworkPlugin::Kuryr);
    let possible = match NetworkPlugin::named(target) {
        Some(NetworkPlugin::Ovn) => true,
        Some(NetworkPlugin::Sdn) => !from_kuryr,
        Some(NetworkPlugin::Kuryr) | None => false,
    };
    if !target.is_empty() && !possible {
        return Err(format!("unsupported migration target network type: {target}"));
    }
    if from_kuryr && text(operator, "/spec/migration/mode") == "Live" {
        return Err("live migration is only supported from OpenShiftSDN or OVNKubernetes".to_owned());
    }
    let under_way = text(config, "/status/migration/networkType");
    if wanted != applied && target.is_empty() {
        return Err("cannot change default network type when not doing migration".to_owned());
    }
    if wanted != applied && target != wanted {
        return Err("can only change default network type to the target migration network type".to_owned());
    }
    if !target.is_empty() && !under_way.is_empty() && target != under_way {
        return Err("cannot change migration network type after migration has started".to_owned());
    }
    if spec["serviceNetwork"] != status["serviceNetwork"] {
        return Err("cannot change ServiceNetwork during migration".to_owned());
    }
    if spec["clusterNetwork"] != status["clusterNetwork"] && wanted == applied {
        return Err("cannot change ClusterNetwork".to_owned());
    }
    let migration = if target.is_empty() { Value::Null } else { json!({ "networkType": target }) };
    Ok(Wish { migration, plugin, cluster_network: spec["clusterNetwork"].clone() })
}

fn apply(cx: &mut Cx<'_>, config: &Value, wish: &Wish) {
    let was = NetworkPlugin::named(text(config, "/status/networkType")).unwrap_or_default();
    cx.modify(&NETWORKS_CONFIG, None, CLUSTER, |c| {
        c["status"]["networkType"] = json!(wish.plugin.name());
        c["status"]["clusterNetwork"] = wish.cluster_network.clone();
        if wish.migration.is_null() {
            c["status"].as_object_mut().map(|status| status.remove("migration"));
        } else {
            c["status"]["migration"] = wish.migration.clone();
        }
    });
    if was != wish.plugin {
        exchange(cx, was, wish.plugin);
    }
}

/// Takes the old plugin's daemons away and starts the new one's; the old namespace stays.
fn exchange(cx: &Cx<'_>, was: NetworkPlugin, plugin: NetworkPlugin) {
    cx.modify(&NETWORKS_OPERATOR, None, CLUSTER, |o| o["spec"]["defaultNetwork"]["type"] = json!(plugin.name()));
    let (namespace, set) = was.daemon_set();
    if cx.store.delete(&DAEMONSETS, Some(namespace), set, &Preconditions::default()).is_err() {
        tracing::debug!(namespace, set, "the old plugin's daemons were gone already");
    }
    let (namespace, set) = plugin.daemon_set();
    cx.create(
        &NAMESPACES,
        json!({ "metadata": { "name": namespace, "labels": { "kubernetes.io/metadata.name": namespace } },
        "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" } }),
    );
    cx.create(&DAEMONSETS, daemon_set_object(namespace, set));
    // multus gets another argument with another plugin.
    cx.modify(&DAEMONSETS, Some("openshift-multus"), "multus", |s| {
        s["spec"]["template"]["metadata"]["annotations"] = json!({ "network.operator.openshift.io/plugin": plugin.name() });
    });
}

fn say_degraded(cx: &Cx<'_>, said: &Said) {
    if !cx.shared.board.degraded(NETWORK) {
        cx.modify(&CLUSTEROPERATORS, None, NETWORK, |o| set_condition(o, "Degraded", said, cx.now));
    }
}

fn set_talker(cx: &Cx<'_>, name: &str, well: bool) {
    if cx.shared.board.degraded(name) {
        return;
    }
    let Some(operator) = Operator::named(name) else { return };
    cx.modify(&CLUSTEROPERATORS, None, name, |object: &mut Value| {
        let version = object["status"]["versions"].as_array().into_iter().flatten().find(|v| v["name"] == "operator");
        let [available, _, _] = operator.healthy(version.map_or("", |v| text(v, "/version")), 0, 0);
        let (available, degraded) = if well {
            (Said::new("True", "AsExpected", available), Said::no())
        } else {
            let why = "pods on other nodes can't be reached";
            (Said::new("False", "Unreachable", why), Said::new("True", "Unreachable", why))
        };
        set_condition(object, "Available", &available, cx.now);
        set_condition(object, "Degraded", &degraded, cx.now);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(spec: &str, status: &str, under_way: Option<&str>) -> Value {
        let ranges = json!([{ "cidr": "10.128.0.0/14", "hostPrefix": 23 }]);
        let mut config = json!({ "spec": { "networkType": spec, "clusterNetwork": ranges, "serviceNetwork": ["172.30.0.0/16"] },
            "status": { "networkType": status, "clusterNetwork": ranges, "serviceNetwork": ["172.30.0.0/16"] } });
        if let Some(plugin) = under_way {
            config["status"]["migration"] = json!({ "networkType": plugin });
        }
        config
    }

    #[test]
    fn unsafe_wishes_are_refused_in_the_operators_words() {
        const SDN: &str = "OpenShiftSDN";
        const OVN: &str = "OVNKubernetes";
        const KURYR: &str = "Kuryr";
        for (spec, status, under_way, target, expected) in [
            (OVN, SDN, None, None, Err("cannot change default network type when not doing migration")),
            (OVN, SDN, Some(SDN), Some(SDN), Err("can only change default network type to the target migration network type")),
            (SDN, SDN, Some(OVN), Some(SDN), Err("cannot change migration network type after migration has started")),
            ("Calico", SDN, None, None, Err("unsupported network type: Calico")),
            (KURYR, KURYR, None, Some(SDN), Err("unsupported migration target network type: OpenShiftSDN")),
            (SDN, SDN, None, Some(KURYR), Err("unsupported migration target network type: Kuryr")),
            (OVN, KURYR, None, None, Err("cannot change default network type when not doing migration")),
            (OVN, KURYR, Some(OVN), Some(OVN), Ok(NetworkPlugin::Ovn)),
            (SDN, SDN, None, Some("Calico"), Err("unsupported migration target network type: Calico")),
            (SDN, SDN, None, Some(OVN), Ok(NetworkPlugin::Sdn)),
            (OVN, SDN, Some(OVN), Some(OVN), Ok(NetworkPlugin::Ovn)),
            (SDN, SDN, Some(OVN), None, Ok(NetworkPlugin::Sdn)),
        ] {
            let operator = json!({ "spec": { "migration": target.map(|target| json!({ "networkType": target })) } });
            let found = wish(&network(spec, status, under_way), &operator);
            assert_eq!(
                found.map(|wish| wish.plugin),
                expected.map_err(str::to_owned),
                "{spec} {status} {under_way:?} {target:?}"
            );
        }
        let live = json!({ "spec": { "migration": { "networkType": OVN, "mode": "Live" } } });
        assert!(wish(&network(KURYR, KURYR, None), &live).unwrap_err().starts_with("live migration"));
        assert!(wish(&network(SDN, SDN, None), &live).is_ok());
        let mut services = network(SDN, SDN, None);
        services["spec"]["serviceNetwork"] = json!(["172.31.0.0/16"]);
        assert_eq!(wish(&services, &json!({})).unwrap_err(), "cannot change ServiceNetwork during migration");
    }
}
