//! A preflight, for people: each check with its evidence, then what the drains will meet.

use std::time::Duration;

use windlass_activities::drain::PredictedDrain;
use windlass_activities::preflight::{Check, CheckVerdict, PreflightReport};

use crate::words::{self, Lines as _};

/// Where nothing says how wide the reader's screen is.
const WIDTH: usize = 110;
/// Below the title, past number and verdict.
const INDENT: usize = 15;
/// A screen narrower than this is written past its edge.
const NARROWEST: usize = 40;

/// The checks by number, the drains that have trouble, and what it comes to.
pub(crate) fn text(report: &PreflightReport, width: Option<usize>) -> String {
    let width = width.unwrap_or(WIDTH).max(NARROWEST);
    let mut text = String::new();
    for check in &report.checks {
        add_check(&mut text, check, width);
    }
    add_drains(&mut text, &report.drains, width);
    let [pass, warn, block] = [CheckVerdict::Pass, CheckVerdict::Warn, CheckVerdict::Block]
        .map(|verdict| report.checks.iter().filter(|check| check.verdict == verdict).count());
    text.line(format!("\n{}: {pass} pass, {warn} warn, {block} block", words::count(report.checks.len(), "check")));
    text
}

fn add_check(text: &mut String, check: &Check, width: usize) {
    let verdict = match check.verdict {
        CheckVerdict::Pass => "pass",
        CheckVerdict::Warn => "WARN",
        CheckVerdict::Block => "BLOCK",
    };
    text.line(format!("{:<4}  {verdict:<5}    {} ({})", check.number, check.title, check.id));
    for evidence in &check.evidence {
        add_evidence(text, evidence, width);
    }
    if let Some(remedy) = &check.remedy {
        add_wrapped(text, remedy, "next: ", width);
    }
}

/// A paragraph, and the rows of a table if some follow, which are kept as they are.
fn add_evidence(text: &mut String, evidence: &str, width: usize) {
    let (paragraph, table) = evidence.split_once('\n').unwrap_or((evidence, ""));
    add_wrapped(text, paragraph, "- ", width);
    for row in table.lines() {
        text.line(format!("{:INDENT$}  {row}", ""));
    }
}

/// Words of a paragraph under each other, the first line behind a mark.
fn add_wrapped(text: &mut String, paragraph: &str, mark: &str, width: usize) {
    let hang = INDENT + mark.chars().count();
    let mut line = format!("{:INDENT$}{mark}", "");
    let mut used = hang;
    for word in paragraph.split_whitespace() {
        let length = word.chars().count();
        if used > hang && used + 1 + length > width {
            text.line(std::mem::replace(&mut line, " ".repeat(hang)));
            used = hang;
        }
        if used > hang {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += length;
    }
    text.line(line);
}

/// One row a pod that a drain has trouble with; `!` where it waits until a person does something.
fn add_drains(text: &mut String, drains: &[PredictedDrain], width: usize) {
    if drains.is_empty() {
        return;
    }
    let troubled: Vec<&PredictedDrain> = drains.iter().filter(|drain| !drain.blockers.is_empty()).collect();
    let longest = Duration::from_secs(drains.iter().map(|drain| drain.seconds).max().unwrap_or(0));
    let easy = drains.len() - troubled.len();
    text.line(format!(
        "\ndrains: {easy} of {} without trouble, the longest takes about {}",
        words::count(drains.len(), "node"),
        words::duration(longest)
    ));
    if troubled.is_empty() {
        return;
    }
    let rows = || troubled.iter().flat_map(|drain| drain.blockers.iter().map(move |blocker| (drain.node.as_str(), blocker)));
    let pod = |blocker: &windlass_activities::drain::Blocker| format!("{}/{}", blocker.namespace, blocker.pod);
    let widest = |lengths: &mut dyn Iterator<Item = usize>, title: &str| lengths.max().unwrap_or(0).max(title.len());
    let nodes = widest(&mut rows().map(|(node, _)| node.chars().count()), "NODE");
    let pods = widest(&mut rows().map(|(_, blocker)| pod(blocker).chars().count()), "POD");
    let budgets =
        widest(&mut rows().map(|(_, blocker)| blocker.budget.as_ref().map_or(0, |name| name.chars().count())), "BUDGET");
    let mut add = |mark: &str, node: &str, pod: &str, budget: &str, why: &str| {
        let row = format!("{mark:<1} {node:<nodes$}  {pod:<pods$}  {budget:<budgets$}  ");
        if row.chars().count() + why.chars().count() > width {
            text.line(row.trim_end());
            text.line(format!("      {why}"));
        } else {
            text.line(row + why);
        }
    };
    add("", "NODE", "POD", "BUDGET", "WHY");
    for (node, blocker) in rows() {
        let mark = if blocker.for_ever { "!" } else { "" };
        add(mark, node, &pod(blocker), blocker.budget.as_deref().unwrap_or("-"), &blocker.cause.to_string());
    }
    for drain in troubled.iter().filter(|drain| drain.more > 0) {
        text.line(format!("  {}: {} more", drain.node, drain.more));
    }
    if troubled.iter().any(|drain| drain.never_ends()) {
        text.line("! the drain waits until a person does something");
    }
}
