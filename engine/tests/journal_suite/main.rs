//! The journal as its users see it: conformance, format, damage, store, lock, readers.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod forged;
#[cfg(test)]
mod format;
#[cfg(test)]
mod model;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod repair;
#[cfg(test)]
#[path = "../support/seeds.rs"]
mod seeds;
#[cfg(test)]
mod store;
#[cfg(test)]
mod store_damage;
#[cfg(test)]
mod support;
