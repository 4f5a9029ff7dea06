//! `highwater demo`: runs the service on a simulated fleet.

use clap::Args;

use crate::cli::CliError;

#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Where the simulated history is kept; it is made anew when it is stale
    #[arg(long, value_name = "DIR", default_value = ".highwater/demo")]
    pub dir: std::path::PathBuf,
    /// Address and port of the service; loopback only
    #[arg(long, env = "HIGHWATER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:7422")]
    pub listen: std::net::SocketAddr,
}

/// Runs it.
///
/// # Errors
/// Always: it is not built into this version.
pub fn run(_args: DemoArgs) -> Result<(), CliError> {
    Err(CliError::failed("`demo` is not built into this version"))
}
