//! What only the old plugin needed is taken away, once the cluster is well on the new one.

use std::time::Duration;

use windlass_activities::network::operator::EndMigration;
use windlass_activities::network::remove::{AwaitNamespaceGone, ClearPluginSettings, DeleteNamespace, NamespaceDeleted};
use windlass_engine::WorkflowResult;

use super::{Exchange, OWED};
use crate::insist::insist;
use crate::patience::PATIENT;

/// A namespace of a plugin has some hundred objects.
const NAMESPACE_LIMIT: Duration = Duration::from_secs(30 * 60);

impl Exchange<'_> {
    /// Takes away what only the old plugin needed, once the cluster is well on the new one.
    pub(super) async fn clean_up(&mut self, old_namespace: Option<String>) -> WorkflowResult<()> {
        self.end_migration().await?;
        self.delete_namespace(old_namespace).await?;
        self.healthy("at-the-end").await
    }

    /// Tells the network operator that the migration is over, and forgets the old plugin's settings.
    pub(crate) async fn end_migration(&self) -> WorkflowResult<()> {
        let ctx = self.ctx;
        ctx.status(format!("taking away what is left of {}", self.from));
        let end = EndMigration { applied: self.to };
        insist(ctx, "end", |_| ctx.run(end.clone())).await?;
        self.applied(self.to, None, "ended").await?;
        ctx.give_back(OWED);
        let clear = ClearPluginSettings { plugin: self.from };
        insist(ctx, "settings", |_| ctx.run(clear.clone())).await.map(drop)
    }

    /// Deletes the namespace that the old plugin lived in, the one that was seen at the beginning.
    pub(crate) async fn delete_namespace(&self, seen: Option<String>) -> WorkflowResult<()> {
        let (ctx, Some(uid)) = (self.ctx, seen) else { return Ok(()) };
        let name = self.from.namespace().to_owned();
        let delete = DeleteNamespace { name: name.clone(), uid: uid.clone() };
        if insist(ctx, "namespace", |_| ctx.run(delete.clone())).await? == NamespaceDeleted::Deleted {
            let wait = AwaitNamespaceGone { name, uid };
            insist(ctx, "namespace-gone", |_| ctx.run(wait.clone()).timeout(NAMESPACE_LIMIT).retry(PATIENT)).await?;
        }
        Ok(())
    }
}
