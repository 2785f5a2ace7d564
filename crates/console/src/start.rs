//! The console's process, from its start to its end.

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
    notify, router::router, scheduler,
};
use engine::restore;
use process::{Own, Variables, signals};
use profile::Choice;
use volume::{
    ServeLock, Volume,
    error::{Code, Error, Result, reason},
    key::Sources,
};

/// Work on other threads has so long to come to an end.
const LAST_MOMENTS: Duration = Duration::from_millis(800);

/// What it is started with.
#[derive(Debug)]
pub struct Settings {
    /// The volume.
    pub volume: Volume,
    /// Its profile.
    pub profile: Choice,
    /// Where the secret key comes from.
    pub keys: Sources,
    /// Whether a configured key that is not the volume's is accepted.
    pub accept_new_key: bool,
    /// This program.
    pub own: Own,
    /// What its children find.
    pub environment: Variables,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The files of a certificate chain and its key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// What it is to the server.
    pub role: Role,
    /// What the environment says about the first run.
    pub first_run: FirstRun,
    /// Settings that the environment decides.
    pub fixed: Fixed,
}

/// Runs the console until it is asked to stop.
///
/// # Errors
/// `TryAgain` where the volume has a console already; `Usage` for settings that make no sense; and where volume, key or
/// metastore cannot be used.
pub fn run(settings: Settings) -> Result<()> {
    let unstarted = |cause: std::io::Error| {
        Error::new(Code::TryAgain, format!("the console cannot be started: {}", reason(&cause)))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .thread_keep_alive(Duration::from_secs(2))
        .build()
        .map_err(unstarted)?;
    let done = runtime.block_on(async {
        let stops = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit()];
        let stops = stops.into_iter().map(signal).collect::<std::io::Result<Vec<_>>>().map_err(unstarted)?;
        // Held until now, where this is PID 1.
        signals::release();
        serve(settings, stops).await
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}

async fn serve(settings: Settings, stops: Vec<Signal>) -> Result<()> {
    let (tell, stop) = watch::channel(false);
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
    asked(stops).await;
    log::info!("the console is being stopped");
    tasks.iter().for_each(JoinHandle::abort);
    let _ = tell.send(true);
    // What they do is whole or nothing; nobody waits for more than a moment.
    let (_, _) = tokio::join!(timeout(LAST_MOMENTS, site.console.jobs.end()), listening);
    Ok(())
}

/// Waits for a signal to stop.
async fn asked(mut stops: Vec<Signal>) {
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
        settings: watch::Sender::new(()),
    });
    let has_to_log_in = first_run(&console, settings).await?;
    console.mirror_settings().await?;
    let open_to_all = settings.first_run.no_authentication;
    let address = address(settings.listen, has_to_log_in || open_to_all);
    if !has_to_log_in {
        warn_of_no_login(open_to_all, address);
    }
    let site = Site {
        console,
        logins: Logins::default(),
        open_to_all,
        is_local: address.ip().is_loopback(),
        is_server: settings.role == Role::Server,
        is_tls: settings.tls.is_some(),
    };
    Ok((Arc::new(site), lock, address))
}

async fn first_run(console: &Console, settings: &Settings) -> Result<bool> {
    let first_run = settings.first_run.clone();
    console.database.call(move |connection| first_run.apply(connection)).await
}

/// Where nobody has to log in, this host alone is let in.
fn address(wanted: SocketAddr, is_for_others: bool) -> SocketAddr {
    let ip = match wanted.ip() {
        ip if is_for_others || ip.is_loopback() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, wanted.port())
}

fn warn_of_no_login(open_to_all: bool, address: SocketAddr) {
    if open_to_all {
        log::warn!(
            "nobody has to log in to the console on {address}: whoever reaches it can download and restore backups"
        );
    } else {
        log::warn!(
            "the console has no password, and listens on {address} only; to reach it from elsewhere, set \
             MOORLINE_FIRSTRUN_ADMINPASSWORD and start again (or MOORLINE_FIRSTRUN_NOAUTHENTICATION=true)"
        );
    }
}
