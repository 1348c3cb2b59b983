//! An EUS-to-EUS update of a large cluster over four weekends, with everything going wrong that goes wrong: it keeps its windows,
//! ends well, and whoever kills it at any boundary of its journal finds the same writes at the end.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use windlass_engine::control::What;
use windlass_engine::{Event, Record};
use windlass_sim::check::Baseline;
use windlass_sim::scenario::{Refusal, When, WorldFault};
use windlass_sim::{ClusterShape, Scenario};
use windlass_tests::{Ending, Stage, on_paused_time};

/// Half of Saturday night. A hop takes seven hours at most, a node half an hour: one hop or one pool fits, never two.
fn input() -> Value {
    json!({
        "channel": "eus-4.18", "target": "4.18", "pause_days": 60,
        "terms": {
            "windows": {"zone": "Europe/Berlin", "slots": [{"days": ["sat"], "from": "22:00", "until": "06:00"}]},
            "estimates": {
                "hop": {"p50_seconds": 2 * 3600, "p90_seconds": 7 * 3600},
                "node": {"p50_seconds": 600, "p90_seconds": 35 * 60},
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
        pool.max_unavailable = if pool.name == "worker" { "10%" } else { "1" }.to_owned();
    }
    shape
}

/// A drain that a budget blocks, a first update that is refused, a person's cordon, a laptop that sleeps for a day; the API is gone
/// while each control-plane node reboots.
fn scenario() -> Scenario {
    let on = |update, after_minutes| When { update: Some(update), after_minutes };
    let pools_begin = 14.0 * 24.0 * 60.0;
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
            WorldFault::NodeCordoned { when: on(2, 600.0), node: "worker/7".into(), minutes: Some(9.0 * 24.0 * 60.0) },
            WorldFault::DrainBlocked {
                when: on(2, pools_begin),
                node: "worker/3".into(),
                minutes: Some(7.0 * 24.0 * 60.0 + 60.0),
            },
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
        match stage.ending() {
            Ending::AtGates(gates) => {
                for gate in gates {
                    let told = stage.tell(What::Approve { gate, in_advance: false, seen: None, plan: None });
                    told.expect("the journal works").expect("the gate is open");
                }
            }
            Ending::Parked(_) => stage.tell(What::Unpark).expect("the journal works").expect("it is parked"),
            Ending::Completed | Ending::Failed(_) => return,
            Ending::Stuck(_) if stage.state().is_none() => {
                stage.start(&input(), &approvals(), None, None).await.expect("the stage works");
                continue;
            }
            Ending::Stuck(_) => {}
        }
        stage.resume(None).await.expect("the stage works");
    }
}

/// More visits than any one crash can need.
const MOST_VISITS: usize = 12;

/// The weekends on which something disruptive was begun, by what it was.
fn weekends(history: &[Record]) -> Vec<(String, String)> {
    let disruptive = |record: &Record| match &record.event {
        Event::ActivityScheduled { activity, summary, .. } if activity == "request-update" || activity == "release-pool" => {
            let at: DateTime<Utc> = record.at.to_datetime();
            let what = summary.split(['(', ':']).next().unwrap_or_default().trim().to_owned();
            Some((at.format("%Y-%m-%d").to_string(), what))
        }
        _ => None,
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
        let days: std::collections::BTreeSet<&str> = begun.iter().map(|(day, _)| day.as_str()).collect();
        assert_eq!(days.len(), 4, "{begun:?}");
        let violations: Vec<String> =
            baseline.check_update(&stage.sim, &["4.17.11", "4.18.5"]).iter().map(ToString::to_string).collect();
        assert_eq!(violations, Vec::<String>::new());
    });
}
