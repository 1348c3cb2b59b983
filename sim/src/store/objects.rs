//! The stored objects and the one way to write them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::log::{Compacted, Log};
use super::meta::{begin_status, bump_generation, clear_server_owned, keep_server_owned, may_vanish, metadata, spec_differs};
use super::{ApiError, Change, ChangeKind, Resource, resources};
use crate::clock::{SimClock, rfc3339};
use crate::rng::Rng;

/// Changes that are kept for watches to resume from, unless told otherwise.
const DEFAULT_HISTORY: usize = 10_000;

/// All objects of the cluster; clones share them.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Mutex<Inner>>,
    clock: SimClock,
    newest: Arc<watch::Sender<u64>>,
}

#[derive(Debug)]
pub(super) struct Inner {
    tables: HashMap<(&'static str, &'static str), BTreeMap<Key, Arc<Value>>>,
    log: Log,
    rng: Rng,
    /// Pods that have a deletionTimestamp, so that termination needs no search.
    pub(super) terminating: BTreeSet<Key>,
}

/// Namespace (empty for cluster-scoped objects) and name.
pub(super) type Key = (String, String);

/// What the caller of a write or a deletion knows about the object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// The object must have this uid.
    pub uid: Option<String>,
    /// The object must be at this resourceVersion.
    pub resource_version: Option<String>,
}

/// How to delete.
#[derive(Clone, Debug, Default)]
pub struct Removal {
    /// What must hold.
    pub preconditions: Preconditions,
    /// Seconds that a pod has to end; its own figure when absent.
    pub grace_seconds: Option<i64>,
    /// Check, and change nothing.
    pub dry_run: bool,
}

/// How to write.
#[derive(Clone, Copy, Debug)]
pub struct Edit {
    /// Which part of the object the writer may change.
    pub scope: Scope,
    /// Check, and change nothing.
    pub dry_run: bool,
}

/// Which part of an object a writer may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All but the status, where that is a subresource.
    Main,
    /// The status alone.
    Status,
    /// Everything: the controllers of the simulation.
    Whole,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The object is new.
    Created,
    /// The object changed.
    Changed,
    /// The object was already so.
    Unchanged,
    /// The write took the last finalizer of an object that was being deleted.
    Removed,
}

/// What a deletion did.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// The object is gone; this was its last state.
    Gone(Arc<Value>),
    /// The object has a deletionTimestamp and waits for its finalizers or its grace period.
    Terminating(Arc<Value>),
}

impl Deleted {
    /// The object as the deletion left it.
    pub fn object(&self) -> &Arc<Value> {
        match self {
            Self::Gone(object) | Self::Terminating(object) => object,
        }
    }
}

impl Preconditions {
    /// Refuses when `object` is not the one that the caller had in mind.
    pub fn check(&self, r: &Resource, name: &str, object: &Value) -> Result<(), ApiError> {
        let meta = &object["metadata"];
        if let Some(uid) = self.uid.as_deref().filter(|uid| meta["uid"] != **uid) {
            let have = meta["uid"].as_str().unwrap_or_default();
            let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {have}");
            return Err(ApiError::conflict(r, name, &why));
        }
        if let Some(version) = self.resource_version.as_deref().filter(|v| meta["resourceVersion"] != **v) {
            let have = meta["resourceVersion"].as_str().unwrap_or_default();
            let why = format!(
                "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {have}"
            );
            return Err(ApiError::conflict(r, name, &why));
        }
        Ok(())
    }
}

impl Store {
    /// An empty store; uids and generated names depend on the seed.
    pub fn new(clock: SimClock, seed: u64) -> Self {
        let log = Log::new(DEFAULT_HISTORY);
        let newest = Arc::new(watch::Sender::new(log.revision()));
        let rng = Rng::new(seed).fork("store");
        let inner = Inner { tables: HashMap::new(), log, rng, terminating: BTreeSet::new() };
        Self { inner: Arc::new(Mutex::new(inner)), clock, newest }
    }

    /// The clock that stamps the objects.
    pub fn clock(&self) -> &SimClock {
        &self.clock
    }

    /// The object of this name.
    pub fn get(&self, r: &Resource, ns: Option<&str>, name: &str) -> Option<Arc<Value>> {
        self.lock().object(r, &key(ns, name)).cloned()
    }

    /// All objects of a resource, by namespace and name.
    pub fn list(&self, r: &Resource) -> Vec<Arc<Value>> {
        self.lock().table(r).map(|t| t.values().cloned().collect()).unwrap_or_default()
    }

    /// Stores a new object as a controller writes it, status included; fills in what the server owns.
    pub fn create(&self, r: &Resource, obj: Value) -> Result<Arc<Value>, ApiError> {
        self.create_with(r, obj, Edit { scope: Scope::Whole, dry_run: false })
    }

    /// Stores a new object.
    pub fn create_with(&self, r: &Resource, mut obj: Value, how: Edit) -> Result<Arc<Value>, ApiError> {
        let mut inner = self.lock();
        let meta = metadata(&mut obj);
        let name = match (meta.get("name").and_then(Value::as_str), meta.get("generateName").and_then(Value::as_str)) {
            (Some(name), _) if !name.is_empty() => name.to_owned(),
            (_, Some(prefix)) if !prefix.is_empty() => format!("{prefix}{}", inner.rng.suffix()),
            _ => {
                return Err(ApiError::invalid(r, "", &[super::Cause::new("FieldValueRequired", "metadata.name", NAME_REQUIRED)]));
            }
        };
        meta.insert("name".to_owned(), json!(name));
        let ns = meta.get("namespace").and_then(Value::as_str).map(str::to_owned);
        let key = key(ns.as_deref().filter(|_| r.namespaced), &name);
        if inner.object(r, &key).is_some() {
            return Err(ApiError::already_exists(r, &name));
        }
        let object = self.admit_new(&mut inner, r, &key, obj, how);
        Ok(self.put(&mut inner, r, key, object, how).0)
    }

    /// Changes an object as a controller does, status included. Changing nothing makes no new resourceVersion.
    pub fn modify(&self, r: &Resource, ns: Option<&str>, name: &str, f: impl FnOnce(&mut Value)) -> Result<Arc<Value>, ApiError> {
        let how = Edit { scope: Scope::Whole, dry_run: false };
        let edited = self.edit(r, ns, name, how, |current| {
            let mut object = current.cloned().ok_or_else(|| ApiError::not_found(r, name))?;
            f(&mut object);
            Ok(object)
        })?;
        Ok(edited.0)
    }

    /// Replaces an object by what `f` makes of it, or creates it when there is none and `f` makes one; `f` runs under the lock,
    /// so it can't ask the store.
    pub fn edit(
        &self,
        r: &Resource,
        ns: Option<&str>,
        name: &str,
        how: Edit,
        f: impl FnOnce(Option<&Value>) -> Result<Value, ApiError>,
    ) -> Result<(Arc<Value>, Outcome), ApiError> {
        let mut inner = self.lock();
        let key = key(ns, name);
        let Some(old) = inner.object(r, &key).cloned() else {
            let object = f(None)?;
            let object = self.admit_new(&mut inner, r, &key, object, how);
            return Ok(self.put(&mut inner, r, key, object, how));
        };
        let mut new = f(Some(&old))?;
        if how.scope != Scope::Whole {
            refuse_strangers(r, name, &old, &new)?;
            keep_other_part(r, how.scope, &old, &mut new);
            keep_server_owned(&old, &mut new);
        }
        if spec_differs(&old, &new) {
            bump_generation(r, &mut new);
        }
        if new == *old {
            return Ok((old, Outcome::Unchanged));
        }
        Ok(self.put(&mut inner, r, key, new, how))
    }

    /// Deletes an object, or marks it when finalizers or a pod's grace period hold it.
    pub fn delete(&self, r: &Resource, ns: Option<&str>, name: &str, pre: &Preconditions) -> Result<Deleted, ApiError> {
        self.delete_with(r, ns, name, &Removal { preconditions: pre.clone(), ..Removal::default() })
    }

    /// The resourceVersion of the newest write, to wake controllers.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The resourceVersion of the newest write.
    pub fn revision(&self) -> u64 {
        self.lock().log.revision()
    }

    /// Sets how many changes are kept for watches to resume from.
    pub fn keep_history(&self, changes: usize) {
        self.lock().log.keep(changes);
    }

    /// Forgets all but the newest `keep` changes now: older watches and continue tokens get 410.
    pub fn compact(&self, keep: usize) {
        self.lock().log.compact_to(keep);
    }

    /// Changes of all resources after a resourceVersion, oldest first, at most `limit`.
    pub fn changes_since(&self, revision: u64, limit: usize) -> Result<Vec<Arc<Change>>, ApiError> {
        let inner = self.lock();
        let newest = inner.log.revision();
        let changes = inner.log.since(revision).map_err(|Compacted { oldest }| {
            ApiError::expired(format!("too old resource version: {revision} ({oldest}, newest {newest})"))
        })?;
        Ok(changes.take(limit).cloned().collect())
    }

    /// Objects of a resource as they were at a resourceVersion (now, when `at` is none), and that resourceVersion.
    pub fn snapshot(&self, r: &Resource, ns: Option<&str>, at: Option<u64>) -> Result<(u64, Vec<Arc<Value>>), ApiError> {
        let inner = self.lock();
        let newest = inner.log.revision();
        let Some(at) = at.filter(|at| *at < newest) else { return Ok((newest, inner.in_namespace(r, ns).cloned().collect())) };
        let later = inner.log.since(at).map_err(|_| ApiError::expired(PROVIDED_CONTINUE_EXPIRED))?;
        let mut then: BTreeMap<Key, Arc<Value>> = inner.in_namespace(r, ns).map(|o| (key_of(o), o.clone())).collect();
        for change in later.rev().filter(|c| c.resource == *r && ns.is_none_or(|ns| c.object["metadata"]["namespace"] == ns)) {
            match &change.previous {
                Some(previous) => then.insert(key_of(previous), previous.clone()),
                None => then.remove(&key_of(&change.object)),
            };
        }
        Ok((at, then.into_values().collect()))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit_new(&self, inner: &mut Inner, r: &Resource, key: &Key, mut object: Value, how: Edit) -> Value {
        clear_server_owned(&mut object);
        if how.scope == Scope::Main {
            begin_status(r, &mut object, &key.1);
        }
        object["apiVersion"] = json!(r.api_version());
        object["kind"] = json!(r.kind);
        let meta = metadata(&mut object);
        if r.namespaced {
            meta.insert("namespace".to_owned(), json!(key.0));
        } else {
            meta.remove("namespace");
        }
        meta.insert("name".to_owned(), json!(key.1));
        meta.insert("uid".to_owned(), json!(inner.rng.uuid()));
        meta.insert("creationTimestamp".to_owned(), json!(rfc3339(self.clock.now())));
        bump_generation(r, &mut object);
        object
    }

    /// Stores the object and tells everybody; unless it is a dry run.
    pub(super) fn put(&self, inner: &mut Inner, r: &Resource, key: Key, mut object: Value, how: Edit) -> (Arc<Value>, Outcome) {
        let previous = inner.object(r, &key).cloned();
        let removed = previous.is_some() && may_vanish(&object);
        let (kind, outcome) = match (&previous, removed) {
            (_, true) => (ChangeKind::Deleted, Outcome::Removed),
            (Some(_), false) => (ChangeKind::Modified, Outcome::Changed),
            (None, false) => (ChangeKind::Added, Outcome::Created),
        };
        if how.dry_run {
            return (Arc::new(object), outcome);
        }
        let revision = inner.log.revision() + 1;
        metadata(&mut object).insert("resourceVersion".to_owned(), json!(revision.to_string()));
        let object = Arc::new(object);
        if *r == resources::PODS {
            inner.note_pod(&key, &object, removed);
        }
        let table = inner.tables.entry((r.group, r.plural)).or_default();
        if removed {
            table.remove(&key);
        } else {
            table.insert(key, object.clone());
        }
        inner.log.push(Change { revision, resource: *r, kind, object: object.clone(), previous });
        self.newest.send_replace(revision);
        (object, outcome)
    }
}

const NAME_REQUIRED: &str = "Required value: name or generateName is required";
const PROVIDED_CONTINUE_EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. \
    You can start a new list without the continue parameter.";

impl Inner {
    fn table(&self, r: &Resource) -> Option<&BTreeMap<Key, Arc<Value>>> {
        self.tables.get(&(r.group, r.plural))
    }

    pub(super) fn object(&self, r: &Resource, key: &Key) -> Option<&Arc<Value>> {
        self.table(r)?.get(key)
    }

    fn in_namespace(&self, r: &Resource, ns: Option<&str>) -> impl Iterator<Item = &Arc<Value>> {
        let start = key(ns, "");
        self.table(r)
            .into_iter()
            .flat_map(move |t| t.range(start.clone()..))
            .take_while(move |(k, _)| ns.is_none_or(|ns| k.0 == ns))
            .map(|(_, object)| object)
    }

    fn note_pod(&mut self, key: &Key, pod: &Value, removed: bool) {
        if removed || !pod["metadata"]["deletionTimestamp"].is_string() {
            self.terminating.remove(key);
        } else {
            self.terminating.insert(key.clone());
        }
    }
}

pub(super) fn key(ns: Option<&str>, name: &str) -> Key {
    (ns.unwrap_or_default().to_owned(), name.to_owned())
}

fn key_of(object: &Value) -> Key {
    let meta = &object["metadata"];
    key(meta["namespace"].as_str(), meta["name"].as_str().unwrap_or_default())
}

fn refuse_strangers(r: &Resource, name: &str, old: &Value, new: &Value) -> Result<(), ApiError> {
    let (old, new) = (&old["metadata"], &new["metadata"]);
    if new["uid"].is_string() && new["uid"] != old["uid"] {
        let (want, have) = (new["uid"].as_str().unwrap_or_default(), old["uid"].as_str().unwrap_or_default());
        let why = format!("Precondition failed: UID in precondition: {want}, UID in object meta: {have}");
        return Err(ApiError::conflict(r, name, &why));
    }
    let version = new["resourceVersion"].as_str().unwrap_or_default();
    if !version.is_empty() && old["resourceVersion"] != version {
        return Err(ApiError::conflict(
            r,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        ));
    }
    Ok(())
}

fn keep_other_part(r: &Resource, scope: Scope, old: &Value, new: &mut Value) {
    match scope {
        Scope::Main if r.status => copy_key(old, new, "status"),
        Scope::Status => {
            let status = new.get("status").cloned();
            let managers = new["metadata"].get("managedFields").cloned();
            *new = old.clone();
            if let Some(object) = new.as_object_mut() {
                match status {
                    Some(status) => object.insert("status".to_owned(), status),
                    None => object.remove("status"),
                };
            }
            if let Some(managers) = managers {
                metadata(new).insert("managedFields".to_owned(), managers);
            }
        }
        Scope::Main | Scope::Whole => {}
    }
}

fn copy_key(from: &Value, to: &mut Value, key: &str) {
    let Some(object) = to.as_object_mut() else { return };
    match from.get(key) {
        Some(value) => object.insert(key.to_owned(), value.clone()),
        None => object.remove(key),
    };
}
