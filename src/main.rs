//! The command `bursar`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bursar::cli::main()
}
