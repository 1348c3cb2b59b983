//! The handle on the cloud that tests and the cluster's own controllers hold.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::answer::Service;
use super::load_balancer::Transition;
use super::state::{CloudObject, Kind, State};
use crate::clock::SimClock;
use crate::machine_daemon::Units;
use crate::rng::Rng;

/// The cloud under the cluster; clones are the same one.
#[derive(Clone)]
pub struct OpenStack {
    pub(super) state: Arc<Mutex<State>>,
    pub(super) clock: SimClock,
    /// The machines that the servers are.
    pub(super) machines: Arc<Units>,
    pub(super) faults: Arc<Mutex<CloudFaults>>,
}

impl fmt::Debug for OpenStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenStack")
    }
}

/// What a client needs to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The path under which Keystone answers.
    pub auth_path: &'static str,
    /// The region of every service.
    pub region: &'static str,
    /// An application credential's id, name and secret.
    pub application_credential_id: String,
    /// Its name.
    pub application_credential_name: &'static str,
    /// Its secret.
    pub application_credential_secret: String,
    /// The user whose it is.
    pub username: &'static str,
    /// The user's id.
    pub user_id: String,
    /// The user's password.
    pub password: String,
    /// The domain of the user and the project.
    pub domain: &'static str,
    /// The project.
    pub project: &'static str,
    /// The project's id.
    pub project_id: String,
}

impl Account {
    pub(super) fn invent(rng: &mut Rng) -> Self {
        let mut id = || rng.uuid().simple().to_string();
        Self {
            auth_path: "/identity/v3",
            region: "RegionOne",
            application_credential_id: id(),
            application_credential_name: "harbour-maintenance",
            application_credential_secret: id(),
            username: "harbour-admin",
            user_id: id(),
            password: id(),
            domain: "Default",
            project: "harbour",
            project_id: id(),
        }
    }
}

/// One request that changed something, or would have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudRecord {
    /// When it came.
    pub at: DateTime<Utc>,
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub path: String,
    /// Its body; null for none.
    pub body: Value,
    /// The status of the answer.
    pub status: u16,
    /// Whether the client got the answer.
    pub heard: bool,
}

/// What goes wrong between clients and services.
#[derive(Debug, Default)]
pub(super) struct CloudFaults {
    /// Which mutating calls, counted from 1, lose their answer.
    pub(super) lost: Vec<usize>,
    /// Mutating calls so far.
    pub(super) calls: usize,
    /// When which services are out of service; all, if none is named.
    pub(super) away: Vec<(Option<Service>, DateTime<Utc>, DateTime<Utc>)>,
}

impl OpenStack {
    pub(crate) fn new(state: State, clock: SimClock, machines: Arc<Units>) -> Self {
        Self { state: Arc::new(Mutex::new(state)), clock, machines, faults: Arc::default() }
    }

    /// The state, with everything in it that is due.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle(self.clock.now());
        state.settle_servers(self.clock.now());
        state
    }

    /// The credentials that are let in.
    pub fn account(&self) -> Account {
        self.lock().account.clone()
    }

    /// Every request that changed something or tried to, in order.
    pub fn audit(&self) -> Vec<CloudRecord> {
        self.lock().audit.clone()
    }

    /// Every object, with whose it is.
    pub fn objects(&self) -> Vec<CloudObject> {
        self.lock().objects()
    }

    /// Lets the `nth` mutating request (the first is 1) be carried out and its answer be lost.
    pub fn lose_reply(&self, nth: usize) {
        self.faults().lost.push(nth);
    }

    /// Lets all services answer 503 from now on, for so long.
    pub fn be_unavailable(&self, minutes: i64) {
        let now = self.clock.now();
        self.faults().away.push((None, now, now + TimeDelta::minutes(minutes)));
    }

    /// Changes an object past the services, as if somebody had done it long ago.
    pub fn change(&self, kind: Kind, id: &str, change: impl FnOnce(&mut Value)) {
        if let Some(object) = self.lock().get_mut(kind, id) {
            change(object);
        }
    }

    /// Keeps a load balancer in PENDING_UPDATE for so long.
    pub fn hold_load_balancer(&self, id: &str, time: Duration) {
        let until = self.clock.now() + TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
        let mut state = self.lock();
        if let Some(balancer) = state.get_mut(Kind::LoadBalancer, id) {
            balancer["provisioning_status"] = json!("PENDING_UPDATE");
            state.transitions.insert(id.to_owned(), Transition::active(until));
        }
    }

    /// Puts a load balancer into a provisioning status, in which it stays; `DELETED` takes it away.
    pub fn set_load_balancer(&self, id: &str, status: &str) {
        let mut state = self.lock();
        state.transitions.remove(id);
        if status == "DELETED" {
            state.drop_load_balancer(id);
        } else if let Some(balancer) = state.get_mut(Kind::LoadBalancer, id) {
            balancer["provisioning_status"] = json!(status);
        }
    }

    /// Lets the next deletion of a load balancer end in ERROR.
    pub fn fail_deletion(&self, id: &str) {
        self.lock().stubborn.insert(id.to_owned());
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, CloudFaults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
