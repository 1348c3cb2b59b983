//! Hazards of the network's migrations that a simulated cluster shows, and what the migration makes of each.

use serde_json::json;
use windlass_sim::hazards::{self, NETWORK};
use windlass_sim::{ClusterShape, Scenario};
use windlass_tests::{Ending, Stage, on_paused_time};

/// What comes of it.
enum Comes {
    /// The plan names it, and so does the run, before its first change.
    Refused(&'static str),
    /// A person is asked at this gate before the first change, in these words.
    Asks(&'static str, &'static str),
    /// A wait says it, and the run ends well.
    Passes(&'static str),
    /// A wait says all of it, and the run parks.
    Parks(&'static [&'static str]),
}

use Comes::{Asks, Parks, Passes, Refused};

const TABLE: &[(u8, Comes)] = &[
    (38, Refused("pool worker is paused: its nodes would never be prepared")),
    (39, Passes("0 of 5 multus pods are new")),
    (42, Asks("delete-host-policies", "bond0-static: it configures bond0")),
    (
        43,
        Parks(&[
            "namespace openshift-sdn is being deleted",
            "configmaps. has 1 resource instances",
            "example.com/keep in 1 resource",
        ]),
    ),
    (45, Refused("the internal subnet 100.64.0.0/16 overlaps the service network 100.64.0.0/17")),
];

async fn wrong(number: u8, comes: &Comes) -> Option<String> {
    let mut shape = ClusterShape { health_check_minutes: None, ..ClusterShape::default() }.with_nodes("3+2").expect("a shape");
    (hazards::numbered(number).expect("a hazard").apply)(&mut shape);
    let stage = Stage::new("sdn-to-ovn", shape, Scenario::default());
    let planned = stage.blockers(&json!({})).await.expect("a plan").join("\n");
    let approvals = ["prepare-nodes", "switch-network"].map(str::to_owned);
    stage.start(&json!({}), &approvals, None, None).await.expect("the stage works");
    let (ending, said) = (stage.ending(), stage.said().join("\n"));
    let right = match comes {
        Refused(part) => {
            let refused = matches!(&ending, Ending::Failed(error) if error.contains(part));
            refused && planned.contains(part) && stage.effects().is_empty()
        }
        Asks(gate, part) => {
            ending == Ending::AtGates(vec![(*gate).to_owned()])
                && stage.question(gate).contains(part)
                && stage.effects().is_empty()
        }
        Passes(part) => ending == Ending::Completed && said.contains(part),
        Parks(parts) => matches!(ending, Ending::Parked(_)) && parts.iter().all(|part| said.contains(part)),
    };
    (!right).then(|| format!("F{number}: {ending:?}; the plan: {planned}; last failure: {}", stage.last_failure()))
}

/// Seen to fail with a namespace of which only its own finalizers are told.
#[test]
fn each_hazard_is_refused_asked_about_or_said() {
    let shown: Vec<u8> = NETWORK.iter().map(|hazard| hazard.number).collect();
    assert_eq!(shown, TABLE.iter().map(|(number, _)| *number).collect::<Vec<_>>());
    let mut all = Vec::new();
    for (number, comes) in TABLE {
        on_paused_time(async { all.extend(wrong(*number, comes).await) });
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}
