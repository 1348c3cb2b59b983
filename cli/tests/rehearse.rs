//! A rehearsal ends with the same report each time, and with everything given back.

mod support;

use support::Place;

#[test]
fn a_rehearsal_is_the_same_each_time() {
    let report = || {
        let place = Place::new();
        let said = place.windlass(&["rehearse", "eus-update"]);
        assert_eq!(said.code, 0, "{}", said.whole());
        (said.out, place.windlass(&["list"]).out)
    };
    let (out, list) = report();
    assert_eq!(report(), (out.clone(), list.clone()));
    insta::assert_snapshot!("rehearsal", format!("{out}\n{list}"));
}

#[test]
fn a_rehearsal_that_is_to_ask_stops_at_its_gates() {
    let place = Place::new();
    let said = place.windlass(&["rehearse", "eus-update", "--ask"]);
    assert_eq!(said.code, 3, "{}", said.whole());
    assert!(said.err.contains("next: windlass approve"), "{}", said.err);
}

#[test]
fn a_rehearsal_for_programs_is_one_object() {
    let place = Place::new();
    let said = place.windlass(&["rehearse", "eus-update", "--nodes", "3+2", "--pools", "worker=2", "-o", "json", "--seed", "7"]);
    let report: serde_json::Value = serde_json::from_str(&said.out).expect("stdout is one JSON value");
    assert_eq!(
        (said.code, report["state"].as_str(), report["violations"].as_array().map(Vec::len)),
        (0, Some("completed"), Some(0))
    );
    assert_eq!(report["reboots"]["worker-0"], 1);
}

#[test]
fn much_goes_wrong_and_all_is_kept() {
    let place = Place::new();
    let said = place.windlass(&["rehearse", "eus-update", "--faults", "harsh", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&said.out).expect("stdout is one JSON value");
    assert_eq!((said.code, report["state"].as_str()), (0, Some("completed")), "{}", said.whole());
    let retried = report["steps"].as_array().is_some_and(|steps| steps.iter().any(|step| step["attempts"].as_u64() > Some(1)));
    assert!(retried, "a harsh rehearsal must meet trouble: {report}");
}
