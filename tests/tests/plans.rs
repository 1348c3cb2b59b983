//! What a plan shows is what its run then does: the same steps in the same words, and no write that was not shown.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use windlass_activities::estimate::Estimates;
use windlass_activities::{Cluster, Settings};
use windlass_engine::foresee::Deed;
use windlass_engine::{Effect, Event, Json, Registry};
use windlass_sim::{ClusterShape, Scenario};
use windlass_tests::{Ending, Stage, on_paused_time};
use windlass_workflows::foresight::{Draft, draft};

/// The steps of a draft that change something, and the requests that they are to make.
struct Shown {
    steps: Vec<String>,
    requests: Vec<String>,
}

async fn draft_of(stage: &Stage, workflow: &str, input: &Value) -> (Draft, Registry) {
    let client = kube::Client::new(stage.sim.service(), "default");
    let cluster = Cluster::from_client(client, Settings::simulated(stage.clock().clone())).await.expect("the cluster answers");
    let cluster = Arc::new(cluster);
    let input = Json::of(input).expect("the input is JSON");
    let draft = draft(&cluster, stage.clock(), workflow, &input, &Estimates::default()).await.expect("the run can be foreseen");
    (draft, windlass_workflows::register(Registry::new(), &cluster))
}

fn shown(draft: &Draft, registry: &Registry) -> Shown {
    let mut shown = Shown { steps: Vec::new(), requests: Vec::new() };
    for deed in &draft.foresight.deeds {
        let Deed::Activity { asked, .. } = &deed.what else { continue };
        if asked.class != Effect::Observe {
            shown.steps.push(asked.summary.clone());
            shown.requests.extend(registry.requests(&asked.activity, &asked.input));
        }
    }
    shown
}

fn gates(draft: &Draft) -> Vec<String> {
    let gates = draft.foresight.deeds.iter().filter_map(|deed| match &deed.what {
        Deed::Gate { gate, .. } => Some(gate.clone()),
        Deed::Activity { .. } | Deed::Sleep | Deed::Hold { .. } | Deed::GiveBack { .. } => None,
    });
    gates.collect()
}

/// The writing steps of the run, in the order of their begin.
fn done(stage: &Stage) -> Vec<String> {
    let asked = stage.history().into_iter().filter_map(|record| {
        let Event::ActivityScheduled { class, summary, .. } = record.event else { return None };
        (class != Effect::Observe).then_some(summary)
    });
    asked.collect()
}

/// Acknowledgements of a later hop are not known when the plan is made; everything else is.
fn known(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .filter(|line| !line.contains("acknowledge") && !line.contains("admin-acks"))
        .map(|line| method_path_body(line))
        .collect()
}

/// `PATCH /apis/…/worker merge {…}` of a plan and `patch /apis/…/worker?… {…}` of the audit log in one spelling. Names that the
/// server gives, and what is only known then, are the same text on both sides or left out.
fn method_path_body(line: &str) -> String {
    let body_at = line.find(" {").or_else(|| line.find(" [")).unwrap_or(line.len());
    let (head, body) = line.split_at(body_at);
    let mut words = head.split_whitespace();
    let method = match words.next().unwrap_or_default().to_lowercase() {
        method if method == "post" => "create".to_owned(),
        method => method,
    };
    // A deletion carries the uid, which only the cluster knows beforehand.
    let body = if method == "delete" { "" } else { body };
    let path = words.next().unwrap_or_default().split('?').next().unwrap_or_default();
    format!("{method} {path} {body}")
}

fn check(workflow: &'static str, input: &Value, shape: ClusterShape) {
    on_paused_time(async {
        let stage = Stage::new(workflow, shape, Scenario::default());
        // Its operators take a minute to look at themselves for the first time.
        tokio::time::sleep(Duration::from_secs(120)).await;
        let (draft, registry) = draft_of(&stage, workflow, input).await;
        assert!(draft.foresight.end.is_ok(), "{:?}", draft.foresight.end);
        assert!(stage.effects().is_empty(), "a plan changes nothing");
        let shown = shown(&draft, &registry);
        stage.start(input, &gates(&draft), None, None).await.expect("the stage works");
        assert_eq!(stage.ending(), Ending::Completed);
        assert_eq!(known(&done(&stage)), known(&shown.steps), "the steps");
        assert_eq!(known(&stage.effects()), known(&shown.requests), "the writes");
    });
}

#[test]
fn an_eus_update_does_what_its_plan_shows() {
    let input = json!({"channel": "eus-4.18", "target": "4.18", "pause_days": 14});
    check("eus-update", &input, ClusterShape::default());
}

#[test]
fn an_eus_update_with_canary_waves_and_windows_does_what_its_plan_shows() {
    let input = json!({
        "channel": "eus-4.18", "target": "4.18", "pause_days": 60,
        "terms": {
            "windows": {"zone": "Europe/Berlin", "slots": [{"days": ["sat", "sun"], "from": "00:00", "until": "23:00"}]},
            "canary": {"pool": "worker", "waves": [{"name": "first", "select": {"percent": 25}}], "soak_minutes": 30},
            "credentials": {},
            "layered": ["OpenShift Data Foundation"],
            "deadlines": true,
        },
    });
    check("eus-update", &input, ClusterShape::default());
}

#[test]
fn a_cluster_update_does_what_its_plan_shows() {
    let input = json!({"wanted": "newest", "pause_days": 14, "terms": {"deadlines": true}});
    check("cluster-update", &input, ClusterShape::default());
}
