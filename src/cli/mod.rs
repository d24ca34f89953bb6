//! The command line: one file per command group. What concerns a running daemon goes through its socket, as any other
//! program's request does; only `check`, `keys` and `store` look at
//! files themselves, the last where no daemon has them open.

mod check;
mod client;
mod completions;
mod config;
mod connections;
mod credentials;
mod demo;
mod doctor;
mod events;
mod execute;
mod exit;
mod explain;
mod health;
mod import;
mod keys;
mod locate;
mod notes;
mod output;
mod providers;
mod secret;
mod serve;
mod status;
mod store;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use client::Client;
use exit::{Exit, Failed, Outcome};
use locate::Plane;
use output::{Format, Output};

use crate::clock::Clock;

/// The variable that names the socket where no option does.
const SOCKET_VARIABLE: &str = "BURSAR_SOCKET";

/// Keeps this host's AI-provider keys, and calls models for the apps beside it.
#[derive(Debug, Parser)]
#[command(
    name = "bursar",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "First steps:\n  \
        bursar demo                                see it work, with nothing set up before\n  \
        bursar credentials set openai              give it a key (you are asked for it)\n  \
        bursar execute -m openai/gpt-4.1-mini Hi   call a model\n  \
        bursar usage                               see what it cost\n\n\
        Exit codes: 0 ok, 2 usage, 3 a dry run with changes, 65 bad data, 69 daemon not reachable,\n  \
        71 system error, 75 busy, 76 a provider failed, 77 not permitted, 78 bad configuration or state."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// The daemon's file [default: /etc/bursar/bursar.toml, else ~/.config/bursar/bursar.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The daemon's socket [default: as the configuration says, else /run/bursar/bursar.sock]
    #[arg(long, global = true, value_name = "PATH", env = SOCKET_VARIABLE)]
    socket: Option<PathBuf>,
    /// How answers are printed
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Say more on standard error; twice for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// What it is told to do. A command's help stands at its own type: said here, it would hide the longer one there.
#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    /// Show what the daemon is doing
    Status,
    /// Make the daemon read its configuration again
    Reload,
    Execute(execute::Execute),
    Demo(demo::Demo),
    #[command(subcommand)]
    Providers(providers::Providers),
    #[command(subcommand)]
    Connections(connections::Connections),
    #[command(subcommand)]
    Credentials(credentials::Credentials),
    #[command(subcommand)]
    Config(config::Config),
    Health(health::Health),
    Usage(Box<usage::Usage>),
    Explain(explain::Explain),
    Import(import::Import),
    Events(events::Events),
    Check(check::Check),
    Doctor(doctor::Doctor),
    #[command(subcommand)]
    Keys(keys::Keys),
    #[command(subcommand)]
    Store(store::Store),
    Completions(completions::Completions),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let ended = match understood(Cli::command()) {
        Ok(cli) => run(cli),
        Err(answer) => Ok(told(&answer)),
    };
    match ended.and_then(arrived) {
        Ok(exit) => exit.into(),
        Err(failed) => {
            output::complain(&failed.message);
            failed.exit.into()
        }
    }
}

/// What the command line says. A variable that is set to nothing names no socket, as one that is not set.
fn understood(command: clap::Command) -> Result<Cli, clap::Error> {
    let empty = std::env::var_os(SOCKET_VARIABLE).is_some_and(|value| value.is_empty());
    let command = if empty { command.mut_arg("socket", |arg| arg.env(None::<&str>)) } else { command };
    Cli::from_arg_matches(&command.try_get_matches()?)
}

/// Prints the help, the version, or what is wrong with the command line.
fn told(answer: &clap::Error) -> Exit {
    output::of_clap(answer);
    if answer.use_stderr() { Exit::Usage } else { Exit::Ok }
}

/// The end of a command whose answer has arrived: an answer that is lost is none.
fn arrived(exit: Exit) -> Outcome {
    match output::lost() {
        None => Ok(exit),
        Some(error) => Err(Failed::data(format!("standard output cannot be written, and the answer is lost: {error}"))),
    }
}

fn run(cli: Cli) -> Outcome {
    let Cli { global, command } = cli;
    let out = Output::new(global.format, Clock::system().wall_ms());
    match command {
        Command::Serve(serve) => return serve.run(&global),
        Command::Check(check) => return check.run(&global, &out),
        Command::Keys(keys) => return keys.run(&global, &out),
        Command::Completions(completions) => return completions.run(&out),
        _ => let_log_out(global.verbose),
    }
    if let Command::Store(store) = command {
        return store.run(&global, &out);
    }
    let runtime = runtime()?;
    match command {
        Command::Demo(demo) => runtime.block_on(demo.run(&out)),
        Command::Doctor(doctor) => runtime.block_on(doctor.run(&global, &out, out.now_ms)),
        command => runtime.block_on(ask(command, &global, &out)),
    }
}

/// What calls to the daemon run on.
fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::state(format!("the runtime cannot be started: {error}")))
}

/// Commands that a running daemon answers.
async fn ask(command: Command, global: &Global, out: &Output) -> Outcome {
    let plane = if matches!(command, Command::Execute(_)) { Plane::App } else { Plane::Admin };
    let client = &global.client(plane)?;
    match command {
        Command::Status => status::status(client, out).await,
        Command::Reload => status::reload(client, out).await,
        Command::Execute(execute) => execute.run(client, out).await,
        Command::Providers(providers) => providers.run(client, out).await,
        Command::Connections(connections) => connections.run(client, out).await,
        Command::Credentials(credentials) => credentials.run(client, out).await,
        Command::Config(config) => config.run(client, out).await,
        Command::Health(health) => health.run(client, out).await,
        Command::Usage(usage) => usage.run(client, out).await,
        Command::Explain(explain) => explain.run(client, out).await,
        Command::Import(import) => import.run(client, global, out).await,
        Command::Events(events) => events.run(client, out).await,
        Command::Serve(_)
        | Command::Demo(_)
        | Command::Doctor(_)
        | Command::Check(_)
        | Command::Keys(_)
        | Command::Store(_)
        | Command::Completions(_) => Ok(Exit::Ok),
    }
}

impl Global {
    /// A client of the daemon's admin plane.
    fn admin(&self) -> Result<Client, Failed> {
        self.client(Plane::Admin)
    }

    /// A client of the daemon that the options lead to.
    fn client(&self, plane: Plane) -> Result<Client, Failed> {
        let environment = locate::environment();
        let socket = locate::socket(self.socket.as_deref(), self.config.as_deref(), &environment, plane)?;
        tracing::info!("speaking to {}", socket.display());
        Ok(Client::new(&socket))
    }
}

/// Lets the program's own log out on standard error, as far as `-v` asks.
fn let_log_out(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).without_time().with_target(false);
    // Another subscriber can only be a test's; then that one tells.
    let _ = log.with_max_level(level).try_init();
}

#[cfg(test)]
mod tests;
