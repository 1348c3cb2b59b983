//! The live view: what a run is at, drawn in place on a terminal and told line by line elsewhere.

mod asker;
mod board;
mod frame;
mod screen;
mod stage;

pub(crate) use board::foresees;
pub(crate) use stage::{Ending, Feed, Stage, Teller};
