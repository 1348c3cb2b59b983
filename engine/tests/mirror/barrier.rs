//! A worker that changes nothing outside before the mirror has the intent.

use std::time::Duration;

use windlass_engine::control::What;
use windlass_engine::mirror::{Demand, MirrorState, MirrorWatch};
use windlass_engine::{RunId, Until, Update, WorkerHandle, WorkerOptions, WorkflowContext, WorkflowResult};

use crate::rig::{Fault, Rig, Shelf, until_held};
use crate::support::{Bench, DeclareTouch, OnceTouch, Wait, signed, touch};

async fn procedure(ctx: WorkflowContext, (): ()) -> WorkflowResult<()> {
    ctx.run(Wait { seconds: 60 }).await?;
    ctx.run(OnceTouch(touch("kick"))).await?;
    ctx.run(DeclareTouch(touch("after"))).await.map(drop)
}

/// A worker on a journal on disk, its mirror, and what became of both while `act` ran.
struct Scene {
    rig: Rig,
    bench: Bench,
    shelf: Shelf,
}

impl Scene {
    fn new() -> Self {
        let (rig, shelf) = (Rig::new(), Shelf::default());
        Self { rig, bench: Bench::new(|r| r.workflow("procedure", 1, procedure)), shelf }
    }

    /// Starts the run, or takes it up, under a worker that stays while `act` looks at it.
    async fn during<T>(
        &mut self,
        demand: Demand,
        first: bool,
        act: impl AsyncFnOnce(&Self, WorkerHandle, MirrorWatch, RunId) -> T,
    ) -> T {
        self.rig.open();
        let follower = self.rig.follower(self.shelf.clone(), &MirrorState::default()).required(demand == Demand::Holds);
        let watch = follower.watch();
        let following = tokio::spawn(follower.run());
        let options = WorkerOptions { until: Until::Stopped, barrier: Some(watch.barrier(demand)), ..WorkerOptions::default() };
        let worker = self.bench.worker_on(Box::new(self.rig.journal.take().unwrap()), options);
        let handle = worker.handle();
        let request = self.bench.start_request("procedure", 1);
        let working = tokio::spawn(worker.run());
        let run = request.run;
        if first {
            handle.tell(request).await.unwrap().unwrap();
        }
        let result = act(self, handle.clone(), watch, run).await;
        handle.stop();
        working.await.unwrap().unwrap();
        following.abort();
        let _ = following.await;
        result
    }
}

async fn minutes(count: u64) {
    tokio::time::sleep(Duration::from_secs(60 * count)).await;
}

/// Seen to fail with the barrier left out of the worker's loop.
#[tokio::test(start_paused = true)]
async fn with_the_mirror_stuck_nothing_is_touched_and_when_it_comes_back_the_run_goes_on() {
    let mut scene = Scene::new();
    scene.shelf.plan(&[Fault::None, Fault::Hang]);
    scene
        .during(Demand::Holds, true, async |scene, handle, watch, run| {
            let mut updates = handle.watch();
            minutes(30).await;
            assert!(scene.bench.touched().is_empty());
            let progress = handle.progress().await.unwrap();
            assert_eq!(progress.len(), 1, "the read that came before is done: {progress:?}");
            assert!(
                progress[0].text.starts_with("waits until the mirror has what is on record: it does not answer"),
                "{progress:?}"
            );
            let said = std::iter::from_fn(|| updates.try_recv().ok()).any(|update| matches!(update, Update::Progress(_)));
            assert!(said, "whoever watches hears of it");
            let note = signed(run, What::Note { text: "waiting".to_owned() });
            handle.tell(note).await.unwrap().unwrap();
            scene.shelf.let_go();
            minutes(5).await;
            assert_eq!(scene.bench.touched(), ["kick", "after"]);
            let events = scene.shelf.runs()[&run].len();
            assert!(watch.holds(run, u64::try_from(events).unwrap()));
            assert_eq!(handle.progress().await.unwrap(), []);
        })
        .await;
}

/// Seen to fail with a barrier that lets pass what was paused meanwhile.
#[tokio::test(start_paused = true)]
async fn a_pause_holds_while_the_mirror_is_waited_for_and_after_it_came_back() {
    let mut scene = Scene::new();
    scene.shelf.plan(&[Fault::None, Fault::Hang]);
    scene
        .during(Demand::Holds, true, async |scene, handle, _, run| {
            minutes(2).await;
            handle.tell(signed(run, What::Pause)).await.unwrap().unwrap();
            scene.shelf.let_go();
            minutes(5).await;
            assert!(scene.bench.touched().is_empty());
            handle.tell(signed(run, What::Unpause)).await.unwrap().unwrap();
            minutes(5).await;
            assert_eq!(scene.bench.touched(), ["kick", "after"]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_waits_for_the_mirror_stops_at_once_and_the_next_one_looks_first() {
    let mut scene = Scene::new();
    scene.shelf.plan(&[Fault::None, Fault::Hang]);
    let waited = scene
        .during(Demand::Holds, true, async |scene, handle, _, _| {
            minutes(3).await;
            handle.stop();
            tokio::task::yield_now().await;
            scene.bench.elapsed()
        })
        .await;
    assert!(scene.bench.elapsed() < waited + Duration::from_secs(5), "no grace is given to what never began");
    assert!(scene.bench.touched().is_empty());
    scene
        .during(Demand::Holds, false, async |scene, _, watch, _| {
            minutes(5).await;
            assert_eq!(scene.bench.touched(), ["kick", "after"]);
            until_held(&watch, 1).await;
        })
        .await;
}

/// Seen to fail with no wait for a mirror that was required.
#[tokio::test(start_paused = true)]
async fn a_mirror_that_was_required_is_told_so_before_anything_is_changed_without_it() {
    let mut scene = Scene::new();
    scene.shelf.plan(&[Fault::Before; 6]);
    scene
        .during(Demand::KnowsItIsNotRequired, true, async |scene, _, _, _| {
            tokio::time::sleep(Duration::from_secs(62)).await;
            assert!(scene.bench.touched().is_empty() && scene.shelf.required().is_none());
            minutes(5).await;
            assert_eq!(scene.shelf.required(), Some(false));
            assert_eq!(scene.bench.touched(), ["kick", "after"]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_mirror_that_is_not_required_holds_nothing_back() {
    let mut scene = Scene::new();
    scene.rig.open();
    scene.shelf.plan(&[Fault::Hang]);
    let (_watch, following) = scene.rig.follow(scene.shelf.clone());
    let options = WorkerOptions::default();
    let worker = scene.bench.worker_on(Box::new(scene.rig.journal.take().unwrap()), options);
    let (handle, request) = (worker.handle(), scene.bench.start_request("procedure", 1));
    futures::future::join(handle.tell(request), worker.run()).await.1.unwrap();
    assert_eq!(scene.bench.touched(), ["kick", "after"]);
    following.abort();
}
