//! Two machines led along the same records: code that is not deterministic betrays itself on its first run, not weeks later.

use crate::event::Record;
use crate::replay::Machine;
use crate::replay::mismatch::{Mismatch, compare};

/// How closely a replay looks at the code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scrutiny {
    /// The code is led along the history once.
    Once,
    /// A second instance of the workflow is led along beside it, and must ask for exactly the same after each event.
    Twice,
}

impl Default for Scrutiny {
    /// Twice in a debug build: it costs a second replay.
    fn default() -> Self {
        if cfg!(debug_assertions) { Self::Twice } else { Self::Once }
    }
}

impl Machine {
    /// Takes a twin that stands where this machine stands.
    pub(super) fn accompany(&mut self, twin: Self, seq: u64) -> Result<(), Mismatch> {
        self.refuse_difference(&twin, seq, 0)?;
        self.twin = Some(Box::new(twin));
        Ok(())
    }

    /// Leads both along one record. What either had asked for before was compared then.
    pub(super) fn lead_both(&mut self, mut twin: Box<Self>, record: Record) -> Result<(), Mismatch> {
        let (seq, is_command) = (record.seq, record.event.asked().is_some());
        let known = self.shared.lock().asked.len();
        self.lead(record.clone())?;
        twin.lead(record)?;
        if !is_command {
            self.refuse_difference(&twin, seq, known)?;
        }
        self.twin = Some(twin);
        Ok(())
    }

    /// Compares what both have asked for from a place of their queues on, and their ends.
    fn refuse_difference(&self, twin: &Self, seq: u64, known: usize) -> Result<(), Mismatch> {
        let (ours, theirs) = (self.shared.lock(), twin.shared.lock());
        let unsteady = |first: &str, again: &str, differs: &str| Err(Mismatch::unsteady(&self.state, seq, first, again, differs));
        let nothing = |standing: String| format!("nothing; {standing}");
        for place in known..ours.asked.len().max(theirs.asked.len()) {
            match (ours.asked.get(place), theirs.asked.get(place)) {
                (Some(first), Some(again)) => {
                    if let Some(field) = compare(&first.to_event(), again) {
                        return unsteady(&first.describe(), &again.describe(), &field.in_words("first", "again"));
                    }
                }
                (Some(first), None) => {
                    return unsteady(&first.describe(), &nothing(theirs.standing()), "command: first one more than again");
                }
                (None, Some(again)) => {
                    return unsteady(&nothing(ours.standing()), &again.describe(), "command: again one more than first");
                }
                (None, None) => {}
            }
        }
        if self.ended == twin.ended {
            return Ok(());
        }
        let end = |machine: &Self, standing: String| match &machine.ended {
            None => format!("to wait on; {standing}"),
            Some(Ok(output)) => format!("to complete with {output}; {standing}"),
            Some(Err(error)) => format!("to give up ({error}); {standing}"),
        };
        unsteady(&end(self, ours.standing()), &end(twin, theirs.standing()), "end of the run")
    }
}
