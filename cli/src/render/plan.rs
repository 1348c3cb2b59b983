//! A plan, for people.

use std::time::Duration;

use windlass_engine::Effect;
use windlass_workflows::{PlacedStep, Plan, PlannedStep};

use crate::render::calendar;
use crate::words::{self, Lines as _};

/// The facts above the steps have the digests in full.
const SUMMARY_WIDTH: usize = 84;

/// More nodes of a pool than this are counted, not named.
const NODES_NAMED: usize = 6;

/// The facts, the steps with class, gate and time, and what stands in the way.
pub(crate) fn text(plan: &Plan) -> String {
    draw(plan, false)
}

/// The same with the exact requests of each step.
pub(crate) fn text_with_requests(plan: &Plan) -> String {
    draw(plan, true)
}

fn draw(plan: &Plan, requests: bool) -> String {
    let mut text = format!("{} on cluster {}, plan {}\n\n", plan.workflow, plan.cluster, plan.digest);
    for fact in &plan.facts {
        text.line(format!("  {fact}"));
    }
    for (pool, nodes) in &plan.nodes {
        text.line(format!("  nodes of {pool}: {}", names(nodes)));
    }
    text.push_str("\nsteps\n");
    draw_steps(&mut text, plan, requests);
    if let Some(calendar) = &plan.calendar {
        let begins = plan.steps.first().and_then(|step| step.expected_at).unwrap_or_default();
        text.push('\n');
        text.push_str(&calendar::text(calendar, begins, 1, &placed(plan)));
    }
    if !plan.restores.is_empty() {
        text.push_str("\ngiven back on every ending\n");
        for change in &plan.restores {
            text.line(format!("  {change}"));
        }
    }
    let (p50, p90) = total(plan);
    text.line(format!(
        "\nin one of two cases done within {}, in nine of ten within {}",
        words::duration(p50),
        words::duration(p90)
    ));
    for source in &plan.reckoned_from {
        text.line(format!("  {source}"));
    }
    for warning in &plan.warnings {
        text.line(format!("warning: {warning}"));
    }
    for blocker in &plan.blockers {
        text.line(format!("blocks: {}", blocker.replace('\n', "\n        ")));
    }
    text
}

fn placed(plan: &Plan) -> Vec<calendar::Planned> {
    let planned = |placed: &PlacedStep| calendar::Planned { step: placed.step.clone(), placement: placed.placement };
    plan.placements.iter().map(planned).collect()
}

fn names(nodes: &[String]) -> String {
    match nodes {
        [first, .., last] if nodes.len() > NODES_NAMED => format!("{} ({first} … {last})", nodes.len()),
        _ => nodes.join(", "),
    }
}

fn draw_steps(text: &mut String, plan: &Plan, requests: bool) {
    let number_width = plan.steps.len().to_string().len();
    let summaries: Vec<String> = plan.steps.iter().map(|step| words::one_line(&step.summary, SUMMARY_WIDTH)).collect();
    let summary_width = summaries.iter().map(|summary| summary.chars().count()).max().unwrap_or(0);
    for ((number, step), summary) in (1..).zip(&plan.steps).zip(&summaries) {
        let class = match step.class {
            Effect::Irreversible => "NO RETURN",
            _ if step.is_gate() => "person",
            Effect::Observe | Effect::Declare | Effect::Guarded | Effect::Once => step.class.as_str(),
        };
        let line = format!("  {number:>number_width$}  {summary:<summary_width$}  {class:<9}  {}", remark(step));
        text.line(line.trim_end());
        for request in step.requests.iter().filter(|_| requests) {
            text.line(format!("  {:>number_width$}    {request}", ""));
        }
    }
}

fn remark(step: &PlannedStep) -> String {
    let gate = step.gate.as_ref().filter(|_| !step.is_gate()).map(|gate| format!("after gate {gate}"));
    let long = step.p50_seconds > 60;
    let time = long.then(|| {
        let (p50, p90) = (Duration::from_secs(step.p50_seconds), Duration::from_secs(step.p90_seconds));
        format!("about {}, at most {}", words::duration(p50), words::duration(p90))
    });
    [gate, time].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn total(plan: &Plan) -> (Duration, Duration) {
    let sum = |of: fn(&PlannedStep) -> u64| Duration::from_secs(plan.steps.iter().map(of).sum());
    (sum(|step| step.p50_seconds), sum(|step| step.p90_seconds))
}

#[cfg(test)]
mod tests {
    use windlass_activities::windows::{Calendar, Window};
    use windlass_engine::Timestamp;

    use super::*;

    fn step(summary: &str, class: Effect, gate: Option<&str>, minutes: u64, request: Option<&str>) -> PlannedStep {
        PlannedStep {
            summary: summary.to_owned(),
            class,
            gate: gate.map(str::to_owned),
            requests: request.into_iter().map(str::to_owned).collect(),
            p50_seconds: minutes * 60,
            p90_seconds: minutes * 180,
            expected_at: None,
        }
    }

    fn plan() -> Plan {
        let at = |text: &str| Timestamp::from(chrono::DateTime::parse_from_rfc3339(text).expect("a time").to_utc());
        let calendar =
            Calendar::parse("{zone: Europe/Berlin, slots: [{days: [sat], from: '22:00', until: '06:00'}]}").expect("good");
        let window = Window { begins: at("2026-12-05T21:00:00Z"), ends: at("2026-12-06T05:00:00Z") };
        let placement =
            windlass_activities::windows::Placement { begin_at: window.begins, window, latest_start: at("2026-12-06T03:00:00Z") };
        let mut first =
            step("pause pool worker", Effect::Declare, None, 0, Some("PATCH /apis/x/worker merge {\"spec\":{\"paused\":true}}"));
        first.expected_at = Some(at("2026-12-01T12:00:00Z"));
        Plan {
            workflow: "eus-update".to_owned(),
            cluster: "3874d70b".to_owned(),
            facts: vec!["from 4.16.21 (sha256:23)".to_owned(), "to 4.17.11 (sha256:59)".to_owned()],
            nodes: [
                ("master".to_owned(), ["master-0", "master-1", "master-2"].map(str::to_owned).to_vec()),
                ("worker".to_owned(), (0..59).map(|number| format!("worker-{number}")).collect()),
            ]
            .into(),
            steps: vec![
                first,
                step("wait until the control plane is at 4.17.11", Effect::Observe, None, 81, None),
                step(
                    "unpause pool worker: its nodes drain and reboot",
                    Effect::Irreversible,
                    Some("release-pool-worker"),
                    0,
                    None,
                ),
            ],
            calendar: Some(calendar),
            placements: vec![PlacedStep { step: "unpause pool worker".to_owned(), placement }],
            restores: vec!["pool worker is paused; by hand: oc patch mcp/worker …".to_owned()],
            warnings: vec!["cordons: node worker-7 is cordoned by somebody".to_owned()],
            blockers: vec!["pools: pool worker is degraded".to_owned()],
            reckoned_from: vec!["control plane: as told on the command line".to_owned()],
            digest: "0123456789abcdef".to_owned(),
            ..Plan::default()
        }
    }

    #[test]
    fn a_plan_shows_what_is_approved() {
        insta::assert_snapshot!("plan", text(&plan()));
        insta::assert_snapshot!("plan_with_requests", text_with_requests(&plan()));
    }
}
