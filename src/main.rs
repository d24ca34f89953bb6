//! The command `bursar`.

fn main() {}
