//! The journal on a disk that loses its power and its health.

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
