//! Records in the cluster itself: what gets there, what is read back, and whatever somebody does to the Secrets.

mod rig;
mod secrets;
mod storm;
