//! The journal and the worker on a disk that loses its power and its health, and under a clock that jumps.

#[cfg(test)]
mod clocks;
#[cfg(test)]
mod cuts;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod file;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod story;
#[cfg(test)]
#[path = "../support/seeds.rs"]
mod support;
#[cfg(test)]
mod upkeep;
#[cfg(test)]
mod working;
