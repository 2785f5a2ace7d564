//! The web console, the process `moorline serve`: daily backups, pages, the HTTP API and notifications.
//!
//! The console is a process of its own and the only asynchronous one, with a single-threaded runtime. It does not take,
//! verify or compare backups itself, because that takes long and needs much memory: it runs this program with another
//! command as a child (`jobs.rs`). It does not restore either: it writes an init script, and the next start of the
//! container restores. The format of backups, the metastore's schema and quarantine are in the crates `seqbac` and
//! `engine`; the command line of `serve` is in `crates/cli/src/serve.rs`.
//!
//! # Start and shared state
//! - `start.rs`: [`run`], the process from its start to the end of its jobs; the address it listens on
//! - `site.rs`: `Console`, the state that all tasks share: volume, profile, secret key, metastore, jobs; `Site`, the state of
//!   the HTTP routes; `blocking`, for work that waits for the disk
//! - `role.rs`: [`Role`], whether the console is the server itself, runs beside one, or is a sidecar
//! - `first_run.rs`: [`FirstRun`], creates the first administrator from the environment
//! - `reset_password.rs`: [`reset_password`], a new password from the command line
//! - `database.rs`: `Database`, the thread with the connection to the metastore
//!
//! # Requests
//! - `listen.rs`: listens, TLS, timeouts, graceful shutdown; `listen/slots.rs`: limits of connections in total and per peer
//! - `routes.rs`: `Routes`, the table of routes: method, path, permission and handler. The tables are in `api.rs` and
//!   `pages.rs`
//! - `router.rs`: API and pages in one router, security headers, limit of body sizes
//! - `body.rs`: reads JSON; the time limit for reading JSON and forms
//! - `permission.rs`: Seq's permissions, and sets of them
//! - `auth.rs`: the middleware that authenticates and authorizes each request, API keys;
//!   `auth/session.rs`: sessions and their cookies; `auth/limits.rs`: rate limits of logins;
//!   `auth/same_site.rs`: protection against CSRF and DNS rebinding
//! - `password.rs`: Argon2id hashes of passwords
//! - `failure.rs`: `Failure`, the status and JSON of a request that failed; which error becomes which status; the field of
//!   the input that an error is about
//!
//! # HTTP API
//! - `api.rs`: the table of routes; `api/openapi.rs`: the OpenAPI document
//! - `api/resource.rs`: lists, shows, creates, changes and removes objects of the metastore; the permissions for that are in
//!   `api/users.rs` (users, roles), `api/keys.rs` (API keys) and `api/signals.rs` (signals, apps and app instances)
//! - `api/root.rs`: `/api`, `/health`, `/metrics`; `api/login.rs`: login and logout; `api/settings.rs`; `api/events.rs`;
//!   `api/backups.rs`; `api/restores.rs`: restores, rollback and quarantine
//! - `entities.rs`: validates and stores the objects of the metastore, in Seq's shapes; ids, tokens, checks of texts.
//!   `entities/users.rs`, `entities/roles.rs`, `entities/keys.rs`, `entities/settings.rs`, `entities/signals.rs`,
//!   `entities/instances.rs` (app instances, i.e. notifications, and their encrypted settings)
//!
//! # Backups and restores
//! - `backups.rs`: lists, finds, takes, inspects and compares backups; `backups/download.rs`: ranges, headers of
//!   downloads; `backups/upload.rs`: receives and verifies an upload
//! - `restores.rs`: past restores; requests for a restore or rollback, which are init scripts
//! - `quarantine.rs`: the apps in quarantine, and their release
//! - `jobs.rs`: runs commands as children, their limits and progress; `jobs/child.rs`: starts, stops and reaps one;
//!   `jobs/exit.rs`: JSON or error from its output; `jobs/stream.rs`: a backup that is downloaded while it is taken
//! - `health.rs`: `ok` or `degraded`, with reasons and warnings; `metrics.rs`: the same for Prometheus
//! - `calendar.rs`: the outcome of each of the last 90 days
//!
//! # Scheduler
//! - `schedule.rs`: the times at which backups are due
//! - `scheduler.rs`: the task that takes the daily backup, and retries; `scheduler/decide.rs`: decides on the next step,
//!   without clock and disk; `scheduler/observation.rs`: reads the facts for the decision from the volume;
//!   `scheduler/verification.rs`: the weekly verification
//!
//! # Notifications
//! - `notify.rs`: the task that sends events as notifications; `notify/tail.rs`: waits for new events;
//!   `notify/notification.rs`: reads the notifications from the metastore; `notify/kinds.rs`: the kinds and their
//!   settings; `notify/http.rs`: webhooks; `notify/mail.rs`: mail; `notify/trust.rs`: private CAs; `notify/attempt.rs`:
//!   delivery and retries; `notify/suppression.rs`: the rate limit; `notify/positions.rs`: the last event that each
//!   notification has handled; `notify/signal.rs`: the events that a notification receives
//! - `filter.rs`: the filter language of signals; `filter/token.rs`: tokens; `filter/parse.rs`: the parser;
//!   `filter/evaluate.rs`: evaluates a filter for an event; `filter/like.rs`: the patterns of `like`
//!
//! # Pages
//! A file has the handlers and the HTML of its pages.
//! - `pages.rs`: the rules for all pages, and their table of routes; `pages/visit.rs`: the request for a page;
//!   `pages/layout.rs`: header and menu; `pages/notices.rs`: banners; `pages/error_pages.rs`: error pages;
//!   `pages/assets.rs`: serves `assets/style.css`, `assets/live.js`, `assets/icon.svg`
//! - `pages/editing.rs`: the pages that create, change and remove an object of the metastore
//! - `pages/form.rs`: controls, and the fields of a submitted form; `pages/flash.rs`: messages after a redirect;
//!   `pages/table.rs`: tables; `pages/words.rs`: times, sizes and numbers
//! - `/backups`: `pages/backups.rs`; one backup: `pages/backup.rs`; comparisons with the current state:
//!   `pages/comparisons.rs`; progress of jobs: `pages/running.rs`
//! - `/schedule` with settings: `pages/schedule.rs`, `pages/calendar.rs`; `/restores`: `pages/restores.rs`
//! - `/apps`: quarantine: `pages/apps.rs`; notifications: `pages/notifications.rs`
//! - `/signals`: `pages/signals.rs`; `/events`: `pages/events.rs`; `/users`, `/apikeys`: `pages/access.rs`;
//!   `/secret-key`: `pages/secret_key.rs`; `/login`, `/logout`, `/first-run`, `/account`: `pages/login.rs`

mod api;
mod auth;
mod backups;
mod body;
mod calendar;
mod database;
mod entities;
mod failure;
mod filter;
mod first_run;
mod health;
mod jobs;
mod listen;
mod metrics;
mod notify;
mod pages;
pub mod password;
mod permission;
mod quarantine;
mod reset_password;
mod restores;
mod role;
mod router;
mod routes;
pub mod schedule;
pub mod scheduler;
mod site;
mod start;

use self::{
    database::Database,
    failure::Failure,
    jobs::Jobs,
    site::{Console, Site, blocking},
};
pub use self::{
    entities::settings,
    first_run::FirstRun,
    jobs::PROGRESS_FD,
    listen::parse as parse_listen,
    notify::signal::insert_backup_trouble,
    permission::Permission,
    reset_password::reset_password,
    role::Role,
    router::rules,
    routes::Rule,
    start::{Settings, run},
};
