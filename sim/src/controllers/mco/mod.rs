//! The machine-config operator: renders pools, and takes their nodes through drain, new image, reboot.

mod configs;
mod drain;
mod membership;
mod operator;
mod pool;
mod update;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::ledger::Disruption;
use super::mirror::News;
use super::{Controller, Cx, earlier};
use crate::rng::Rng;
use crate::store::resources::{CLUSTEROPERATORS, CONFIGMAPS, MACHINECONFIGPOOLS, MACHINECONFIGS, NETWORKS_CONFIG, NODES};
use crate::world::config::MCO_IMAGES;
use crate::world::graph::Release;
use crate::world::json::{Said, annotate, name, set_condition, text};
use crate::world::network::Network;
use crate::world::nodes::mco;
use crate::world::pools::{RELEASE, configuration, rendered_name, rendered_object, selected, spell_out_conditions};
use membership::Membership;
use update::NodeUpdate;

/// Seconds during which a pool's status still shows the old green after a new config was rendered.
const STALE_SECONDS: std::ops::Range<u64> = 10..60;

/// The machine-config operator.
pub(super) struct Mco {
    rng: Rng,
    pools: BTreeMap<String, PoolState>,
    membership: Membership,
    /// Nodes that are being updated.
    updates: BTreeMap<String, NodeUpdate>,
}

/// What the operator remembers of a pool.
#[derive(Debug, Default)]
struct PoolState {
    uid: Value,
    /// `spec.machineConfigSelector` and `spec.nodeSelector`, as they were seen last.
    selectors: [Value; 2],
    /// The config that the pool rendered last, as far as the node controller has seen.
    target: String,
    /// When the next config is rendered.
    render_at: Option<DateTime<Utc>>,
    /// When nodes are chosen and the status is written.
    sync_at: Option<DateTime<Utc>>,
}

impl Mco {
    pub(super) fn new(rng: Rng) -> Self {
        Self { rng, pools: BTreeMap::new(), membership: Membership::default(), updates: BTreeMap::new() }
    }
}

impl Controller for Mco {
    fn name(&self) -> &'static str {
        "mco"
    }

    fn concerns(&self, news: &News) -> bool {
        let tables = [&MACHINECONFIGPOOLS, &MACHINECONFIGS, &CONFIGMAPS, &CLUSTEROPERATORS, &NETWORKS_CONFIG];
        !news.nodes.is_empty() || tables.iter().any(|r| news.of(r))
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>> {
        let release = release(cx);
        let pools = cx.store.list(&MACHINECONFIGPOOLS);
        let reshaped = self.forget_deleted(cx, &pools) | self.meet_new(&pools);
        if [&MACHINECONFIGS, &CONFIGMAPS, &NETWORKS_CONFIG].iter().any(|r| cx.news.of(r)) || reshaped {
            self.plan_renders(cx, &pools, &release);
            configs::judge_nodes(cx);
        }
        self.render_due(cx, &pools, &release);
        let touched = self.membership.follow(cx, &pools, reshaped);
        for pool in &pools {
            self.follow(cx, pool, &touched);
        }
        self.step_updates(cx);
        operator::report(cx, &release);
        let pools = self.pools.values().fold(None, |due, p| earlier(due, earlier(p.render_at, p.sync_at)));
        self.updates.values().fold(pools, |due, u| earlier(due, u.due()))
    }
}

/// The release whose templates the operator renders from.
fn release(cx: &Cx<'_>) -> Release {
    let images = cx.store.get(&CONFIGMAPS, Some(MCO_IMAGES.0), MCO_IMAGES.1);
    let version = images.as_ref().map_or("", |m| text(m, "/data/releaseVersion"));
    find_release(cx, version)
}

fn find_release(cx: &Cx<'_>, version: &str) -> Release {
    cx.shared.graph.release(version).cloned().unwrap_or_else(|| Release { version: version.to_owned(), channels: vec![] })
}

fn selectors(pool: &Value) -> [Value; 2] {
    ["machineConfigSelector", "nodeSelector"].map(|key| pool["spec"][key].clone())
}

impl Mco {
    /// Forgets pools that are gone, and lets what they rendered go with them; says whether there was one.
    fn forget_deleted(&mut self, cx: &Cx<'_>, pools: &[Arc<Value>]) -> bool {
        let lives = |state: &PoolState| pools.iter().any(|p| p["metadata"]["uid"] == state.uid);
        let gone: Vec<Value> = self.pools.values().filter(|s| !lives(s)).map(|s| s.uid.clone()).collect();
        self.pools.retain(|_, state| !gone.contains(&state.uid));
        for uid in &gone {
            configs::collect(cx, uid);
        }
        !gone.is_empty()
    }

    /// Takes note of pools that are new or select otherwise than before; says whether there was one.
    fn meet_new(&mut self, pools: &[Arc<Value>]) -> bool {
        let mut met = false;
        for pool in pools {
            let state = self.pools.entry(name(pool).to_owned()).or_default();
            let selectors = selectors(pool);
            if state.uid != pool["metadata"]["uid"] {
                state.uid = pool["metadata"]["uid"].clone();
                text(pool, "/spec/configuration/name").clone_into(&mut state.target);
            } else if state.selectors == selectors {
                continue;
            }
            state.selectors = selectors;
            met = true;
        }
        met
    }

    /// Notices pools whose sources or templates changed.
    fn plan_renders(&mut self, cx: &Cx<'_>, pools: &[Arc<Value>], release: &Release) {
        let configs = cx.store.list(&MACHINECONFIGS);
        let plugin = Network::read(cx.store).rendered();
        for pool in pools {
            let sources = selected(&pool["spec"]["machineConfigSelector"], configs.iter().map(|mc| &**mc));
            let Some(state) = self.pools.get_mut(name(pool)) else { continue };
            show_render(cx, pool, sources.len());
            if sources.is_empty() {
                state.render_at = None;
                continue;
            }
            let wanted = rendered_name(name(pool), &sources, release, plugin);
            if wanted == text(pool, "/spec/configuration/name") {
                state.render_at = None;
            } else if state.render_at.is_none() {
                state.render_at = Some(cx.in_seconds(self.rng.range(5..20)));
            }
        }
    }

    /// Renders: also for paused pools, whose nodes then wait.
    fn render_due(&mut self, cx: &Cx<'_>, pools: &[Arc<Value>], release: &Release) {
        let plugin = Network::read(cx.store).rendered();
        for pool in pools {
            let Some(state) = self.pools.get_mut(name(pool)) else { continue };
            if state.render_at.take_if(|at| *at <= cx.now).is_none() {
                continue;
            }
            let configs = cx.store.list(&MACHINECONFIGS);
            let mut rendered = rendered_object(pool, configs.iter().map(|mc| &**mc), release, plugin);
            rendered["metadata"]["ownerReferences"] = json!([{
                "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfigPool", "name": name(pool),
                "uid": pool["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true }]);
            let sources = selected(&pool["spec"]["machineConfigSelector"], configs.iter().map(|mc| &**mc));
            let spec = configuration(&rendered, &sources);
            cx.create(&MACHINECONFIGS, rendered);
            cx.modify(&MACHINECONFIGPOOLS, None, name(pool), |p| p["spec"]["configuration"] = spec);
        }
    }

    /// Decides when a pool is looked at, and looks at it.
    fn follow(&mut self, cx: &mut Cx<'_>, pool: &Value, touched: &BTreeSet<String>) {
        let pool_name = name(pool);
        let Some(state) = self.pools.get_mut(pool_name) else { return };
        let target = text(pool, "/spec/configuration/name");
        if state.target != target {
            // A pool that never had a config has no green to be stale.
            let delay = if state.target.is_empty() { 1..5 } else { STALE_SECONDS };
            target.clone_into(&mut state.target);
            state.sync_at = Some(cx.in_seconds(self.rng.range(delay)));
        } else if state.sync_at.is_none() {
            let respecified = pool["metadata"]["generation"] != pool["status"]["observedGeneration"];
            if respecified || touched.contains(pool_name) {
                state.sync_at = Some(cx.in_seconds(self.rng.range(1..5)));
            }
        }
        if state.sync_at.take_if(|at| *at <= cx.now).is_some() {
            self.sync(cx, pool_name);
        }
    }

    /// Chooses nodes to update, and writes the pool's status.
    fn sync(&mut self, cx: &mut Cx<'_>, pool_name: &str) {
        let pools = cx.store.list(&MACHINECONFIGPOOLS);
        let Some(pool) = pools.iter().find(|p| name(p) == pool_name) else { return };
        if text(pool, "/spec/configuration/name").is_empty() {
            return;
        }
        let nodes = pool::nodes_of(&pools, pool_name, &cx.mirror.nodes);
        let certificates = pools.iter().map(|p| &p["status"]["certExpirys"]).find(|c| c.is_array());
        cx.modify(&MACHINECONFIGPOOLS, None, pool_name, |p| {
            pool::write_status(p, &nodes, cx.now);
            if let (Value::Null, Some(known)) = (&p["status"]["certExpirys"], certificates) {
                p["status"]["certExpirys"] = known.clone();
            }
        });
        if pool["spec"]["paused"] == true {
            return;
        }
        let target = text(pool, "/spec/configuration/name");
        let allowed = pool::max_unavailable(pool, nodes.len());
        let busy = |node: &str| self.updates.contains_key(node);
        let chosen = pool::candidates(&nodes, target, allowed, busy);
        for node in chosen {
            self.begin(cx, pool_name, &node, target);
            let updating = self.updates.values().filter(|u| u.pool == pool_name).count();
            let disruption = Disruption { pool: pool_name.to_owned(), at: cx.now, updating, allowed };
            cx.shared.ledger().disruptions.push(disruption);
        }
    }

    fn begin(&mut self, cx: &Cx<'_>, pool: &str, node: &str, target: &str) {
        let rendered = cx.store.get(&MACHINECONFIGS, None, target);
        let version = rendered.as_ref().and_then(|mc| mc["metadata"]["annotations"][RELEASE].as_str()).unwrap_or_default();
        cx.modify(&NODES, None, node, |n| annotate(n, &mco("desiredConfig"), target));
        let update = NodeUpdate::new(pool, target, find_release(cx, version), cx.in_seconds(self.rng.range(2..6)));
        self.updates.insert(node.to_owned(), update);
    }

    fn step_updates(&mut self, cx: &mut Cx<'_>) {
        let nodes: Vec<String> = self.updates.keys().cloned().collect();
        for node in nodes {
            let gone = !cx.mirror.nodes.contains_key(&node);
            let Some(update) = self.updates.get_mut(&node) else { continue };
            if gone || update.step(cx, &node, &mut self.rng) {
                let pool = update.pool.clone();
                self.updates.remove(&node);
                // The freed place is given to the next node.
                if let Some(state) = self.pools.get_mut(&pool) {
                    state.sync_at.get_or_insert(cx.in_seconds(self.rng.range(1..5)));
                }
            }
        }
    }
}

/// Says whether a pool's sources could be rendered: a selector that selects nothing is an error.
fn show_render(cx: &Cx<'_>, pool: &Value, sources: usize) {
    let said = if sources > 0 {
        Said::no()
    } else {
        let why = "no MachineConfigs found matching selector";
        Said::new("True", "", format!("Failed to render configuration for pool {}: {why}", name(pool)))
    };
    cx.modify(&MACHINECONFIGPOOLS, None, name(pool), |p| {
        set_condition(p, "RenderDegraded", &said, cx.now);
        pool::show_degraded(p, cx.now);
        spell_out_conditions(p);
    });
}
