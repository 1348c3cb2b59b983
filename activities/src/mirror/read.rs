//! Reads the mirrors in a cluster, for whoever adopts from them; changes nothing.

use std::collections::BTreeMap;

use windlass_engine::mirror::{MirrorCopy, MirrorError};

use super::in_words;
use super::secret::{Secret, Shelf, journal_of, labels};
use crate::cluster::{Cluster, Query};
use crate::lease::NAMESPACE;

/// The mirrors of all journals that keep their records in this cluster.
pub async fn read_cluster(cluster: &Cluster) -> Result<Vec<MirrorCopy>, MirrorError> {
    let mut journals: BTreeMap<String, Vec<Secret>> = BTreeMap::new();
    for secret in secrets(cluster, None).await? {
        journals.entry(journal_of(&secret).to_owned()).or_default().push(secret);
    }
    journals.into_iter().map(|(journal, secrets)| copy(journal, &secrets)).collect()
}

/// The Secrets of one mirror, or of all.
pub(super) async fn secrets(cluster: &Cluster, journal: Option<&str>) -> Result<Vec<Secret>, MirrorError> {
    let query = Query { namespace: Some(NAMESPACE.to_owned()), labels: Some(labels(journal)), ..Query::default() };
    cluster.list(&query).await.map_err(|error| in_words(&error))
}

fn copy(journal: String, secrets: &[Secret]) -> Result<MirrorCopy, MirrorError> {
    let shelf = Shelf::of(&journal, secrets)?;
    let records = shelf.records(&journal)?;
    let (required, let_go) = shelf.about.map(|about| (about.what.required, about.what.let_go)).unwrap_or_default();
    let mut copy = MirrorCopy::of(journal, required, records.into_iter().map(Ok)).map_err(MirrorError::refused)?;
    copy.ended.extend(let_go);
    Ok(copy)
}
