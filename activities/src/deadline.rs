//! Deadlines that come from the cluster: certificates, pause ages, the vendor's limit on paused pools.
//!
//! The API server proves itself to kubelets with a certificate of `kube-apiserver-to-kubelet-signer`. That signer is replaced
//! after four fifths of its life (day 292 of 365). Until 4.12 nodes learn of the new one with their pool's configuration, so
//! those of a paused pool do not; since 4.13 they do, paused or not.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect, Registry, Timestamp};

use crate::cluster::{Cluster, Query};
use crate::ids::PoolName;
use crate::release::Minor;
use crate::views::{ClusterVersion, MachineConfigPool, TlsSecret, View as _};

/// Registers the activities of this family.
pub(crate) fn register(registry: Registry, cluster: &Arc<Cluster>) -> Registry {
    registry.activity::<ReadDeadlines>(cluster)
}

/// A moment by which something must be done, and what happens otherwise.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Deadline {
    /// What comes to pass: `signer kube-apiserver-to-kubelet-signer ends`.
    pub what: String,
    /// When.
    pub at: Timestamp,
    /// Where that is from.
    pub source: String,
    /// What happens then.
    pub consequence: String,
}

/// A pool that is paused, and since when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PausedPool {
    /// The pool.
    pub pool: PoolName,
    /// When it was paused.
    pub since: Timestamp,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Two weekends are left to place a window in. Certificates that renew themselves half-way through a month never come so near.
const WARNING: Duration = DAY.saturating_mul(14);
/// One weekend is left, and a large pool takes all of it.
const ESCALATION: Duration = DAY.saturating_mul(7);
/// The vendor supports pools that are paused for the length of an EUS update, and no longer than this.
const PAUSE_LIMIT: Duration = DAY.saturating_mul(60);
/// The life of the kubelet signer where the secret does not say when it began.
const SIGNER_LIFE: Duration = DAY.saturating_mul(365);
/// The first minor release that gives nodes of paused pools the new signer.
const SYNCED_SINCE: Minor = Minor { major: 4, minor: 13 };

impl Deadline {
    /// When a person should know: two weeks before.
    pub fn warn_at(&self) -> Timestamp {
        before(self.at, WARNING)
    }

    /// When a person must act: a week before.
    pub fn escalate_at(&self) -> Timestamp {
        before(self.at, ESCALATION)
    }
}

fn before(at: Timestamp, margin: Duration) -> Timestamp {
    Timestamp::from_micros(at.as_micros().saturating_sub_unsigned(u64::try_from(margin.as_micros()).unwrap_or(u64::MAX)))
}

/// Reads the deadlines that the cluster sets, the earliest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReadDeadlines {
    /// The pools that are paused, or will be; others that the cluster has paused are found.
    pub paused: Vec<PausedPool>,
}

impl Activity for ReadDeadlines {
    const NAME: ActivityName = ActivityName::new("read-deadlines");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Vec<Deadline>;

    fn summary(&self) -> String {
        "read when certificates end and how long pools may stay paused".to_owned()
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Vec<Deadline>, ActivityError> {
        let version: ClusterVersion = cx.world().must_get(None, "version").await?;
        let pools = cx.world().list(&Query::default()).await?;
        let mut signers = Vec::new();
        for (namespace, name, _) in SIGNERS {
            signers.extend(cx.world().get_metadata::<TlsSecret>(Some(namespace), name).await?);
        }
        Ok(deadlines(&Facts { version, pools, signers, paused: self.paused }))
    }
}

/// What deadlines are reckoned from.
struct Facts {
    version: ClusterVersion,
    pools: Vec<MachineConfigPool>,
    signers: Vec<TlsSecret>,
    paused: Vec<PausedPool>,
}

const KUBELET_SIGNER: &str = "kube-apiserver-to-kubelet-signer";

/// Signers whose end cuts nodes off from the API server or the API server from nodes: where, which, and what then happens.
const SIGNERS: [(&str, &str, &str); 3] = [
    ("openshift-kube-apiserver-operator", KUBELET_SIGNER, "kubelets refuse the API server: no logs, exec, debug or attach"),
    (
        "openshift-kube-apiserver-operator",
        "loadbalancer-serving-signer",
        "kubelets and clients no longer trust the API server's address: nodes become NotReady",
    ),
    (
        "openshift-kube-controller-manager-operator",
        "csr-signer-signer",
        "kubelets get no new certificates: nodes become NotReady as theirs end",
    ),
];

/// Every deadline that follows from the facts, the earliest first.
fn deadlines(facts: &Facts) -> Vec<Deadline> {
    let mut paused = facts.paused.clone();
    let known: Vec<PoolName> = paused.iter().map(|pool| pool.pool.clone()).collect();
    let found = facts.pools.iter().filter(|pool| pool.spec.paused && !known.contains(&pool.name().into()));
    paused.extend(found.filter_map(paused_by_others));
    let mut deadlines: Vec<Deadline> = facts.signers.iter().filter_map(end_of_signer).collect();
    if !synced(&facts.version) {
        let kubelet = facts.signers.iter().find(|signer| signer.name() == KUBELET_SIGNER);
        deadlines.extend(kubelet.into_iter().flat_map(|signer| rotations(signer, &paused)));
    }
    deadlines.extend(facts.pools.iter().filter(|pool| pool.name() != "master").filter_map(first_expiry));
    deadlines.extend(paused.iter().map(pause_limit));
    deadlines.sort_by(|a, b| (a.at, &a.what).cmp(&(b.at, &b.what)));
    deadlines
}

/// Whether nodes of paused pools learn of a new kubelet signer: by the release that is wholly applied. Unknown is no.
fn synced(version: &ClusterVersion) -> bool {
    let applied = version.completed().and_then(|entry| entry.version.parse::<semver::Version>().ok());
    applied.is_some_and(|version| Minor::of(&version) >= SYNCED_SINCE)
}

fn end_of_signer(signer: &TlsSecret) -> Option<Deadline> {
    let (namespace, name, consequence) = SIGNERS.into_iter().find(|(_, name, _)| *name == signer.name())?;
    Some(Deadline {
        what: format!("signer {name} ends"),
        at: signer.not_after()?.into(),
        source: format!("secret {name} in {namespace}, auth.openshift.io/certificate-not-after"),
        consequence: consequence.to_owned(),
    })
}

/// The kubelet signer's replacement, as paused pools up to 4.12 meet it: the next, and the last one for those that missed it.
fn rotations(signer: &TlsSecret, paused: &[PausedPool]) -> Vec<Deadline> {
    let Some(ends) = signer.not_after().map(Timestamp::from) else { return Vec::new() };
    let begun = signer.not_before().map_or_else(|| before(ends, SIGNER_LIFE), Timestamp::from);
    let consequence = "until 4.12, nodes of paused pools don't learn of the new signer: their kubelets refuse the API server";
    let next = Deadline {
        what: format!("signer {KUBELET_SIGNER} is replaced"),
        at: begun.plus(ends.since(begun) / 5 * 4),
        source: "four fifths of the life of its certificate: day 292 of 365".to_owned(),
        consequence: consequence.to_owned(),
    };
    let missed = paused.iter().filter(|pool| pool.since < begun).map(|pool| Deadline {
        what: format!("pool {} missed the replacement of signer {KUBELET_SIGNER}", pool.pool),
        at: begun,
        source: format!("the signer is from {}, the pool is paused since {}", day(begun), day(pool.since)),
        consequence: "its kubelets refuse the API server until it is unpaused: no logs, exec, debug or attach".to_owned(),
    });
    std::iter::once(next).chain(missed).collect()
}

/// The first certificate to end of those that a pool's configuration trusts.
fn first_expiry(pool: &MachineConfigPool) -> Option<Deadline> {
    let dated = pool.status.cert_expirys.iter().filter_map(|entry| Some((entry.expiry?, entry)));
    let (expiry, entry) = dated.min_by_key(|(expiry, _)| *expiry)?;
    Some(Deadline {
        what: format!("pool {}: {} ends", pool.name(), entry.subject),
        at: expiry.into(),
        source: format!("status.certExpirys of the pool, bundle {}", entry.bundle),
        consequence: "the pool's nodes no longer trust what it signed, unless they are given its successor before".to_owned(),
    })
}

fn pause_limit(paused: &PausedPool) -> Deadline {
    Deadline {
        what: format!("pool {} is paused for 60 days", paused.pool),
        at: paused.since.plus(PAUSE_LIMIT),
        source: format!("the vendor's limit for an EUS update; paused since {}", day(paused.since)),
        consequence: "the vendor no longer supports the pool: its nodes lack fixes, and the next minor update is refused"
            .to_owned(),
    }
}

/// A pool that somebody else paused: at the latest when the owner of the field last wrote.
fn paused_by_others(pool: &MachineConfigPool) -> Option<PausedPool> {
    let entries = pool.metadata.managed_fields.iter().flatten();
    let owners = entries.filter(|entry| {
        let fields = entry.fields_v1.as_ref();
        fields.is_some_and(|fields| fields.0.pointer("/f:spec/f:paused").is_some())
    });
    let written = owners.filter_map(|entry| entry.time.as_ref()).map(|time| time.0.as_microsecond()).max()?;
    Some(PausedPool { pool: pool.name().into(), since: Timestamp::from_micros(written) })
}

fn day(at: Timestamp) -> String {
    at.to_datetime().format("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests;
