//! The `graven` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    graven::cli::main()
}
