//! One writer, and what it finds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tokio::time::Instant;
use windlass_activities::mirror::{CHUNK_BYTES, MOST_CHUNKS, read_cluster};
use windlass_activities::rbac::{LEASE, MIRROR};
use windlass_engine::mirror::{Held, MirrorError, MirrorTarget as _};
use windlass_sim::api::Verb;
use windlass_sim::faults::Effect;
use windlass_sim::store::resources::{LEASES, SECRETS};

use crate::rig::{ABOUT, JOURNAL, Scene, chunk, ended, numbered, record, refused, run};

/// Seen to fail with a full chunk written again.
#[tokio::test(start_paused = true)]
async fn records_go_into_small_secrets_and_come_back() {
    let scene = Scene::new().await;
    let mut mirror = scene.opened().await;
    let mut all = Vec::new();
    let mut closed: BTreeMap<String, Value> = BTreeMap::new();
    // Among them some that are larger than a Secret may be at all.
    for bytes in [10, 20_000, 20_000, 30_000, 64_000, 100, 3_000_000, 100, 65_000, 40_000] {
        let next = record(1, all.len() as u64 + 1, bytes);
        mirror.put(vec![next.clone()]).await.expect("it takes it");
        all.push(next);
        assert_eq!(scene.copy().await.open[&run(1)], all);
        let now = scene.secrets();
        for (name, secret) in &closed {
            assert_eq!(secret, &now[name], "{name} is full and never written again");
        }
        let newest = now.keys().filter(|name| **name != ABOUT).count();
        let full = now.into_iter().filter(|(name, _)| *name != ABOUT && *name != chunk(1, u32::try_from(newest).expect("few")));
        closed = full.collect();
    }
    for (name, secret) in scene.secrets() {
        assert_eq!(secret["type"], "windlass.dev/mirror");
        assert_eq!(secret["metadata"]["labels"]["app.kubernetes.io/managed-by"], "windlass", "{name}");
        let data = secret["data"]["records"].as_str().unwrap_or_default();
        assert!(data.len() / 4 * 3 <= CHUNK_BYTES + 2, "{name}: {}", data.len());
    }
    let held = scene.mirror().open(true).await.expect("it opens");
    assert_eq!(held.last_seq(run(1)), all.len() as u64);
    let mut expect = Held::default();
    for record in &all {
        expect.absorb(record).expect("no gap");
    }
    assert_eq!(held, expect);
}

/// Seen to fail with the digest of a Secret not looked at, and with one that is missing taken for the end.
#[tokio::test(start_paused = true)]
async fn whoever_changes_a_secret_by_hand_is_told_which() {
    type Change = fn(&Scene);
    let changes: [(Change, String); 8] = [
        (|scene| scene.edit(&chunk(1, 2), |s| s["data"]["records"] = json!("e30K")), chunk(1, 2)),
        (|scene| scene.edit(&chunk(1, 3), |s| s["data"]["records"] = json!("no base64")), chunk(1, 3)),
        (|scene| scene.edit(&chunk(1, 3), |s| s["metadata"]["annotations"]["windlass.dev/digest"] = json!("00")), chunk(1, 3)),
        (|scene| scene.delete(&chunk(1, 2)), chunk(1, 2)),
        (|scene| scene.delete(&chunk(1, 3)), chunk(1, 3)),
        (|scene| scene.delete(ABOUT), ABOUT.to_owned()),
        (|scene| scene.edit(ABOUT, |s| s["data"]["about"] = json!("e30K")), ABOUT.to_owned()),
        (
            |scene| {
                let (one, other) = (scene.secrets()[&chunk(1, 1)].clone(), scene.secrets()[&chunk(1, 2)].clone());
                for (name, from) in [(chunk(1, 1), other), (chunk(1, 2), one)] {
                    scene.edit(&name, |s| {
                        s["data"] = from["data"].clone();
                        s["metadata"]["annotations"] = from["metadata"]["annotations"].clone();
                    });
                }
            },
            chunk(1, 1),
        ),
    ];
    for (number, (change, expect)) in changes.into_iter().enumerate() {
        let scene = Scene::new().await;
        let mut mirror = scene.opened().await;
        mirror.put(numbered(1, 1..=5, 30_000)).await.expect("it takes them");
        assert_eq!(scene.secrets().len(), 4, "three chunks and what there is");
        change(&scene);
        let before = scene.secrets();
        let expect = format!("secret {expect} ");
        let error = scene.mirror().open(true).await.expect_err("it is not as it was");
        assert!(refused(&error).starts_with(&expect), "{number}: {error}");
        let error = read_cluster(&scene.cluster).await.expect_err("it is not as it was");
        assert!(refused(&error).starts_with(&expect), "{number}: {error}");
        assert_eq!(scene.secrets(), before, "{number}: it is left as it is");
    }
}

/// Seen to fail with the chunks of ended runs left where they are, and with an ended run's events taken again.
#[tokio::test(start_paused = true)]
async fn of_an_ended_run_only_that_is_kept() {
    let scene = Scene::new().await;
    let mut mirror = scene.opened().await;
    mirror.put([numbered(1, 1..=4, 30_000), numbered(2, 1..=2, 10)].concat()).await.expect("it takes them");
    mirror.put(vec![ended(1, 5), record(2, 3, 10)]).await.expect("it takes them");
    let names = |scene: &Scene| scene.secrets().into_keys().collect::<Vec<_>>();
    assert_eq!(names(&scene), [ABOUT.to_owned(), chunk(2, 1)]);
    let copy = scene.copy().await;
    assert_eq!((copy.ended, copy.open.len(), copy.open[&run(2)].len()), (BTreeSet::from([run(1)]), 1, 3));
    let held = mirror.open(true).await.expect("it opens");
    assert_eq!((held.let_go, held.runs.len()), (BTreeSet::from([run(1)]), 1));
    mirror.put(vec![record(1, 6, 10)]).await.expect("it is of no concern");
    assert_eq!(names(&scene), [ABOUT.to_owned(), chunk(2, 1)]);
    // Ended before the mirror was attached: known to the journal only.
    let gone = mirror.let_go(BTreeSet::from([run(2), run(3)])).await.expect("it lets them go");
    assert_eq!((gone.len(), names(&scene)), (2, vec![ABOUT.to_owned()]));
    assert_eq!(scene.copy().await.ended.len(), 3);
}

/// Seen to fail with the limit one higher, and with the chunks of what has ended counted.
#[tokio::test(start_paused = true)]
async fn a_mirror_that_is_full_says_so_until_a_run_ends() {
    let scene = Scene::new().await;
    let mut mirror = scene.opened().await;
    // One event a chunk.
    let most = u64::from(MOST_CHUNKS);
    mirror.put([numbered(1, 1..=most - 1, 60_000), numbered(2, 1..=1, 60_000)].concat()).await.expect("it takes them");
    let error = mirror.put(vec![record(1, most, 60_000)]).await.expect_err("it is full");
    assert_eq!(error.to_string(), "it is full: 128 secrets of 64 KiB, all of them of runs that have not ended");
    assert!(matches!(error, MirrorError::Trouble(_)));
    mirror.open(true).await.expect("it opens");
    mirror.put(vec![ended(2, 2)]).await.expect("what ends is not kept");
    mirror.put(vec![record(1, most, 60_000)]).await.expect("there is room again");
    assert_eq!(scene.copy().await.open[&run(1)].len() as u64, most);
}

/// Seen to fail with the version left out of changes: the other's records were overwritten.
#[tokio::test(start_paused = true)]
async fn whoever_writes_beside_another_is_refused_and_reads_again() {
    let scene = Scene::new().await;
    let (mut one, mut other) = (scene.opened().await, scene.mirror());
    one.put(numbered(1, 1..=2, 10)).await.expect("it takes them");
    let mut same = scene.opened().await;
    other.open(true).await.expect("it opens");
    other.put(vec![record(1, 3, 10), record(2, 1, 10)]).await.expect("it takes them");
    for stale in [&mut one, &mut same] {
        let error = stale.put(vec![record(1, 3, 99)]).await.expect_err("somebody else wrote");
        assert!(matches!(error, MirrorError::Trouble(_)), "{error}");
        assert_eq!(stale.open(true).await.expect("it opens").last_seq(run(1)), 3);
    }
    let error = { scene.mirror() }.put(vec![record(1, 4, 10)]).await.expect_err("it is not open");
    assert_eq!(error.to_string(), "it is not open");
    assert_eq!(scene.copy().await.open[&run(1)], numbered(1, 1..=3, 10));
}

/// A chunk that was made and never counted: the laptop died between. Seen to fail with it read, and with it left in the way.
#[tokio::test(start_paused = true)]
async fn a_chunk_that_does_not_count_is_not_read_and_goes() {
    for effect in [Effect::ResetBefore, Effect::Status { code: 503, retry_after_seconds: None, applied: false }] {
        let scene = Scene::new().await;
        let mut mirror = scene.opened().await;
        mirror.put(vec![record(1, 1, 10)]).await.expect("it takes it");
        scene.fault(Verb::Patch, Some(ABOUT), effect);
        mirror.put(numbered(1, 2..=3, 60_000)).await.expect_err("it can't be counted");
        assert!(scene.secrets().contains_key(&chunk(1, 2)));
        let count = scene.copy().await.open[&run(1)].len();
        assert!(count < 3, "{count}");
        // What bears the label and is none of ours stays.
        let copy = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a-copy", "namespace": "windlass",
            "labels": {"windlass.dev/journal": JOURNAL, "app.kubernetes.io/managed-by": "windlass"}}});
        scene.sim.store().create(&SECRETS, copy).expect("it can be made");
        let held = mirror.open(true).await.expect("it opens");
        mirror.put(numbered(1, held.last_seq(run(1)) + 1..=4, 60_000)).await.expect("it takes them");
        let open = scene.copy().await.open;
        assert_eq!(open[&run(1)], [numbered(1, 1..=1, 10), numbered(1, 2..=4, 60_000)].concat());
        assert!(scene.secrets().contains_key("a-copy"));
    }
}

/// Seen to fail with the mirror's writes past the fence.
#[tokio::test(start_paused = true)]
async fn whoever_lost_the_cluster_writes_nothing_to_its_mirror() {
    let scene = Scene::new().await;
    let mut mirror = scene.opened().await;
    mirror.put(numbered(1, 1..=2, 10)).await.expect("it takes them");
    let seize = |lease: &mut Value| {
        lease["spec"]["holderIdentity"] = json!("laptop-2.1/journal-of-bo/s1");
        lease["spec"]["leaseTransitions"] = json!(2);
        lease["metadata"]["annotations"]["windlass.dev/who"] = json!("bo@laptop-2");
    };
    scene.sim.store().modify(&LEASES, Some("windlass"), "windlass", seize).expect("the lease is there");
    let before = scene.secrets();
    let error = mirror.put(vec![record(1, 3, 10)]).await.expect_err("it is bo's");
    assert!(refused(&error).contains("is now driven by bo@laptop-2"), "{error}");
    let error = scene.mirror().open(false).await.map(|_| ());
    assert_eq!(error, Ok(()), "a look is no write");
    let mut mirror = scene.mirror();
    mirror.open(true).await.expect("a look is no write");
    assert!(mirror.vouch().await.is_err() && scene.mirror().let_go(BTreeSet::new()).await.is_err());
    assert_eq!(scene.secrets(), before);
}

/// Seen to fail with the pause left out, and with it kept for whoever waits.
#[tokio::test(start_paused = true)]
async fn it_is_written_once_a_second_unless_somebody_waits() {
    for (required, seconds) in [(false, 4), (true, 0)] {
        let scene = Scene::new().await;
        let mut mirror = scene.mirror();
        mirror.open(required).await.expect("it opens");
        let began = Instant::now();
        for seq in 1..=5 {
            mirror.put(vec![record(1, seq, 10)]).await.expect("it takes it");
        }
        assert_eq!(began.elapsed().as_secs(), seconds, "required: {required}");
    }
}

/// Seen to fail with the server's own words.
#[tokio::test(start_paused = true)]
async fn a_permission_that_is_missing_is_named_with_what_to_type() {
    let scene = Scene::new().await;
    for (verb, expect) in [(Verb::List, "list"), (Verb::Create, "create")] {
        scene.fault(verb, None, Effect::Forbidden);
        let error = scene.mirror().open(true).await.expect_err("it may not");
        let expect = format!(
            "permission missing: {expect} secrets in namespace windlass; `windlass rbac WORKFLOW --mirror cluster` prints "
        );
        assert!(error.to_string().starts_with(&expect), "{error}");
        assert!(matches!(error, MirrorError::Trouble(_)), "it may be granted while the run goes on");
    }
}

/// Seen to fail with one of the permissions left out.
#[tokio::test(start_paused = true)]
async fn the_printed_permissions_are_what_a_mirror_asks_for() {
    let scene = Scene::new().await;
    let mut mirror = scene.opened().await;
    mirror.put(numbered(1, 1..=3, 50_000)).await.expect("it takes them");
    mirror.put(vec![record(1, 4, 10)]).await.expect("it takes it");
    mirror.put(vec![ended(1, 5)]).await.expect("it takes it");
    let audit = scene.sim.audit();
    let mut asked: BTreeSet<String> = audit.reads().into_keys().map(|read| format!("{} {}", read.verb, read.resource)).collect();
    let writes = audit.records().into_iter().filter(|write| write.path.contains("/secrets"));
    asked.extend(writes.map(|write| format!("{} secrets", write.verb)));
    let asked: BTreeSet<String> = asked.into_iter().filter(|one| one.ends_with(" secrets")).collect();
    let granted: BTreeSet<String> = MIRROR.iter().map(|one| format!("{} {}", one.verb, one.resource)).collect();
    assert_eq!(asked, granted);
    assert!(MIRROR.iter().chain(&LEASE).all(|one| one.namespace == Some("windlass")));
}
