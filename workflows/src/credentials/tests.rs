use std::collections::BTreeMap;

use serde_json::{Value, json};
use windlass_engine::foresee::{Answer, Asked, Deed, Oracle, foresee};
use windlass_engine::{Json, Registry, Timestamp};

use super::*;

async fn prepare_hop_1(ctx: WorkflowContext, input: (Release, CredentialsSpec)) -> WorkflowResult<()> {
    prepare(&ctx, "hop-1", &input.0, &input.1).await
}

/// Answers each activity in turn; the last answer stays.
struct Script(BTreeMap<&'static str, Vec<Value>>);

impl Oracle for Script {
    type Error = String;

    async fn answer(&mut self, asked: &Asked, _: Timestamp) -> Result<Answer, String> {
        let answers = self.0.get_mut(asked.activity.as_str()).ok_or_else(|| format!("unforeseen: {}", asked.activity))?;
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Ok(Answer { result: Ok(Json::of(&answer).map_err(|error| error.to_string())?), takes: Duration::ZERO })
    }
}

fn state(mode: &str, ccoctl: bool) -> Value {
    json!({"mode": mode, "ccoctl": ccoctl, "platform": "AWS", "missing_secrets": [], "at": "4.16"})
}

fn files(changed: &[&str], without_file: &[&str]) -> Value {
    json!({"requests": ["ingress", "storage"], "changed": changed, "without_file": without_file, "without_secret": without_file})
}

fn release() -> Release {
    Release { version: "4.17.9".parse().unwrap(), image: "quay.example.com/r@sha256:aa".to_owned() }
}

fn spec(commands: bool) -> CredentialsSpec {
    let ccoctl_arguments = ["aws", "create-iam-roles", "--name=prod"].map(str::to_owned).to_vec();
    CredentialsSpec { manifests_dir: Some("/creds".to_owned()), use_commands: commands, ccoctl_arguments }
}

/// The activities in order, and the gates with their texts.
fn done(spec: &CredentialsSpec, answers: &[(&'static str, Vec<Value>)]) -> (Vec<String>, Vec<String>) {
    let mut script: BTreeMap<&'static str, Vec<Value>> = answers.iter().cloned().collect();
    script.insert("set-upgradeable-to", vec![json!({"to": "4.17.9"})]);
    script.insert("await-credentials-upgradeable", vec![json!({"evidence": "yes"})]);
    let registry = Registry::new().workflow("prepare", 1, prepare_hop_1);
    let input = Json::of(&(release(), spec)).unwrap();
    let mut oracle = Script(script);
    let foresight =
        futures::executor::block_on(foresee(&registry, "prepare", &input, Timestamp::default(), &mut oracle)).unwrap();
    foresight.end.unwrap();
    let (mut steps, mut gates) = (Vec::new(), Vec::new());
    for deed in foresight.deeds {
        match deed.what {
            Deed::Activity { asked, .. } => steps.push(asked.activity),
            Deed::Gate { gate, text } => {
                steps.push(format!("gate {gate}"));
                gates.push(text);
            }
            Deed::Sleep | Deed::Hold { .. } | Deed::GiveBack { .. } => {}
        }
    }
    (steps, gates)
}

const TOLD: [&str; 2] = ["set-upgradeable-to", "await-credentials-upgradeable"];

#[test]
fn a_cluster_that_makes_its_credentials_itself_is_left_alone() {
    for mode in ["mint", "passthrough"] {
        assert_eq!(done(&spec(true), &[("read-credentials", vec![state(mode, false)])]).0, ["read-credentials"]);
    }
    let mut prepared = state("manual", true);
    prepared["upgradeable_to"] = json!("4.17.0");
    assert_eq!(done(&spec(true), &[("read-credentials", vec![prepared])]).0, ["read-credentials"]);
}

#[test]
fn without_files_a_gate_says_every_command() {
    let nothing = CredentialsSpec::default();
    let (steps, gates) = done(&nothing, &[("read-credentials", vec![state("manual", true)])]);
    assert_eq!(steps, [&["read-credentials", "gate credentials-hop-1"], TOLD.as_slice()].concat());
    let expect = "The credentials of this cluster are kept by hand (platform AWS, made with ccoctl). Before 4.17.9:\n\
        1. oc adm release extract --credentials-requests --cloud=aws --to=REQUESTS quay.example.com/r@sha256:aa\n\
        2. ccoctl aws create-iam-roles --name=NAME --region=REGION --identity-provider-arn=ARN --credentials-requests-dir=REQUESTS \
        --output-dir=OUTPUT\n\
        3. ls OUTPUT/manifests/*-credentials.yaml | xargs -I{} oc apply -f {}\n\
        Approve when this is done: the cluster is then told that it is prepared for 4.17.9; reject to stop here.";
    assert_eq!(gates, [expect]);
}

#[test]
fn with_commands_only_what_they_can_not_do_is_asked_for() {
    let answers = |files: Vec<Value>| {
        vec![
            ("read-credentials", vec![state("manual", true)]),
            ("extract-requests", vec![json!({"ran": true, "note": "", "requests": 2})]),
            ("check-credential-files", files),
            ("run-ccoctl", vec![json!({"ran": true, "note": "", "manifests": 2})]),
        ]
    };
    // Nothing changed since the release before: nobody is asked.
    let (steps, _) = done(&spec(true), &answers(vec![files(&[], &[])]));
    assert_eq!(steps, [&["read-credentials", "extract-requests", "check-credential-files"], TOLD.as_slice()].concat());
    // A new request: its roles and manifest are made, a person applies it, and the secret is looked for.
    let open = files(&["storage"], &["openshift-storage/cloud"]);
    let made = json!({"requests": ["storage"], "changed": ["storage"], "without_file": [], "without_secret": ["openshift-storage/cloud"]});
    let (steps, gates) = done(&spec(true), &answers(vec![open, made, files(&["storage"], &[])]));
    let looked = ["extract-requests", "check-credential-files", "run-ccoctl", "check-credential-files"];
    let asked = ["gate credentials-hop-1", "check-credential-files"];
    assert_eq!(steps, [&["read-credentials"], looked.as_slice(), &asked, &TOLD].concat());
    let expect = "The credentials of this cluster are kept by hand (platform AWS, made with ccoctl). Before 4.17.9:\n\
        1. oc create namespace openshift-storage   (if it does not exist yet)\n\
        2. ls /creds/hop-1/manifests/*-credentials.yaml | xargs -I{} oc apply -f {}\n\
        - new or changed requests: storage\n\
        - not on the cluster: openshift-storage/cloud\n\
        Approve when this is done: the cluster is then told that it is prepared for 4.17.9; reject to stop here.";
    assert_eq!(gates, [expect]);
}

#[test]
fn files_of_a_person_are_compared_without_running_anything() {
    let open = files(&["storage"], &["openshift-storage/cloud"]);
    let answers = [("read-credentials", vec![state("manual", false)]), ("check-credential-files", vec![open, files(&[], &[])])];
    let (steps, gates) = done(&spec(false), &answers);
    let looked = ["read-credentials", "check-credential-files", "gate credentials-hop-1", "check-credential-files"];
    assert_eq!(steps, [looked.as_slice(), &TOLD].concat());
    assert!(
        gates[0].contains("1. for each new or changed request in /creds/hop-1/requests give the cloud account"),
        "{}",
        gates[0]
    );
}
