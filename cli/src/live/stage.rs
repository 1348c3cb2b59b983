//! Watching runs: news in, frames or lines out, and a person's answers back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use windlass_engine::control::{Request, What};
use windlass_engine::remote::{Heard, Watch};
use windlass_engine::view::{GateView, RunView};
use windlass_engine::{Clock, CommandId, Progress, Record, RunId, Timestamp, Update, WorkerHandle};

use crate::books::Books;
use crate::failure::{Failure, Kind};
use crate::live::asker::{Asker, Said};
use crate::live::board::Board;
use crate::live::frame;
use crate::live::screen::Screen;
use crate::render::logbook::Logbook;
use crate::tell;
use crate::ui::Ui;
use crate::words;

/// Where news comes from.
pub(crate) enum Feed {
    /// The worker of this process.
    Local(Receiver<Update>),
    /// The worker of another process.
    Remote(Watch),
}

impl Feed {
    /// The next news; `None` when the worker has gone.
    async fn next(&mut self) -> Option<Heard> {
        match self {
            Self::Local(updates) => match updates.recv().await {
                Ok(update) => Some(Heard::Update(update)),
                Err(RecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
                Err(RecvError::Closed) => None,
            },
            Self::Remote(watch) => watch.next().await.ok().flatten(),
        }
    }
}

/// How a person's answer reaches the run.
pub(crate) enum Teller {
    /// The worker of this process.
    Local(WorkerHandle),
    /// Whoever holds the journal.
    Remote(std::path::PathBuf, Arc<dyn Clock>),
}

/// Why the watching ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// The worker is done, or the watched run needs nothing more from it.
    Settled,
    /// A person broke it off.
    Interrupted,
}

/// A frame is drawn so often at the most: faster is not seen.
const FRAME: Duration = Duration::from_millis(66);

/// A wait that changes its words all the time is told so often at the most when lines are printed.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// The view of what is going on.
pub(crate) struct Stage<'a> {
    ui: &'a Ui,
    books: Option<Books>,
    clock: Arc<dyn Clock>,
    /// Only this run is of interest.
    focus: Option<RunId>,
    boards: BTreeMap<RunId, Board>,
    screen: Option<Screen>,
    logbooks: BTreeMap<RunId, Logbook>,
    told: BTreeMap<(RunId, CommandId), Timestamp>,
    asker: Asker,
    drawn_at: Option<Instant>,
    /// Whether time passes by itself between two news, so that a frame grows old.
    ticks: bool,
    /// While the past is read: it is not told again.
    quiet: bool,
}

impl<'a> Stage<'a> {
    /// An empty stage. `dir` is the journal, to read what was missed.
    pub(crate) fn new(ui: &'a Ui, dir: &std::path::Path, clock: Arc<dyn Clock>, focus: Option<RunId>) -> Self {
        Self {
            ui,
            books: Books::open(dir).ok(),
            clock,
            focus,
            boards: BTreeMap::new(),
            screen: ui.draws.then(Screen::new),
            logbooks: BTreeMap::new(),
            told: BTreeMap::new(),
            asker: Asker::default(),
            drawn_at: None,
            ticks: true,
            quiet: false,
        }
    }

    /// Time jumps from news to news: nothing to redraw in between.
    #[must_use]
    pub(crate) fn jumping(mut self) -> Self {
        self.ticks = false;
        self
    }

    /// Shows runs until the worker of this process is done.
    pub(crate) async fn watch<T>(
        &mut self,
        mut feed: Feed,
        teller: &Teller,
        worker: Option<&mut tokio::task::JoinHandle<T>>,
    ) -> Result<(Ending, Option<T>), Failure> {
        let mut interrupts = Interrupts::new()?;
        let mut ending = Ending::Settled;
        let mut worker = worker;
        let remote = worker.is_none();
        self.quiet = true;
        self.catch_up();
        self.quiet = false;
        loop {
            self.ask_if_needed();
            self.draw();
            if remote && self.settled() {
                break;
            }
            let ticks = self.ticks;
            tokio::select! {
                heard = feed.next() => match heard {
                    Some(heard) => self.hear(heard),
                    None => break,
                },
                done = ended(&mut worker) => {
                    self.drain(&mut feed);
                    self.finish();
                    return Ok((ending, Some(done?)));
                }
                said = self.asker.answer() => {
                    if self.answered(said, teller).await? {
                        ending = Ending::Interrupted;
                        if stop(teller) { break }
                    }
                }
                () = interrupts.next() => {
                    self.interrupted(ending, remote);
                    ending = Ending::Interrupted;
                    if stop(teller) { break }
                }
                () = tick(ticks) => self.drawn_at = None,
            }
        }
        self.finish();
        Ok((ending, None))
    }

    /// A run as the stage saw it last.
    pub(crate) fn view(&self, run: RunId) -> Option<&RunView> {
        self.boards.get(&run).map(|board| &board.view)
    }

    /// Prints a line that stays, above what is drawn.
    pub(crate) fn say(&mut self, line: &str) {
        if let Some(screen) = &mut self.screen {
            screen.clear();
        }
        self.drawn_at = None;
        self.ui.talk(line);
    }

    /// Reads what happened before, or what was missed, from the journal.
    fn catch_up(&mut self) {
        let Some(books) = &self.books else { return };
        let runs: Vec<RunId> = match self.focus {
            Some(run) => vec![run],
            None => books.runs().runs.iter().filter(|run| run.ended.is_none()).map(|run| run.run).collect(),
        };
        let records: Vec<Record> = runs.into_iter().flat_map(|run| books.records_of(run).map_while(Result::ok)).collect();
        for record in records {
            self.record(&record);
        }
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Update(Update::Recorded(record)) => self.record(&record),
            Heard::Update(Update::Progress(progress)) => self.progress(&progress),
            Heard::Update(Update::Status { run, text }) => {
                if let Some(board) = self.boards.get_mut(&run) {
                    board.status = Some(text);
                }
            }
            Heard::Missed(_) => self.catch_up(),
        }
    }

    fn record(&mut self, record: &Record) {
        if self.focus.is_some_and(|focus| focus != record.run) {
            return;
        }
        let fresh = match self.boards.get_mut(&record.run) {
            Some(board) => board.apply(record),
            None => match RunView::begin(record) {
                Some(view) => {
                    self.boards.insert(record.run, Board::new(view));
                    true
                }
                None => false,
            },
        };
        if fresh && self.screen.is_none() {
            let logbook = self.logbooks.entry(record.run).or_insert_with(Logbook::plain);
            let lines = logbook.lines(record);
            for line in lines.lines().filter(|_| !self.quiet) {
                self.ui.talk(line);
            }
        }
    }

    fn progress(&mut self, progress: &Progress) {
        let Some(board) = self.boards.get_mut(&progress.run) else { return };
        board.hear(progress);
        if self.screen.is_some() {
            return;
        }
        let (key, now) = ((progress.run, progress.command), self.clock.now());
        let soon = self.told.get(&key).is_some_and(|told| now.since(*told) < TOLD_AGAIN);
        if !soon {
            self.told.insert(key, now);
            let text = words::one_line(&progress.text, 300);
            self.ui.talk(&format!("{}              … {text}", words::clock(now)));
        }
    }

    fn draw(&mut self) {
        let fresh = self.drawn_at.is_some_and(|at| at.elapsed() < FRAME);
        let Some(screen) = &mut self.screen else { return };
        if fresh || self.asker.question().is_some() {
            return;
        }
        let now = self.clock.now();
        let canvas = screen.canvas(self.ui);
        let mut lines = Vec::new();
        for board in self.boards.values() {
            match self.boards.len() {
                1 => lines.extend(frame::frame(board, now, &canvas)),
                _ => lines.extend(frame::brief(board, now, &canvas)),
            }
        }
        lines.truncate(canvas.height.saturating_sub(1));
        screen.draw(lines);
        self.drawn_at = Some(Instant::now());
    }

    /// Puts a question for the first gate that is open, and takes back one that somebody else has answered.
    fn ask_if_needed(&mut self) {
        let open = |board: &Board, gate: &str| board.view.open_gates().any(|open| open.name == gate);
        if let Some((run, gate)) = self.asker.question().cloned() {
            if self.boards.get(&run).is_some_and(|board| open(board, &gate)) {
                return;
            }
            self.asker.withdraw();
            self.ui.talk("\ndecided elsewhere");
        }
        if !self.ui.asks {
            return;
        }
        let gates = self.boards.iter().flat_map(|(run, board)| board.view.open_gates().map(move |gate| (*run, gate)));
        let first = gates.map(|(run, gate)| (run, gate.name.clone(), gate.text.clone())).next();
        if let Some((run, gate, text)) = first {
            self.drawn_at = None;
            self.draw();
            if let Some(screen) = &mut self.screen {
                screen.leave();
            }
            self.ui.talk(&format!("\nGate {gate}:\n{text}"));
            self.prompt();
            self.asker.ask(run, &gate);
        }
    }

    fn prompt(&self) {
        self.ui.talk("[y]es, [n]o or [l]ater? A reason may follow, as in: y checked the graphs");
    }

    /// Passes an answer on; `true` if the person wants to decide later.
    async fn answered(&mut self, said: Said, teller: &Teller) -> Result<bool, Failure> {
        let Some((run, gate)) = self.asker.question().cloned() else { return Ok(false) };
        let (what, reason) = match said {
            Said::Approve(reason) => {
                let seen = self.boards.get(&run).and_then(|board| board.view.open_gates().find(|open| open.name == gate));
                (What::Approve { seen: seen.map(GateView::digest), gate, in_advance: false, plan: None }, reason)
            }
            Said::Reject(reason) => (What::Reject { gate }, reason),
            Said::Later => {
                self.asker.withdraw();
                return Ok(true);
            }
            Said::Unclear => {
                self.prompt();
                self.asker.ask(run, &gate);
                return Ok(false);
            }
        };
        self.asker.withdraw();
        deliver(teller, tell::request(run, reason, what)).await?;
        // The event is on its way; without this the question would be put again.
        self.catch_up();
        Ok(false)
    }

    fn interrupted(&mut self, ending: Ending, remote: bool) {
        if ending == Ending::Interrupted {
            self.finish();
            std::process::exit(130);
        }
        self.asker.withdraw();
        let line =
            if remote { "leaving; the worker goes on" } else { "stopping after what is in flight; once more kills at once" };
        self.say(line);
    }

    /// Whether the run of interest needs nothing more from a worker.
    fn settled(&self) -> bool {
        let settled = |board: &Board| {
            let state = &board.view.state;
            state.ended.is_some() || state.stands_still() || (state.waits_for_people() && !self.ui.asks)
        };
        !self.boards.is_empty() && self.boards.values().all(settled)
    }

    fn drain(&mut self, feed: &mut Feed) {
        if let Feed::Local(updates) = feed {
            while let Ok(update) = updates.try_recv() {
                self.hear(Heard::Update(update));
            }
        }
        // What was recorded while winding down was told to nobody.
        self.catch_up();
    }

    fn finish(&mut self) {
        self.asker.withdraw();
        self.drawn_at = None;
        self.draw();
        if let Some(screen) = &mut self.screen {
            screen.leave();
        }
    }
}

/// Stops a worker of this process, which then ends by itself; `true` if there is none to wait for.
fn stop(teller: &Teller) -> bool {
    match teller {
        Teller::Local(handle) => {
            handle.stop();
            false
        }
        Teller::Remote(..) => true,
    }
}

async fn deliver(teller: &Teller, request: Request) -> Result<(), Failure> {
    match teller {
        Teller::Local(handle) => match handle.tell(request).await {
            // Decided by somebody else in this very moment.
            Ok(Ok(()) | Err(_)) | Err(_) => Ok(()),
        },
        Teller::Remote(dir, clock) => tell::tell(dir, clock, request).await.map(drop),
    }
}

async fn ended<T>(worker: &mut Option<&mut tokio::task::JoinHandle<T>>) -> Result<T, Failure> {
    match worker {
        Some(worker) => worker.await.map_err(|e| {
            let next = "`windlass resume`; nothing acknowledged is lost. This is a bug in windlass: please report it";
            Failure::new(Kind::Failed, format!("the worker broke down: {e}"), next)
        }),
        None => std::future::pending().await,
    }
}

async fn tick(ticks: bool) {
    if ticks {
        tokio::time::sleep(Duration::from_secs(1)).await;
    } else {
        std::future::pending::<()>().await;
    }
}

/// Ctrl-C and SIGTERM.
struct Interrupts {
    int: Signal,
    term: Signal,
}

impl Interrupts {
    fn new() -> Result<Self, Failure> {
        let listen = |kind: SignalKind| {
            signal(kind).map_err(|e| Failure::new(Kind::Failed, format!("no signals can be received: {e}"), "retry"))
        };
        Ok(Self { int: listen(SignalKind::interrupt())?, term: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.int.recv() => {}
            _ = self.term.recv() => {}
        }
    }
}
