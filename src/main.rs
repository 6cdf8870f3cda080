//! The `wsgate` command: arguments, signals, exit codes.

fn main() {}
