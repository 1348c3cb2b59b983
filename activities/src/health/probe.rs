use std::fmt;
use std::time::Duration;

use futures::future::join_all;
use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::spec::HealthProbes;
use super::{command, http_probe, prometheus};
use crate::cluster::Cluster;
use crate::requests::ASSUMED;

/// One bad answer while a load balancer moves on is no news; three in a row are.
const TRIES: u32 = 3;

/// How far apart they are.
const BETWEEN_TRIES: Duration = Duration::from_secs(20);

/// Asks every probe, and fails for good if one of them keeps saying that something is not well.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProbeHealth {
    /// What is asked.
    pub probes: HealthProbes,
    /// For what: `wave canary`.
    pub label: String,
}

/// That every probe was well.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProbesWell {
    /// What each of them said.
    pub evidence: Vec<String>,
}

/// What one probe said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Finding {
    who: String,
    said: String,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Well,
    Bad,
    /// It could not be asked, which says nothing of the applications.
    Unknown,
}

impl Finding {
    pub(super) fn well(who: impl Into<String>, said: impl Into<String>) -> Self {
        Self { who: who.into(), said: said.into(), state: State::Well }
    }

    pub(super) fn bad(who: impl Into<String>, said: impl Into<String>) -> Self {
        Self { who: who.into(), said: said.into(), state: State::Bad }
    }

    pub(super) fn unknown(who: impl Into<String>, said: impl Into<String>) -> Self {
        Self { who: who.into(), said: said.into(), state: State::Unknown }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.who, self.said)
    }
}

impl Activity for ProbeHealth {
    const NAME: ActivityName = ActivityName::new("probe-health");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = ProbesWell;

    fn summary(&self) -> String {
        format!("ask the health probes for {}", self.label)
    }

    fn assumed(&self) -> Option<ProbesWell> {
        Some(ProbesWell { evidence: vec![ASSUMED.to_owned()] })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<ProbesWell, ActivityError> {
        let mut findings = look(cx.world(), &self.probes).await;
        for _ in 1..TRIES {
            let troubles = in_words(findings.iter().filter(|finding| finding.state != State::Well));
            if troubles.is_empty() {
                break;
            }
            cx.progress(format!("asking again: {troubles}"));
            cx.sleep(BETWEEN_TRIES).await;
            findings = look(cx.world(), &self.probes).await;
        }
        judge(&findings)
    }
}

async fn look(cluster: &Cluster, probes: &HealthProbes) -> Vec<Finding> {
    let alerts = async {
        match &probes.prometheus {
            Some(probe) => Some(prometheus::look(cluster, probe).await),
            None => None,
        }
    };
    let answers = join_all(probes.http.iter().map(|probe| http_probe::look(cluster, probe)));
    let commands = join_all(probes.commands.iter().map(command::look));
    let (alerts, answers, commands) = futures::join!(alerts, answers, commands);
    alerts.into_iter().chain(answers).chain(commands).collect()
}

fn judge(findings: &[Finding]) -> Result<ProbesWell, ActivityError> {
    let of = |state: State| findings.iter().filter(move |finding| finding.state == state);
    if of(State::Bad).next().is_some() {
        let message = in_words(of(State::Bad).chain(of(State::Unknown)));
        return Err(ActivityError::permanent("not-well", message));
    }
    if of(State::Unknown).next().is_some() {
        return Err(ActivityError::transient("not-known", in_words(of(State::Unknown))));
    }
    let mut evidence: Vec<String> = findings.iter().map(ToString::to_string).collect();
    if evidence.is_empty() {
        evidence.push("no probes are configured".to_owned());
    }
    Ok(ProbesWell { evidence })
}

fn in_words<'a>(findings: impl Iterator<Item = &'a Finding>) -> String {
    findings.map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use windlass_engine::FailureKind;

    use super::*;

    #[test]
    fn bad_news_are_for_good_and_no_news_are_asked_for_again() {
        let check = |findings: &[Finding], expect: Result<&[&str], (FailureKind, &str)>| {
            let outcome = judge(findings).map(|well| well.evidence).map_err(|error| (error.kind, error.message));
            let expect = expect.map(|lines| lines.iter().map(ToString::to_string).collect());
            assert_eq!(outcome, expect.map_err(|(kind, text)| (kind, text.to_owned())));
        };
        let (well, bad) = (Finding::well("http shop", "answered 200"), Finding::bad("command check", "ended with 1"));
        let unknown = Finding::unknown("alerts", "no token");
        check(&[], Ok(&["no probes are configured"]));
        check(std::slice::from_ref(&well), Ok(&["http shop: answered 200"]));
        check(&[unknown.clone(), well.clone()], Err((FailureKind::Transient, "alerts: no token")));
        check(&[unknown, well, bad], Err((FailureKind::Permanent, "command check: ended with 1; alerts: no token")));
    }
}
