//! The engine: everything that moorline does with a server's state. It reads no environment variable, prints nothing, and
//! parses no command line: `moorline-engine` (crates/cli) and the console (crates/console) call it. It does not supervise
//! the server (root package), define the layout of `.moorline/` (crates/volume), parse profiles (crates/profile), or
//! encode `.seqbac` files (crates/seqbac).
//!
//! A module never imports from one above it in this list.
//!
//! - `apps.rs`: `moorline apps` on the volume itself: list what is on, disable, release, carry out what is pending at a
//!   start
//! - `fetch.rs`: a backup from stdin, a pipe or an https address (`fetch/download.rs`)
//! - `restore.rs`: a backup restored onto the volume, atomically. In `restore/`:
//!   - `preflight.rs`: checks before anything changes: free space, mounts, links, permissions, databases in use
//!   - `stage.rs`: members unpacked into the restore set and checked there
//!   - `unpack.rs`: commands of the profile that turn a capture into files of the server
//!   - `console.rs`: the console's database in restores and rollbacks
//!   - `settings.rs`: `settings.json` in restores and rollbacks
//!   - `apps_policy.rs`: whether the flags and the backup mean "apps off" or "apps as they were", and the apps that no
//!     backup contains
//!   - `only.rs`: a part of the state, for `--only`
//!   - `plan.rs`: which paths move
//!   - `journal.rs`: `journal.json`, the list of moves and their state
//!   - `root.rs`: owner, mode and attributes of the storage root
//!   - `mounts.rs`: mount points inside the volume, which stay as they are
//!   - `commit.rs`: the moves carried out, finished after a crash, or reversed
//!   - `set.rs`: restore sets: create, list, discard, prune
//!   - `rollback.rs`: a restore undone
//!   - `preview.rs`: `restore --dry-run`: the changes that a restore would make
//!   - `events.rs`: the events of restores, rollbacks and quarantine
//! - `backup.rs`: take, verify, list and prune backups. In `backup/`:
//!   - `take.rs`: one backup, from the first lock to the final name
//!   - `stores.rs`: stores that must not be missing; `suspect.rs`: stores that are suddenly empty
//!   - `captures.rs`: the captures of the profile; `bracket.rs` and `guard.rs`: what happens around the copy of one, and the
//!     process that undoes it however the backup ends
//!   - `manifest.rs`: `manifest.json`; `file_facts.rs`: its lists of hard links and holes; `name.rs`: file names; `temporary.rs`: files that are not complete yet
//!   - `quarantine.rs`: the quarantine record as a member of a backup
//!   - `verify.rs`: a backup read back; `verifications.rs`: `.moorline/verified.json`, the result of the last weekly
//!     verification
//!   - `catalog.rs`: the backups in a folder; `latest.rs`: the one that `--from-latest` restores; `inspect.rs`: the content of one; `extract.rs`: single members
//!   - `streams.rs`: content of an announced size, early write-back; `warnings.rs`: links, mounts and foreign
//!     databases in the volume
//!   - `soundness.rs`: sound, doubtful, suspect or damaged, with the reasons
//!   - `retention.rs`: which backups to remove; `twins.rs`: signs of another volume that takes backups with the same id
//!   - `progress.rs`: progress and the bytes to expect
//! - `quarantine.rs`: apps switched off in a tree of files, recorded, and released. It knows nothing of restores or locks.
//!   In `quarantine/`:
//!   - `switch_off.rs`: entering quarantine; `release.rs`: leaving it (`release/rows.rs`: the databases and rows to put back;
//!     `release/covers.rs`: apps that a later step changed as well)
//!   - `inspect.rs`: a dry run of steps
//!   - `record.rs`: `.moorline/quarantine.json`
//!   - `align.rs`: the steps of an earlier quarantine matched with the current ones; `choose.rs`: which apps a name means
//!   - `console.rs`: the steps for the console's own notifications
//!   - `sqlite.rs`, `sqlite/`: steps on rows (`update.rs`, `delete.rs`, `insert.rs`), one row put back
//!     (`undo.rs`), rows as recorded (`row.rs`), and the columns that identify a row (`table.rs`); `value.rs`: SQLite values as JSON;
//!     `databases.rs`: all open transactions; `tree.rs`: which databases exist
//!   - `json.rs`, `json/`: steps on nodes of JSON files: pointers (`pointer.rs`), `where` (`condition.rs`), edits that
//!     keep every other byte (`edit.rs`), identity of nodes (`identify.rs`), parsing in place (`text.rs`)
//!   - `file.rs`: steps on whole files; `paths.rs`: the globs of steps; `parts.rs`: the record of a part of the tree
//! - `metastore.rs`: the console's own database: open, errors. In `metastore/`: `schema.rs` (tables, versions), `lock.rs`,
//!   `copy.rs` (a copy adopted by another volume), `mirror.rs` (`settings.json`)
//! - `finds.rs`: whether a profile fits a volume: the matches of each store, and steps outside the state; the profile
//!   of a volume
//! - `store.rs`: databases and files, read from the volume and written back. In `store/`:
//!   - `matcher.rs`: which paths a scope includes; `survey.rs`: one walk over the volume (`survey/walk.rs`), its entries
//!     (`survey/entry.rs`), and which files are databases or backups; `mounts.rs`: mount points
//!   - `sqlite.rs`: consistent images of live databases. In `sqlite/`: `source.rs` (read-only connection), `open_files.rs` (that no other file was opened),
//!     `snapshot.rs` (the image at one time), `pages.rs` (its pages), `facts.rs` (its facts in the manifest), `check.rs`
//!     (its faults), `in_use.rs` (other processes that have it open), `edit.rs` (one transaction that changes it)
//!   - `foreign.rs`: databases of other engines, recognised by signature; `foreign/in_use.rs`: whether one is in use
//!   - `server.rs`: whether a server may be running
//!   - `files.rs`: plain files, read until they stop changing; `holes.rs`: their holes; `spool.rs`: temporary files without a name; `scratch.rs`: a
//!     temporary folder that another program fills; `sealed_file.rs`: an encrypted one; `tar_stream.rs`: a tar of another program
//!   - `stage.rs`, `beneath.rs`: members written below a folder, never through a link; `content.rs`: the content of one file
//!   - `attributes.rs`: extended attributes, ACLs and capabilities for a backup; `losses.rs`: metadata that had to be left out;
//!     `owners.rs`: which owner a restored path gets
//!   - `compare.rs`, `compare/table.rs`: which rows of two databases differ
//! - `command.rs`: a command of the profile: its user, its output in the log, its time and its end
//! - `trust.rs`: private CAs
//! - `sealed.rs`: small secrets, encrypted with the secret key

pub mod apps;
pub mod backup;
mod command;
pub mod fetch;
pub mod finds;
pub mod metastore;
pub mod quarantine;
pub mod restore;
pub mod sealed;
pub mod store;
pub mod trust;

/// The names that most modules use.
mod prelude {
    pub use std::{
        fs, io,
        path::{Path, PathBuf},
        time::Duration,
    };

    pub use profile::{
        PathKind, Profile, Scope,
        step::{Action, Moment, Step},
    };
    pub use seqbac_header::{Id, RelPath, SecretKey};
    pub use serde::{Deserialize, Serialize};
    pub use volume::{
        Volume, durable,
        error::{Code, Error, IoContext},
        presence,
    };

    pub type Result<T, E = Error> = std::result::Result<T, E>;
}
