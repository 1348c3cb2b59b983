//! Cases that mostly wait for elections and rollouts, several at a time.

use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Result, ensure};
use futures::future::LocalBoxFuture;

/// So many clusters at a time keep a machine of two cores busy without being late for elections.
const AT_ONCE: usize = 8;

/// One case: its name, and what is done on a runtime of its own.
pub type Case = (&'static str, fn() -> LocalBoxFuture<'static, Result<()>>);

/// Tries all cases, or the one that `WINDLASS_CASE` names; each on a thread and a runtime of its own.
///
/// # Errors
/// With the name and the cause of each that failed.
pub fn try_all(cases: &[Case]) -> Result<()> {
    let wanted = std::env::var("WINDLASS_CASE").ok();
    let mut chosen = cases.iter().filter(|(name, _)| wanted.as_ref().is_none_or(|wanted| name.contains(wanted.as_str())));
    let (next, failed) = (Mutex::new(&mut chosen), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let case = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((name, run)) = case else { return };
                    let begun = std::time::Instant::now();
                    if let Err(error) = alone(*run) {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{name}: {error:#}"));
                    }
                    println!("{name}: {:.0} s", begun.elapsed().as_secs_f64());
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n\n"));
    Ok(())
}

fn alone(run: fn() -> LocalBoxFuture<'static, Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}
