//! Progress on stderr (a bar on a terminal, otherwise a line every 5 s), and stopping on SIGTERM or SIGINT.

use std::{
    io::IsTerminal,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::progress_lines::ProgressLines;
use engine::backup::Progress;
use volume::error::{Code, Error, Result};

/// Interval of the log lines if stderr is not a terminal.
const EVERY: Duration = Duration::from_secs(5);

/// The signal that stopped the work; 0 if none has.
static STOPPED_BY: AtomicUsize = AtomicUsize::new(0);

/// Shows progress on stderr, and stops the work when the process gets SIGTERM or SIGINT.
pub struct ProgressReporter {
    bar: Option<ProgressBar>,
    what: String,
    total: u64,
    done: u64,
    last_line: Instant,
    lines: ProgressLines,
    signal: Arc<AtomicUsize>,
}

impl ProgressReporter {
    /// Handles SIGTERM and SIGINT from now on: the work ends at its next step, and cleans up after itself.
    pub(super) fn new() -> Self {
        let received = Arc::new(AtomicUsize::new(0));
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            // If the handler cannot be installed, a signal kills the process, and the next run cleans up.
            let _ = signal_hook::flag::register_usize(signal, Arc::clone(&received), signal as usize);
        }
        let lines = ProgressLines::new();
        Self { bar: None, what: String::new(), total: 0, done: 0, last_line: Instant::now(), lines, signal: received }
    }
}

/// 128+n if signal n stopped the work.
pub(super) fn interrupted() -> Option<u8> {
    match STOPPED_BY.load(Ordering::Relaxed) {
        0 => None,
        signal => u8::try_from(128 + signal).ok(),
    }
}

impl Progress for ProgressReporter {
    fn begin(&mut self, what: &str, bytes: u64) {
        (self.what, self.total, self.done, self.last_line) = (what.to_owned(), bytes, 0, Instant::now());
        self.lines.write_now(what, 0, bytes);
        if std::io::stderr().is_terminal() {
            let style = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
            let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
            self.bar = Some(ProgressBar::new(bytes).with_style(style).with_message(what.to_owned()));
        }
    }

    fn check(&mut self) -> Result<()> {
        let signal = self.signal.load(Ordering::Relaxed);
        if signal != 0 {
            STOPPED_BY.store(signal, Ordering::Relaxed);
            return Err(Error::new(Code::TryAgain, format!("a signal stopped {}; nothing was changed", self.what)));
        }
        Ok(())
    }

    fn advance(&mut self, bytes: u64) -> Result<()> {
        self.check()?;
        self.done += bytes;
        // The total may be too small, because a file can grow after it was measured.
        self.total = self.total.max(self.done);
        self.lines.write(&self.what, self.done, self.total);
        match &self.bar {
            Some(bar) => {
                bar.set_length(self.total);
                bar.set_position(self.done);
            }
            None if self.last_line.elapsed() >= EVERY => {
                self.last_line = Instant::now();
                log::info!("{}: {} of about {} MiB", self.what, self.done >> 20, self.total >> 20);
            }
            None => {}
        }
        Ok(())
    }

    fn end(&mut self) {
        self.lines.write_now(&self.what, self.done, self.total);
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
