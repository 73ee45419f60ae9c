//! The program `weft`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(word) if word == "fetch-worker" => weft::sync::transport::serve(),
        _ => ExitCode::SUCCESS,
    }
}
