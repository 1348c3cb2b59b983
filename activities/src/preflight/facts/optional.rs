//! The optional reads of a preflight: each may be refused or have nothing to read without stopping the others.

use std::collections::BTreeSet;

use serde_json::json;
use windlass_engine::{Activity, ActivityContext, ActivityError, FailureKind};

use super::{Facts, Look, Replicas, Signed, patiently};
use crate::cluster::{Cluster, Query};
use crate::credentials::{CredentialsState, ReadCredentials};
use crate::error::CallError;
use crate::health::{HealthProbes, ProbeHealth, PrometheusProbe};
use crate::lease;
use crate::preflight::Preflight;
use crate::rbac::{self, Permission};
use crate::target::CheckDisconnected;
use crate::views::{
    AccessReview, ConfigMap, ContentSourcePolicy, Deployment, DigestMirrorSet, InstalledOperator, MutatingWebhooks, Node,
    RenderedConfig, StatefulSet, ValidatingWebhooks, View, Webhook,
};

/// A cluster has a handful of rendered configurations in use; each is asked for by name, never listed.
const RENDERED_LIMIT: usize = 100;

/// Where components run whose only replica must not be away unnoticed, and how their names begin.
const CRUCIAL: [(&str, &[&str]); 3] = [
    ("openshift-image-registry", &["image-registry"]),
    ("openshift-ingress", &["router-"]),
    ("openshift-monitoring", &["alertmanager-main", "prometheus-k8s", "thanos-querier", "metrics-server", "prometheus-adapter"]),
];

impl Facts {
    /// Adds what the checks can do without.
    pub(super) async fn look_further(
        &mut self,
        cx: &ActivityContext<Cluster>,
        plan: &Preflight,
        say: impl Fn(&str),
    ) -> Result<(), ActivityError> {
        let cluster = cx.world();
        let all = Query::default();
        say("what ties pods to nodes");
        self.volumes = listed(cx, &all).await?;
        self.virtual_machines = listed(cx, &all).await?;
        say("the platform and etcd");
        self.platform = one(cx, None, "cluster").await?;
        self.network = one(cx, None, "cluster").await?;
        self.etcd = one(cx, None, "cluster").await?;
        self.etcd_endpoints = one::<ConfigMap>(cx, Some("openshift-etcd"), "etcd-endpoints").await?;
        self.hosts = listed(cx, &all).await?;
        self.node_health_checks = listed(cx, &all).await?;
        self.storage = listed(cx, &all).await?;
        self.lock = one(cx, Some(lease::NAMESPACE), lease::NAME).await?;
        self.us = cluster.us().cloned();
        say("rendered configurations");
        self.unrendered = Look::of(unrendered(cx, &named_configs(self)).await)?;
        say("installed operators, webhooks and single replicas");
        let originals = Query { labels: Some("!olm.copiedFrom".to_owned()), ..Query::default() };
        self.installed = Look::of(patiently!(cx, cluster.list_metadata::<InstalledOperator>(&originals)))?;
        self.webhooks = Look::of(webhooks(cx).await)?;
        self.services = listed(cx, &all).await?;
        self.replicas = Look::of(replicas(cx).await)?;
        say("what this login may do");
        self.denied = Look::of(denied(cx, &plan.asked_permissions()).await)?;
        self.signed = signed(cx, plan).await?;
        self.credentials = credentials(cx).await?;
        self.alerts = alerts(cx, plan.prometheus.as_ref()).await?;
        Ok(())
    }
}

async fn listed<K: View>(cx: &ActivityContext<Cluster>, query: &Query) -> Result<Look<Vec<K>>, ActivityError> {
    Look::of(patiently!(cx, cx.world().list(query)))
}

async fn one<K: View>(cx: &ActivityContext<Cluster>, namespace: Option<&str>, name: &str) -> Result<Look<K>, ActivityError> {
    Ok(match Look::of(patiently!(cx, cx.world().get(namespace, name)))? {
        Look::Seen(found) => found.map_or(Look::Absent, Look::Seen),
        Look::Absent => Look::Absent,
        Look::Unreadable(why) => Look::Unreadable(why),
    })
}

/// Every rendered configuration that a node or a pool names.
fn named_configs(facts: &Facts) -> BTreeSet<String> {
    let of_node = |node: &Node| [node.current_config().to_owned(), node.desired_config().to_owned()];
    let of_pools = facts.pools.iter().map(|pool| pool.spec.configuration.name.clone());
    let all = facts.nodes.iter().flat_map(of_node).chain(of_pools).filter(|name| !name.is_empty());
    all.collect::<BTreeSet<_>>().into_iter().take(RENDERED_LIMIT).collect()
}

async fn unrendered(cx: &ActivityContext<Cluster>, names: &BTreeSet<String>) -> Result<BTreeSet<String>, CallError> {
    let mut gone = BTreeSet::new();
    for name in names {
        if patiently!(cx, cx.world().get_metadata::<RenderedConfig>(None, name))?.is_none() {
            gone.insert(name.clone());
        }
    }
    Ok(gone)
}

/// The hooks of both kinds, each with the name of its configuration.
async fn webhooks(cx: &ActivityContext<Cluster>) -> Result<Vec<(String, Webhook)>, CallError> {
    let all = Query::default();
    let named = |name: &str, hooks: Vec<Webhook>| hooks.into_iter().map(|hook| (name.to_owned(), hook)).collect::<Vec<_>>();
    let mut found = Vec::new();
    for kept in patiently!(cx, cx.world().list::<ValidatingWebhooks>(&all))? {
        found.extend(named(kept.name(), kept.webhooks.clone()));
    }
    for kept in patiently!(cx, cx.world().list::<MutatingWebhooks>(&all))? {
        found.extend(named(kept.name(), kept.webhooks.clone()));
    }
    Ok(found)
}

async fn replicas(cx: &ActivityContext<Cluster>) -> Result<Vec<Replicas>, CallError> {
    let mut found = Vec::new();
    for (namespace, prefixes) in CRUCIAL {
        let query = Query { namespace: Some(namespace.to_owned()), ..Query::default() };
        let deployments = patiently!(cx, cx.world().list_if_served::<Deployment>(&query))?;
        let sets = patiently!(cx, cx.world().list_if_served::<StatefulSet>(&query))?;
        let counted = deployments
            .iter()
            .map(|one| (one.name(), one.spec.replicas))
            .chain(sets.iter().map(|one| (one.name(), one.spec.replicas)));
        let crucial = counted.filter(|(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)));
        found.extend(crucial.map(|(name, wished)| Replicas {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            wished: wished.unwrap_or(1),
        }));
    }
    Ok(found)
}

/// Asks for each permission whether the login has it; returns those that it lacks.
async fn denied(cx: &ActivityContext<Cluster>, permissions: &BTreeSet<Permission>) -> Result<Vec<Permission>, CallError> {
    let mut lacking = Vec::new();
    for permission in permissions {
        let (resource, part) = permission.resource.split_once('/').unwrap_or((permission.resource, ""));
        let asked = json!({"verb": permission.verb, "group": permission.group, "resource": resource, "subresource": part,
            "namespace": permission.namespace.unwrap_or_default()});
        let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked}});
        if !patiently!(cx, cx.world().create::<AccessReview>(None, &body))?.status.allowed {
            lacking.push(*permission);
        }
    }
    Ok(lacking)
}

/// Looks for signature and mirrors of every pinned release.
async fn signed(cx: &ActivityContext<Cluster>, plan: &Preflight) -> Result<Look<Vec<Signed>>, ActivityError> {
    let (cluster, all) = (cx.world(), Query::default());
    let mirrored = || async {
        Ok::<bool, CallError>(
            !cluster.list_if_served::<DigestMirrorSet>(&all).await?.is_empty()
                || !cluster.list_if_served::<ContentSourcePolicy>(&all).await?.is_empty(),
        )
    };
    let mirrored = Look::of(patiently!(cx, mirrored()))?;
    match mirrored {
        Look::Seen(true) => {}
        // Without mirrors the nodes reach the vendor, and so does the operator for the signatures.
        Look::Seen(false) | Look::Absent => return Ok(Look::Absent),
        Look::Unreadable(why) => return Ok(Look::Unreadable(why)),
    }
    let mut found = Vec::new();
    for release in &plan.releases {
        match patiently!(cx, CheckDisconnected { release: release.clone() }.run(cx.clone())) {
            Ok(seen) => found.push(Signed {
                release: release.version.to_string(),
                lacking: seen.findings.into_iter().map(|finding| format!("{}: {}", finding.what, finding.remedy)).collect(),
            }),
            Err(error) if error.kind == FailureKind::Permanent => return Ok(Look::Unreadable(error.message)),
            Err(error) => return Err(error),
        }
    }
    Ok(Look::Seen(found))
}

async fn credentials(cx: &ActivityContext<Cluster>) -> Result<Look<CredentialsState>, ActivityError> {
    match patiently!(cx, ReadCredentials {}.run(cx.clone())) {
        Ok(state) => Ok(Look::Seen(state)),
        Err(error) if error.kind == FailureKind::Permanent => Ok(Look::Unreadable(error.message)),
        Err(error) => Err(error),
    }
}

/// Asks Prometheus, if one is configured; its answer or its silence is evidence, not an error.
async fn alerts(
    cx: &ActivityContext<Cluster>,
    prometheus: Option<&PrometheusProbe>,
) -> Result<Look<Result<Vec<String>, String>>, ActivityError> {
    let Some(prometheus) = prometheus else { return Ok(Look::Absent) };
    let probes = HealthProbes { prometheus: Some(prometheus.clone()), ..HealthProbes::default() };
    match (ProbeHealth { probes, label: "preflight".to_owned() }).run(cx.clone()).await {
        Ok(well) => Ok(Look::Seen(Ok(well.evidence))),
        Err(error) if error.kind == FailureKind::Permanent => Ok(Look::Seen(Err(error.message))),
        Err(error) => Ok(Look::Unreadable(error.message)),
    }
}

impl Preflight {
    /// The permissions of every activity of the run, without those for which the preflight has no need.
    fn asked_permissions(&self) -> BTreeSet<Permission> {
        let optional: BTreeSet<Permission> = rbac::PREFLIGHT_OPTIONAL.into_iter().collect();
        let permissions: Vec<Permission> = if self.activities.is_empty() {
            rbac::UPDATE_ACTIVITIES.iter().filter_map(|name| rbac::needed_by(name.as_str())).flatten().collect()
        } else {
            self.activities.iter().filter_map(|name| rbac::needed_by(name)).flatten().collect()
        };
        permissions.into_iter().filter(|permission| !optional.contains(permission)).collect()
    }
}
