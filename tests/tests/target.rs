//! Naming an update, and preparing credentials for it, on simulated clusters.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeZone, Utc};
use windlass_activities::credentials::{AwaitCredentialsUpgradeable, CredentialsMode, ReadCredentials, SetUpgradeableTo};
use windlass_activities::release::{Minor, Release};
use windlass_activities::target::{CheckDisconnected, CheckRisks, ResolveTarget, SetUpstream, Target};
use windlass_activities::{Cluster, Settings};
use windlass_engine::{Activity, ActivityContext, ActivityError, Attempt, Clock, CommandId, RunId, Timestamp, TokioClock};
use windlass_sim::shape::{Credentials, CredentialsMode as Mode, Mirror};
use windlass_sim::{ClusterShape, Scenario, Sim, SimClock};

struct Bench {
    /// The cluster lives as long as this.
    _sim: Sim,
    clock: Arc<dyn Clock>,
    cluster: Arc<Cluster>,
}

impl Bench {
    async fn new(shape: ClusterShape) -> Self {
        let epoch = Utc.with_ymd_and_hms(2026, 3, 2, 6, 0, 0).unwrap();
        let sim = Sim::start(shape, Scenario::calm(), SimClock::new(epoch, 1.0)).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(Timestamp::from(epoch)));
        let client = kube::Client::new(sim.service(), "default");
        let cluster = Arc::new(Cluster::from_client(client, Settings::simulated(clock.clone())).await.unwrap());
        tokio::time::sleep(Duration::from_secs(600)).await;
        Self { _sim: sim, clock, cluster }
    }

    async fn run<A: Activity<World = Cluster>>(&self, activity: A) -> Result<A::Output, ActivityError> {
        let attempt = Attempt { run: RunId::from_bytes([7; 16]), command: CommandId(0), number: 1 };
        activity.run(ActivityContext::new(self.cluster.clone(), attempt, self.clock.clone(), Arc::new(|_| {}))).await
    }

    async fn resolve(&self, channel: &str, wanted: &str, accept: &[&str]) -> Result<Target, ActivityError> {
        let accept_risks = accept.iter().map(|&name| name.to_owned()).collect();
        let channel = Some(channel.into());
        self.run(ResolveTarget { channel, wanted: wanted.parse().unwrap(), accept_risks, upstream: None }).await
    }
}

fn paused(scenario: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(scenario);
}

#[test]
fn every_way_to_name_an_update_leads_to_one_release_or_a_reason() {
    paused(async {
        let bench = Bench::new(ClusterShape::default()).await;
        let newest = bench.resolve("eus-4.18", "newest", &[]).await.unwrap();
        assert_eq!((Minor::of(&newest.release.version).to_string(), newest.disconnected), ("4.17".to_owned(), false));
        assert!(newest.release.version > newest.from.version && newest.release.image.contains("@sha256:"));
        let same_minor = bench.resolve("stable-4.16", "newest", &[]).await.unwrap();
        assert_eq!(Minor::of(&same_minor.release.version), Minor::of(&newest.from.version));
        let again = bench.resolve("eus-4.18", &newest.release.version.to_string(), &[]).await.unwrap();
        assert_eq!(again.release, newest.release);
        let digest = format!("mirror.example.com/ocp@{}", newest.release.digest());
        let mirrored = bench.resolve("eus-4.18", &digest, &[]).await.unwrap();
        assert_eq!((&mirrored.release.version, &mirrored.release.image), (&newest.release.version, &digest));
        let refused = async |wanted: &str, accept: &[&str]| bench.resolve("eus-4.18", wanted, accept).await.unwrap_err().code;
        assert_eq!(refused("4.17.99", &[]).await, "not-offered");
        assert_eq!(refused("4.18.5", &[]).await, "giant-hop");
        assert_eq!(refused("4.16.1", &[]).await, "downgrade");
        assert_eq!(refused("newest", &["NoSuchRisk"]).await, "unknown-risk");
        // The graph has a risk on one of the next minor's releases that nobody has judged.
        assert_eq!(refused("4.17.10", &[]).await, "risk-not-accepted");
        let risky = bench.resolve("eus-4.18", "4.17.10", &["MonitoringConfigReset"]).await.unwrap();
        assert!(risky.risks.iter().all(|risk| risk.accepted), "{:?}", risky.risks);
    });
}

#[test]
fn risks_are_looked_at_once_more_and_a_withdrawn_edge_stops_the_request() {
    paused(async {
        let bench = Bench::new(ClusterShape { channel: "eus-4.18".into(), ..ClusterShape::default() }).await;
        let target = bench.resolve("eus-4.18", "newest", &[]).await.unwrap();
        bench.run(CheckRisks { release: target.release.clone(), accepted: Vec::new() }).await.unwrap();
        let gone = Release { version: "4.17.99".parse().unwrap(), image: format!("r@sha256:{}", "0".repeat(64)) };
        let error = bench.run(CheckRisks { release: gone, accepted: Vec::new() }).await.unwrap_err();
        assert_eq!(error.code, "edge-withdrawn");
    });
}

#[test]
fn another_update_server_is_set_and_given_back_unless_somebody_else_changed_it() {
    paused(async {
        let bench = Bench::new(ClusterShape::default()).await;
        let ours = Some("https://osus.example.com/api/upgrades_info/v1/graph".to_owned());
        let seen = bench.run(SetUpstream { url: ours.clone(), seen: None }).await.unwrap().before;
        assert_eq!(seen, None);
        bench.run(SetUpstream { url: ours.clone(), seen: None }).await.unwrap();
        let error = bench.run(SetUpstream { url: None, seen: Some("https://else.example.com/".to_owned()) }).await.unwrap_err();
        assert_eq!(error.code, "upstream-changed");
        bench.run(SetUpstream { url: None, seen: ours }).await.unwrap();
    });
}

#[test]
fn a_disconnected_cluster_is_told_what_to_create() {
    paused(async {
        let mirror =
            |source: &str| Mirror { source: source.into(), mirrors: vec!["mirror.example.com/ocp".into()], policy: false };
        let check = async |mirrors: Vec<Mirror>, findings: usize| {
            let bench = Bench::new(ClusterShape { disconnected: true, mirrors, ..ClusterShape::default() }).await;
            let image = format!("quay.io/openshift-release-dev/ocp-release@sha256:{}", "ab".repeat(32));
            let found = bench.run(CheckDisconnected { release: Release::unnamed(image) }).await.unwrap();
            assert_eq!(found.findings.len(), findings, "{:?}", found.findings);
        };
        check(vec![mirror("quay.io/openshift-release-dev")], 1).await;
        check(vec![mirror("quay.io/openshift-release-dev/ocp-release")], 2).await;
        check(Vec::new(), 3).await;
    });
}

#[test]
fn a_cluster_with_hand_kept_credentials_permits_the_next_minor_once_it_is_told() {
    paused(async {
        let credentials = Credentials { mode: Mode::Manual, root_secret: false, ..Credentials::default() };
        let bench = Bench::new(ClusterShape { credentials, ..ClusterShape::default() }).await;
        let before = bench.run(ReadCredentials {}).await.unwrap();
        assert_eq!((before.mode, before.platform.as_str()), (CredentialsMode::Manual, "AWS"));
        assert!(before.objection.as_deref().is_some_and(|why| why.starts_with("MissingUpgradeableAnnotation")), "{before:?}");
        let release = bench.resolve("eus-4.18", "newest", &[]).await.unwrap().release;
        assert!(before.needs_preparation(&release));
        assert_eq!(bench.run(SetUpgradeableTo { to: "4.17".to_owned() }).await.unwrap_err().code, "bad-version");
        bench.run(SetUpgradeableTo { to: release.version.to_string() }).await.unwrap();
        bench.run(AwaitCredentialsUpgradeable {}).await.unwrap();
        let after = bench.run(ReadCredentials {}).await.unwrap();
        assert!(!after.needs_preparation(&release) && after.objection.is_none(), "{after:?}");
    });
}
