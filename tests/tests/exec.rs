//! Commands in containers: from an activity's call over a WebSocket to the simulated kubelet, in memory and over HTTPS.
//!
//! Seen to fail with: standard error sent on the channel of standard output; the exit code taken for 1 whatever it was; a reset
//! after the effect answered as if it were before.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use windlass_activities::exec::{Ended, Exec, Purpose};
use windlass_activities::{Cluster, Connection, Failure, Settings};
use windlass_sim::containers::{Containers, Output};
use windlass_sim::store::resources::PODS;
use windlass_sim::{ClusterShape, Scenario, Sim, SimClock};

#[derive(Default)]
struct Shell {
    ran: Mutex<Vec<String>>,
}

impl Shell {
    fn ran(&self) -> MutexGuard<'_, Vec<String>> {
        self.ran.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Containers for Shell {
    fn exec(&self, pod: Arc<Value>, container: String, command: Vec<String>) -> BoxFuture<'static, Option<Output>> {
        self.ran().push(command.join(" "));
        async move {
            match command[0].as_str() {
                "hello" => Some(Output::said(format!("{}/{container} {}\n", pod["metadata"]["name"], command[1]))),
                "big" => Some(Output::said(vec![b'x'; 200_000])),
                "fail" => Some(Output { stdout: b"some\n".to_vec(), stderr: b"no such server\n".to_vec(), code: 7 }),
                "hang" => std::future::pending().await,
                _ => None,
            }
        }
        .boxed()
    }

    fn is_act(&self, command: &[String]) -> bool {
        command[0] != "big"
    }
}

const HELLO: [&str; 2] = ["hello", "a b;c&d=é"];

fn exec<'a>(words: &'a [&'a str]) -> Exec<'a> {
    let (namespace, pod, container) = ("default", "one", "main");
    Exec { namespace, pod, container, words, purpose: Purpose::Act, limit: Duration::from_secs(5), most_bytes: 1 << 20 }
}

fn start() -> Result<(Sim, Arc<Shell>)> {
    let epoch = chrono::DateTime::from_timestamp(1_762_156_800, 0).context("an epoch")?;
    let sim = Sim::start(ClusterShape::default(), Scenario::default(), SimClock::new(epoch, 1.0))?;
    let shell = Arc::new(Shell::default());
    sim.service().run_containers(shell.clone());
    let pod = json!({"metadata": {"name": "one", "namespace": "default"}, "status": {"phase": "Running"},
        "spec": {"nodeName": "worker-0", "containers": [{"name": "main", "image": "i"}]}});
    sim.store().create(&PODS, pod)?;
    Ok((sim, shell))
}

async fn speaks(cluster: &Cluster) -> Result<()> {
    let done = |stdout: &str, stderr: &str, code| Ended { stdout: stdout.into(), stderr: stderr.into(), code };
    assert_eq!(cluster.exec(&exec(&HELLO)).await?, done("\"one\"/main a b;c&d=é\n", "", 0));
    assert_eq!(cluster.exec(&exec(&["fail"])).await?, done("some\n", "no such server\n", 7));
    assert_eq!(cluster.exec(&exec(&["big"])).await?.stdout.len(), 200_000);
    Ok(())
}

#[tokio::test]
async fn a_command_is_run_and_heard_to_its_end() -> Result<()> {
    let (sim, _) = start()?;
    let memory = kube::Client::new(sim.service(), "default");
    speaks(&Cluster::from_client(memory, Settings::default()).await?).await?;
    let dir = tempfile::tempdir()?;
    let server = sim.serve(dir.path(), 0).await?;
    let connection = Connection { kubeconfig: Some(server.kubeconfig().to_owned()), context: None };
    speaks(&Cluster::connect_with(&connection, Settings::default()).await?).await?;
    let written: Vec<_> = sim.audit().records().into_iter().filter(|line| line.path.contains("/exec?")).collect();
    assert_eq!(written.len(), 4);
    assert!(written.iter().all(|line| line.verb == "create" && line.code == 101), "{written:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_run_or_not_heard_is_told_apart() -> Result<()> {
    let (sim, shell) = start()?;
    let client = kube::Client::new(sim.service(), "default");
    let cluster = Cluster::from_client(client, Settings::default()).await?;
    let failed = async |exec: Exec<'_>| cluster.exec(&exec).await.unwrap_err();
    let other = failed(Exec { container: "other", ..exec(&HELLO) }).await;
    assert_eq!(
        other.to_string(),
        "create pods/exec/one in default: the server answered 400: container other is not valid for pod one"
    );
    assert!(failed(Exec { pod: "two", ..exec(&HELLO) }).await.is_not_found());
    let late = failed(Exec { limit: Duration::from_millis(200), ..exec(&["hang"]) }).await;
    assert!(matches!(late.failure, Failure::TimedOut(_)), "{late}");
    let long = failed(Exec { most_bytes: 1000, ..exec(&["big"]) }).await;
    assert!(matches!(long.failure, Failure::Unreadable(_)), "{long}");

    let fault = |effect: Value| -> Result<()> {
        let script = json!({"api": [{"on": {"resource": "pods/exec"}, "when": {"times": 1}, "effect": effect}]});
        sim.faults().add(serde_json::from_value(script)?);
        Ok(())
    };
    shell.ran().clear();
    fault(json!("reset_before"))?;
    let lost = failed(exec(&HELLO)).await;
    assert!(matches!(lost.failure, Failure::Lost(_)), "{lost}");
    assert_eq!(shell.ran().len(), 0);
    fault(json!("reset_after"))?;
    let lost = failed(exec(&HELLO)).await;
    assert!(matches!(lost.failure, Failure::Lost(_)), "{lost}");
    assert_eq!(shell.ran().len(), 1);
    Ok(())
}
