//! Holding back what would change the world until a second place has what is on record. Everything else goes on meanwhile.

use crate::activity::Effect;
use crate::ids::{CommandId, RunId};
use crate::mirror::Barrier;
use crate::worker::said::Said;
use crate::worker::{After, Progress, Update, Worker};

impl Worker {
    /// Whether something that waits for the commit must wait for the barrier too. While a run stands still nothing begins in it.
    pub(super) fn is_held_back(&self, after: &After) -> bool {
        let (Some(barrier), After::Attempt { run, command }) = (&self.options.barrier, after) else { return false };
        let Some(state) = self.runs.get(run).and_then(|driven| driven.state()) else { return false };
        let changes = state.activity(*command).is_some_and(|activity| activity.class != Effect::Observe);
        changes && (state.stands_still() || !barrier.lets(*run, state.next_seq - 1))
    }

    /// Lets whoever watches know what is held back and why.
    pub(super) fn say_held_back(&mut self) {
        let Some(why) = self.options.barrier.as_ref().filter(|_| !self.after.is_empty()).map(Barrier::why) else { return };
        let held_back: Vec<(RunId, CommandId)> = self.after.iter().filter_map(After::attempt).collect();
        for (run, command) in held_back {
            let Some(driven) = self.runs.get_mut(&run) else { continue };
            if driven.progress.get(&command).is_some_and(|known| known.text == why) {
                continue;
            }
            driven.progress.insert(command, Said::new(why.clone(), self.now));
            let progress = Progress { run, command, text: why.clone(), at: self.now };
            let _ = self.updates.send(Update::Progress(progress));
        }
    }
}

impl After {
    fn attempt(&self) -> Option<(RunId, CommandId)> {
        match self {
            Self::Attempt { run, command } => Some((*run, *command)),
            Self::Probe { .. } | Self::Reply { .. } => None,
        }
    }
}

/// Waits until the barrier may let more pass; for ever if nothing waits for it.
pub(super) async fn moved(barrier: Option<&mut Barrier>) {
    match barrier {
        Some(barrier) => barrier.changed().await,
        None => std::future::pending().await,
    }
}
