//! From what was said of mirrors and what is remembered to what holds now.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use windlass_activities::Cluster;
use windlass_activities::mirror::ClusterMirror;
use windlass_engine::Clock;
use windlass_engine::mirror::{Directory, MirrorTarget};

use super::remembered::{Remembered, Seen};
use super::{CLUSTER, MirrorArgs, NONE, PATIENCE, after};
use crate::failure::{Failure, Kind};

/// What a mirror is told of.
pub(super) struct Place<'a> {
    /// The journal's directory.
    pub(super) dir: &'a Path,
    /// The journal's id.
    pub(super) id: &'a str,
    /// The cluster that is worked on.
    pub(super) cluster: &'a Arc<Cluster>,
    pub(super) clock: &'a Arc<dyn Clock>,
}

impl Place<'_> {
    /// The mirror of that name.
    pub(super) fn open(&self, target: &str) -> Box<dyn MirrorTarget> {
        if target == CLUSTER {
            return Box::new(ClusterMirror::new(self.cluster, self.id));
        }
        Box::new(Directory::new(Path::new(target), self.id, self.clock.clone()))
    }

    /// What holds now is remembered before anything is done with it.
    pub(super) async fn settle(&self, args: &MirrorArgs) -> Result<Option<Remembered>, Failure> {
        let known = Remembered::read(self.dir)?;
        let named = args.mirror.as_deref().map(absolute).transpose()?;
        let Some(target) = named.clone().or_else(|| known.as_ref().map(|known| known.target.clone())) else {
            return if args.mirror_required { Err(nothing_to_require()) } else { Ok(None) };
        };
        if target == NONE && args.mirror_required {
            return Err(nothing_to_require());
        }
        let (was_required, same, elsewhere) = match known {
            Some(known) => {
                let was_required = known.target == target && known.required;
                let (same, elsewhere) = self.move_on(known, &target).await?;
                (was_required, same, elsewhere)
            }
            None => Default::default(),
        };
        let required = args.mirror_required || (named.is_none() && was_required);
        let vouches = required || same.as_ref().is_some_and(|seen| seen.vouches);
        // Named anew, it may begin anew; remembered, it must have what it had.
        let state = same.filter(|_| named.is_none()).map(|seen| seen.state).unwrap_or_default();
        let cluster = (target == CLUSTER).then(|| self.cluster.id().to_string());
        let now = Remembered { target, required, vouches, state, cluster, elsewhere };
        now.keep(self.dir)?;
        Ok(Some(now).filter(|now| now.target != NONE))
    }

    /// Leaves the mirror that there was for the one that there is to be: how that one was seen last, and the mirrors in other
    /// clusters. One that still vouches for what happens here has to be told first.
    async fn move_on(&self, known: Remembered, target: &str) -> Result<(Option<Seen>, BTreeMap<String, Seen>), Failure> {
        let Remembered { target: was, vouches, state, cluster, mut elsewhere, .. } = known;
        let seen = Seen { vouches, state };
        let here = self.cluster.id().as_str();
        let mut same = None;
        match cluster {
            // Of no concern to the runs of this cluster, and not to be reached from here.
            Some(other) if other != here => drop(elsewhere.insert(other, seen)),
            Some(_) => drop(elsewhere.insert(here.to_owned(), seen)),
            None if was == target => same = Some(seen),
            None if seen.vouches => self.withdraw(&was).await?,
            None => {}
        }
        match elsewhere.remove(here) {
            Some(seen) if target == CLUSTER => same = Some(seen),
            Some(seen) if seen.vouches => self.withdraw(CLUSTER).await?,
            Some(_) | None => {}
        }
        Ok((same, elsewhere))
    }

    /// A mirror that says that it is required would vouch for more than it gets from now on.
    async fn withdraw(&self, from: &str) -> Result<(), Failure> {
        let mut target = self.open(from);
        let why = tokio::select! {
            opened = target.open(false) => match opened {
                Ok(_) => return Ok(()),
                Err(error) => error.to_string(),
            },
            () = after(self.clock, PATIENCE) => "it does not answer".to_owned(),
        };
        let message = format!("the mirror {from} still vouches for every change, and can't be told otherwise: {why}");
        Err(Failure::new(Kind::Failed, message, format!("make {from} reachable, then retry")))
    }
}

fn nothing_to_require() -> Failure {
    Failure::usage("there is no mirror that could be required", "name one with --mirror DIR, or --mirror cluster")
}

fn absolute(named: &str) -> Result<String, Failure> {
    if named == NONE || named == CLUSTER {
        return Ok(named.to_owned());
    }
    let path = std::path::absolute(named).map_err(|error| Failure::io("finding", Path::new(named), &error))?;
    Ok(path.display().to_string())
}
