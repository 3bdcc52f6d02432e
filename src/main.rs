//! The `graven` command.

use std::process::ExitCode;

/// Calls, entries and answers are many small allocations, made on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    graven::cli::main()
}
