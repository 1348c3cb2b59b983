//! An EUS-to-EUS update of a large cluster over four weekends, with everything going wrong that goes wrong: it keeps its windows,
//! ends well, and whoever kills it at any boundary of its journal finds the same writes at the end.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use windlass_engine::control::What;
use windlass_engine::{Event, Record};
use windlass_sim::check::Baseline;
use windlass_sim::scenario::{Refusal, When, WorldFault};
use windlass_sim::{ClusterShape, Scenario};
use windlass_tests::{Ending, Stage, on_paused_time};

/// Half of Saturday night. A hop takes seven hours at most, ten rounds of nodes take seven and some: one hop or one pool fits, never two.
fn input() -> Value {
    json!({
        "channel": "eus-4.18", "target": "4.18", "pause_days": 60,
        "terms": {
            "windows": {"zone": "Europe/Berlin", "slots": [{"days": ["sat"], "from": "22:00", "until": "06:00"}]},
            "estimates": {
                "hop": {"p50_seconds": 2 * 3600, "p90_seconds": 7 * 3600},
                "node": {"p50_seconds": 600, "p90_seconds": 43 * 60},
                "source": ["told"],
            },
            "credentials": {},
            "deadlines": true,
        },
    })
}

fn approvals() -> Vec<String> {
    ["ack-hop-1", "ack-hop-2", "release-pool-infra", "release-pool-worker"].map(str::to_owned).to_vec()
}

fn shape() -> ClusterShape {
    let shape = ClusterShape { api_outage_on_master_reboot: true, ..ClusterShape::default() };
    let shape = shape.with_pools("worker=49,infra=10").expect("these pools can be");
    let mut shape = shape.with_nodes("3+59").expect("these nodes can be");
    for pool in &mut shape.pools {
        let limit = if pool.name == "worker" { "12%" } else { "1" };
        limit.clone_into(&mut pool.max_unavailable);
    }
    shape
}

/// A drain that a budget blocks, a first update that is refused, a person's cordon, a laptop that sleeps for a day; the API is gone
/// while each control-plane node reboots.
fn scenario() -> Scenario {
    let on = |update, after_minutes| When { update: Some(update), after_minutes };
    // The night of the worker pool, counted from the request for the second hop; an hour was lost to summer time meanwhile.
    let workers = 21.0 * 24.0 * 60.0 - 60.0;
    Scenario {
        name: "weekends".into(),
        world: vec![
            WorldFault::UpdateRefused {
                when: When::default(),
                reason: Refusal::RetrievePayload,
                version: None,
                minutes: Some(12.0),
            },
            WorldFault::ClockJump { when: on(1, 600.0), hours: 24.0 },
            WorldFault::NodeCordoned { when: on(2, workers + 20.0), node: "worker/7".into(), minutes: Some(120.0) },
            WorldFault::DrainBlocked { when: on(2, workers - 60.0), node: "worker/3".into(), minutes: Some(200.0) },
        ],
        ..Scenario::default()
    }
}

fn stage() -> Stage {
    Stage::new("eus-update", shape(), scenario())
}

/// The person who mends what a gate asks for, and resumes what stopped.
async fn see_through(stage: &Stage) {
    for _ in 0..MOST_VISITS {
        if stage.ending() == Ending::Completed {
            return;
        }
        mend(stage).await;
        stage.resume(None).await.expect("the stage works");
    }
}

/// How long a person takes to look into what a gate says.
const MENDING: Duration = Duration::from_secs(15 * 60);

/// More visits than any one crash can need.
const MOST_VISITS: usize = 12;

/// What a person does before the run can go on, if anything.
async fn mend(stage: &Stage) {
    match stage.ending() {
        Ending::AtGates(gates) => {
            tokio::time::sleep(MENDING).await;
            for gate in gates {
                let told = stage.tell(What::Approve { gate, in_advance: false, seen: None, plan: None });
                told.expect("the journal works").expect("the gate is open");
            }
        }
        Ending::Parked(_) => stage.tell(What::Unpark).expect("the journal works").expect("it is parked"),
        Ending::Completed | Ending::Failed(_) | Ending::Stuck(_) => {}
    }
}

/// The weekends on which something disruptive was begun, by what it was.
fn weekends(history: &[Record]) -> Vec<(String, String)> {
    let disruptive = |record: &Record| {
        let Event::ActivityScheduled { activity, summary, .. } = &record.event else { return None };
        let at: DateTime<Utc> = record.at.to_datetime();
        let what = summary.split(['(', ':']).next().unwrap_or_default().trim().to_owned();
        let counts = activity == "request-update" || activity == "release-pool";
        counts.then(|| (at.format("%Y-%m-%d").to_string(), what))
    };
    history.iter().filter_map(disruptive).collect()
}

#[test]
fn it_keeps_four_windows_and_ends_well() {
    on_paused_time(async {
        let stage = stage();
        let baseline = Baseline::of(&stage.sim);
        stage.start(&input(), &approvals(), None, None).await.expect("the stage works");
        see_through(&stage).await;
        assert_eq!(stage.ending(), Ending::Completed);
        let begun: Vec<(String, String)> = weekends(&stage.history());
        // Clocks go forward in the night of 28 March: its window has seven hours, and the worker pool needs more.
        let expect = [
            ("2026-03-07", "ask the cluster to update to 4.17.11"),
            ("2026-03-07", "ask the cluster to update to 4.17.11"),
            ("2026-03-14", "ask the cluster to update to 4.18.5"),
            ("2026-03-21", "unpause pool infra"),
            ("2026-04-04", "unpause pool worker"),
        ];
        let begun: Vec<(&str, &str)> = begun.iter().map(|(day, what)| (day.as_str(), what.as_str())).collect();
        assert_eq!(begun, expect);
        let violations: Vec<String> =
            baseline.check_update(&stage.sim, &["4.17.11", "4.18.5"]).iter().map(ToString::to_string).collect();
        assert_eq!(violations, Vec::<String>::new());
    });
}

#[test]
fn killed_at_every_boundary_of_its_journal_it_writes_the_same() {
    let calm = on_paused_time(async {
        let stage = stage();
        stage.start(&input(), &approvals(), None, None).await.expect("the stage works");
        see_through(&stage).await;
        stage.effects()
    });
    let (kills, stormy) = on_paused_time(async {
        let stage = stage();
        stage.start(&input(), &approvals(), Some(1), None).await.expect("the stage works");
        let mut kills = 1;
        while stage.ending() != Ending::Completed {
            assert!(kills < MOST_KILLS, "the run does not get on: {:?}", stage.ending());
            mend(&stage).await;
            // One append says that the run was taken up again, one gets it further, and with the next one the worker dies.
            let journal = stage.journal.reopen();
            journal.fail_after(2);
            stage.drive(Box::new(journal), None, None).await.expect("the stage works");
            kills += 1;
        }
        (kills, stage.effects())
    });
    assert!(kills > 50, "{kills} kills are not every boundary");
    assert_eq!(stormy, calm);
}

/// Twice as many as the run has boundaries.
const MOST_KILLS: usize = 400;
