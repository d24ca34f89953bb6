//! The command `bursar`.

fn main() {
    let log = bursar::daemon::init_log(0);
    let environment =
        bursar::config::Environment::new(rustix::process::geteuid().is_root(), |name| std::env::var_os(name));
    let config = std::env::args().nth(1).map(Into::into);
    if let Err(error) = bursar::daemon::serve(config, environment) {
        tracing::error!("{error}");
        drop(log);
        std::process::exit(error.exit_code().into());
    }
}
