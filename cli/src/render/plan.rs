//! A plan, for people.

use std::time::Duration;

use windlass_workflows::{Plan, PlannedStep};

use crate::words::{self, Lines as _};

/// The facts above the steps have the digests in full.
const SUMMARY_WIDTH: usize = 64;

/// The facts, the steps with class, gate and time, and what stands in the way.
pub(crate) fn text(plan: &Plan) -> String {
    let mut text = format!("{} on cluster {}, plan {}\n\n", plan.workflow, plan.cluster, plan.digest);
    for fact in &plan.facts {
        text.line(format!("  {fact}"));
    }
    text.push_str("\nsteps\n");
    let number_width = plan.steps.len().to_string().len();
    let summaries: Vec<String> = plan.steps.iter().map(|step| words::one_line(&step.summary, SUMMARY_WIDTH)).collect();
    let summary_width = summaries.iter().map(|summary| summary.chars().count()).max().unwrap_or(0);
    for ((number, step), summary) in (1..).zip(&plan.steps).zip(&summaries) {
        let class = step.class.as_str();
        let line = format!("  {number:>number_width$}  {summary:<summary_width$}  {class:<12}  {}", remark(step));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let (p50, p90) = total(plan);
    text.line(format!(
        "\nin one of two cases done within {}, in nine of ten within {}",
        words::duration(p50),
        words::duration(p90)
    ));
    for warning in &plan.warnings {
        text.line(format!("warning: {warning}"));
    }
    for blocker in &plan.blockers {
        text.line(format!("blocks: {blocker}"));
    }
    text
}

fn remark(step: &PlannedStep) -> String {
    let gate = step.gate.as_ref().map(|gate| format!("gate {gate}"));
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
