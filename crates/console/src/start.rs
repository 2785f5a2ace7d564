//! The console's process: sets up the metastore, the secret key and the first run, then runs scheduler, notifications and
//! listener until a signal stops them.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

use super::{
    Console, Database, FirstRun, Jobs, Role, Site, auth::Logins, backups::upload, entities::settings::Fixed, listen,
    notify, pages::Comparisons, router::router, scheduler,
};
use engine::{restore, trust::Trust};
use process::{Own, Variables, signals};
use profile::Choice;
use volume::{
    ServeLock, Volume,
    error::{Code, Error, Result, reason},
    key::Sources,
};

/// Grace period for running jobs when the console stops.
const GRACE: Duration = Duration::from_millis(800);

/// The options of [`run`].
#[derive(Debug)]
pub struct Settings {
    /// The volume that it serves.
    pub volume: Volume,
    /// The profile of the volume.
    pub profile: Choice,
    /// Where to look for the secret key.
    pub keys: Sources,
    /// Whether to accept a configured secret key that differs from the volume's.
    pub accept_new_key: bool,
    /// This program, for children.
    pub own: Own,
    /// The environment of children.
    pub environment: Variables,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// PEM files with the certificate chain and the private key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// How the console relates to the server.
    pub role: Role,
    /// The first administrator, from the environment.
    pub first_run: FirstRun,
    /// Values of settings from the environment.
    pub fixed: Fixed,
    /// The private CAs of servers that receive notifications.
    pub trust: Trust,
}

/// Runs the console until SIGTERM, SIGINT or SIGQUIT. Fails with `TryAgain` if the volume has a console already.
pub fn run(settings: Settings) -> Result<()> {
    let unstarted =
        |cause: std::io::Error| Error::new(Code::TryAgain, format!("cannot start the console: {}", reason(&cause)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .thread_keep_alive(Duration::from_secs(2))
        .build()
        .map_err(unstarted)?;
    let done = runtime.block_on(async {
        let stops = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit()];
        let stops = stops.into_iter().map(signal).collect::<std::io::Result<Vec<_>>>().map_err(unstarted)?;
        // As PID 1 this process has blocked signals until now, because no handlers were installed.
        signals::release();
        serve(settings, stops).await
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}

async fn serve(settings: Settings, stops: Vec<Signal>) -> Result<()> {
    let (send_stop, stop) = watch::channel(false);
    let (site, _lock, address) = set_up(&settings).await?;
    if let Some((certificates, key)) = &settings.tls {
        listen::tls(certificates, key)?;
    }
    let listener = listen::Listener {
        address,
        tls: settings.tls.clone(),
        router: router(Arc::clone(&site)),
        volume: settings.volume.clone(),
    };
    let console = &site.console;
    let tasks = [tokio::spawn(scheduler::run(Arc::clone(console))), tokio::spawn(notify::run(Arc::clone(console)))];
    let listening = tokio::spawn(listener.run(stop.clone()));
    stop_signal(stops).await;
    log::info!("the console is stopping");
    tasks.iter().for_each(JoinHandle::abort);
    let _ = send_stop.send(true);
    // Jobs are atomic, so they can be stopped at any time.
    let (_, _) = tokio::join!(timeout(GRACE, site.console.jobs.end()), listening);
    Ok(())
}

async fn stop_signal(mut stops: Vec<Signal>) {
    let mut waiting: Vec<_> = stops.iter_mut().map(|stop| Box::pin(stop.recv())).collect();
    futures_util::future::select_all(waiting.iter_mut()).await;
}

async fn set_up(settings: &Settings) -> Result<(Arc<Site>, ServeLock, SocketAddr)> {
    settings.first_run.check()?;
    let volume = settings.volume.clone();
    volume.prepare()?;
    let lock = ServeLock::take(&volume)?;
    restore::refuse_unfinished(&volume)?;
    upload::clear(&volume);
    let key = settings.keys.ensure(&volume, settings.accept_new_key)?.key;
    let database = Database::start(volume.clone())?;
    let console = Arc::new(Console {
        volume,
        profile: settings.profile.clone(),
        key: Arc::new(key),
        database,
        own: settings.own.clone(),
        environment: settings.environment.clone(),
        fixed: settings.fixed.clone(),
        jobs: Jobs::default(),
        trust: settings.trust.clone(),
        settings: watch::Sender::new(()),
    });
    // Backups matter more than notifications, so the console starts nevertheless.
    if let Err(error) = console.trust.check() {
        log::error!("no notification can be sent with TLS: {error}");
        error.advice().into_iter().for_each(|hint| log::info!("hint: {hint}"));
    }
    let has_to_log_in = first_run(&console, settings).await?;
    console.mirror_settings().await?;
    let open_to_all = settings.first_run.no_authentication;
    let address = address(settings.listen, has_to_log_in || open_to_all);
    if !has_to_log_in {
        warn_no_login(open_to_all, address);
    }
    let site = Site {
        console,
        logins: Logins::default(),
        comparisons: Comparisons::default(),
        open_to_all,
        is_local: address.ip().is_loopback(),
        is_server: settings.role == Role::Server,
        is_tls: settings.tls.is_some(),
    };
    Ok((Arc::new(site), lock, address))
}

async fn first_run(console: &Console, settings: &Settings) -> Result<bool> {
    let first_run = settings.first_run.clone();
    Ok(console.database.call(move |connection| first_run.apply(connection)).await?)
}

/// The same port on the loopback address, unless other hosts may connect: they may not if there is no login.
fn address(wanted: SocketAddr, is_for_others: bool) -> SocketAddr {
    let ip = match wanted.ip() {
        ip if is_for_others || ip.is_loopback() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, wanted.port())
}

fn warn_no_login(open_to_all: bool, address: SocketAddr) {
    if open_to_all {
        log::warn!(
            "the console on {address} needs no login: everybody who can reach it can download and restore backups"
        );
    } else {
        log::warn!(
            "the console has no password, so it listens on {address} only; to open it to other hosts, set \
             MOORLINE_FIRSTRUN_ADMINPASSWORD (or MOORLINE_FIRSTRUN_NOAUTHENTICATION=true) and restart"
        );
    }
}
