//! Brings records into the cluster: the last piece of a run is written anew until it is full.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::Instant;
use windlass_engine::mirror::{Chunk, Held, MirrorError, MirrorTarget, grow};
use windlass_engine::{Record, RunId};

use super::read::secrets;
use super::secret::{About, Content, Kept, Place, Secret, Shelf, changed, created};
use super::{CHUNK_BYTES, MOST_CHUNKS, in_words};
use crate::cluster::{Cluster, Patch};
use crate::error::CallError;
use crate::lease::NAMESPACE;

/// What gathers in this time goes in one write, unless somebody waits for it.
const PAUSE: Duration = Duration::from_secs(1);

/// So many ended runs are remembered; the oldest are forgotten first, and only other journals could miss them.
const MOST_LET_GO: usize = 2_000;

/// The mirror of one journal in the cluster that it works on.
pub struct ClusterMirror {
    cluster: Arc<Cluster>,
    journal: String,
    /// Whether the worker waits for each write.
    required: bool,
    written: Option<Instant>,
    open: Option<Open>,
}

/// The Secrets as they were seen last.
struct Open {
    about: Kept<About>,
    last: BTreeMap<RunId, Kept<Chunk>>,
    places: BTreeMap<RunId, Vec<Place>>,
    leftovers: Vec<Place>,
}

impl ClusterMirror {
    /// The mirror of a journal; the cluster's lease has to be held before anything is written.
    pub fn new(cluster: &Arc<Cluster>, journal: &str) -> Self {
        Self { cluster: cluster.clone(), journal: journal.to_owned(), required: false, written: None, open: None }
    }

    async fn read(&mut self, required: bool) -> Result<Held, MirrorError> {
        let found = Shelf::of(&self.journal, &secrets(&self.cluster, Some(&self.journal)).await?)?;
        let mut held = Held::default();
        for record in found.records(&self.journal)? {
            held.absorb(&record).map_err(MirrorError::refused)?;
        }
        let about = match found.about {
            Some(Kept { what, place }) if what.required && !required => self.write(About { required, ..what }, &place).await?,
            Some(about) => about,
            None => self.create(About::default()).await?,
        };
        held.let_go.clone_from(&about.what.let_go);
        let places = |chunks: &Vec<Kept<Chunk>>| chunks.iter().map(|chunk| chunk.place.clone()).collect();
        let places = found.runs.iter().map(|(run, chunks)| (*run, places(chunks))).collect();
        let last = found.runs.into_iter().filter_map(|(run, mut chunks)| chunks.pop().map(|last| (run, last))).collect();
        self.open = Some(Open { about, last, places, leftovers: found.leftovers });
        Ok(held)
    }

    async fn store(&self, open: &mut Open, records: Vec<Record>) -> Result<(), MirrorError> {
        self.clear(open).await?;
        let mut by_run: BTreeMap<RunId, Vec<Record>> = BTreeMap::new();
        for record in records.into_iter().filter(|record| !open.about.what.let_go.contains(&record.run)) {
            by_run.entry(record.run).or_default().push(record);
        }
        // That they have ended is all that is kept of them, so their last events need not be brought before.
        let has_ended = |(_, records): &(&RunId, &Vec<Record>)| records.iter().any(|record| record.event.ends_run());
        let ended: BTreeSet<RunId> = by_run.iter().filter(has_ended).map(|(run, _)| *run).collect();
        by_run.retain(|run, _| !ended.contains(run));
        let mut about = without(&open.about.what, &ended);
        for (run, records) in by_run {
            self.add(open, &mut about, run, &records).await?;
        }
        self.publish(open, about).await
    }

    /// Writes the events of one run: first what fits in its last chunk, then new ones, which do not count yet.
    async fn add(&self, open: &mut Open, about: &mut About, run: RunId, records: &[Record]) -> Result<(), MirrorError> {
        let growth = grow(run, open.last.get(&run).map(|last| &last.what), records, CHUNK_BYTES)?;
        let count = u32::try_from(growth.new.len()).unwrap_or(u32::MAX);
        if about.total().saturating_add(count) > MOST_CHUNKS {
            return Err(MirrorError::trouble(format!(
                "it is full: {MOST_CHUNKS} secrets of {} KiB, all of them of runs that have not ended",
                CHUNK_BYTES >> 10
            )));
        }
        if let (Some(grown), Some(last)) = (growth.grown, open.last.get(&run)) {
            let kept = self.write(grown, &last.place).await?;
            open.last.insert(run, kept);
        }
        for chunk in growth.new {
            let kept = self.create(chunk).await?;
            about.chunks.insert(run, kept.what.number);
            open.places.entry(run).or_default().push(kept.place.clone());
            open.last.insert(run, kept);
        }
        Ok(())
    }

    /// Says what there is now, and removes what does not count any more.
    async fn publish(&self, open: &mut Open, about: About) -> Result<(), MirrorError> {
        if about == open.about.what {
            return Ok(());
        }
        open.about = self.write(about, &open.about.place).await?;
        let gone: Vec<RunId> = open.places.keys().copied().filter(|run| !open.about.what.chunks.contains_key(run)).collect();
        for run in gone {
            open.last.remove(&run);
            open.leftovers.extend(open.places.remove(&run).into_iter().flatten());
        }
        self.clear(open).await
    }

    async fn clear(&self, open: &mut Open) -> Result<(), MirrorError> {
        while let Some(place) = open.leftovers.last() {
            match self.cluster.delete::<Secret>(Some(NAMESPACE), &place.name, &place.uid).await {
                Err(error) if !error.is_not_found() => return Err(in_words(&error)),
                Ok(()) | Err(_) => drop(open.leftovers.pop()),
            }
        }
        Ok(())
    }

    async fn write<T: Content>(&self, what: T, place: &Place) -> Result<Kept<T>, MirrorError> {
        let patch = Patch::Merge(changed(&self.journal, &what, place)?);
        let secret = self.cluster.patch::<Secret>(Some(NAMESPACE), &place.name, &patch).await;
        kept(what, secret)
    }

    async fn create<T: Content>(&self, what: T) -> Result<Kept<T>, MirrorError> {
        let object = created(&self.journal, &what)?;
        kept(what, self.cluster.create::<Secret>(Some(NAMESPACE), &object).await)
    }

    /// Lets records gather, unless the worker waits for them.
    async fn pace(&mut self) {
        if let (false, Some(written)) = (self.required, self.written) {
            tokio::time::sleep_until(written + self.cluster.at_pace(PAUSE)).await;
        }
        self.written = Some(Instant::now());
    }
}

impl MirrorTarget for ClusterMirror {
    fn name(&self) -> String {
        "cluster".to_owned()
    }

    fn open(&mut self, required: bool) -> BoxFuture<'_, Result<Held, MirrorError>> {
        (self.open, self.required) = (None, required);
        self.read(required).boxed()
    }

    fn let_go(&mut self, ended: BTreeSet<RunId>) -> BoxFuture<'_, Result<BTreeSet<RunId>, MirrorError>> {
        let open = self.open.take();
        async move {
            let mut open = open.ok_or_else(closed)?;
            let about = without(&open.about.what, &ended);
            self.publish(&mut open, about).await?;
            self.open = Some(open);
            Ok(ended)
        }
        .boxed()
    }

    fn vouch(&mut self) -> BoxFuture<'_, Result<(), MirrorError>> {
        let open = self.open.take();
        async move {
            let mut open = open.ok_or_else(closed)?;
            let about = About { required: true, ..open.about.what.clone() };
            self.publish(&mut open, about).await?;
            self.open = Some(open);
            Ok(())
        }
        .boxed()
    }

    fn put(&mut self, records: Vec<Record>) -> BoxFuture<'_, Result<(), MirrorError>> {
        // Whatever goes wrong, it is opened and read again: what a lost answer did is not to be guessed.
        let open = self.open.take();
        async move {
            let mut open = open.ok_or_else(closed)?;
            self.pace().await;
            self.store(&mut open, records).await?;
            self.open = Some(open);
            Ok(())
        }
        .boxed()
    }
}

fn closed() -> MirrorError {
    MirrorError::trouble("it is not open")
}

fn kept<T>(what: T, secret: Result<Secret, CallError>) -> Result<Kept<T>, MirrorError> {
    let secret = secret.map_err(|error| in_words(&error))?;
    Ok(Kept { what, place: Place::of(&secret) })
}

/// The same without runs that have ended.
fn without(about: &About, ended: &BTreeSet<RunId>) -> About {
    let mut about = about.clone();
    about.chunks.retain(|run, _| !ended.contains(run));
    about.let_go.extend(ended);
    while about.let_go.len() > MOST_LET_GO {
        // Ids of runs sort by the time they were created.
        about.let_go.pop_first();
    }
    about
}
