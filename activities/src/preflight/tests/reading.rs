//! Reading the facts from a server: what may fail, and what that comes to.

use std::time::Duration;

use http::Method;
use windlass_engine::{Activity as _, FailureKind};

use super::*;
use crate::testing::{Fault, Server, attempt};

async fn run(server: &Server) -> Result<PreflightReport, windlass_engine::ActivityError> {
    let cluster = server.cluster().await;
    let (cx, _) = attempt(&cluster);
    Preflight::new("4.18".parse().unwrap(), 14).run(cx).await
}

#[tokio::test(start_paused = true)]
async fn a_healthy_cluster_is_read_without_a_write_and_within_the_budget_of_requests() {
    let server = Server::healthy();
    let report = run(&server).await.unwrap();
    let blocked: Vec<&str> = report.blockers().map(|check| check.id.as_str()).collect();
    // The server has no rendered configurations.
    assert_eq!(blocked, ["rendered-configs"], "{:?}", report.checks);
    let writes = server.writes();
    assert!(writes.iter().all(|request| request.ends_with("/selfsubjectaccessreviews")), "{writes:?}");
    assert!((60..200).contains(&server.requests().len()), "{}", server.requests().len());
    assert!(!server.requests().iter().any(|request| request.ends_with("/machineconfigs")), "rendered ones are never listed");
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_in_passing_is_repeated_alone() {
    let server = Server::healthy();
    let cluster = server.cluster().await;
    let begun = server.requests().len();
    let (cx, _) = attempt(&cluster);
    for fault in [Fault::Busy(2), Fault::ResetBefore, Fault::Code(504)] {
        server.fail_next(&Method::GET, fault);
    }
    server.fail_next(&Method::POST, Fault::ResetAfter);
    let start = tokio::time::Instant::now();
    Preflight::new("4.18".parse().unwrap(), 14).run(cx.clone()).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(4), "the server's wish counts");
    let troubled = server.requests().len() - begun;
    Preflight::new("4.18".parse().unwrap(), 14).run(cx).await.unwrap();
    let calm = server.requests().len() - begun - troubled;
    assert!(troubled <= calm + 4, "{troubled} requests for {calm}");
}

#[test]
fn what_a_login_may_not_read_is_said_by_the_checks_that_judge_it() {
    let mut facts = facts();
    facts.unread.insert("budgets", "permission missing: list poddisruptionbudgets.policy".to_owned());
    let report = judge(&facts, &Preflight::new("4.18".parse().unwrap(), 14));
    let warned: Vec<String> = report.warnings().map(ToString::to_string).collect();
    assert_eq!(
        warned,
        [
            "budgets: could not be read: permission missing: list poddisruptionbudgets.policy; have what `windlass rbac eus-update` \
          prints applied for this login"
        ]
    );
    facts.budgets = vec![budget("cart", 0, 1, 1, 1)];
    let report = judge(&facts, &Preflight::new("4.18".parse().unwrap(), 14));
    assert!(report.blockers().any(|check| check.id == "budgets" && check.evidence.len() == 2), "a block stays one");
}

#[tokio::test(start_paused = true)]
async fn a_core_read_that_is_refused_ends_it_and_an_outage_is_tried_again() {
    let server = Server::healthy();
    let cluster = server.cluster().await;
    let (cx, _) = attempt(&cluster);
    server.fail_next(&Method::GET, Fault::Code(403));
    let refused = Preflight::new("4.18".parse().unwrap(), 14).run(cx.clone()).await.unwrap_err();
    assert_eq!((refused.kind, refused.code.as_str()), (FailureKind::Permanent, "forbidden"));
    server.fail_all(Some(Fault::ResetBefore));
    let away = Preflight::new("4.18".parse().unwrap(), 14).run(cx).await.unwrap_err();
    assert_eq!(away.kind, FailureKind::Transient);
}
