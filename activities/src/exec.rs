//! Commands in the containers of pods.

use std::future::Future;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use kube::api::{AttachParams, AttachedProcess};
use kube::core::Status as Refusal;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::cluster::Cluster;
use crate::error::{Call, CallError, Failure};
use crate::link::{root_cause, sending_failed};

/// A command to be run in a container.
#[derive(Clone, Copy, Debug)]
pub struct Exec<'a> {
    /// The pod's namespace.
    pub namespace: &'a str,
    /// The pod.
    pub pod: &'a str,
    /// The container.
    pub container: &'a str,
    /// The command and its arguments; no shell reads them.
    pub words: &'a [&'a str],
    /// Whether it only looks.
    pub purpose: Purpose,
    /// How long it may take: a command that asks a server that hangs never ends.
    pub limit: Duration,
    /// As much output is read of each stream; more is an error.
    pub most_bytes: u64,
}

/// What a command is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// It changes nothing: it may be repeated, and needs no lease.
    Look,
    /// It changes something: when its end is not heard, it is not known whether it did.
    Act,
}

/// A command that ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
    /// Its exit code.
    pub code: i32,
}

impl Ended {
    /// What it said, for people: standard error, else standard output.
    pub fn in_words(&self) -> String {
        let said = if self.stderr.is_empty() { &self.stdout } else { &self.stderr };
        String::from_utf8_lossy(said).trim().to_owned()
    }
}

impl Cluster {
    /// Runs a command in a container and waits for its end.
    ///
    /// # Errors
    /// [`CallError`]: for an act, `Lost` and `TimedOut` mean that it may have been done.
    pub async fn exec(&self, exec: &Exec<'_>) -> Result<Ended, CallError> {
        let mut stdout = Vec::new();
        let ended = self.exec_into(exec, &mut stdout).await?;
        Ok(Ended { stdout, ..ended })
    }

    /// As [`Cluster::exec`], but standard output goes where it is told as it comes, and is not in the result: for what is too much
    /// for memory.
    ///
    /// # Errors
    /// As [`Cluster::exec`]; what could not be written there is `Unreadable`.
    pub async fn exec_into(&self, exec: &Exec<'_>, stdout: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<Ended, CallError> {
        let client = self.link.client().borrow().clone();
        // On the heap: every step that runs a command would carry the whole of it in its own state.
        let running = Box::pin(async { tokio::time::timeout(exec.limit, exec.run(client, stdout)).await });
        let outcome = self.past_fence(exec.call(), async { running.await.unwrap_or(Err(Failure::TimedOut(exec.limit))) }).await;
        if outcome.as_ref().is_err_and(CallError::is_unauthorized) {
            self.renew_login().await;
        }
        outcome
    }

    /// Does what a call stands for, in its turn and if the fence lets it pass.
    pub(crate) async fn past_fence<T>(&self, call: Call, deed: impl Future<Output = Result<T, Failure>>) -> Result<T, CallError> {
        let client = self.link.client().borrow().clone();
        self.link.admit_turn().await;
        let passage = self.link.admit(&client, &call).await?;
        let outcome = deed.await;
        if let Some(passage) = passage {
            passage.end(&outcome);
        }
        outcome.map_err(|failure| CallError { call: call.into(), failure })
    }
}

impl Exec<'_> {
    fn call(&self) -> Call {
        Call {
            verb: match self.purpose {
                Purpose::Look => "get",
                Purpose::Act => "create",
            },
            group: String::new(),
            resource: "pods/exec".to_owned(),
            namespace: Some(self.namespace.to_owned()),
            name: Some(self.pod.to_owned()),
        }
    }

    async fn run(&self, client: kube::Client, to: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<Ended, Failure> {
        let pods: Api<Pod> = Api::namespaced(client, self.namespace);
        let params = AttachParams::default().stdin(false).stdout(true).stderr(true).container(self.container);
        let mut process = pods.exec(self.pod, self.words.iter().copied(), &params).await.map_err(|error| refused(&error))?;
        let (stdout, stderr, status) = streams(&mut process)?;
        // Too much output ends it at once: who does not read on would wait for ever.
        let status = async { Ok(status.await) };
        let mut said = Vec::new();
        let ((), (), status) = tokio::try_join!(self.pour(stdout, to), self.pour(stderr, &mut said), status)?;
        let Some(status) = status else {
            let cause = process.join().await.err().map(|error| root_cause(&error));
            return Err(Failure::Lost(cause.unwrap_or_else(|| "how the command ended was not told".to_owned())));
        };
        Ok(Ended { stdout: Vec::new(), stderr: said, code: exit_code(&status)? })
    }

    /// Takes a stream to its end, as far as is allowed.
    async fn pour(&self, mut from: impl AsyncRead + Unpin, to: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<(), Failure> {
        let kept = |error: std::io::Error| Failure::Unreadable(format!("what the command wrote could not be kept: {error}"));
        let (mut piece, mut left) = (vec![0; PIECE], self.most_bytes);
        loop {
            let read = from.read(&mut piece).await.map_err(|error| Failure::Lost(error.to_string()))?;
            if read == 0 {
                return to.flush().await.map_err(kept);
            }
            let over = || Failure::Unreadable(format!("the command wrote more than {} bytes", self.most_bytes));
            left = left.checked_sub(read as u64).ok_or_else(over)?;
            to.write_all(&piece[..read]).await.map_err(kept)?;
        }
    }
}

/// Bytes that are read at once, as kubelets send them.
const PIECE: usize = 32 << 10;

type Stream = Box<dyn AsyncRead + Send + Unpin>;

type Streams = (Stream, Stream, BoxFuture<'static, Option<Status>>);

fn streams(process: &mut AttachedProcess) -> Result<Streams, Failure> {
    match (process.stdout(), process.stderr(), process.take_status()) {
        (Some(stdout), Some(stderr), Some(status)) => Ok((Box::new(stdout), Box::new(stderr), Box::pin(status))),
        _ => Err(Failure::Lost("the connection has no streams".to_owned())),
    }
}

/// A command that ran ends with a status that has its exit code; anything else did not get so far.
fn exit_code(status: &Status) -> Result<i32, Failure> {
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let causes = status.details.iter().flat_map(|details| details.causes.iter().flatten());
    let code =
        causes.filter(|cause| cause.reason.as_deref() == Some("ExitCode")).find_map(|cause| cause.message.as_ref()?.parse().ok());
    code.ok_or_else(|| {
        Failure::Lost(format!("the command did not run to its end: {}", status.message.clone().unwrap_or_default()))
    })
}

fn refused(error: &kube::Error) -> Failure {
    if let kube::Error::Api(status) = error {
        return Failure::Answered { status: Box::new(Refusal::clone(status)), retry_after: None };
    }
    sending_failed(error)
}
