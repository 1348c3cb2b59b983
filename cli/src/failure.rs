//! What goes wrong, as an operator meets it: a kind that decides the exit code, one line, and what to type next.

use std::path::Path;

use windlass_engine::control::Refusal;
use windlass_engine::journal::JournalError;

/// Why a command did not do what it was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The run failed, or the cluster did not answer.
    Failed,
    /// The command line asks for something that cannot be.
    Usage,
    /// A person must decide first.
    NeedsPerson,
    /// There is no such thing.
    NotFound,
    /// Another worker holds the journal or the cluster.
    Busy,
    /// The journal is damaged.
    Damaged,
}

impl Kind {
    /// The exit code, a public contract.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NeedsPerson => 3,
            Self::NotFound => 4,
            Self::Busy => 5,
            Self::Damaged => 6,
        }
    }
}

/// How a command that was carried out ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// All is done.
    Done,
    /// The run failed or was cancelled; what it said has been printed.
    RunFailed,
    /// The run is parked, waits at a gate, or was left resumable; the next command has been printed.
    NeedsPerson,
}

impl Exit {
    /// The exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::RunFailed => Kind::Failed.code(),
            Self::NeedsPerson => Kind::NeedsPerson.code(),
        }
    }
}

/// An error with the way out of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// One line that names the thing and the cause.
    pub(crate) message: String,
    /// What to type or to do.
    pub(crate) next: String,
}

/// What every command returns.
pub(crate) type Outcome = Result<Exit, Failure>;

impl Failure {
    /// An error of a kind, with what to do.
    pub(crate) fn new(kind: Kind, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { kind, message: message.into(), next: next.into() }
    }

    /// The command line asks for something that cannot be.
    pub(crate) fn usage(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message, next)
    }

    /// There is no such thing.
    pub(crate) fn not_found(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message, next)
    }

    /// A file or a stream did not do what was asked.
    pub(crate) fn io(action: &str, path: &Path, error: &std::io::Error) -> Self {
        let next = format!("check that {} is there and that you may use it, then retry", path.display());
        Self::new(Kind::Failed, format!("{action} {}: {error}", path.display()), next)
    }

    /// A message that ends in its own advice, after the last semicolon.
    pub(crate) fn with_advice(kind: Kind, message: &str, otherwise: &str) -> Self {
        match message.rsplit_once("; ") {
            Some((fault, advice)) => Self::new(kind, fault, advice),
            None => Self::new(kind, message, otherwise),
        }
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        let (kind, next) = match &error {
            JournalError::Corrupt { .. } => (
                Kind::Damaged,
                "`windlass verify` shows the extent; restore a copy of the journal, or `windlass repair` without one".to_owned(),
            ),
            JournalError::BadIdentity { path } => (
                Kind::Damaged,
                format!(
                    "put {} back from a copy; removed, the journal gets another name, and runs that it adopted are another's",
                    path.display()
                ),
            ),
            JournalError::NewerFormat { .. } | JournalError::NewerRecord { .. } | JournalError::UnknownEvent { .. } => {
                (Kind::Damaged, "use the windlass that wrote this journal, or a newer one; nothing was changed".to_owned())
            }
            JournalError::Locked { owner } => (
                Kind::Busy,
                format!("look with `windlass list`, or stop that worker (`kill {}` on {}) and retry", owner.pid, owner.host),
            ),
            JournalError::Missing { .. } => {
                (Kind::NotFound, "name the journal with --journal DIR, or make one with `windlass start`".to_owned())
            }
            JournalError::NoSpace { path } => {
                (Kind::Failed, format!("make room at {}, then `windlass resume`; nothing acknowledged is lost", path.display()))
            }
            JournalError::SyncFailed { .. } => {
                (Kind::Failed, "check the disk (dmesg), then `windlass resume`; it finds out what was written".to_owned())
            }
            JournalError::Conflict { .. } => (Kind::Failed, "run `windlass verify`, then retry".to_owned()),
            JournalError::TooLarge { .. } => (Kind::Usage, "make the input smaller, then retry".to_owned()),
            JournalError::Io { path, .. } => (Kind::Failed, format!("check that you may read and write {}", path.display())),
        };
        Self::new(kind, error.to_string(), next)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let (kind, next) = match &refusal {
            Refusal::NoSuchRun { .. } => (Kind::NotFound, "`windlass list` shows the runs".to_owned()),
            Refusal::RunExists { .. } => (Kind::Usage, "`windlass list` shows the runs".to_owned()),
            Refusal::RunEnded { run } => (Kind::Usage, format!("`windlass history {run}` shows how it ended")),
            Refusal::GateNotOpen { run, open, .. } => match open.first() {
                Some(gate) => (Kind::NotFound, format!("windlass approve {run} {gate}")),
                None => (Kind::NotFound, format!("`windlass explain {run}` says what it waits for")),
            },
            Refusal::NotParked { run } | Refusal::NotPaused { run } => {
                (Kind::Usage, format!("`windlass status {run}` shows where it stands"))
            }
            Refusal::AlreadyCancelling { run } => {
                (Kind::Usage, format!("`windlass status {run}` shows what it still gives back"))
            }
            Refusal::OtherText { run, gate, asked, .. } => (
                Kind::Usage,
                format!("read it with `windlass status {run}`, then `windlass approve {run} {gate} --digest {asked}`"),
            ),
            Refusal::AlreadyPaused { run, .. } => (Kind::Usage, format!("`windlass unpause {run}` lets it go on")),
            Refusal::NoSuchStep { run, .. } => {
                (Kind::NotFound, format!("`windlass status {run}` shows the open steps and their numbers"))
            }
            Refusal::AmbiguousStep { .. } => (Kind::Usage, "name the step by its number".to_owned()),
            Refusal::WrongKind { run, .. } => {
                (Kind::Usage, format!("`windlass explain {run}` shows what can be done with what is open"))
            }
            Refusal::UnderWay { run, .. } => {
                (Kind::Usage, format!("wait until it ends (`windlass history {run} --follow`), or stop the worker, then retry"))
            }
            Refusal::NothingToRetry { run, .. } => (Kind::Usage, format!("windlass resume {run}")),
            Refusal::NeedsOutput { run, command, .. } => {
                (Kind::Usage, format!("windlass mark-done {run} {} --evidence '…' --result '{{…}}' --reason '…'", command.0))
            }
            Refusal::BadOutput { .. } => (Kind::Usage, "mend the JSON behind --result, then retry".to_owned()),
            Refusal::Blank { what } => (Kind::Usage, format!("give the {what} in a few words")),
            Refusal::TooLong { .. } => (Kind::Usage, "put the long part into a file and name that".to_owned()),
            Refusal::BadTimeout { .. } => (Kind::Usage, "name a duration such as 90m or 2h".to_owned()),
            Refusal::NoSuchWorkflow { .. } | Refusal::NoSuchActivity { .. } => {
                (Kind::Usage, "the worker runs another build: stop it, then `windlass resume` with this one".to_owned())
            }
        };
        Self::new(kind, refusal.to_string(), next)
    }
}
