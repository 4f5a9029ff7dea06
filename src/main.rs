//! The program: arguments, configuration, service.

fn main() {}
