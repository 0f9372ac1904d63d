//! The `orthant` program; see [`orthant::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(orthant::cli::main())
}
