//! The clock of a command: the machine's, or the one that a sped-up simulated cluster tells in its kubeconfig.
//!
//! On a cluster whose hours pass in seconds, a worker that slept half a real minute between two looks would see nothing of them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use kube::config::{Kubeconfig, NamedExtension};
use serde::Deserialize;
use windlass_activities::Settings;
use windlass_engine::{Clock, SystemClock, Timestamp};

use crate::app::App;

/// The name of the kubeconfig's extension.
const EXTENSION: &str = windlass_sim::serve::CLOCK_EXTENSION;

/// What to work with on the cluster that the options lead to. Whatever is wrong with a kubeconfig is said when connecting.
pub(crate) fn settings(app: &App) -> Settings {
    match told(app) {
        Some(clock) => Settings::simulated(Arc::new(clock)),
        None => Settings::default(),
    }
}

fn told(app: &App) -> Option<StretchedClock> {
    let kubeconfig = match &app.global.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let kubeconfig = kubeconfig.ok()?;
    let name = app.global.context.as_ref().or(kubeconfig.current_context.as_ref())?;
    let context = kubeconfig.contexts.iter().find(|context| context.name == *name)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster)?.cluster.as_ref()?;
    let extension: &NamedExtension = cluster.extensions.as_ref()?.iter().find(|extension| extension.name == EXTENSION)?;
    serde_json::from_value(extension.extension.clone()).ok()
}

/// A clock that runs faster than the machine's.
#[derive(Clone, Copy, Debug, Deserialize)]
struct StretchedClock {
    /// The machine's time when the cluster began, in microseconds.
    began_micros: i64,
    /// What the cluster's clock showed then.
    showed_micros: i64,
    /// Its seconds in one of the machine's.
    speed: f64,
}

impl Clock for StretchedClock {
    #[expect(clippy::cast_possible_truncation, reason = "a simulation covers years, not aeons")]
    fn now(&self) -> Timestamp {
        let passed = SystemClock.now().since(Timestamp::from_micros(self.began_micros));
        Timestamp::from_micros(self.showed_micros + (passed.as_secs_f64() * self.speed * 1e6) as i64)
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            loop {
                let left = at.since(self.now());
                if left.is_zero() {
                    return;
                }
                SystemClock.sleep_until(SystemClock.now().plus(left.div_f64(self.speed))).await;
            }
        })
    }

    fn speed(&self) -> f64 {
        self.speed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretched_clock_runs_faster_from_where_it_began() {
        let began = SystemClock.now();
        let clock = StretchedClock { began_micros: began.as_micros(), showed_micros: 0, speed: 1e6 };
        let (shown, passed) = (clock.now(), SystemClock.now().since(began));
        assert!(shown.as_micros() > 0 && shown.since(Timestamp::from_micros(0)) <= passed.mul_f64(1e6));
    }
}
