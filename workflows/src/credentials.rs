//! Credentials kept by hand: prepared for a release before the control plane moves to it, once for each minor release. Source: the
//! vendor's "Updating clusters", chapter 7; what a person does, and what is done here, is in docs/credentials.md.

use std::time::Duration;

use windlass_activities::credentials::{
    AwaitCredentialsUpgradeable, CheckCredentialFiles, CredentialFiles, CredentialsMode, CredentialsSpec, CredentialsState,
    ExtractRequests, ReadCredentials, RunCcoctl, SetUpgradeableTo,
};
use windlass_activities::release::Release;
use windlass_engine::{Gate, WorkflowContext, WorkflowResult};

use crate::insist::insist;
use crate::patience::PATIENT;

/// Prepares the credentials for a hop: nothing where the cluster makes them itself or was prepared already; else what the commands
/// can do is done, and a person is asked for the rest.
pub async fn prepare(ctx: &WorkflowContext, name: &str, release: &Release, spec: &CredentialsSpec) -> WorkflowResult<()> {
    let state = ctx.run(ReadCredentials {}).await?;
    if !state.needs_preparation(release) {
        note_missing_root(ctx, &state);
        return Ok(());
    }
    ctx.status(format!("{name}: preparing the cloud credentials"));
    let folders = spec.manifests_dir.as_deref().map(|dir| Folders::of(dir, name));
    let found = match &folders {
        Some(folders) => look(ctx, release, spec, &state, folders).await?,
        None => CredentialFiles::default(),
    };
    if !found.nothing_to_do() {
        let work = Work { release, spec, state: &state, folders: folders.as_ref(), found: &found };
        ctx.gate(Gate::new(credentials_gate(name), work.question())).await?;
        if let Some(folders) = folders.as_ref().filter(|_| found.requests.is_some()) {
            let check = folders.check(&state, true);
            insist(ctx, &credentials_gate(name), |_| ctx.run(check.clone())).await?;
        }
    }
    ctx.run(SetUpgradeableTo { to: prepared_for(&state, release) }).await?;
    let wait = |_| ctx.run(AwaitCredentialsUpgradeable {}).timeout(ACCEPT_LIMIT).retry(PATIENT);
    insist(ctx, &format!("{}-accepted", credentials_gate(name)), wait).await.map(drop)
}

/// The gate at which a person prepares credentials.
pub fn credentials_gate(name: &str) -> String {
    format!("credentials-{name}")
}

fn note_missing_root(ctx: &WorkflowContext, state: &CredentialsState) {
    if state.mode != CredentialsMode::Manual && !state.missing_secrets.is_empty() {
        let missing = state.missing_secrets.join(", ");
        ctx.status(format!("root credentials {missing} are missing: operators of the next release may wait for them"));
    }
}

/// A version that the annotation takes; the first of the minor while only a digest is known.
fn prepared_for(state: &CredentialsState, release: &Release) -> String {
    if release.is_named() { release.version.to_string() } else { format!("{}.0", state.minor_of(release)) }
}

/// Does with commands what they may do, and compares what is there with what the release asks for.
async fn look(
    ctx: &WorkflowContext,
    release: &Release,
    spec: &CredentialsSpec,
    state: &CredentialsState,
    folders: &Folders,
) -> WorkflowResult<CredentialFiles> {
    if spec.use_commands {
        let cloud = cloud_of(state);
        ctx.run(ExtractRequests { release: release.clone(), dir: folders.requests.clone(), cloud }).retry(PATIENT).await?;
    }
    let found = ctx.run(folders.check(state, false)).await?;
    let wanted = found.requests.is_some() && !found.nothing_to_do() && !found.without_file.is_empty();
    if !wanted || !spec.use_commands || !state.ccoctl || spec.ccoctl_arguments.is_empty() {
        return Ok(found);
    }
    ctx.run(RunCcoctl {
        arguments: spec.ccoctl_arguments.clone(),
        requests_dir: folders.requests.clone(),
        output_dir: folders.output.clone(),
    })
    .await?;
    ctx.run(folders.check(state, false)).await
}

/// A cloud as `oc` and `ccoctl` name it.
fn cloud_of(state: &CredentialsState) -> String {
    state.platform.to_lowercase()
}

/// Where the files of one hop are.
struct Folders {
    output: String,
    requests: String,
    manifests: String,
}

impl Folders {
    fn of(dir: &str, name: &str) -> Self {
        let output = format!("{}/{name}", dir.trim_end_matches('/'));
        Self { requests: format!("{output}/requests"), manifests: format!("{output}/manifests"), output }
    }

    fn check(&self, state: &CredentialsState, required: bool) -> CheckCredentialFiles {
        let (requests_dir, manifests_dir) = (self.requests.clone(), self.manifests.clone());
        CheckCredentialFiles { requests_dir, manifests_dir, platform: state.platform.clone(), required }
    }
}

/// What is left for a person.
struct Work<'a> {
    release: &'a Release,
    spec: &'a CredentialsSpec,
    state: &'a CredentialsState,
    folders: Option<&'a Folders>,
    found: &'a CredentialFiles,
}

impl Work<'_> {
    fn question(&self) -> String {
        let title = self.release.title();
        let how = if self.state.ccoctl { ", made with ccoctl" } else { "" };
        let mut lines = vec![format!(
            "The credentials of this cluster are kept by hand (platform {}{how}). Before {title}:",
            self.state.platform
        )];
        let commands = self.commands();
        lines.extend((1..).zip(&commands).map(|(number, command)| format!("{number}. {command}")));
        lines.extend(self.findings());
        let to = prepared_for(self.state, self.release);
        lines.push(format!(
            "Approve when this is done: the cluster is then told that it is prepared for {to}; reject to stop here."
        ));
        lines.join("\n")
    }

    fn commands(&self) -> Vec<String> {
        let cloud = cloud_of(self.state);
        let (requests, output) = match self.folders {
            Some(folders) => (folders.requests.as_str(), folders.output.as_str()),
            None => ("REQUESTS", "OUTPUT"),
        };
        let mut commands = Vec::new();
        if self.found.requests.is_none() {
            let image = &self.release.image;
            commands.push(format!("oc adm release extract --credentials-requests --cloud={cloud} --to={requests} {image}"));
        }
        if self.state.ccoctl && !(self.found.requests.is_some() && self.found.without_file.is_empty()) {
            let arguments = match self.spec.ccoctl_arguments.as_slice() {
                [] => usual_arguments(&cloud).to_owned(),
                given => given.join(" "),
            };
            commands.push(format!("ccoctl {arguments} --credentials-requests-dir={requests} --output-dir={output}"));
        } else if !self.state.ccoctl {
            commands.push(format!(
                "for each new or changed request in {requests} give the cloud account its permissions, and write its secret to \
                 {output}/manifests"
            ));
        }
        for namespace in self.namespaces() {
            commands.push(format!("oc create namespace {namespace}   (if it does not exist yet)"));
        }
        commands.push(format!("ls {output}/manifests/*-credentials.yaml | xargs -I{{}} oc apply -f {{}}"));
        commands
    }

    fn namespaces(&self) -> Vec<&str> {
        let mut namespaces: Vec<&str> =
            self.found.without_secret.iter().filter_map(|secret| Some(secret.split_once('/')?.0)).collect();
        namespaces.dedup();
        namespaces
    }

    fn findings(&self) -> Vec<String> {
        let lists = [
            ("new or changed requests", &self.found.changed),
            ("no manifest makes", &self.found.without_file),
            ("not on the cluster", &self.found.without_secret),
            ("missing already now", &self.state.missing_secrets),
        ];
        lists.iter().filter(|(_, list)| !list.is_empty()).map(|(what, list)| format!("- {what}: {}", list.join(", "))).collect()
    }
}

/// What `ccoctl` is told on a cluster that was made with it; the words in capitals are the person's to fill in.
fn usual_arguments(cloud: &str) -> &'static str {
    match cloud {
        "aws" => "aws create-iam-roles --name=NAME --region=REGION --identity-provider-arn=ARN",
        "azure" => "azure create-managed-identities --name=NAME --region=REGION --subscription-id=ID --issuer-url=URL",
        "gcp" => "gcp create-service-accounts --name=NAME --project=PROJECT --workload-identity-pool=POOL",
        "ibmcloud" => "ibmcloud create-service-id --name=NAME",
        "nutanix" => "nutanix create-shared-secrets --credentials-source-filepath=FILE",
        _ => "CLOUD create-… (see `ccoctl --help`)",
    }
}

/// The operator looks at the annotation within minutes.
const ACCEPT_LIMIT: Duration = Duration::from_secs(30 * 60);

#[cfg(test)]
mod tests;
