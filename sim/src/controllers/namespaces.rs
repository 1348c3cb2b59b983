//! Namespaces that are being deleted: they stay for as long as something in them does, and say what.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::mirror::News;
use super::{Controller, Cx};
use crate::store::Store;
use crate::store::resources::{self, NAMESPACES};
use crate::world::json::{Said, set_condition};

/// The namespace controller.
#[derive(Default)]
pub(super) struct Namespaces {
    terminating: BTreeSet<String>,
}

impl Controller for Namespaces {
    fn name(&self) -> &'static str {
        "namespaces"
    }

    fn concerns(&self, news: &News) -> bool {
        news.of(&NAMESPACES) || (!self.terminating.is_empty() && !news.is_empty())
    }

    fn reconcile(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>> {
        for (_, ns) in cx.news.keys(&NAMESPACES) {
            let found = cx.store.get(&NAMESPACES, None, ns);
            if found.is_some_and(|ns| ns["metadata"]["deletionTimestamp"].is_string()) {
                self.terminating.insert(ns.clone());
            } else {
                self.terminating.remove(ns);
            }
        }
        for ns in self.terminating.clone() {
            let left = Left::in_namespace(cx.store, &ns);
            if left.objects.is_empty() {
                self.terminating.remove(&ns);
            }
            cx.modify(&NAMESPACES, None, &ns, |object| left.tell(object, cx.now));
        }
        None
    }
}

/// How many objects are left in a namespace, by resource and by what keeps them.
#[derive(Default)]
struct Left {
    objects: BTreeMap<String, usize>,
    finalizers: BTreeMap<String, usize>,
}

impl Left {
    fn in_namespace(store: &Store, ns: &str) -> Self {
        let mut left = Self::default();
        for r in resources::ALL.iter().filter(|r| r.namespaced) {
            let Ok((_, objects)) = store.snapshot(r, Some(ns), None) else { continue };
            for object in objects {
                *left.objects.entry(format!("{}.{}", r.plural, r.group)).or_default() += 1;
                for finalizer in object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    *left.finalizers.entry(finalizer.to_owned()).or_default() += 1;
                }
            }
        }
        left
    }

    /// Writes it into the namespace; one in which nothing is left goes with this write.
    fn tell(&self, ns: &mut Value, now: DateTime<Utc>) {
        if self.objects.is_empty() {
            ns["spec"]["finalizers"] = json!([]);
            return;
        }
        let content = format!("Some resources are remaining: {}", counted(&self.objects, "has"));
        set_condition(ns, "NamespaceContentRemaining", &Said::new("True", "SomeResourcesRemain", content), now);
        if !self.finalizers.is_empty() {
            let kept = format!("Some content in the namespace has finalizers remaining: {}", counted(&self.finalizers, "in"));
            set_condition(ns, "NamespaceFinalizersRemaining", &Said::new("True", "SomeFinalizersRemain", kept), now);
        }
    }
}

fn counted(all: &BTreeMap<String, usize>, verb: &str) -> String {
    all.iter().map(|(what, times)| format!("{what} {verb} {times} resource instances")).collect::<Vec<_>>().join(", ")
}
