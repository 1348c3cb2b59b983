//! Health probes over real connections: TLS, tokens, alerts that fire, commands.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use windlass_activities::health::{CommandProbe, HealthProbes, HttpProbe, ProbeHealth, PrometheusProbe};
use windlass_activities::{Cluster, Connection};
use windlass_engine::{Activity as _, ActivityContext, Attempt, Clock, CommandId, FailureKind, RunId, Timestamp};
use windlass_sim::{ClusterShape, Scenario, Server, Sim, SimClock};

const TOKEN: &str = "may-read-alerts";

/// A clock on which nothing is waited for.
struct Impatient;

impl Clock for Impatient {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0)
    }

    fn sleep_until(&self, _: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

/// A cluster on loopback, behind TLS, whose alerts are behind a token.
struct Rig {
    folder: tempfile::TempDir,
    server: Server,
    cluster: Arc<Cluster>,
    _sim: Sim,
}

impl Rig {
    async fn new(alerts: serde_json::Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let shape = ClusterShape { alerts: serde_json::from_value(alerts).expect("a shape"), ..ClusterShape::default() };
        let sim = Sim::start(shape, Scenario::default(), SimClock::new(chrono::Utc::now(), 1.0)).expect("the shape can be built");
        sim.require_monitoring_token(TOKEN);
        let server = sim.serve(&folder.path().join("sim"), 0).await.expect("loopback can be listened on");
        let connection = Connection { kubeconfig: Some(server.kubeconfig().to_owned()), context: None };
        let cluster = Arc::new(Cluster::connect(&connection).await.expect("the cluster is there"));
        let rig = Self { folder, server, cluster, _sim: sim };
        std::fs::write(rig.path("token"), TOKEN).expect("a file can be written");
        std::fs::write(rig.path("wrong"), "stale").expect("a file can be written");
        std::fs::write(rig.path("ca.pem"), certificate(rig.server.kubeconfig())).expect("a file can be written");
        rig
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn prometheus(&self, token: Option<&str>, ca: Option<&str>) -> HealthProbes {
        let probe = PrometheusProbe {
            url: format!("https://{}/prometheus/", self.server.address()),
            token_file: token.map(|name| self.path(name)),
            ca_file: ca.map(|name| self.path(name)),
            allow: vec!["TargetDown".to_owned()],
        };
        HealthProbes { prometheus: Some(probe), ..HealthProbes::default() }
    }

    /// What the probes come to: the evidence, or whether it is for good and why.
    async fn ask(&self, probes: HealthProbes) -> Result<String, (FailureKind, String)> {
        probes.check().expect("usable probes");
        let attempt = Attempt { run: RunId::new(Timestamp::from_micros(0), [1; 10]), command: CommandId(0), number: 1 };
        let cx = ActivityContext::new(self.cluster.clone(), attempt, Arc::new(Impatient), Arc::new(|_| {}));
        let outcome = ProbeHealth { probes, label: "a test".to_owned() }.run(cx).await;
        outcome.map(|well| well.evidence.join("; ")).map_err(|error| (error.kind, error.message))
    }
}

/// The certificate in a kubeconfig, as a file.
fn certificate(kubeconfig: &Path) -> Vec<u8> {
    let text = std::fs::read_to_string(kubeconfig).expect("the kubeconfig is there");
    let data = text.lines().find_map(|line| line.split_once("certificate-authority-data:")).expect("a certificate").1;
    STANDARD.decode(data.trim().trim_matches(['"', '\''])).expect("base64")
}

#[tokio::test]
async fn alerts_are_asked_for_with_the_token_and_over_a_connection_that_is_vouched_for() {
    let rig = Rig::new(json!([{"name": "TargetDown", "severity": "critical"}, {"name": "Slow", "severity": "warning"}])).await;
    let well = rig.ask(rig.prometheus(Some("token"), Some("ca.pem"))).await;
    assert_eq!(well, Ok("alerts: no critical alert fires but those that may: TargetDown".to_owned()));
    let check = async |token: Option<&str>, ca: Option<&str>, expect: &str| {
        let (kind, message) = rig.ask(rig.prometheus(token, ca)).await.expect_err("a refusal");
        assert_eq!(kind, FailureKind::Transient, "{message}");
        assert!(message.contains("does not tell") && message.contains(expect), "{message}");
        assert!(!message.contains(TOKEN) && !message.contains("stale"), "{message}");
    };
    check(Some("token"), None, "certificate").await;
    check(None, Some("ca.pem"), "it answered 401; name a token_file").await;
    check(Some("wrong"), Some("ca.pem"), "it answered 401; name a token_file").await;
    check(Some("absent"), Some("ca.pem"), "absent cannot be read").await;
    check(Some("token"), Some("absent"), "absent cannot be read").await;
    check(Some("token"), Some("token"), "").await;
}

#[tokio::test]
async fn each_probe_that_is_not_well_is_named() {
    let rig =
        Rig::new(json!([{"name": "ShopDown", "severity": "critical", "namespace": "shop", "summary": "nobody can buy"}])).await;
    let url = |path: &str| format!("https://{}{path}", rig.server.address());
    // Who has no token is told so, and that is an answer.
    let http =
        |ca_file| HttpProbe { url: url("/readyz"), expect_status: 401, contains: Some("Unauthorized".to_owned()), ca_file };
    let well = HealthProbes { http: vec![http(Some(rig.path("ca.pem")))], ..HealthProbes::default() };
    assert_eq!(rig.ask(well).await, Ok(format!("http {}: answered 401", url("/readyz"))));
    let http = vec![http(None)];
    let command = |program: &str| CommandProbe { program: program.to_owned(), args: Vec::new(), timeout_seconds: 20 };
    let commands = vec![command("true"), command("false")];
    let probes = HealthProbes { http, commands, ..rig.prometheus(Some("token"), Some("ca.pem")) };
    let (kind, message) = rig.ask(probes).await.expect_err("not well");
    assert_eq!(kind, FailureKind::Permanent);
    assert!(message.starts_with("alerts: ShopDown fires since "), "{message}");
    // An address that nobody vouches for does not answer, as far as a probe is concerned.
    assert!(message.contains("/readyz: does not answer: ") && message.contains("certificate"), "{message}");
    assert!(message.ends_with("; command false: ended with exit status: 1"), "{message}");
    assert!(!message.contains("command true"), "{message}");
}
