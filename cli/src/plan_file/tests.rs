use windlass_engine::Effect;
use windlass_tests::{Storm, withstand};
use windlass_workflows::PlannedStep;

use super::*;

fn plan() -> Plan {
    let step: PlannedStep = serde_json::from_value(serde_json::json!({
        "summary": "pause pool worker", "class": Effect::Declare, "requests": ["PATCH …"], "p50_seconds": 60, "p90_seconds": 90
    }))
    .unwrap_or_else(|error| panic!("{error}"));
    let mut plan = Plan {
        workflow: "eus-update".to_owned(),
        cluster: "3874d70b".to_owned(),
        facts: vec!["4.16.21 → 4.18.9".to_owned()],
        steps: vec![step],
        ..Plan::default()
    };
    plan.digest = plan.digest_of_content();
    plan
}

/// Whatever is done to a plan file, it is refused or it still says what was signed. Seen to fail with the signature not checked.
#[test]
fn a_plan_file_of_any_bytes() {
    let home = tempfile::tempdir().unwrap();
    let (path, key) = (home.path().join("plan.json"), SigningKey::of(home.path()).unwrap());
    let now = Timestamp::from_micros(1_700_000_000_000_000);
    let input = Json::of(&serde_json::json!({"channel": "eus-4.18", "pause_days": 14})).unwrap();
    PlanFile::new(plan(), &input, "ana@bastion".to_owned(), now, Duration::from_secs(3600)).write(&path, &key).unwrap();
    let trusted = [key.public()];
    let signed = PlanFile::read(&path, now, &trusted).unwrap();
    let seeds = [std::fs::read(&path).unwrap()];
    withstand("plan file", Storm { cases: 1_000, most_bytes: 1 << 16 }, &seeds, |bytes| {
        std::fs::write(&path, bytes).map_err(|error| error.to_string())?;
        match PlanFile::read(&path, now, &trusted) {
            Ok(read) if read != signed => Err("a plan that nobody signed was taken".to_owned()),
            Err(failure) if failure.message.is_empty() || failure.next.is_empty() => Err("refused without a word".to_owned()),
            Ok(_) | Err(_) => Ok(()),
        }
    });
}
