//! Watches.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::{self, Stream};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::accept::{Accept, RowObject};
use super::read;
use super::request::ApiRequest;
use super::selector::Selector;
use super::table::{render_one, table};
use crate::audit::WatchGuard;
use crate::store::{ApiError, Cause, Change, ChangeKind, Resource, Store};

/// How long a watch lasts when the client does not say; the real server draws 30 to 60 minutes.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(45 * 60);
/// Virtual time between two bookmarks.
const BOOKMARK_EVERY: TimeDelta = TimeDelta::minutes(1);
/// Changes read at once, so that a slow watcher never copies the whole log.
const BATCH: usize = 512;

/// One open watch.
pub(super) struct Watch {
    store: Store,
    resource: &'static Resource,
    namespace: Option<String>,
    selector: Selector,
    accept: Accept,
    /// Everything up to this resourceVersion was looked at.
    cursor: u64,
    /// The newest resourceVersion that the client knows.
    told: u64,
    news: watch::Receiver<u64>,
    queue: VecDeque<Bytes>,
    state: State,
    bookmark_at: Option<DateTime<Utc>>,
    deadline: Instant,
    limits: Limits,
    headed: bool,
    _open: WatchGuard,
}

/// What ends a watch before its time.
pub(super) struct Limits {
    /// Events after which the connection breaks.
    pub(super) drop_after: Option<u64>,
    /// A scripted outage that breaks every connection.
    pub(super) outage_at: Option<DateTime<Utc>>,
    /// False while the server does not answer at all.
    pub(super) reachable: watch::Receiver<bool>,
    /// Whether to tell the client at once that its resourceVersion is too old.
    pub(super) expired: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closing,
    Broken,
}

impl Watch {
    pub(super) fn open(store: &Store, request: &ApiRequest, limits: Limits, open: WatchGuard) -> Result<Self, ApiError> {
        let query = &request.query;
        let initial = query.get("sendInitialEvents").map(|v| v == "true");
        if initial.is_some() && query.get("resourceVersionMatch") != Some("NotOlderThan") {
            let message = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            let cause = Cause::new("FieldValueForbidden", "resourceVersionMatch", format!("Forbidden: {message}"));
            return Err(
                ApiError::new(422, "Invalid", format!("ListOptions.meta.k8s.io \"\" is invalid: {message}")).because(&[cause])
            );
        }
        let timeout = query.number("timeoutSeconds")?.filter(|s| *s > 0).map_or(DEFAULT_TIMEOUT, Duration::from_secs);
        let bookmarks = query.is_true("allowWatchBookmarks");
        let revision = read::revision(request)?;
        let mut watch = Self {
            store: store.clone(),
            resource: request.target.resource,
            namespace: request.target.namespace.clone(),
            selector: read::selector(request)?,
            accept: request.accept,
            cursor: revision.unwrap_or_default(),
            told: revision.unwrap_or_default(),
            news: store.changes(),
            queue: VecDeque::new(),
            state: State::Open,
            bookmark_at: bookmarks.then(|| store.clock().now() + BOOKMARK_EVERY),
            deadline: Instant::now() + timeout,
            limits,
            headed: false,
            _open: open,
        };
        if watch.limits.expired {
            let asked = watch.cursor;
            watch.fail(&ApiError::expired(format!("too old resource version: {asked} ({})", store.revision())));
        } else if initial.unwrap_or(revision.is_none()) {
            watch.start_with_everything(bookmarks && initial == Some(true))?;
        } else if revision.is_none() {
            watch.cursor = store.revision();
            watch.told = watch.cursor;
        }
        Ok(watch)
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        stream::unfold(self, Self::next)
    }

    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                match &mut self.limits.drop_after {
                    Some(0) => self.state = State::Broken,
                    Some(left) => {
                        *left -= 1;
                        return Some((Ok(event), self));
                    }
                    None => return Some((Ok(event), self)),
                }
            }
            match self.state {
                State::Broken => {
                    self.queue.clear();
                    self.limits.drop_after = None;
                    self.state = State::Closing;
                    return Some((Err(io::Error::new(io::ErrorKind::ConnectionReset, "the watch was cut off")), self));
                }
                State::Closing => return None,
                State::Open => {}
            }
            self.news.borrow_and_update();
            if !self.read_on() {
                self.rest().await;
            }
        }
    }

    /// Queues what is new; false when there is nothing.
    fn read_on(&mut self) -> bool {
        let changes = match self.store.changes_since(self.cursor, BATCH) {
            Ok(changes) => changes,
            Err(error) => {
                self.fail(&error);
                return true;
            }
        };
        for change in &changes {
            if change.resource == *self.resource {
                self.pass_on(change);
            }
            self.cursor = change.revision;
        }
        !changes.is_empty()
    }

    fn pass_on(&mut self, change: &Change) {
        let here = self.namespace.as_deref().is_none_or(|ns| change.object["metadata"]["namespace"] == ns);
        if !here {
            return;
        }
        let was = change.previous.as_ref().is_some_and(|o| self.selector.matches(o));
        let is = change.kind != ChangeKind::Deleted && self.selector.matches(&change.object);
        match (was, is) {
            (false, true) => self.send("ADDED", &change.object),
            (true, true) => self.send("MODIFIED", &change.object),
            (true, false) if change.kind == ChangeKind::Deleted => self.send("DELETED", &change.object),
            (true, false) => {
                // The object lives on but left the selection: the watcher sees the state that it knew vanish.
                let mut known = change.previous.as_deref().cloned().unwrap_or_default();
                known["metadata"]["resourceVersion"] = json!(change.revision.to_string());
                self.send("DELETED", &Arc::new(known));
            }
            (false, false) => return,
        }
        self.told = change.revision;
    }

    /// Waits for a write, the next bookmark or an end.
    async fn rest(&mut self) {
        let clock = self.store.clock().clone();
        let until = |at: Option<DateTime<Utc>>| {
            let clock = clock.clone();
            async move {
                match at {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            }
        };
        // A bookmark that says nothing new would only keep virtual time busy.
        let bookmark_at = self.bookmark_at.filter(|_| self.cursor > self.told);
        let state = tokio::select! {
            alive = self.news.changed() => if alive.is_err() { State::Closing } else { State::Open },
            () = until(bookmark_at) => State::Open,
            () = tokio::time::sleep_until(self.deadline) => State::Closing,
            () = until(self.limits.outage_at) => State::Broken,
            _ = self.limits.reachable.wait_for(|reachable| !reachable) => State::Broken,
        };
        self.state = state;
        if state == State::Open && bookmark_at.is_some_and(|at| clock.now() >= at) {
            self.bookmark(false);
        }
    }

    fn start_with_everything(&mut self, announce_end: bool) -> Result<(), ApiError> {
        let (revision, objects) = self.store.snapshot(self.resource, self.namespace.as_deref(), None)?;
        self.cursor = revision;
        self.told = revision;
        for object in objects.iter().filter(|o| self.selector.matches(o)).cloned().collect::<Vec<_>>() {
            self.send("ADDED", &object);
        }
        if announce_end {
            self.bookmark(true);
        }
        Ok(())
    }

    fn bookmark(&mut self, initial_events_end: bool) {
        let mut meta = json!({ "resourceVersion": self.cursor.to_string(), "creationTimestamp": null });
        if initial_events_end {
            meta["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let object = json!({ "kind": self.resource.kind, "apiVersion": self.resource.api_version(), "metadata": meta });
        self.send("BOOKMARK", &Arc::new(object));
        self.told = self.cursor;
        self.bookmark_at = Some(self.store.clock().now() + BOOKMARK_EVERY);
    }

    fn fail(&mut self, error: &ApiError) {
        let event = json!({ "type": "ERROR", "object": error.to_status() });
        self.queue.push_back(line(&event));
        self.state = State::Closing;
    }

    fn send(&mut self, kind: &str, object: &Arc<Value>) {
        let now = self.store.clock().now();
        let rendered = match self.accept {
            Accept::Table(rows) => {
                let mut rendered = self.row(rows, object, now);
                // The columns come once; clients keep them.
                if std::mem::replace(&mut self.headed, true) {
                    rendered.as_object_mut().map(|t| t.remove("columnDefinitions"));
                }
                Arc::new(rendered)
            }
            Accept::Object | Accept::Metadata => render_one(self.resource, self.accept, object, now),
        };
        self.queue.push_back(line(&Event { kind, object: &rendered }));
    }

    fn row(&self, rows: RowObject, object: &Arc<Value>, now: DateTime<Utc>) -> Value {
        let meta = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
        table(self.resource, rows, std::slice::from_ref(object), &meta, now)
    }
}

#[derive(serde::Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    object: &'a Value,
}

fn line<T: serde::Serialize>(event: &T) -> Bytes {
    let mut bytes = serde_json::to_vec(event).unwrap_or_default();
    bytes.push(b'\n');
    bytes.into()
}
