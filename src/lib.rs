//! The program `moorline`, PID 1 of a container: it runs the init scripts, starts the server and supervises it.
//!
//! It is small and has one thread, because every page that it touches delays the start. It never opens a database and
//! reads only the plaintext headers of backups. Everything else (backup, restore, quarantine, console) is done by the
//! engine, the program `moorline-engine`, which this one executes or starts as a child. A start with nothing to recover,
//! create or release starts no program but the server.
//!
//! - `main.rs`: the entry point of the program, and its allocator
//!
//! `command.rs` and `command/`: the command line
//!
//! - `command.rs`: dispatch of a command line, the settings that all commands share, the log on stderr, panics
//! - `options.rs`: the tables of commands and options, from which the engine also prints `--help`
//! - `parse.rs`: which program carries out a command line; options and their values; "did you mean"
//! - `environment.rs`: `MOORLINE_…` variables and Seq's names for them: switches, durations, sources of the secret key
//! - `known_variables.rs`: warnings about settings with a wrong name or quotes
//! - `container.rs`: the settings that `run`, `init` and `after-start` share; exit codes of a container start
//! - `supervision.rs`: the options of `run --supervise`: rewritten signals, mapped exit codes, grace period
//! - `run.rs`, `init.rs`, `health.rs`, `install.rs`, `shell.rs`, `after_start.rs`: one command each
//! - `bare.rs`: a first argument that is not a command is executed as a program, unless init work is pending
//! - `engine.rs`: finding and executing `moorline-engine`; `moorline --check-install`
//! - `log_format.rs`: log lines as text (with a time stamp or plain) or CLEF, errors with their hint, bugs
//! - `output.rs`: results on stdout, `--json`, escaping; a log that nothing reads never blocks PID 1
//!
//! `entrypoint.rs` and `entrypoint/`: from container start to server
//!
//! - `entrypoint.rs`: the order of the steps; recovery, secret key, boot backup, exec of the server, socket activation
//! - `lock.rs`: waiting for the volume's lock
//! - `engine_steps.rs`: recovery, the key of a provider and the boot backup, which the engine carries out as a child
//! - `first_line.rs`: the first line of the log
//! - `ownership.rs`: `--chown-volume` makes the server's user the owner of the volume; a warning if that user cannot
//!   write to it
//! - `newer.rs`: a volume that a newer moorline has used
//! - `scripts.rs`: which scripts run at which step, and their environment
//! - `state.rs`: whether the volume holds state; the links `seqsvr` and `moorline` in `.moorline/bin/`
//! - `quarantine.rs`: applying a pending quarantine or release; variables and arguments that it adds to the server
//! - `console.rs`: how the console is started, in place of the server or beside it
//! - `ready.rs`: the child that runs `Init/ready.d/` once the server is healthy
//! - `health.rs`: health checks (HTTP, TCP, alive) and whether a server runs on the volume
//! - `supervise.rs`: the loop of PID 1: forward signals, reap, enforce the grace period, stop leftovers
//! - `supervise/companion.rs`: the console beside the server, restarted with back-off
//!
//! `init.rs` and `init/`: init scripts
//!
//! - `init.rs`: the loop over scripts, once, at every start or after it; permissions of `Init/`
//! - `scan.rs`: file names that count as scripts, reading a script, its hash, `.done` and `.failed` files
//! - `stage.rs`: `Init/`, `Init/start.d/`, `Init/ready.d/`
//! - `copy.rs`: copying from `/seqinit`
//! - `inspect.rs`: which scripts are waiting, done or failed, and why one does not run again; for `status`, too
//! - `recognise.rs`: built-in script, program, interpreter or shell text; data and CRLF are refused
//! - `hashbang.rs`: the `#!` line, blanks before it, scripts without a command
//! - `typography.rs`: characters that a word processor or another encoding put in place of what was typed
//! - `commands.rs`: parsing a built-in script
//! - `broken.rs`: folders, dangling links and unreadable files where a script was probably meant
//! - `attempt.rs`: running a script: children, environment
//! - `arguments.rs`: arguments that `ps` does not show
//! - `server_env.rs`: variables that scripts hand to the server
//! - `held.rs`: root works on a volume of the server's user through descriptors that follow no links
//! - `trust.rs`: rights of a script when the server runs as another user; scripts that ask for root
//! - `private_copy.rs`: executable copies of scripts on `noexec` mounts
//! - `script_folder.rs`: the private folder of one attempt, outside the volume if the server has a user of its own
//! - `script_report.rs`: how a failed `restore` is noticed although its script exits with 0
//! - `output.rs`: a script's output in the container's log and in `<name>.log`
//! - `redact.rs`: removing secret keys from scripts and logs
//! - `policy.rs`: the failure table: retry, mark failed, exit or continue
//! - `outcome.rs`: applying that table: events, log lines, exit code
//! - `mark.rs`: renaming to `.done` or `.failed`, safe against crashes
//! - `ledger.rs`: `.moorline/init.json`

pub mod command;
mod entrypoint;
pub mod init;

pub use self::entrypoint::supervise;
