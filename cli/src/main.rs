//! windlass.
fn main() {}
