use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::canary::selector::parse_selector;
use crate::health::HealthProbes;
use crate::ids::{NodeName, PoolName};

/// The only pool that can give nodes away: a node may be in one custom pool, and in `worker` at the same time.
const SOURCE: &str = "worker";

/// What begins the name of every wave's pool and label.
const PREFIX: &str = "workerpool-";

/// The name part of a label may have 63 characters, and `workerpool-` takes eleven of them.
const LONGEST_NAME: usize = 40;

/// Each wave is a window and an approval of its own; nobody wants more of them than this.
const MOST_WAVES: usize = 20;

/// Paused pools wait while a wave is watched; a week is a sixth of what the vendor allows for the whole update.
const LONGEST_SOAK_MINUTES: u32 = 7 * 24 * 60;

/// Operators, alerts and caches that break after an update mostly do so within half an hour.
const USUAL_SOAK_MINUTES: u32 = 30;

/// Which nodes take the update first, how long they are watched, and what is done when they fail.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanarySpec {
    /// The pool that the nodes are taken from: `worker`.
    #[serde(default = "source_pool")]
    pub pool: PoolName,
    /// The waves, in the order in which they are let go; the rest of the pool follows them.
    pub waves: Vec<WaveSpec>,
    /// How long a wave is watched before the next one follows.
    #[serde(default = "usual_soak")]
    pub soak_minutes: u32,
    /// What is asked, besides the cluster itself, before the next wave follows.
    #[serde(default, skip_serializing_if = "HealthProbes::is_empty")]
    pub probes: HealthProbes,
    /// What is done with a wave that failed.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// Nodes that take the update together.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaveSpec {
    /// Its name; the pool is called `workerpool-<name>`.
    pub name: String,
    /// Which nodes.
    pub select: WaveSelect,
    /// How many of them may be down at once, as pools have it: `1`, `10%`; one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<String>,
}

/// How a wave's nodes are chosen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaveSelect {
    /// So many of a hundred nodes of the pool, rounded up, spread over zones and machine types.
    Percent(u8),
    /// These.
    Nodes(Vec<NodeName>),
    /// Those that a label selector selects: `zone=a,!gpu`.
    Labels(String),
}

/// What is done with a wave that failed, before a person decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Nothing: the pods stay where they are.
    #[default]
    Hold,
    /// Its nodes are cordoned and drained, so that the pods run on nodes that were not updated.
    Drain,
}

/// Why a canary specification is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SpecError {
    /// The file is not one.
    #[error("the canary file cannot be read: {0}; its form is in docs/canary.md")]
    File(String),
    /// The flag is not one.
    #[error("{item:?} is no wave: {cause}; write --canary canary=10%,second=30%")]
    Flag {
        /// The part that was given.
        item: String,
        /// What is wrong with it.
        cause: String,
    },
    /// It asks for something that can't be.
    #[error("the canary waves cannot be: {0}; correct that and plan again")]
    Wrong(String),
}

fn source_pool() -> PoolName {
    PoolName::new(SOURCE)
}

fn usual_soak() -> u32 {
    USUAL_SOAK_MINUTES
}

impl CanarySpec {
    /// Reads a file, in the form that docs/canary.md shows, and checks it.
    pub fn parse(yaml: &str) -> Result<Self, SpecError> {
        let spec: Self = serde_saphyr::from_str(yaml).map_err(|error| SpecError::File(first_line(&error.to_string())))?;
        spec.check()?;
        Ok(spec)
    }

    /// Reads a flag, and checks it: `canary=10%,second=worker-3+worker-4,third=zone=b`.
    pub fn from_flag(text: &str) -> Result<Self, SpecError> {
        let waves = text.split(',').map(|item| wave_of_flag(item.trim())).collect::<Result<Vec<_>, _>>()?;
        let spec = Self {
            pool: source_pool(),
            waves,
            soak_minutes: USUAL_SOAK_MINUTES,
            probes: HealthProbes::default(),
            on_failure: OnFailure::default(),
        };
        spec.check()?;
        Ok(spec)
    }

    /// Refuses what can be seen to be wrong without a look at the cluster.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.pool.as_str() != SOURCE {
            let cause = format!(
                "nodes can only be taken from pool {SOURCE}, not from {}: a node may not be in two custom pools",
                self.pool
            );
            return Err(SpecError::Wrong(cause));
        }
        if self.waves.is_empty() || self.waves.len() > MOST_WAVES {
            return Err(SpecError::Wrong(format!("there are {} waves, between 1 and {MOST_WAVES} make sense", self.waves.len())));
        }
        if self.soak_minutes > LONGEST_SOAK_MINUTES {
            let minutes = self.soak_minutes;
            let cause = format!("a soak of {minutes} min is longer than {LONGEST_SOAK_MINUTES} min, while all other pools wait");
            return Err(SpecError::Wrong(cause));
        }
        let mut names = BTreeSet::new();
        let mut nodes = BTreeSet::new();
        for wave in &self.waves {
            wave.check().map_err(|cause| SpecError::Wrong(format!("wave {:?}: {cause}", wave.name)))?;
            if !names.insert(&wave.name) {
                return Err(SpecError::Wrong(format!("there are two waves named {}", wave.name)));
            }
            if let Some(twice) = wave.listed().iter().find(|node| !nodes.insert(*node)) {
                return Err(SpecError::Wrong(format!("node {twice} is listed twice")));
            }
        }
        let share: u32 = self.waves.iter().map(WaveSpec::share).sum();
        if share > 100 {
            return Err(SpecError::Wrong(format!("the waves ask for {share}% of the pool")));
        }
        self.probes.check().map_err(SpecError::Wrong)
    }
}

impl WaveSpec {
    /// The pool that the wave's nodes are put into.
    pub fn pool(&self) -> PoolName {
        PoolName::new(format!("{PREFIX}{}", self.name))
    }

    fn listed(&self) -> &[NodeName] {
        if let WaveSelect::Nodes(nodes) = &self.select { nodes } else { &[] }
    }

    fn share(&self) -> u32 {
        if let WaveSelect::Percent(share) = self.select { share.into() } else { 0 }
    }

    fn check(&self) -> Result<(), String> {
        check_name(&self.name)?;
        if let Some(limit) = &self.max_unavailable {
            check_limit(limit)?;
        }
        match &self.select {
            WaveSelect::Percent(share) if (1..=100).contains(share) => Ok(()),
            WaveSelect::Percent(share) => Err(format!("{share}% is no share of a pool, 1% to 100% are")),
            WaveSelect::Nodes(nodes) if nodes.is_empty() => Err("it lists no nodes".to_owned()),
            WaveSelect::Nodes(_) => Ok(()),
            WaveSelect::Labels(selector) => parse_selector(selector).map(drop),
        }
    }
}

/// The name becomes part of a pool's name and of a label.
fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let ends_well = edge(name.chars().next()) && edge(name.chars().last());
    if name.len() > LONGEST_NAME || !ends_well || !name.chars().all(allowed) {
        return Err(format!("its name must be up to {LONGEST_NAME} small letters, digits and inner dashes"));
    }
    Ok(())
}

fn check_limit(limit: &str) -> Result<(), String> {
    let (number, most) = limit.strip_suffix('%').map_or((limit, u32::MAX), |number| (number, 100));
    match number.parse::<u32>() {
        Ok(number) if (1..=most).contains(&number) => Ok(()),
        Ok(_) | Err(_) => Err(format!("max_unavailable {limit:?} is neither a count of nodes nor a share up to 100%")),
    }
}

fn wave_of_flag(item: &str) -> Result<WaveSpec, SpecError> {
    let wrong = |cause: String| SpecError::Flag { item: item.to_owned(), cause };
    let (name, which) = item.split_once('=').ok_or_else(|| wrong("it does not say which nodes".to_owned()))?;
    let select = if let Some(share) = which.strip_suffix('%') {
        WaveSelect::Percent(share.parse().map_err(|error| wrong(format!("{share:?} is no number of percent: {error}")))?)
    } else if which.contains('=') {
        WaveSelect::Labels(which.to_owned())
    } else {
        WaveSelect::Nodes(which.split('+').filter(|node| !node.is_empty()).map(NodeName::from).collect())
    };
    Ok(WaveSpec { name: name.to_owned(), select, max_unavailable: None })
}

/// Parsers show the text around a mistake over several lines; an error is one.
fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_everything_and_its_defaults_are_the_flags() {
        let spec = CanarySpec::parse(
            "
soak_minutes: 45
on_failure: drain
waves:
- {name: canary, select: {percent: 10}, max_unavailable: 20%}
- {name: second, select: {nodes: [worker-3, worker-4]}}
- {name: third, select: {labels: 'topology.kubernetes.io/zone in (b, c),!gpu'}}
probes:
  prometheus: {url: 'https://prometheus.example.com', token_file: /run/token, allow: [TargetDown]}
  http: [{url: 'https://shop.example.com/healthz', contains: ok}]
  commands: [{program: /usr/local/bin/check-shop, args: [--all]}]
",
        )
        .unwrap();
        assert_eq!((spec.pool.as_str(), spec.soak_minutes, spec.on_failure), ("worker", 45, OnFailure::Drain));
        assert_eq!(spec.waves[0].pool().as_str(), "workerpool-canary");
        assert_eq!(spec.waves[0].max_unavailable.as_deref(), Some("20%"));
        assert_eq!((spec.probes.http[0].expect_status, spec.probes.commands[0].timeout_seconds), (200, 60));
        let again: CanarySpec = serde_json::from_value(serde_json::to_value(&spec).unwrap()).unwrap();
        assert_eq!(again, spec);
        let flag = CanarySpec::from_flag("canary=10%,second=worker-3+worker-4,third=zone=b").unwrap();
        assert_eq!(flag.waves[1].select, spec.waves[1].select);
        assert_eq!(flag.waves[2].select, WaveSelect::Labels("zone=b".to_owned()));
        assert_eq!((flag.soak_minutes, flag.on_failure), (30, OnFailure::Hold));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_cause() {
        let check = |flag: &str, expect: &str| {
            let error = CanarySpec::from_flag(flag).unwrap_err().to_string();
            assert!(error.contains(expect), "{flag}: {error}");
        };
        check("canary", "\"canary\" is no wave: it does not say which nodes");
        check("canary=300%", "is no number of percent");
        check("canary=0%", "0% is no share of a pool");
        check("canary=101%", "101% is no share of a pool");
        check("a=60%,b=50%", "the waves ask for 110% of the pool");
        check("a=10%,a=20%", "there are two waves named a");
        check("a=n1+n2,b=n2", "node n2 is listed twice");
        check("a=", "it lists no nodes");
        check("Canary=10%", "small letters");
        check("-a=10%", "small letters");
        check("a=zone=(b", "no label selector");
    }

    #[test]
    fn a_file_with_a_slip_is_refused() {
        let check = |yaml: &str, expect: &str| {
            let error = CanarySpec::parse(yaml).unwrap_err().to_string();
            assert!(error.contains(expect), "{yaml}: {error}");
        };
        check("waves: [{name: a, select: {percent: 10}}]\nsoak_minute: 5", "soak_minute");
        check("waves: [{name: a, select: {percent: 300}}]", "cannot be read");
        check("waves: []", "there are 0 waves");
        check("pool: infra\nwaves: [{name: a, select: {percent: 10}}]", "may not be in two custom pools");
        check("waves: [{name: a, select: {percent: 10}, max_unavailable: 0}]", "max_unavailable");
        check("waves: [{name: a, select: {percent: 10}, max_unavailable: 120%}]", "max_unavailable \"120%\"");
        check("soak_minutes: 20000\nwaves: [{name: a, select: {percent: 10}}]", "a soak of 20000 min");
        check("waves: [{name: a, select: {percent: 10}}]\nprobes: {http: [{url: shop}]}", "shop");
    }
}
