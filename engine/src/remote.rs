//! The Unix socket beside the journal: how other processes talk to the worker that holds it.
//!
//! JSON lines, one question and one answer at a time; `Watch` turns a connection into a stream of news. Only the worker
//! that holds the journal's lock listens, so a socket that is already there is a dead worker's and is replaced.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::error::RecvError;

use crate::control::{Refusal, Request, What};
use crate::event::{Event, Record};
use crate::ids::RunId;
use crate::time::Timestamp;
use crate::worker::{Progress, Update, WorkerHandle};

/// The socket's name in the journal's directory.
const SOCKET: &str = "worker.sock";

/// The longest path that fits the kernel's address; a longer one is reached through the directory's descriptor.
const PATH_LIMIT: usize = 100;

/// What is asked of a worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ask {
    Tell(Box<Request>),
    Progress,
    Watch,
}

/// What a worker answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Told,
    Refused(Refusal),
    /// The worker drives runs of this cluster, the request is for another.
    OtherCluster {
        worker: String,
    },
    Progress(Vec<Progress>),
    Watching,
    News(News),
    /// The question can't be read: another version asked it.
    Unreadable(String),
}

/// News of a worker, as it travels.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum News {
    Recorded { run: RunId, seq: u64, at: Timestamp, event: Box<Event> },
    Progress(Progress),
    Status { run: RunId, text: String },
    Missed(u64),
}

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum Heard {
    /// Something happened.
    Update(Update),
    /// So many updates were lost; the journal has what matters.
    Missed(u64),
}

/// Why a worker could not be told something.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Nobody listens.
    #[error("no worker listens at the journal")]
    NoWorker,
    /// The worker works on another cluster.
    #[error("the worker that holds this journal drives runs of cluster {worker}")]
    OtherCluster {
        /// The cluster that the worker drives.
        worker: String,
    },
    /// The other side speaks another language.
    #[error("the worker does not understand this windlass: {0}")]
    Protocol(String),
    /// The connection broke.
    #[error("talking to the worker: {0}")]
    Io(#[from] io::Error),
}

/// A bound socket that does not answer yet. Only the holder of the journal's lock may make one.
pub struct Listener {
    listener: UnixListener,
}

impl Listener {
    /// Binds the socket in a journal's directory, in the place of a dead worker's.
    pub fn bind(dir: &Path) -> io::Result<Self> {
        let path = dir.join(SOCKET);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Ok(()) | Err(_) => {}
        }
        let (short, _dir) = reachable(dir)?;
        let listener = UnixListener::bind(&short)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener })
    }

    /// Answers for a worker until dropped. `cluster` is the one that the worker drives runs of.
    pub async fn serve(self, handle: WorkerHandle, cluster: Option<String>) {
        let cluster: Arc<Option<String>> = Arc::new(cluster);
        // Connections end with this future: a worker that has stopped answers nobody.
        let mut connections = tokio::task::JoinSet::new();
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    connections.spawn(answer_all(stream, handle.clone(), cluster.clone()));
                }
                // Out of descriptors, most likely; what is open stays open.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            }
            while connections.try_join_next().is_some() {}
        }
    }
}

/// A path to the socket that is short enough, and what keeps it valid.
fn reachable(dir: &Path) -> io::Result<(PathBuf, Option<std::fs::File>)> {
    let path = dir.join(SOCKET);
    if path.as_os_str().len() <= PATH_LIMIT {
        return Ok((path, None));
    }
    let held = std::fs::File::open(dir)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", held.as_raw_fd()));
    Ok((short, Some(held)))
}

async fn answer_all(stream: UnixStream, handle: WorkerHandle, cluster: Arc<Option<String>>) {
    let mut wire = Wire::new(stream);
    // A connection that breaks is the client's loss; what it told is on record or was never acknowledged.
    while let Ok(Some(line)) = wire.line().await {
        let sent = match serde_json::from_str(&line) {
            Ok(Ask::Tell(request)) => {
                let answer = obey(&handle, cluster.as_deref(), *request).await;
                wire.send(&answer).await
            }
            Ok(Ask::Progress) => {
                let progress = handle.progress().await.unwrap_or_default();
                wire.send(&Answer::Progress(progress)).await
            }
            Ok(Ask::Watch) => return send_news(wire, &handle).await,
            Err(e) => wire.send(&Answer::Unreadable(e.to_string())).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn obey(handle: &WorkerHandle, cluster: Option<&str>, request: Request) -> Answer {
    if let (What::Start { cluster: Some(asked), .. }, Some(ours)) = (&request.what, cluster)
        && asked != ours
    {
        return Answer::OtherCluster { worker: ours.to_owned() };
    }
    let run = request.run;
    match handle.tell(request).await {
        Ok(Ok(())) => Answer::Told,
        Ok(Err(refusal)) => Answer::Refused(refusal),
        Err(_) => Answer::Refused(Refusal::NoSuchRun { run }),
    }
}

async fn send_news(mut wire: Wire, handle: &WorkerHandle) {
    let mut updates = handle.watch();
    if wire.send(&Answer::Watching).await.is_err() {
        return;
    }
    loop {
        let news = match updates.recv().await {
            Ok(Update::Recorded(record)) => {
                News::Recorded { run: record.run, seq: record.seq, at: record.at, event: Box::new(record.event.clone()) }
            }
            Ok(Update::Progress(progress)) => News::Progress(progress),
            Ok(Update::Status { run, text }) => News::Status { run, text },
            Err(RecvError::Lagged(missed)) => News::Missed(missed),
            Err(RecvError::Closed) => return,
        };
        if wire.send(&Answer::News(news)).await.is_err() {
            return;
        }
    }
}

/// A connection to the worker that holds a journal.
pub struct Remote {
    wire: Wire,
}

impl Remote {
    /// Connects to the worker that listens in a journal's directory.
    ///
    /// # Errors
    /// [`RemoteError::NoWorker`] when there is none, or only the socket of a dead one.
    pub async fn connect(dir: &Path) -> Result<Self, RemoteError> {
        let (path, _dir) = match reachable(dir) {
            Ok(found) => found,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(RemoteError::NoWorker),
            Err(e) => return Err(e.into()),
        };
        match UnixStream::connect(path).await {
            Ok(stream) => Ok(Self { wire: Wire::new(stream) }),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                Err(RemoteError::NoWorker)
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Tells something to a run; returns once it is on disk.
    pub async fn tell(&mut self, request: Request) -> Result<Result<(), Refusal>, RemoteError> {
        self.wire.send(&Ask::Tell(Box::new(request))).await?;
        let answer = self.answer().await?;
        if let Answer::Refused(refusal) = answer {
            return Ok(Err(refusal));
        }
        if let Answer::OtherCluster { worker } = answer {
            return Err(RemoteError::OtherCluster { worker });
        }
        if matches!(answer, Answer::Told) { Ok(Ok(())) } else { Err(unexpected(&answer)) }
    }

    /// What the attempts in flight last said.
    pub async fn progress(&mut self) -> Result<Vec<Progress>, RemoteError> {
        self.wire.send(&Ask::Progress).await?;
        let answer = self.answer().await?;
        if let Answer::Progress(progress) = answer { Ok(progress) } else { Err(unexpected(&answer)) }
    }

    /// Turns the connection into a stream of what the worker does from now on.
    pub async fn watch(mut self) -> Result<Watch, RemoteError> {
        self.wire.send(&Ask::Watch).await?;
        let answer = self.answer().await?;
        if matches!(answer, Answer::Watching) { Ok(Watch { remote: self }) } else { Err(unexpected(&answer)) }
    }

    async fn answer(&mut self) -> Result<Answer, RemoteError> {
        let line = self.wire.line().await?.ok_or(RemoteError::NoWorker)?;
        read(&line)
    }
}

/// What a worker does, as it happens.
pub struct Watch {
    remote: Remote,
}

impl Watch {
    /// The next news; `None` when the worker has stopped.
    pub async fn next(&mut self) -> Result<Option<Heard>, RemoteError> {
        let Some(line) = self.remote.wire.line().await? else { return Ok(None) };
        let answer = read(&line)?;
        let Answer::News(news) = answer else { return Err(unexpected(&answer)) };
        Ok(Some(match news {
            News::Recorded { run, seq, at, event } => {
                Heard::Update(Update::Recorded(Arc::new(Record { global: 0, run, seq, at, event: *event })))
            }
            News::Progress(progress) => Heard::Update(Update::Progress(progress)),
            News::Status { run, text } => Heard::Update(Update::Status { run, text }),
            News::Missed(missed) => Heard::Missed(missed),
        }))
    }
}

fn read<T: DeserializeOwned>(line: &str) -> Result<T, RemoteError> {
    serde_json::from_str(line).map_err(|e| RemoteError::Protocol(e.to_string()))
}

fn unexpected(answer: &Answer) -> RemoteError {
    if let Answer::Unreadable(why) = answer {
        return RemoteError::Protocol(why.clone());
    }
    RemoteError::Protocol(format!("unexpected answer {answer:?}"))
}

/// One JSON value a line, both ways.
struct Wire {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Wire {
    fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { lines: BufReader::new(reader).lines(), writer }
    }

    async fn line(&mut self) -> io::Result<Option<String>> {
        match self.lines.next_line().await {
            // A peer that was killed is a peer that has gone.
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            other => other,
        }
    }

    async fn send<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.writer.write_all(&line).await
    }
}

#[cfg(test)]
mod tests;
