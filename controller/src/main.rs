//! The controller's program. See `transcode-controller --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    transcode_controller::cli::main()
}
