use super::*;
use crate::condition::fixtures::{at, healthy, release, updated_to, version};
use crate::views::DesiredUpdate;

fn request(snapshot: &Snapshot) -> RequestUpdate {
    RequestUpdate { release: release("4.17.9"), seen: UpdateState::of(snapshot.version().unwrap()), accepted_risks: Vec::new() }
}

fn asked_for(text: &str) -> DesiredUpdate {
    DesiredUpdate { version: text.to_owned(), image: release(text).image, force: false }
}

#[test]
fn a_request_is_recognised_wherever_it_got_to() {
    let check = |edit: &dyn Fn(&mut Snapshot), expect: &dyn Fn(&Standing) -> bool| {
        let mut snapshot = healthy();
        let request = request(&snapshot);
        edit(&mut snapshot);
        let standing = request.standing(snapshot.version().unwrap());
        assert!(expect(&standing), "{standing:?}");
    };
    let ours = |standing: &Standing| matches!(standing, Standing::Ours(_));
    let untouched = |standing: &Standing| matches!(standing, Standing::Untouched(_));
    let foreign = |standing: &Standing| matches!(standing, Standing::Foreign(_));
    check(&|_| {}, &untouched);
    check(&|snapshot| version(snapshot, |version| version.spec.desired_update = Some(asked_for("4.17.9"))), &ours);
    check(&|snapshot| version(snapshot, |version| version.spec.desired_update = Some(asked_for("4.17.10"))), &foreign);
    check(&|snapshot| version(snapshot, |version| version.status.desired.image = release("4.17.9").image), &ours);
    // Completed, and somebody else asked for a later one since: it still happened.
    check(
        &|snapshot| {
            updated_to(snapshot, &release("4.17.9"));
            version(snapshot, |version| version.spec.desired_update = Some(asked_for("4.17.10")));
        },
        &ours,
    );
    // A change of something else in the wish is not a change of the update.
    check(&|snapshot| version(snapshot, |version| version.metadata.generation = Some(8)), &untouched);
}

#[test]
fn an_older_entry_of_the_history_with_the_same_image_is_an_older_update() {
    let mut snapshot = healthy();
    version(&mut snapshot, |version| {
        let mut older = version.status.history[0].clone();
        older.image = release("4.17.9").image;
        version.status.history.push(older);
    });
    let request = request(&snapshot);
    assert!(matches!(request.standing(snapshot.version().unwrap()), Standing::Untouched(_)));
}

#[test]
fn the_request_is_the_smallest_patch_with_the_wish_that_was_read_as_precondition() {
    let mut snapshot = healthy();
    let check = |snapshot: &Snapshot, expect: Value| {
        assert_eq!(request(snapshot).request(snapshot.version().unwrap()), expect);
    };
    let wish = json!({"version": "4.17.9", "image": "registry.example.com/release@sha256:4.17.9"});
    check(
        &snapshot,
        json!([
            {"op": "test", "path": "/metadata/generation", "value": 3},
            {"op": "add", "path": "/spec/desiredUpdate", "value": wish},
        ]),
    );
    version(&mut snapshot, |version| version.spec.desired_update = Some(asked_for("4.16.20")));
    check(
        &snapshot,
        json!([
            {"op": "test", "path": "/metadata/generation", "value": 3},
            {"op": "test", "path": "/spec/desiredUpdate/image", "value": "registry.example.com/release@sha256:4.16.20"},
            {"op": "add", "path": "/spec/desiredUpdate", "value": wish},
        ]),
    );
}

#[test]
fn a_request_left_lying_for_five_minutes_is_refused() {
    let mut snapshot = healthy();
    version(&mut snapshot, |version| version.spec.desired_update = Some(asked_for("4.17.9")));
    let mut take_up = TakeUp::default();
    let mut check = |minute: i64, snapshot: &Snapshot, expect: Option<&str>| {
        let verdict = take_up.late(snapshot, &release("4.17.9"), at(minute));
        assert_eq!(verdict.as_ref().map(ToString::to_string).as_deref(), expect);
    };
    check(0, &snapshot, None);
    check(4, &snapshot, None);
    check(
        5,
        &snapshot,
        Some(
            "the cluster did not take up the update to 4.17.9 within 5 min and stays at 4.16.20; \
             look at the cluster-version operator's log, then retry",
        ),
    );
    version(&mut snapshot, |version| version.status.desired.image = release("4.17.9").image);
    check(6, &snapshot, None);
}

#[test]
fn the_journaled_input_is_stable() {
    let text = serde_json::to_string(&request(&healthy())).unwrap();
    assert_eq!(
        text,
        "{\"release\":{\"version\":\"4.17.9\",\"image\":\"registry.example.com/release@sha256:4.17.9\"},\
         \"seen\":{\"asked\":null,\"head\":{\"version\":\"4.16.20\",\"image\":\"registry.example.com/release@sha256:4.16.20\",\
         \"started_at\":1769940000000000},\"generation\":3}}"
    );
}
