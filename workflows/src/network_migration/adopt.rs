//! Going on with a migration that somebody began by hand: what was done is found out, shown, agreed to, and not done again.

use windlass_activities::network::infer::{InferStep, Inferred, Step};
use windlass_engine::{Gate, WorkflowError, WorkflowResult};

use super::Exchange;
use crate::hold_still::Held;

/// The gate before anything is taken over.
const ADOPT_GATE: &str = "adopt";

/// A cluster that goes on changing while a person is asked is no cluster to take over.
const MOST_LOOKS: u32 = 5;

/// Where a migration stands that was taken over, once the cluster is well.
pub(crate) enum CaughtUp {
    /// The nodes run the new plugin, and the old one's namespace is to go, if there is one.
    Over(Option<String>),
    /// Nothing of the old plugin is left in the cluster.
    Done,
}

impl Exchange<'_> {
    /// Goes on from where the migration stands.
    pub(super) async fn take_over(&mut self, held: &mut Held) -> WorkflowResult<()> {
        match self.catch_up(held).await? {
            CaughtUp::Done => self.healthy("at-the-end").await,
            CaughtUp::Over(old_namespace) => self.clean_up(old_namespace).await,
        }
    }

    /// Goes on from where the migration stands, to a cluster that is well on the new plugin.
    pub(crate) async fn catch_up(&mut self, held: &mut Held) -> WorkflowResult<CaughtUp> {
        let found = self.agree_on_step().await?;
        self.evidence.extend(found.evidence.iter().map(|line| format!("found: {line}")));
        let Some(step) = found.step.filter(|step| *step != Step::Done) else { return Ok(CaughtUp::Done) };
        let report = if step <= Step::Prepared { Some(self.check().await?) } else { None };
        self.back_up().await?;
        if let Some(report) = report {
            self.delete_host_policies(&report).await?;
        }
        held.hold_health_checks(self.ctx).await?;
        self.owe()?;
        if step <= Step::Prepared {
            self.wait_for_preparation(&found).await?;
            let boots = self.switch().await?;
            self.reboot(&boots).await?;
        } else if step == Step::Switched {
            self.check_logins().await?;
            let boots = self.tell_all(found.left).await?;
            self.reboot(&boots).await?;
        } else {
            self.healthy("after-reboots").await?;
        }
        held.resume_health_checks(self.ctx).await?;
        Ok(CaughtUp::Over(found.old_namespace))
    }

    /// Shows what was found until a person agrees to what still holds then.
    async fn agree_on_step(&self) -> WorkflowResult<Inferred> {
        let look = InferStep { from: self.from, to: self.to };
        self.ctx.status("finding out how far the migration has come");
        let mut found = refuse(self.ctx.run(look.clone()).await?)?;
        for _ in 0..MOST_LOOKS {
            self.ctx.gate(Gate::new(ADOPT_GATE, question(&found))).await?;
            // A person may have taken days, and whoever began may have gone on.
            let now = refuse(self.ctx.run(look.clone()).await?)?;
            if found.covers(&now) {
                return Ok(now);
            }
            found = now;
        }
        let message =
            "the migration went on by itself each time that somebody agreed; wait until nobody works on it, then adopt again";
        Err(WorkflowError::Failed(message.to_owned()))
    }

    async fn wait_for_preparation(&self, found: &Inferred) -> WorkflowResult<()> {
        self.applied(self.from, Some(self.to), "accepted").await?;
        self.pools_rolled_out(&found.unrendered, "prepared").await?;
        self.pools_settled(&found.rendered, "settled").await?;
        self.proven().await
    }
}

fn refuse(found: Inferred) -> WorkflowResult<Inferred> {
    if found.refusals.is_empty() {
        return Ok(found);
    }
    Err(WorkflowError::Failed(format!("the migration can't be taken over: {}", found.refusals.join("; "))))
}

fn question(found: &Inferred) -> String {
    let list = |lines: &[String]| lines.join("\n- ");
    format!(
        "Go on from here?\nSeen:\n- {}\nDone, and not done again:\n- {}\nNext:\n- {}",
        list(&found.evidence),
        list(&found.done),
        list(&found.next)
    )
}
