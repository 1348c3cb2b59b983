//! What a plan expected of each step against what the step then took.

use std::time::Duration;

use serde::Serialize;
use windlass_engine::view::{RunView, StepKind, StepView};
use windlass_workflows::{Plan, PlannedStep};

use crate::live::foresees;
use crate::words::{self, Lines as _};

/// A plan beside the run that carried it out.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Comparison(Vec<Line>);

/// One planned step and what became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Line {
    step: String,
    p50_seconds: u64,
    p90_seconds: u64,
    /// What it took; none if no step of the run was it.
    actual_seconds: Option<u64>,
    verdict: Verdict,
}

/// How a step went, as its plan saw it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    /// As in one of two cases.
    WithinP50,
    /// As in nine of ten cases.
    WithinP90,
    /// Longer than in nine of ten cases.
    Over,
    /// The run did not come to it, or did not need it.
    NotRun,
}

/// A step that takes no longer than this is a moment, of which a table for people only says how many there were.
const MOMENT_SECONDS: u64 = 10;

/// The table must fit beside four columns of figures.
const STEP_WIDTH: usize = 64;

impl Comparison {
    /// Puts each planned step beside the step of the run that it foresaw; both are in order.
    pub(crate) fn of(plan: &Plan, view: &RunView) -> Self {
        let is_act = |step: &&StepView| matches!(step.kind, StepKind::Activity { .. });
        let begun: Vec<(&str, u64)> = view
            .steps
            .iter()
            .filter(is_act)
            .map(|step| {
                let end = step.ended_at.unwrap_or(view.state.last_at);
                (step.summary.as_str(), end.since(step.started_at).as_secs())
            })
            .collect();
        let acts: Vec<&PlannedStep> = plan.steps.iter().filter(|step| !step.is_gate()).collect();
        Self(matched(&acts, &begun))
    }

    /// The table for people; empty when the plan has no steps.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        if self.0.is_empty() {
            return text;
        }
        let (moments, rows): (Vec<&Line>, Vec<&Line>) = self.0.iter().partition(|line| line.is_a_moment());
        let names: Vec<String> = rows.iter().map(|line| words::one_line(&line.step, STEP_WIDTH)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        text.push_str("\nplanned and actual\n");
        text.line(format!("  {:<width$}  {:>12}  {:>12}  {:>12}  VERDICT", "STEP", "P50", "P90", "ACTUAL"));
        for (line, name) in rows.iter().zip(&names) {
            let time = |seconds: u64| words::duration(Duration::from_secs(seconds));
            let actual = line.actual_seconds.map_or_else(|| "-".to_owned(), time);
            let (p50, p90, verdict) = (time(line.p50_seconds), time(line.p90_seconds), line.in_words());
            text.line(format!("  {name:<width$}  {p50:>12}  {p90:>12}  {actual:>12}  {verdict}"));
        }
        if !moments.is_empty() {
            text.line(format!("  and {} of a moment, as planned", words::count(moments.len(), "step")));
        }
        text
    }
}

impl Line {
    fn is_a_moment(&self) -> bool {
        self.p90_seconds <= MOMENT_SECONDS && self.actual_seconds.is_some_and(|seconds| seconds <= MOMENT_SECONDS)
    }

    fn in_words(&self) -> String {
        match self.verdict {
            Verdict::WithinP50 => "within P50".to_owned(),
            Verdict::WithinP90 => "within P90".to_owned(),
            Verdict::Over => {
                let over = self.actual_seconds.unwrap_or(0).saturating_sub(self.p90_seconds);
                format!("over by {}", words::duration(Duration::from_secs(over)))
            }
            Verdict::NotRun => "not run".to_owned(),
        }
    }
}

/// Each planned step with the next step of the run that it foresaw.
fn matched(planned: &[&PlannedStep], begun: &[(&str, u64)]) -> Vec<Line> {
    let mut next = 0;
    let mut lines = Vec::with_capacity(planned.len());
    for (number, step) in planned.iter().enumerate() {
        let found = begun[next..].iter().position(|(summary, _)| foresees(step, summary)).map(|at| next + at);
        let actual_seconds = found.map(|at| {
            // What was begun anew before the next planned step took all of these times.
            let rest = &begun[at + 1..];
            let following = planned[number + 1..].first();
            let until = following.and_then(|following| rest.iter().position(|(summary, _)| foresees(following, summary)));
            let again: Vec<(usize, u64)> = rest[..until.unwrap_or(0)]
                .iter()
                .enumerate()
                .filter(|(_, (summary, _))| foresees(step, summary))
                .map(|(place, (_, seconds))| (place, *seconds))
                .collect();
            next = again.last().map_or(at + 1, |(place, _)| at + 2 + place);
            begun[at].1 + again.iter().map(|(_, seconds)| seconds).sum::<u64>()
        });
        let verdict = match actual_seconds {
            None => Verdict::NotRun,
            Some(seconds) if seconds <= step.p50_seconds => Verdict::WithinP50,
            Some(seconds) if seconds <= step.p90_seconds => Verdict::WithinP90,
            Some(_) => Verdict::Over,
        };
        let (p50_seconds, p90_seconds) = (step.p50_seconds, step.p90_seconds);
        lines.push(Line { step: step.summary.clone(), p50_seconds, p90_seconds, actual_seconds, verdict });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(summary: &str, p50: u64, p90: u64) -> PlannedStep {
        let json = serde_json::json!({ "summary": summary, "class": "observe", "p50_seconds": p50, "p90_seconds": p90 });
        serde_json::from_value(json).expect("a planned step")
    }

    #[test]
    fn each_planned_step_meets_the_one_that_it_foresaw() {
        let check = |planned: &PlannedStep, begun: &[(&str, u64)], expect: (Option<u64>, &str)| {
            let lines = matched(&[planned], begun);
            assert_eq!((lines[0].actual_seconds, lines[0].in_words().as_str()), expect, "{begun:?}");
        };
        let wait = step("wait until the control plane is at 4.17.11", 60, 600);
        let begun = |seconds| [("pause pool infra", 0), ("wait until the control plane is at 4.17.11", seconds)];
        check(&wait, &begun(60), (Some(60), "within P50"));
        check(&wait, &begun(61), (Some(61), "within P90"));
        check(&wait, &begun(720), (Some(720), "over by 2 min"));
        check(&wait, &[("pause pool infra", 0)], (None, "not run"));
    }

    #[test]
    fn a_step_that_was_begun_anew_took_all_of_its_times() {
        let planned = [step("ask", 1, 5), step("wait", 60, 600), step("verify", 1, 5)];
        let begun = [("ask", 1), ("wait", 100), ("ask", 1), ("wait", 200), ("verify", 2)];
        let lines = matched(&planned.iter().collect::<Vec<_>>(), &begun);
        let seen: Vec<Option<u64>> = lines.iter().map(|line| line.actual_seconds).collect();
        assert_eq!(seen, [Some(1), Some(300), Some(2)]);
    }

    #[test]
    fn a_step_that_did_not_run_does_not_shift_the_others() {
        let planned = [step("pause pool infra", 1, 5), step("pause pool gpu", 1, 5), step("pause pool worker", 1, 5)];
        let lines = matched(&planned.iter().collect::<Vec<_>>(), &[("pause pool infra", 2), ("pause pool worker", 9)]);
        let seen: Vec<Option<u64>> = lines.iter().map(|line| line.actual_seconds).collect();
        assert_eq!(seen, [Some(2), None, Some(9)]);
        let text = Comparison(lines).text();
        assert!(text.contains("pause pool gpu") && !text.contains("pause pool infra"), "{text}");
    }
}
