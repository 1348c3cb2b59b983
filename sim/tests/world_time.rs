//! Virtual time: the same seed gives the same history, and waiting costs nothing.

mod world_support;

use std::time::{Duration, Instant};

use windlass_sim::ClusterShape;
use windlass_sim::check::Baseline;
use windlass_sim::scenario::Scenario;
use windlass_sim::shape::PoolShape;
use windlass_sim::store::resources::SECRETS;
use world_support::{acknowledge, calm, eus_update, get, hop, pass, prepare, release, start};

#[tokio::test(start_paused = true)]
async fn the_same_seed_and_the_same_requests_give_the_same_history() {
    let mut seen = vec![];
    for seed in [7, 7, 8] {
        let sim = start(ClusterShape { seed, ..ClusterShape::default() }, Scenario::harsh().world);
        eus_update(&sim).await;
        let audit: Vec<String> =
            sim.audit().records().iter().map(|r| format!("{} {} {} {}", r.at, r.verb, r.path, r.body)).collect();
        seen.push((sim.ledger().digest(), audit, sim.reboots(), sim.cluster_id().to_owned()));
    }
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[0].0, seen[2].0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_month_costs_next_to_nothing() {
    let sim = calm();
    pass(&sim, 10).await;
    let (changes, begun) = (sim.ledger().changes, Instant::now());
    pass(&sim, 30 * 24 * 60).await;
    assert_eq!(sim.ledger().changes, changes, "nothing happens in an idle cluster");
    assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn signers_are_replaced_at_day_292() {
    let sim = calm();
    let end = |sim: &windlass_sim::Sim| {
        let secret = get(sim, &SECRETS, Some("openshift-kube-apiserver-operator"), "kube-apiserver-to-kubelet-signer");
        secret["metadata"]["annotations"]["auth.openshift.io/certificate-not-after"].as_str().unwrap_or_default().to_owned()
    };
    let first = end(&sim);
    pass(&sim, 176 * 24 * 60).await;
    assert_eq!(end(&sim), first);
    pass(&sim, 2 * 24 * 60).await;
    assert!(end(&sim) > first);
}

#[tokio::test(start_paused = true)]
async fn a_harsh_world_is_survived_with_one_reboot_a_worker() {
    let sim = start(ClusterShape::default(), Scenario::harsh().world);
    let before = Baseline::of(&sim);
    eus_update(&sim).await;
    pass(&sim, 5).await;
    let found = before.check_update(&sim, &["4.17.11", "4.18.5"]);
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_workers_are_updated() {
    let workers = PoolShape { max_unavailable: "10%".into(), ..PoolShape::new("worker", 98) };
    let shape = ClusterShape { pools: vec![workers, PoolShape::new("infra", 2)], ..ClusterShape::default() };
    let begun = Instant::now();
    let sim = start(shape, vec![]);
    let before = Baseline::of(&sim);
    prepare(&sim).await;
    hop(&sim, "4.17.11").await;
    acknowledge(&sim).await;
    hop(&sim, "4.18.5").await;
    release(&sim).await;
    let found = before.check_update(&sim, &["4.17.11", "4.18.5"]);
    assert!(found.is_empty(), "{found:?}");
    println!("3+100 nodes: {:?}, {} changes", begun.elapsed(), sim.ledger().changes);
}
