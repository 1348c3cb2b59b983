//! Scripted faults of the API server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::api::Verb;
use crate::clock::SimClock;
use crate::rng::Rng;

/// Faults of the API server, tried in order; the first that fires decides, but delays add up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultScript {
    /// The faults.
    #[serde(default)]
    pub api: Vec<ApiFault>,
}

/// One fault: which requests it hits, when, and what it does to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiFault {
    /// Which requests.
    #[serde(default)]
    pub on: Match,
    /// When.
    #[serde(default)]
    pub when: When,
    /// What happens.
    pub effect: Effect,
}

/// Which requests a fault hits; what is left out matches everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Any of these verbs.
    #[serde(default)]
    pub verbs: Vec<Verb>,
    /// `plural[.group][/subresource]`; a trailing `*` matches any ending.
    pub resource: Option<String>,
    /// The object's namespace; a trailing `*` matches any ending.
    pub namespace: Option<String>,
    /// The object's name; a trailing `*` matches any ending.
    pub name: Option<String>,
    /// The start of the user agent.
    pub agent: Option<String>,
}

/// When a fault fires; what is left out does not limit it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// From this many virtual seconds after the start.
    pub from_seconds: Option<f64>,
    /// Until this many virtual seconds after the start.
    pub to_seconds: Option<f64>,
    /// On the nth matching request in that span, counted from 1.
    pub nth: Option<u64>,
    /// On this many matching requests, from the nth on; one when `nth` is given, else all.
    pub times: Option<u64>,
    /// With this probability.
    pub probability: Option<f64>,
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// The reply is this HTTP status; the request is not carried out, unless `applied`.
    Status {
        /// The HTTP status, e.g. 429, 503 or 504.
        code: u16,
        /// Seconds for the Retry-After header.
        #[serde(default)]
        retry_after_seconds: Option<u32>,
        /// Whether the request is carried out all the same.
        #[serde(default)]
        applied: bool,
    },
    /// The connection breaks and the request is not carried out.
    ResetBefore,
    /// The request is carried out, and the connection breaks instead of a reply.
    ResetAfter,
    /// The request waits; seconds of the client's own time.
    Delay {
        /// How long.
        seconds: f64,
    },
    /// A watch breaks after this many events.
    DropWatch {
        /// How many it still delivers.
        #[serde(default)]
        after_events: u64,
    },
    /// A watch is told that its resourceVersion is too old.
    ExpireWatch,
    /// Nothing answers: connections are refused, and open watches break when the span begins.
    Outage,
    /// The login has ended: 401, until the span ends or a new token file is written.
    ExpiredToken,
    /// 403, and access reviews say so too.
    Forbidden,
}

/// What the faults do to one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) delay: Duration,
    pub(crate) effect: Option<Effect>,
}

/// A request, as far as faults look at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) verb: Verb,
    pub(crate) resource: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) agent: &'a str,
}

/// The interpreter of a fault script; clones share its counters.
#[derive(Clone, Debug)]
pub struct Faults {
    clock: SimClock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    faults: Vec<(ApiFault, u64)>,
    rng: Rng,
}

impl Faults {
    /// An interpreter of `script`, whose spans count from the clock's epoch.
    pub fn new(clock: SimClock, script: FaultScript, seed: u64) -> Self {
        let state = State { faults: Vec::new(), rng: Rng::new(seed).fork("faults") };
        let faults = Self { clock, state: Arc::new(Mutex::new(state)) };
        faults.add(script);
        faults
    }

    /// Adds the faults of another script behind those that there are.
    pub fn add(&self, script: FaultScript) {
        self.lock().faults.extend(script.api.into_iter().map(|f| (f, 0)));
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.lock().faults.clear();
    }

    /// Decides on one request, and counts it.
    pub(crate) fn judge(&self, subject: &Subject<'_>) -> Verdict {
        let mut state = self.lock();
        let state = &mut *state;
        let mut verdict = Verdict::default();
        if state.faults.is_empty() {
            return verdict;
        }
        let now = self.seconds();
        for (fault, seen) in &mut state.faults {
            if !fault.on.hits(subject) || !fault.when.spans(now) {
                continue;
            }
            *seen += 1;
            if !fault.when.fires(*seen) || fault.when.probability.is_some_and(|p| !state.rng.chance(p)) {
                continue;
            }
            if let Effect::Delay { seconds } = fault.effect {
                verdict.delay += Duration::try_from_secs_f64(seconds).unwrap_or_default();
            } else if verdict.effect.is_none() {
                verdict.effect = Some(fault.effect.clone());
            }
        }
        verdict
    }

    /// Whether such a request would get 403.
    pub(crate) fn forbids(&self, subject: &Subject<'_>) -> bool {
        let now = self.seconds();
        let hit = |f: &ApiFault| f.effect == Effect::Forbidden && f.when.spans(now) && f.on.hits(subject);
        self.lock().faults.iter().any(|(f, _)| hit(f))
    }

    /// When the next outage begins that breaks every open connection.
    pub(crate) fn next_outage(&self) -> Option<DateTime<Utc>> {
        let now = self.seconds();
        let of_all = |f: &&(ApiFault, u64)| f.0.effect == Effect::Outage && f.0.on == Match::default();
        let state = self.lock();
        let starts = state.faults.iter().filter(of_all).filter(|(f, _)| f.when.to_seconds.is_none_or(|to| to > now));
        let next = starts.filter_map(|(f, _)| f.when.from_seconds).filter(|from| *from > now).min_by(f64::total_cmp)?;
        let after = Duration::try_from_secs_f64(next).ok().and_then(|d| TimeDelta::from_std(d).ok())?;
        Some(self.clock.epoch() + after)
    }

    fn seconds(&self) -> f64 {
        self.clock.elapsed().as_secs_f64()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Match {
    fn hits(&self, subject: &Subject<'_>) -> bool {
        (self.verbs.is_empty() || self.verbs.contains(&subject.verb))
            && matches(self.resource.as_deref(), subject.resource)
            && matches(self.namespace.as_deref(), subject.namespace)
            && matches(self.name.as_deref(), subject.name)
            && self.agent.as_deref().is_none_or(|agent| subject.agent.starts_with(agent))
    }
}

impl When {
    fn spans(&self, now: f64) -> bool {
        self.from_seconds.is_none_or(|from| now >= from) && self.to_seconds.is_none_or(|to| now < to)
    }

    fn fires(&self, seen: u64) -> bool {
        let first = self.nth.unwrap_or(1).max(1);
        let times = self.times.or(self.nth.map(|_| 1));
        seen >= first && times.is_none_or(|times| seen < first.saturating_add(times))
    }
}

fn matches(pattern: Option<&str>, text: &str) -> bool {
    match pattern.map(|p| p.strip_suffix('*').ok_or(p)) {
        None => true,
        Some(Ok(start)) => text.starts_with(start),
        Some(Err(whole)) => text == whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(yaml: &str) -> FaultScript {
        serde_saphyr::from_str(yaml).expect("a valid script")
    }

    fn subject<'a>(verb: Verb, resource: &'a str, name: &'a str) -> Subject<'a> {
        Subject { verb, resource, namespace: "", name, agent: "windlass/0.1" }
    }

    #[tokio::test(start_paused = true)]
    async fn faults_fire_on_the_nth_match_in_their_span() {
        let clock = SimClock::new(DateTime::default(), 1.0);
        let faults = Faults::new(
            clock.clone(),
            script(
                "
api:
- on: {verbs: [patch], resource: clusterversions.config.openshift.io, name: ver*}
  when: {nth: 2}
  effect: reset_after
- on: {verbs: [list, watch]}
  when: {from_seconds: 60, to_seconds: 120}
  effect: {status: {code: 503, retry_after_seconds: 5}}
- on: {agent: windlass}
  when: {times: 1}
  effect: {delay: {seconds: 2.5}}
- effect: outage
  when: {from_seconds: 500, to_seconds: 600}
",
            ),
            1,
        );
        let cv = subject(Verb::Patch, "clusterversions.config.openshift.io", "version");
        let nodes = subject(Verb::List, "nodes", "");
        assert_eq!(faults.judge(&cv), Verdict { delay: Duration::from_millis(2500), effect: None });
        assert_eq!(faults.judge(&nodes), Verdict::default());
        assert_eq!(faults.judge(&cv).effect, Some(Effect::ResetAfter));
        assert_eq!(faults.judge(&cv), Verdict::default());
        assert_eq!(faults.next_outage(), Some(clock.epoch() + TimeDelta::seconds(500)));
        clock.sleep(Duration::from_secs(60)).await;
        let status = Effect::Status { code: 503, retry_after_seconds: Some(5), applied: false };
        assert_eq!(faults.judge(&nodes).effect, Some(status));
        clock.sleep(Duration::from_secs(60)).await;
        assert_eq!(faults.judge(&nodes).effect, None);
        clock.sleep(Duration::from_secs(400)).await;
        assert_eq!(faults.judge(&nodes).effect, Some(Effect::Outage));
        assert_eq!(faults.next_outage(), None);
    }

    #[test]
    fn scripts_survive_a_round_trip_and_refuse_what_they_do_not_know() {
        let fault = script("{api: [{on: {resource: pods/eviction}, when: {probability: 0.5}, effect: forbidden}]}");
        let json = serde_json::to_string(&fault).expect("serialises");
        assert_eq!(serde_json::from_str::<FaultScript>(&json).expect("reads back"), fault);
        assert!(serde_saphyr::from_str::<FaultScript>("{api: [{efect: outage}]}").is_err());
    }
}
