//! moorline: a container entrypoint that makes a stateful server recoverable.
//!
//! It runs as PID 1, runs the scripts that it finds in the volume's `Init/` once each, restores an encrypted backup
//! when one of them says so, and hands over to the server. A restore happens whole or not at all.
//!
//! This page is the map. A room never reaches into one that stands above it here. `foo.rs` says what the room is for
//! and is its front door; its files stand beside it in `foo/`.
//!
//! [`cli`]: the command line. No logic.
//! - a file per verb (`restore.rs`, `show_key.rs` …): its flags, and its answer in words
//! - `after_start.rs`: what a child of PID 1 is started with
//! - `environment.rs`: settings from the environment, Seq's names, durations; `key.rs`: `--secret-key[-file]`
//! - `output.rs`: tables, objects, errors and exit codes; `log_format.rs`: the log's lines, in words or as objects
//! - `progress.rs`: the bar, and stopping on a signal; `progress_lines.rs`: the same for a program
//! - `in_script.rs`: what `restore` and `rollback` report to the script that called them
//! - `bare.rs`: a command that is no verb; `container.rs`: what `run` and `init` share; `confirm.rs`: asking;
//!   `preview.rs`: `--dry-run` as a table; `supervision.rs`: how a server is looked after
//!
//! [`entrypoint`]: from container start to server, one straight line (`entrypoint.rs` itself: recovery, scripts, key,
//! boot backup, exec or supervise).
//! - `scripts.rs`: how scripts are run; `health.rs`: whether the server is healthy; `ready.rs`: what runs beside it then
//! - `quarantine.rs`: what is left to do about apps, and what the server is told
//! - `console.rs`: `serve` as PID 1 starts it, beside the server or in its place
//! - `lock.rs`: waiting for the volume; `state.rs`: whether it holds state, `seqsvr` on a script's `PATH`
//! - `quiet.rs`: a start with nothing to do, before the C library; `quiet/look.rs`: whether it is one;
//!   `quiet/supervised.rs`: its server as a child; `quiet/stack.rs`, `quiet/system.rs`, `quiet/text.rs`, `quiet/time.rs`:
//!   arguments, system calls, text and times without a heap
//! - `supervise.rs`: staying PID 1 beside the server; `supervise/companion.rs`: what runs beside it, started again
//!
//! [`init`]: init scripts, run once each.
//! - `stage.rs`: before the server, at every start, after it
//! - `scan.rs`: which files are scripts, permissions; `broken.rs`: entries that cannot be read as one; `copy.rs`: from `/seqinit`
//! - `hashbang.rs`: the `#!` line, scripts without a command
//! - `recognise.rs`: built-in, program or shell text; `commands.rs`: a built-in script's commands, one after the other
//! - `look.rs`: what is waiting, done and failed, for `status`; `outcome.rs`: a run concluded
//! - `attempt.rs`: one script run; `private_copy.rs`: where it cannot be executed in place; `output.rs`: `<name>.log`
//! - `policy.rs`: what a failure means for script and container; `ledger.rs`: what was done, attempts
//! - `mark.rs`: `.done` and `.failed`, finished after a crash; `redact.rs`: the key taken out of a script
//! - `script_report.rs`: a restore that failed in a script that exited with 0
//!
//! [`serve`]: the console: schedule, HTTP API, pages, notifications.
//! - `role.rs`: what it is, seen from PID 1
//! - `console.rs`: what its parts share; `database.rs`: the metastore, to asynchronous code
//! - `start.rs`: its process; `first_run.rs`: the administrator, and what is there out of the box; `listen.rs`: connections;
//!   `listen/slots.rs`: how many; `listen/stalled.rs`: those that nobody reads from; `patience.rs`: those that do not send
//! - `router.rs`: all routes in one; `rules.rs`: who may use which; `site.rs`: what routes share; `failure.rs`: errors as answers
//! - `auth.rs`: who a request is from; `auth/session.rs`, `auth/limits.rs`: logins; `auth/same_site.rs`: requests of other sites'
//!   pages; `password.rs`: Argon2id; `permission.rs`: what there is to be allowed
//! - `entities.rs`: what the metastore holds; `entities/users.rs`, `entities/roles.rs`, `entities/keys.rs`,
//!   `entities/settings.rs`, `entities/signals.rs`, `entities/instances.rs`
//! - `api.rs`: the HTTP API; a file a group: `api/root.rs`, `api/login.rs`, `api/users.rs`, `api/keys.rs`, `api/settings.rs`;
//!   `api/backups.rs`, `api/restores.rs`, `api/signals.rs`, `api/apps.rs`, `api/events.rs`; `api/openapi.rs`: its document; `api/take.rs`: bodies
//! - `backups.rs`: the backups as they are shown; `backups/download.rs`, `backups/upload.rs`; `restores.rs`: restores made and
//!   asked for; `quarantine.rs`: apps that are off
//! - `jobs.rs`: children of its own; `jobs/child.rs`: one of them; `jobs/answer.rs`: what it said;
//!   `jobs/stream.rs`: a backup as it is made
//! - `schedule.rs`: when backups are due; `scheduler.rs`: taking them; `scheduler/decide.rs`: what is next;
//!   `scheduler/sight.rs`: what is there; `scheduler/verification.rs`: every week
//! - `health.rs`: how backups are; `metrics.rs`: the same for Prometheus; `calendar.rs`: the last 90 days
//! - `filter.rs`: the language of signals; `filter/token.rs`, `filter/parse.rs`, `filter/evaluate.rs`; `filter/like.rs`
//! - `notify.rs`: events sent to apps; `notify/tail.rs`: the end of the files; `notify/positions.rs`: how far each app is;
//!   `notify/signal.rs`: which events; `notify/suppression.rs`: how many; `notify/instances.rs`: the apps that are on;
//!   `notify/kinds.rs`: those there can be; `notify/attempt.rs`: one event sent; `notify/http.rs`, `notify/mail.rs`: how
//! - `pages.rs`: the console's pages; `pages/routes.rs`: where they are; `pages/visit.rs`: one request for one;
//!   `pages/faults.rs`: failures as pages; `pages/layout.rs`: what is around each, `pages/notices.rs`: banners,
//!   `pages/running.rs`: what runs; `pages/fields.rs`, `pages/form.rs`, `pages/flash.rs`, `pages/table.rs`, `pages/words.rs`,
//!   `pages/assets.rs`: their pieces
//! - a file each, and under the same name in `pages/view.rs` what is on it: `pages/login.rs`, `pages/backups.rs`,
//!   `pages/backup.rs`, `pages/schedule.rs`, `pages/restores.rs`, `pages/apps.rs`, `pages/instances.rs`, `pages/events.rs`,
//!   `pages/signals.rs`, `pages/access.rs`, `pages/secret_key.rs`; `pages/comparisons.rs`: backups compared with now;
//!   `view/calendar.rs`: the last ninety days; `view/differences.rs`, `view/remove.rs`, `view/problem.rs`
//!
//! [`restore`]: a backup onto the volume, whole or not at all.
//! - `plan.rs`: which paths move, what stays; `stage.rs`: the backup unpacked and checked beside the state
//! - `obstacles.rs`: free space, mounts, links, databases in use; `preview.rs`: what would change
//! - `journal.rs`: the list of moves; `commit.rs`: making, finishing and reversing them
//! - `console.rs`: the console's database among them; `quarantine.rs`: the apps of a staged copy; `in_place.rs`: those of
//!   the volume itself, without a restore; `events.rs`: what of all this is an event
//! - `settings.rs`: the settings that go with that; `rollback.rs`: what was replaced, back again; `set.rs`: what is kept, its pruning
//!
//! [`backup`]: a backup made, read back, looked at, kept.
//! - `take.rs`: one taken; `temporary.rs`: its file until then; `stores.rs`: nothing missing; `suspect.rs`: nothing suddenly empty; `manifest.rs`: what it says it holds; `name.rs`: what it is called
//! - `verifications.rs`: what later readings found; `verify.rs`: read to the last byte; `inspect.rs`, `extract.rs`: what is in it, and out of it
//! - `catalog.rs`: listing, and the newest of an instance; `retention.rs`: which scheduled ones go
//! - `quarantine.rs`: the memory of quarantine as a member; `progress.rs`: how far it is
//!
//! [`apps`]: apps switched off in a copy, remembered, released.
//! - `json.rs`: nodes of JSON files; `json/text.rs`: JSON read where it lies; `json/pointer.rs`: which nodes;
//!   `json/condition.rs`: which of them are on; `json/edit.rs`: a member written, and put back; `json/again.rs`: nodes known again
//! - `file.rs`: whole files put aside; `paths.rs`: what a step's glob finds
//! - `memory.rs`: what had been on, `quarantine.json`; `value.rs`: a value of SQLite's in it
//! - `quarantine.rs`: the steps act; `release.rs`: they are undone; `release/rows.rs`: rows among them;
//!   `release/covers.rs`: what a later step changed, too; `look.rs`: what they would find
//! - `tree.rs`: the databases that they name; `databases.rs`: all that are open; `align.rs`: steps of before and of now;
//!   `console.rs`: the console's own; `choose.rs`: which apps a person means
//! - `sqlite.rs`: steps on rows; `sqlite/update.rs`, `sqlite/delete.rs`, `sqlite/insert.rs`; `sqlite/undo.rs`: one row
//!   put back; `sqlite/look.rs`; `sqlite/table.rs`: columns and keys; `sqlite/row.rs`: what is remembered of a row
//!
//! [`metastore`]: the console's own state, in one database. `lock.rs`: who may have it open; `schema.rs`: its tables;
//! `copy.rs`: a copy that was restored; `mirror.rs`: settings that every verb needs.
//!
//! [`profile`]: what a server's state and its apps are. `choice.rs`: the one way to a volume's profile.
//! - `written.rs`: the TOML, read strictly; `document.rs`: its tables and the lines of faults; `quarantine.rs`: its steps;
//!   `values.rs`: what is written into columns and members, and conditions
//! - `builtin.rs`: the profiles that are built in; `discovery.rs`: when nobody has said; `.moorlineignore`
//! - `finds.rs`: what its stores find; `step.rs`: a step of quarantine, as data; `health.rs`: how health is told; `duration.rs`: `30s`, `12h`, `7d`
//!
//! [`store`]: databases and files, off the volume and back onto it.
//! - `scope.rs`: which paths are state; `survey.rs`, `survey/walk.rs`: finding them, and what is
//!   never captured; `survey/found.rs`: what was seen of one path
//! - `sqlite.rs`: how a database is captured; `sqlite/snapshot.rs`: one at one moment; `sqlite/pages.rs`: its pages; `sqlite/source.rs`: the transaction;
//!   `sqlite/edit.rs`: one that changes it;
//!   `sqlite/check.rs`: faults; `sqlite/filled.rs`: which tables have rows; `sqlite/facts.rs`: page size and the like; `sqlite/in_use.rs`: who has it open
//! - `files.rs`: a file read until it holds still; `spool.rs`: files without a name
//! - `stage.rs`: a member written out, with owner and mode; `beneath.rs`: never through a link
//! - `compare.rs`, `compare/table.rs`: rows that a restore would change
//!
//! [`seqbac`]: the `.seqbac` file format (`docs/seqbac.md`).
//! - `header.rs`: the plaintext header, its MAC and CRC; `footer.rs`: the last 24 bytes
//! - `segment.rs`, `seal.rs`, `unseal.rs`: AES-GCM segments; `frame.rs`, `compress.rs`, `decompress.rs`, `pool.rs`:
//!   zstd frames on several threads; `seek_table.rs`
//! - `tar_header.rs`, `tar_stream.rs`: the tar; `member.rs`: members and the rules for their names;
//!   `digest.rs`: `digest.json`
//! - `writer.rs`; `reader.rs`: from start to end; `archive.rs`, `slice.rs`: one member of many
//! - `error.rs`: the ten errors; `diagnose.rs`: rot or tampering, a check without the key
//!
//! [`key`]: the secret key's bytes and fingerprint. `source.rs`: where it comes from, in which order; making one.
//! `sealed.rs`: small secrets sealed with it.
//!
//! [`process`]: children and exec.
//! - `signals.rs`: held, and given back as found; `child.rs`: run, relayed, stopped; `leftovers.rs`: what a script leaves
//! - `user.rs`: another user, found and become
//! - `start.rs`: a server as a child; `reap.rs`: children that have ended; `routes.rs`: which signal is sent for which
//! - `exec.rs`: becoming the server, and why that failed; `own.rs`: this program's file; `variables.rs`: an environment
//! - `arena.rs`: the first memory; `pages.rs`: what a start has mapped, given back
//!
//! [`events`]: what moorline did, for the console. `kind.rs`: the kinds there are; `file.rs`: their lines in files.
//!
//! [`volume`]: the storage root and its paths.
//! - `durable.rs`: every fsync and rename; `lock.rs`: who may change the volume; `instance.rs`: who the volume is
//! - `settings.rs`: settings that every verb needs; `relpath.rs`: a path that stays below the root; `id.rs`: sixteen random bytes
//!
//! [`mod@error`]: one failure: its kind and exit code, what happened, what to do.

pub mod apps;
pub mod backup;
pub mod cli;
pub mod entrypoint;
pub mod error;
pub mod events;
pub mod init;
pub mod key;
pub mod metastore;
pub mod process;
pub mod profile;
pub mod restore;
pub mod seqbac;
pub mod serve;
pub mod store;
pub mod volume;
