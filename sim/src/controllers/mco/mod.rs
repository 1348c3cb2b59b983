//! The machine-config operator: renders pools, and takes their nodes through drain, new image, reboot.

mod drain;
mod operator;
mod pool;
mod update;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::ledger::Disruption;
use super::mirror::News;
use super::{Controller, Cx, earlier};
use crate::rng::Rng;
use crate::store::resources::{CLUSTEROPERATORS, CONFIGMAPS, MACHINECONFIGPOOLS, MACHINECONFIGS, NODES};
use crate::world::config::MCO_IMAGES;
use crate::world::graph::Release;
use crate::world::json::{annotate, name, text};
use crate::world::nodes::mco;
use crate::world::pools::{RELEASE, configuration, rendered_name, rendered_object, selected};
use update::NodeUpdate;

/// Seconds during which a pool's status still shows the old green after a new config was rendered.
const STALE_SECONDS: std::ops::Range<u64> = 10..60;

/// The machine-config operator.
pub(super) struct Mco {
    rng: Rng,
    pools: BTreeMap<String, PoolState>,
    /// Nodes that are being updated.
    updates: BTreeMap<String, NodeUpdate>,
}

/// What the operator remembers of a pool.
#[derive(Debug, Default)]
struct PoolState {
    /// The config that the pool rendered last, as far as the node controller has seen.
    target: String,
    /// When the next config is rendered.
    render_at: Option<DateTime<Utc>>,
    /// When nodes are chosen and the status is written.
    sync_at: Option<DateTime<Utc>>,
}

impl Mco {
    pub(super) fn new(rng: Rng) -> Self {
        Self { rng, pools: BTreeMap::new(), updates: BTreeMap::new() }
    }
}

impl Controller for Mco {
    fn name(&self) -> &'static str {
        "mco"
    }

    fn concerns(&self, news: &News) -> bool {
        let tables = [&MACHINECONFIGPOOLS, &MACHINECONFIGS, &CONFIGMAPS, &CLUSTEROPERATORS];
        !news.nodes.is_empty() || tables.iter().any(|r| news.of(r))
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>> {
        let release = release(cx);
        let pools = cx.store.list(&MACHINECONFIGPOOLS);
        if cx.news.of(&MACHINECONFIGS) || cx.news.of(&CONFIGMAPS) || self.pools.is_empty() {
            self.plan_renders(cx, &pools, &release);
        }
        self.render_due(cx, &pools, &release);
        let touched = touched_pools(cx, &pools);
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

/// The pools of the nodes that changed.
fn touched_pools(cx: &Cx<'_>, pools: &[Arc<Value>]) -> BTreeSet<String> {
    let mut touched = BTreeSet::new();
    for node in &cx.news.nodes {
        match cx.mirror.nodes.get(node) {
            Some(object) => touched.extend(pool::pool_of(pools, object).map(str::to_owned)),
            // A node that went may have been in any pool.
            None => touched.extend(pools.iter().map(|p| name(p).to_owned())),
        }
    }
    touched
}

impl Mco {
    /// Notices pools whose sources or templates changed.
    fn plan_renders(&mut self, cx: &Cx<'_>, pools: &[Arc<Value>], release: &Release) {
        let configs = cx.store.list(&MACHINECONFIGS);
        for pool in pools {
            let sources = selected(&pool["spec"]["machineConfigSelector"], configs.iter().map(|mc| &**mc));
            let wanted = rendered_name(name(pool), &sources, release);
            let state = self.pools.entry(name(pool).to_owned()).or_default();
            if state.target.is_empty() {
                text(pool, "/spec/configuration/name").clone_into(&mut state.target);
            }
            if wanted == text(pool, "/spec/configuration/name") {
                state.render_at = None;
            } else if state.render_at.is_none() {
                state.render_at = Some(cx.in_seconds(self.rng.range(5..20)));
            }
        }
    }

    /// Renders: also for paused pools, whose nodes then wait.
    fn render_due(&mut self, cx: &Cx<'_>, pools: &[Arc<Value>], release: &Release) {
        for pool in pools {
            let Some(state) = self.pools.get_mut(name(pool)) else { continue };
            if state.render_at.take_if(|at| *at <= cx.now).is_none() {
                continue;
            }
            let configs = cx.store.list(&MACHINECONFIGS);
            let mut rendered = rendered_object(pool, configs.iter().map(|mc| &**mc), release);
            rendered["metadata"]["ownerReferences"] = serde_json::json!([{
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
            target.clone_into(&mut state.target);
            state.sync_at = Some(cx.in_seconds(self.rng.range(STALE_SECONDS)));
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
        let nodes = pool::nodes_of(&pools, pool_name, &cx.mirror.nodes);
        cx.modify(&MACHINECONFIGPOOLS, None, pool_name, |p| pool::write_status(p, &nodes, cx.now));
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
