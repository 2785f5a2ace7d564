//! How far it is: a bar on a terminal, a line every few seconds elsewhere; and the wish to stop.

use std::{
    io::IsTerminal,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::progress_lines::Lines;
use engine::backup::Progress;
use volume::error::{Code, Error, Result};

/// How often a log without a terminal is told.
const EVERY: Duration = Duration::from_secs(5);

/// Which signal asked the work to stop; 0 while none has.
static STOPPED_BY: AtomicUsize = AtomicUsize::new(0);

/// Shows progress on stderr, and stops the work when the process is asked to end.
pub struct Shown {
    bar: Option<ProgressBar>,
    what: String,
    total: u64,
    done: u64,
    told: Instant,
    lines: Lines,
    asked: Arc<AtomicUsize>,
}

impl Shown {
    /// Watches SIGTERM and SIGINT from now on: the work ends at its next step, and cleans up after itself.
    pub(super) fn new() -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            // Without it the signal ends the process at once, and the next run cleans up.
            let _ = signal_hook::flag::register_usize(signal, Arc::clone(&asked), signal as usize);
        }
        Self { bar: None, what: String::new(), total: 0, done: 0, told: Instant::now(), lines: Lines::new(), asked }
    }
}

/// The exit code of work that a signal stopped.
pub(super) fn interrupted() -> Option<u8> {
    match STOPPED_BY.load(Ordering::Relaxed) {
        0 => None,
        signal => u8::try_from(128 + signal).ok(),
    }
}

impl Progress for Shown {
    fn begin(&mut self, what: &str, bytes: u64) {
        (self.what, self.total, self.done, self.told) = (what.to_owned(), bytes, 0, Instant::now());
        self.lines.tell_now(what, 0, bytes);
        if std::io::stderr().is_terminal() {
            let style = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
            let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
            self.bar = Some(ProgressBar::new(bytes).with_style(style).with_message(what.to_owned()));
        }
    }

    fn advance(&mut self, bytes: u64) -> Result<()> {
        let signal = self.asked.load(Ordering::Relaxed);
        if signal != 0 {
            STOPPED_BY.store(signal, Ordering::Relaxed);
            return Err(Error::new(
                Code::TryAgain,
                format!("{} was stopped by a signal; nothing was changed", self.what),
            ));
        }
        self.done += bytes;
        // A file may have grown since it was measured.
        self.total = self.total.max(self.done);
        self.lines.tell(&self.what, self.done, self.total);
        match &self.bar {
            Some(bar) => {
                bar.set_length(self.total);
                bar.set_position(self.done);
            }
            None if self.told.elapsed() >= EVERY => {
                self.told = Instant::now();
                log::info!("{}: {} of about {} MiB", self.what, self.done >> 20, self.total >> 20);
            }
            None => {}
        }
        Ok(())
    }

    fn end(&mut self) {
        self.lines.tell_now(&self.what, self.done, self.total);
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
