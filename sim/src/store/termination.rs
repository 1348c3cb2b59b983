//! Deletion: finalizers, grace periods, and the pods that end when theirs is over.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::meta::{bump_generation, has_finalizers, may_vanish, metadata, str_at};
use super::objects::{Key, key};
use super::{ApiError, Deleted, Edit, Outcome, Removal, Resource, Scope, Store, resources};
use crate::clock::rfc3339;

/// The grace period of a pod that does not state one.
const DEFAULT_GRACE_SECONDS: i64 = 30;

impl Store {
    /// Deletes an object, or marks it when finalizers or a pod's grace period hold it.
    pub fn delete_with(&self, r: &Resource, ns: Option<&str>, name: &str, how: &Removal) -> Result<Deleted, ApiError> {
        let mut inner = self.lock();
        let key = key(ns, name);
        let old = inner.object(r, &key).cloned().ok_or_else(|| ApiError::not_found(r, name))?;
        how.preconditions.check(r, name, &old)?;
        let grace = if *r == resources::PODS { pod_grace(&old, how.grace_seconds) } else { 0 };
        let current = old["metadata"]["deletionGracePeriodSeconds"].as_i64();
        let already = old["metadata"]["deletionTimestamp"].is_string();
        // A second deletion can only shorten the wait.
        if already && current.unwrap_or(0) <= grace && !may_vanish(&old) {
            return Ok(Deleted::Terminating(old));
        }
        let mut object = (*old).clone();
        if !already {
            bump_generation(r, &mut object);
        }
        let meta = metadata(&mut object);
        meta.insert("deletionTimestamp".to_owned(), json!(rfc3339(self.clock().now() + TimeDelta::seconds(grace))));
        meta.insert("deletionGracePeriodSeconds".to_owned(), json!(grace));
        let how = Edit { scope: Scope::Whole, dry_run: how.dry_run };
        Ok(match self.put(&mut inner, r, key, object, how) {
            (object, Outcome::Removed) => Deleted::Gone(object),
            (object, Outcome::Created | Outcome::Changed | Outcome::Unchanged) => Deleted::Terminating(object),
        })
    }

    /// Removes pods when their grace period is over, for ever; pods for which `held` is true (their node does not answer) stay.
    ///
    /// Run one of these beside the controllers: it is the part of the kubelet that confirms a pod's end.
    pub async fn end_pods(&self, held: impl Fn(&Store, &Value) -> bool) {
        let mut news = self.changes();
        loop {
            news.borrow_and_update();
            let next = self.end_due_pods(&held);
            let due = async {
                match next {
                    Some(at) => self.clock().sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                alive = news.changed() => if alive.is_err() { return },
            }
        }
    }

    /// Removes the pods that are due; says when to look again.
    fn end_due_pods(&self, held: &impl Fn(&Store, &Value) -> bool) -> Option<DateTime<Utc>> {
        let now = self.clock().now();
        let terminating: Vec<Key> = self.lock().terminating.iter().cloned().collect();
        let mut next = None;
        for (ns, name) in terminating {
            let Some(pod) = self.get(&resources::PODS, Some(&ns), &name) else { continue };
            let until = DateTime::parse_from_rfc3339(str_at(&pod, "/metadata/deletionTimestamp")).unwrap_or_default();
            if held(self, &pod) || has_finalizers(&pod) {
                continue;
            }
            if until > now {
                next = Some(next.map_or(until.to_utc(), |n: DateTime<Utc>| n.min(until.to_utc())));
                continue;
            }
            // Losing the race against another deletion is as good as winning it.
            let _ = self.modify(&resources::PODS, Some(&ns), &name, |pod| {
                metadata(pod).insert("deletionGracePeriodSeconds".to_owned(), json!(0));
            });
        }
        next
    }
}

fn pod_grace(pod: &Value, asked: Option<i64>) -> i64 {
    let over = matches!(str_at(pod, "/status/phase"), "Succeeded" | "Failed");
    if over || str_at(pod, "/spec/nodeName").is_empty() {
        return 0;
    }
    let own = pod.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
    asked.or(own).unwrap_or(DEFAULT_GRACE_SECONDS).max(0)
}
