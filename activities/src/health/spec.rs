use serde::{Deserialize, Serialize};

/// Each probe is asked at once with all others; more than this is a monitoring system, which has alerts.
const MOST_PROBES: usize = 50;

/// A check that takes longer belongs into a monitoring system, too.
const LONGEST_COMMAND_SECONDS: u32 = 600;

const USUAL_COMMAND_SECONDS: u32 = 60;

/// What is asked to learn whether the applications are well.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthProbes {
    /// The cluster's alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusProbe>,
    /// Addresses that must answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpProbe>,
    /// Commands that must succeed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<CommandProbe>,
}

/// Asks Prometheus, or what speaks like it, for critical alerts that fire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrometheusProbe {
    /// Where its API is, without `/api/v1`.
    pub url: String,
    /// The file that holds the bearer token; it is read anew for every question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<String>,
    /// The file with the certificates that vouch for the address, in PEM form; the machine's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Alerts that may fire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
}

/// An address that must answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// The address.
    pub url: String,
    /// The status that it must answer with; redirects are not followed.
    #[serde(default = "ok_status")]
    pub expect_status: u16,
    /// What the answer must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// The file with the certificates that vouch for the address, in PEM form; the machine's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// A command that must end with success; no shell is involved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandProbe {
    /// The program, looked for as a shell would.
    pub program: String,
    /// Its arguments; they stand in the journal, so no secret may be among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// When it is killed, with all it started.
    #[serde(default = "usual_command_seconds")]
    pub timeout_seconds: u32,
}

fn ok_status() -> u16 {
    200
}

fn usual_command_seconds() -> u32 {
    USUAL_COMMAND_SECONDS
}

impl HealthProbes {
    /// Reads a file, in the form that docs/canary.md shows under `probes`, and checks it.
    pub fn parse(yaml: &str) -> Result<Self, String> {
        let probes: Self = serde_saphyr::from_str(yaml).map_err(|error| error.to_string().lines().take(1).collect::<String>())?;
        probes.check()?;
        Ok(probes)
    }

    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same probes on a simulated cluster: its own alerts are asked, and nothing outside of it.
    #[must_use]
    pub fn simulated(&self) -> Self {
        let prometheus = self.prometheus.as_ref().map(|probe| PrometheusProbe {
            url: "http://simulated/prometheus".to_owned(),
            token_file: None,
            ca_file: None,
            allow: probe.allow.clone(),
        });
        Self { prometheus, ..Self::default() }
    }

    /// Refuses what can be seen to be wrong without asking anybody.
    pub fn check(&self) -> Result<(), String> {
        if self.http.len() + self.commands.len() > MOST_PROBES {
            return Err(format!("there are more than {MOST_PROBES} probes"));
        }
        if let Some(probe) = &self.prometheus {
            check_url(&probe.url)?;
        }
        for probe in &self.http {
            check_url(&probe.url)?;
            if !(100..600).contains(&probe.expect_status) {
                return Err(format!("{} can never answer with status {}", probe.url, probe.expect_status));
            }
        }
        for probe in &self.commands {
            if probe.program.trim().is_empty() {
                return Err("a command probe names no program".to_owned());
            }
            if !(1..=LONGEST_COMMAND_SECONDS).contains(&probe.timeout_seconds) {
                let seconds = probe.timeout_seconds;
                return Err(format!("{} may take 1 to {LONGEST_COMMAND_SECONDS} s, not {seconds}", probe.program));
            }
        }
        Ok(())
    }
}

/// The error does not repeat the address where it may hold a password.
fn check_url(text: &str) -> Result<(), String> {
    let url: http::Uri = text.parse().map_err(|error| format!("{text:?} is not an address: {error}"))?;
    let Some(authority) = url.authority() else {
        return Err(format!("{text:?} is not a whole address; write https://host/path"));
    };
    if authority.as_str().contains('@') {
        let host = authority.host();
        return Err(format!(
            "the address at {host} holds a password, which would stand in the journal; name a token_file instead"
        ));
    }
    match url.scheme_str() {
        Some("http" | "https") => Ok(()),
        Some(_) | None => Err(format!("{text:?} is neither an http nor an https address")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(url: &str, expect_status: u16) -> HealthProbes {
        let probe = HttpProbe { url: url.to_owned(), expect_status, contains: None, ca_file: None };
        HealthProbes { http: vec![probe], ..HealthProbes::default() }
    }

    fn command(program: &str, timeout_seconds: u32) -> HealthProbes {
        let probe = CommandProbe { program: program.to_owned(), args: Vec::new(), timeout_seconds };
        HealthProbes { commands: vec![probe], ..HealthProbes::default() }
    }

    #[test]
    fn what_could_never_be_well_is_refused() {
        let check = |probes: &HealthProbes, expect: &str| {
            let problem = probes.check().err().unwrap_or_default();
            assert!(problem.contains(expect) && problem.is_empty() == expect.is_empty(), "{problem}");
        };
        check(&HealthProbes::default(), "");
        check(&http("https://shop.example.com/healthz?deep=1", 204), "");
        check(&http("shop.example.com", 200), "neither an http");
        check(&http("/healthz", 200), "not a whole address");
        check(&http("ftp://shop.example.com/", 200), "neither an http");
        check(&http("https://shop.example.com/", 42), "can never answer with status 42");
        check(&command(" ", 5), "names no program");
        check(&command("true", 0), "not 0");
        check(&command("true", 601), "not 601");
        check(
            &HealthProbes { commands: vec![command("true", 5).commands[0].clone(); 51], ..HealthProbes::default() },
            "more than 50",
        );
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        let problem = http("https://bob:hunter2@shop.example.com/", 200).check().unwrap_err();
        assert!(problem.contains("shop.example.com") && !problem.contains("hunter2"), "{problem}");
    }
}
