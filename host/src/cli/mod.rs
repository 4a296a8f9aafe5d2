//! What the user types: one file per subcommand.

mod check;
mod demo;
mod facts;
mod generate;
mod health;
mod logging;
mod outbox;
mod plugin;
mod replay;
mod report;
mod send;
mod signals;
mod watch;

use std::ffi::OsString;
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::environment::{STATE, STATE_DIRECTORY};
use crate::config::{Config, Environment, Output};
use crate::plugin::{COMPILE_COMPONENT, compile_component};
use crate::store::{Place, StoreError};
use crate::text;

/// Watches Docker engines and tells you what happened to your containers: the first event at once, the rest in a digest.
#[derive(Debug, Parser)]
#[command(name = "dockbell", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    watch: watch::WatchArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch the engines and tell what happens (what `dockbell` alone does)
    Watch(watch::WatchArgs),
    /// Say what would have been told about recorded events, without waiting and without sending anything
    Replay(replay::ReplayArgs),
    /// Try the configuration, the plugins, the engines and the sinks, and say what works
    Check(check::CheckArgs),
    /// Look into the outbox: what waits, what was not delivered; have it sent again, or remove it
    Outbox(outbox::OutboxArgs),
    /// Send a test message to a sink
    Send(send::SendArgs),
    /// Write plugins: begin one, build it; look into one, try it on recorded events
    Plugin(plugin::PluginArgs),
    /// Ask the running dockbell whether it works, as a health check of a container does
    Health(health::HealthArgs),
    /// List the facts, causes, kinds and actions that are known, and the condition of the filter `default`
    Facts(facts::FactsArgs),
    /// Print a script that completes the arguments of dockbell in a shell
    Completions(generate::CompletionsArgs),
    /// Print the manual page
    Man,
    /// Show the mails about a recording of a small shop; needs neither Docker nor a mail server
    Demo(demo::DemoArgs),
    /// What dockbell starts to compile a plugin: a component on standard input, machine code on standard output
    #[command(name = COMPILE_COMPONENT, hide = true)]
    CompileComponent {
        /// Limit of memory in bytes
        memory: u64,
        /// Limit of processor time in seconds
        seconds: u64,
    },
}

/// Files that the program may have open, where the system allows as many.
const OPEN_FILES: u64 = 65_536;

const AFTER_HELP: &str = "\
Environment:
  DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH
                       the engine, as for `docker`; else a rootless one's $XDG_RUNTIME_DIR/docker.sock
  DOCKBELL_CONFIG      the configuration file; else /etc/dockbell/dockbell.toml if it exists
  DOCKBELL_SMTP_URL    mail server: smtp://user:password@host:587, smtps://..., smtp://host:25?tls=none
  DOCKBELL_MAIL_TO     who is told, separated by commas
  DOCKBELL_MAIL_FROM   the sender
  DOCKBELL_HOSTNAME    the name of this machine in messages
  DOCKBELL_STATE       the directory of what must survive a restart; `none` keeps nothing
  DOCKBELL_LOG         what is logged: off, error, warn, info, debug, trace; or target=level,...
  DOCKBELL_CACHE       where compiled plugins are kept; else $CACHE_DIRECTORY, $XDG_CACHE_HOME/dockbell, ~/.cache/dockbell
  Each DOCKBELL_SMTP_URL, _MAIL_TO, _MAIL_FROM, _HOSTNAME may be a file instead: DOCKBELL_SMTP_URL_FILE=/run/secrets/smtp

Exit codes:
  0         done; of `check`: everything works
  1         failed, as the last line of standard error says; of `watch`: or a message is lost
  2         wrong arguments
  130, 143  ended at once by a second SIGINT or SIGTERM";

/// Where the configuration comes from.
#[derive(Debug, Args)]
struct ConfigArgs {
    /// The configuration file [default: $DOCKBELL_CONFIG, /etc/dockbell/dockbell.toml]
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// How messages on the terminal look.
#[derive(Debug, Args)]
struct OutputArgs {
    /// Output format: text, or one JSON object per line
    #[arg(long, value_enum, value_name = "FORM")]
    output: Option<Output>,
}

/// Where events and messages are kept.
#[derive(Debug, Args)]
struct StateArgs {
    /// The directory of what must survive a restart; `none` keeps nothing [default: $DOCKBELL_STATE, $STATE_DIRECTORY, ~/.local/state/dockbell]
    #[arg(long, value_name = "DIR", global = true)]
    state: Option<OsString>,
}

impl StateArgs {
    /// Whether somebody said where, and be it systemd.
    fn is_named(&self) -> bool {
        let environment = Environment::of_process();
        self.state.is_some() || [STATE, STATE_DIRECTORY].iter().any(|name| environment.get(name).is_some())
    }

    fn place(&self) -> Result<Place, StoreError> {
        let environment = Environment::of_process();
        Place::choose(self.state.as_deref(), |name| environment.owned(name))
    }
}

impl ConfigArgs {
    /// The file that is read, if there is one.
    fn file(&self) -> Option<PathBuf> {
        Config::file(self.config.as_deref(), &Environment::of_process())
    }

    fn load(&self) -> anyhow::Result<Config> {
        let config = Config::load(self.config.as_deref(), &Environment::of_process())?;
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        Ok(config)
    }
}

/// Runs the program: parses the arguments, does what they say, prints an error with its causes.
#[must_use]
pub fn main() -> ExitCode {
    match run(command(Cli::parse())) {
        Ok(code) => code,
        Err(error) => {
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            eprintln!("error: {}", text::multi_line(&causes.join(": ")));
            ExitCode::FAILURE
        }
    }
}

/// Returns what was asked for. Of the options before a subcommand only `--config` and `--state` are for it, too.
fn command(cli: Cli) -> Command {
    let Some(mut command) = cli.command else { return Command::Watch(cli.watch) };
    let misplaced = match (cli.watch.first_own(), cli.watch.config.config) {
        (None, None) => return command,
        (None, Some(file)) => match command.config() {
            Some(args) => {
                args.config.get_or_insert(file);
                return command;
            }
            None => "--config",
        },
        (Some(option), _) => option,
    };
    let message = format!(
        "{misplaced} cannot be used before this subcommand\n\ntip: write it behind the subcommand, if it has that option"
    );
    Cli::command().error(ErrorKind::ArgumentConflict, message).exit()
}

impl Command {
    /// Where its configuration comes from, if it reads one. The `--config` of plugin commands is another: a plugin's.
    const fn config(&mut self) -> Option<&mut ConfigArgs> {
        match self {
            Self::Watch(args) => Some(&mut args.config),
            Self::Replay(args) => Some(&mut args.config),
            Self::Check(args) => Some(&mut args.config),
            Self::Send(args) => Some(&mut args.config),
            _ => None,
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    // Its standard error belongs to the program that started it.
    if !matches!(command, Command::CompileComponent { .. }) {
        logging::start(&Environment::of_process())?;
        raise_open_files();
    }
    match command {
        Command::CompileComponent { memory, seconds } => Ok(compile_component(memory, seconds)),
        Command::Watch(args) => block_on(watch::run(args)),
        Command::Replay(args) => block_on(replay::run(args)),
        Command::Check(args) => block_on(check::run(args)),
        Command::Outbox(args) => block_on(outbox::run(args)),
        Command::Plugin(args) => block_on(plugin::run(args)),
        Command::Send(args) => block_on(send::run(args)),
        Command::Health(args) => block_on(health::run(args)),
        Command::Facts(args) => facts::run(&args),
        Command::Completions(args) => generate::completions(&args, Cli::command()),
        Command::Man => generate::man(Cli::command()),
        Command::Demo(args) => block_on(demo::run(args)),
    }
}

fn block_on(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    // What is still running then (a name that is being looked up, say) must not hold back the end.
    runtime.shutdown_background();
    done
}

/// Raises the limit of open files (`RLIMIT_NOFILE`) to what the system allows, up to [`OPEN_FILES`]. Many systems begin with
/// 1,024, for programs that use `select`; this one does not.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    if limit.current.is_some_and(|current| current < wanted)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit })
    {
        tracing::debug!("the limit of open files stays as it is: {error}");
    }
}
