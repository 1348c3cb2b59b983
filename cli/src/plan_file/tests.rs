use windlass_workflows::Plan;

use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// What is in it is up to `tests/tests/bytes.rs`.
#[test]
fn a_plan_is_written_for_its_owner_and_read_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let (path, key) = (home.path().join("plan.json"), SigningKey::of(home.path()).unwrap());
    let mut plan = Plan { workflow: "eus-update".to_owned(), ..Plan::default() };
    plan.digest = plan.digest_of_content();
    let file = PlanFile::new(plan.clone(), &Json::null(), "ana@bastion".to_owned(), NOW, std::time::Duration::from_secs(1));
    write(file, &path, &key).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(read(&path, NOW, &[key.public()]).unwrap().plan, plan);
}

/// A device has no length, and no end.
#[test]
fn a_file_without_an_end_is_no_plan() {
    let refused = read(Path::new("/dev/zero"), NOW, &[]).unwrap_err();
    assert_eq!(refused.message, "/dev/zero is no plan: it has more than 16777216 bytes");
}
