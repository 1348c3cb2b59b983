//! Code that is not deterministic is caught by the worker on the first run, before it has done anything.

use std::collections::HashMap;

use windlass_engine::{Event, ParkReason, WorkflowContext, WorkflowResult};

use crate::bench::{Bench, DeclareTouch, touch};

async fn touches_by_hash(ctx: WorkflowContext, (): ()) -> WorkflowResult<u32> {
    let names: HashMap<u32, String> = (0..64).map(|n| (n, format!("thing {n}"))).collect();
    let mut touched = 0;
    for name in names.values() {
        touched += ctx.run(DeclareTouch(touch(name))).await?;
    }
    Ok(touched)
}

/// Differs in its second step only.
async fn steady_then_by_hash(ctx: WorkflowContext, (): ()) -> WorkflowResult<u32> {
    ctx.run(DeclareTouch(touch("first"))).await?;
    touches_by_hash(ctx, ()).await
}

/// Seen to fail with the second machine left out, and with it not led along what the worker records.
#[tokio::test(start_paused = true)]
async fn a_hash_map_is_caught_on_the_first_run() {
    let bench = Bench::new(|registry| registry.workflow("hash", 1, touches_by_hash).workflow("later", 1, steady_then_by_hash));
    let run = bench.start("hash").await;
    assert_eq!(bench.touched(), Vec::<String>::new());
    assert_eq!(bench.history(run), "RunStarted\nRunParked");
    let run = bench.start("later").await;
    assert_eq!(bench.touched(), ["first"]);
    assert_eq!(bench.history(run), "RunStarted\nActivityScheduled #0\nActivityCompleted #0\nRunParked");
    let why = bench.records(run).pop().map(|record| record.event);
    let Some(Event::RunParked { why: ParkReason::Nondeterminism { message } }) = why else { panic!("{why:?}") };
    assert!(message.contains("asked differently when replayed at once, after event 3"), "{message}");
    assert_eq!(message.matches("engine/tests/replay/live.rs:").count(), 2, "{message}");
    assert!(message.contains(&format!("`windlass resume {run}`")), "{message}");
}
