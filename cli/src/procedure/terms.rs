//! What is settled for an update on the command line, besides where it goes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use windlass_activities::canary::CanarySpec;
use windlass_activities::credentials::CredentialsSpec;
use windlass_activities::estimate::{Estimates, Spread};
use windlass_activities::health::HealthProbes;
use windlass_workflows::Terms;

use crate::calendar_args::CalendarArgs;
use crate::failure::Failure;
use crate::words;

/// The heading of these options.
const TERMS: &str = "When and how";

/// The terms of an update.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct TermsArgs {
    #[command(flatten, next_help_heading = TERMS)]
    calendar: CalendarArgs,
    /// How long a control-plane update takes at most, instead of what the cluster's history says: 4h
    #[arg(long, value_name = "DURATION", help_heading = TERMS)]
    expect_hop: Option<String>,
    /// How long a node takes at most to drain, reboot and return: 12m
    #[arg(long, value_name = "DURATION", help_heading = TERMS)]
    expect_node: Option<String>,
    /// Nodes that go first, watched: canary=10%,second=30%, or a YAML file
    #[arg(long, value_name = "WAVES|FILE", help_heading = TERMS)]
    canary: Option<String>,
    /// What else must be well before each disruptive step: a YAML file of alerts, addresses, commands
    #[arg(long, value_name = "FILE", help_heading = TERMS)]
    probes: Option<PathBuf>,
    /// Accept a risk of a conditional update, by its name; may be repeated
    #[arg(long, value_name = "RISK", help_heading = TERMS)]
    accept_risk: Vec<String>,
    /// Ask this update service instead of the one that the cluster names
    #[arg(long, value_name = "URL", help_heading = TERMS)]
    upstream: Option<String>,
    /// Where the manifests of manually managed cloud credentials lie
    #[arg(long, value_name = "DIR", help_heading = TERMS)]
    credentials_manifests: Option<PathBuf>,
    /// Let `oc` and `ccoctl` prepare cloud credentials, if they are installed
    #[arg(long, help_heading = TERMS)]
    credentials_commands: bool,
    /// What follows `ccoctl` but the directories: "aws create-iam-roles --name=prod"
    #[arg(long, value_name = "ARGUMENTS", requires = "credentials_commands", help_heading = TERMS)]
    ccoctl: Option<String>,
    /// Stop after each hop so that this product can be updated; may be repeated; `none` for no stop [default: what is installed]
    #[arg(long, value_name = "PRODUCT", help_heading = TERMS)]
    pause_for: Vec<String>,
    /// Whether the cluster is simulated: nothing outside of it is asked then.
    #[arg(skip)]
    pub(super) simulated: bool,
}

impl TermsArgs {
    /// Whether the person said which products they want to be asked about.
    pub(crate) fn names_layered(&self) -> bool {
        !self.pause_for.is_empty()
    }

    /// The terms as far as the command line tells them.
    pub(crate) fn terms(&self) -> Result<Terms, Failure> {
        let probes = self.asked(self.probes.as_deref().map(read_probes).transpose()?.unwrap_or_default());
        let layered = self.pause_for.iter().filter(|product| *product != "none").cloned().collect();
        let manifests_dir = self.credentials_manifests.as_ref().map(|dir| dir.display().to_string());
        let ccoctl_arguments = self.ccoctl.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect();
        let canary = self.canary.as_deref().map(read_canary).transpose()?;
        let canary = canary.map(|spec| CanarySpec { probes: self.asked(spec.probes.clone()), ..spec });
        Ok(Terms {
            windows: self.calendar.calendar()?,
            longest_window_seconds: None,
            estimates: self.expectations()?,
            canary,
            credentials: Some(CredentialsSpec { manifests_dir, use_commands: self.credentials_commands, ccoctl_arguments }),
            probes,
            layered,
            accepted_risks: self.accept_risk.clone(),
            upstream: self.upstream.clone(),
            deadlines: true,
        })
    }

    fn asked(&self, probes: HealthProbes) -> HealthProbes {
        if self.simulated { probes.simulated() } else { probes }
    }

    /// What a person expects; zero stands for what they left open.
    fn expectations(&self) -> Result<Option<Estimates>, Failure> {
        if self.expect_hop.is_none() && self.expect_node.is_none() {
            return Ok(None);
        }
        let spread = |text: &Option<String>, option: &str| -> Result<Spread, Failure> {
            let Some(text) = text else { return Ok(Spread { p50_seconds: 0, p90_seconds: 0 }) };
            let most = words::parse_duration(text).map_err(|e| Failure::usage(e, format!("write it as in: --{option} 4h")))?;
            Ok(half_of(most))
        };
        let (hop, node) = (spread(&self.expect_hop, "expect-hop")?, spread(&self.expect_node, "expect-node")?);
        Ok(Some(Estimates { hop, node, source: Vec::new() }))
    }
}

/// Who names a bound is taken to see half of it in one of two cases.
fn half_of(most: Duration) -> Spread {
    Spread { p50_seconds: most.as_secs().div_ceil(2), p90_seconds: most.as_secs() }
}

/// What the cluster tells, with what a person expects in its place.
pub(super) fn merged(mut found: Estimates, told: Option<Estimates>) -> Estimates {
    let Some(told) = told else { return found };
    if told.hop.p90_seconds > 0 {
        found.hop = told.hop;
        found.source.retain(|source| !source.starts_with("control plane"));
        found.source.push("control plane: as told on the command line".to_owned());
    }
    if told.node.p90_seconds > 0 {
        found.node = told.node;
        found.source.retain(|source| !source.starts_with("node"));
        found.source.push("node: as told on the command line".to_owned());
    }
    found
}

fn read_canary(text: &str) -> Result<CanarySpec, Failure> {
    let path = Path::new(text);
    if text.contains('=') && !path.exists() {
        return CanarySpec::from_flag(text)
            .map_err(|e| Failure::usage(e.to_string(), "write it as in: --canary canary=10%,second=30%"));
    }
    let yaml = std::fs::read_to_string(path).map_err(|e| Failure::io("reading the canary waves in", path, &e))?;
    CanarySpec::parse(&yaml).map_err(|e| Failure::usage(format!("{}: {e}", path.display()), "correct the file, then plan again"))
}

fn read_probes(path: &Path) -> Result<HealthProbes, Failure> {
    let yaml = std::fs::read_to_string(path).map_err(|e| Failure::io("reading the probes in", path, &e))?;
    HealthProbes::parse(&yaml)
        .map_err(|e| Failure::usage(format!("{}: {e}", path.display()), "correct the file, then plan again"))
}
